"""The floors of the house: imports point down only, and files stay small."""

import ast
import re
import sys
import warnings
from pathlib import Path

import pytest
import test_docs
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import sknesy

ROOT = Path(sknesy.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
ARCHITECTURE = Path(__file__).parents[1] / "docs" / "architecture.md"
EXTENDING = ARCHITECTURE.with_name("extending")

# From the ground up; a room may import from lower floors and from its own room.
FLOORS = {
    "exceptions": 0,
    "_arrays": 0,
    "_show_versions": 0,
    "_documentation": 0,
    "_files": 1,
    "_fingerprint": 1,
    "_validation": 1,
    "_logging": 1,
    "metrics": 2,
    "sat": 1,
    "numerics": 1,
    "knowledge": 2,
    "likelihoods": 2,
    "compilation": 3,
    "sampling": 4,
    "inference": 5,
    "nets": 5,
    "layouts": 6,
    "transforms": 6,
    "em": 7,
    "estimators": 8,
}
SIDES = {"datasets", "inspection", "model_selection", "plotting", "preprocessing"}
TOP = {"__init__", "__main__"}


def room_of(path):
    relative = path.relative_to(ROOT)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert all(alias.name != "*" for alias in node.names), f"{path}: star import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_imported(path):
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] == "sknesy" and len(parts) > 1:
            yield parts[1]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    room = room_of(path)
    if room in TOP or room in SIDES:
        return
    for other in rooms_imported(path):
        assert other not in SIDES, f"{path} imports the side room {other}"
        if other != room and other in FLOORS:
            assert FLOORS[other] < FLOORS[room], f"{path} imports {other}, which is not below"


def test_the_table_of_floors_is_that_of_the_architecture():
    if not ARCHITECTURE.is_file():
        pytest.skip("the docs are not here")
    told = {}
    for floor, rooms in re.findall(r"^\| (\d|side) \| (.*?) \|", ARCHITECTURE.read_text(), re.M):
        for room in re.findall(r"`(\w+)(?:/|\.py)`", rooms):
            told[room] = floor
    floors = {room: str(floor) for room, floor in FLOORS.items()}
    assert told == floors | dict.fromkeys(SIDES, "side")


def test_every_room_has_a_floor():
    assert {room_of(path) for path in FILES} == set(FLOORS) | SIDES | TOP


@pytest.mark.parametrize(
    ("package", "home"),
    [("pysat", "sat"), ("skorch", "nets"), ("cpmpy", "knowledge")],
)
def test_package_is_imported_in_one_room_only(package, home):
    rooms = {
        room_of(path)
        for path in FILES
        if any(name.split(".")[0] == package for name in imports_of(path))
    }
    assert rooms == {home}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_small(path):
    assert len(path.read_text().splitlines()) < 600


@pytest.mark.parametrize("path", sorted(ROOT.rglob("__init__.py")), ids=lambda p: p.parent.name)
def test_init_files_hold_no_logic(path):
    allowed = (ast.ImportFrom, ast.Assign, ast.Expr)
    assert all(isinstance(node, allowed) for node in ast.parse(path.read_text()).body)


# The rows of "Where a newcomer adds": the page of docs/extending and its section that works it out,
# the estimator that is fitted there with the worked thing, its data, and what of the section must
# run in it.
SUMS = "make_digit_sum(60, random_state=0)[:2]"
POINTS = "make_points(maximum, 200, random_state=0)[:2]"
CODES = "(X_codes, y_codes)"
WORKED = {
    "an inference engine": ("engine", "An inference engine", "dense", SUMS, {"DenseEngine._infer"}),
    "a knowledge language": (
        "language",
        "A knowledge language",
        "by_worlds",
        CODES,
        {"TableKnowledge.symbol_states", "TableKnowledge.output_states"},
    ),
    "a faster way from it to worlds": (
        "language",
        "A faster way to worlds",
        "by_worlds",
        CODES,
        {"enumerate_table_worlds"},
    ),
    "a faster way from it to a decision diagram": (
        "ways",
        "A faster way to a decision diagram",
        "by_diagram",
        "(X_alike, y_alike)",
        {"compile_alike_levels"},
    ),
    "a constraint beside clauses": (
        "remainder",
        "A constraint",
        "by_clauses",
        "(X_odd, y_odd)",
        {"OddConstraint.propositions"},
    ),
    "what is left of it in a descent": (
        "remainder",
        "Its remainder",
        "by_remainder",
        "(X_odd, y_odd)",
        {"make_odd_remainder", "OddRemainder.start", "OddRemainder.advance"},
    ),
    "a way to draw from it under evidence": (
        "ways",
        "A way to draw",
        "by_draws",
        CODES,
        {"compile_table_sampler", "TableSampler.draw"},
    ),
    "a way to factors": (
        "ways",
        "A way to factors",
        "by_factors",
        CODES,
        {"compile_table_factors"},
    ),
    "a way to its most probable worlds": (
        "ways",
        "A way to the most probable worlds",
        "by_mode",
        CODES,
        {"compile_table_search", "TableSearch.find"},
    ),
    "a way to observe y": (
        "likelihood",
        "A way to observe y",
        "noisy",
        SUMS,
        {f"NoisyLikelihood.{name}" for name in ("read", "log_likelihood", "count", "m_step")},
    ),
    "a transform": (
        "transform",
        "A transform",
        "smoothed",
        SUMS,
        {"Smoothed.start", "Smoothed.after"},
    ),
    "a layout": ("layout", "A layout", "stacked", f"(wide, {SUMS}[1])", {"SideBySide.read"}),
    "a kind of net": (
        "kind_of_net",
        "A kind of net",
        "counting",
        "(tokens, y)",
        {"make_counting_net", "CountingNet.log_prob", "CountingNet.m_step"},
    ),
    "a callback": ("callback", "A callback", "stopped", SUMS, {"StopAt.on_batch_end"}),
    "a data set": (
        "dataset",
        "A data set",
        "read",
        "make_blob_maximum(random_state=0)[:2]",
        {"make_blob_maximum"},
    ),
    "a net": ("net", "A net", "scaled", POINTS, {"Scaled.forward"}),
}

