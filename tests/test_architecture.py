"""The floors of the house: imports point down only, and files stay small."""

import ast
import re
from pathlib import Path

import pytest

import sknesy

ROOT = Path(sknesy.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
ARCHITECTURE = Path(__file__).parents[1] / "docs" / "architecture.md"

# From the ground up; a room may import from lower floors and from its own room.
FLOORS = {
    "exceptions": 0,
    "_validation": 1,
    "metrics": 1,
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
SIDES = {"datasets", "plotting"}
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
    [("pysat", "sat"), ("skorch", "nets"), ("cpmpy", "knowledge"), ("pysdd", "compilation")],
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