needs_docs = pytest.mark.skipif(not ARCHITECTURE.is_file(), reason="the docs are not here")


def rows_of_newcomers():
    (table,) = re.findall(
        r"^## Where a newcomer adds.*?(?=^## )", ARCHITECTURE.read_text(), re.M | re.S
    )
    return [
        row for row in re.findall(r"^\| ([^|]+?) \|", table, re.M) if row not in ("what", "---")
    ]


def worked_page(name):
    return EXTENDING / f"{name}.md"


def section(page, heading):
    (text,) = re.findall(
        rf"^#+ {re.escape(heading)}\n.*?(?=^##+ |\Z)", worked_page(page).read_text(), re.M | re.S
    )
    return text


def fit_and_predict(estimator, data, page):
    X, y = eval(data, page)
    assert len(estimator.fit(X, y).predict(X)) == len(y)


def ran_of_the_page(call):
    """The functions of the pages on extending that run within a call."""
    ran = set()

    def watch(frame, event, argument):
        if event == "call" and Path(frame.f_code.co_filename).parent == EXTENDING:
            ran.add(frame.f_code.co_qualname)

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        call()
    finally:
        sys.setprofile(before)
    return ran


@needs_docs
def test_each_row_of_where_a_newcomer_adds_has_a_worked_section():
    assert rows_of_newcomers() == list(WORKED)
    for page, heading, estimator, _, names in WORKED.values():
        text = section(page, heading)
        for name in names:
            owner, _, method = name.rpartition(".")
            assert f"class {owner}(" in text if owner else f"def {name}(" in text
            assert f"def {method}(" in text
        assert estimator in worked_page(page).read_text()


@needs_docs
@pytest.mark.slow
@pytest.mark.parametrize("row", WORKED)
def test_the_estimator_is_fitted_with_what_a_row_adds(row):
    """The page alone adds it: it defines it, registers it, and hands it to the estimator."""
    page, _, name, data, names = WORKED[row]
    page = vars(test_docs.run(worked_page(page)))
    estimator = clone(page[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ran = ran_of_the_page(lambda: fit_and_predict(estimator, data, page))
    assert names <= ran, f"{row}: {sorted(names - ran)} did not run"


@needs_docs
@pytest.mark.slow
def test_without_what_a_row_adds_nothing_of_it_runs():
    """The way that serves any knowledge fits other estimators; only what is added is called."""
    for path in EXTENDING.glob("*.md"):
        test_docs.run(path)  # all that is added is registered
    page = vars(test_docs.run(worked_page("engine")))
    plain = sknesy.EMNeSyClassifier(page["addition"], max_iter=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert not ran_of_the_page(lambda: fit_and_predict(plain, SUMS, page))


@needs_docs
@pytest.mark.parametrize("path", sorted(EXTENDING.glob("*.md")), ids=lambda p: p.stem)
def test_worked_code_imports_no_private_name_and_assigns_to_none_of_the_package(path):
    for code in test_docs.code_blocks(path):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                assert ast.unparse(node.value) == "self", f"line {node.lineno} changes another"
                continue
            else:
                continue
            for name in names:
                assert not re.search(r"(^|\.)_", name), f"line {node.lineno} imports {name}"
