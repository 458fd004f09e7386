"""The documentation: its code runs, its links lead somewhere, its engines are right."""

import contextlib
import functools
import inspect
import re
import sys
import tempfile
import types
import warnings
from pathlib import Path

import numpy as np
import oracle
import pytest
import torch
from contracts import test_all_kinds, test_engines
from contracts.cases import Case
from problems import SMALL_PROBLEMS
from sklearn.exceptions import ConvergenceWarning
from weights import random_log

from sknesy.likelihoods import Entries, ExactObserved

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
EXTENDING = DOCS / "extending"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(DOCS.glob("*.md")),
    *sorted(DOCS.glob("*/*.md")),
]
WITH_LINKS = {ROOT / "README.md", DOCS / "architecture.md", DOCS / "guide" / "index.md"}
CONTINUES = re.compile(r"<!-- continues (\S+) -->")
BLOCK = re.compile(r"(<!-- not run -->\n)?^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the docs are not here")


def named(paths):
    names = [str(path.relative_to(ROOT)) for path in paths]
    return pytest.mark.parametrize("path", paths, ids=names)


def code_blocks(path):
    """The Python blocks of a page that are to be run, padded so that line numbers agree."""
    text = path.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        if match[1] is None:
            yield "\n" * text.count("\n", 0, match.start(2)) + match[2]


@functools.cache
def run(path):
    """Run the blocks of a page in one namespace, that of a module, so that classes pickle.

    A page that continues another one opens with what that has defined.
    """
    module = types.ModuleType(f"docs_{path.parent.stem}_{path.stem}")
    sys.modules[module.__name__] = module
    if before := CONTINUES.search(path.read_text(encoding="utf-8")):
        known = vars(run(path.with_name(before[1]))).items()
        vars(module).update({name: value for name, value in known if not name.startswith("__")})
    folder = tempfile.TemporaryDirectory()  # for the files that a page writes
    with folder as name, contextlib.chdir(name), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for code in code_blocks(path):
            exec(compile(code, path, "exec"), vars(module))
    return module


def anchors(path):
    """The anchors of a page's headings, as on GitHub."""
    text = FENCED.sub("", path.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.slow
@named([path for path in PAGES if any(code_blocks(path))])
def test_code_runs(path):
    run(path)


@named(PAGES)
def test_links_lead_somewhere(path):
    links = LINK.findall(FENCED.sub("", path.read_text(encoding="utf-8")))
    assert links or path not in WITH_LINKS
    for target, anchor in links:
        if "://" in target:
            continue
        page = (path.parent / target).resolve() if target else path
        assert page.exists(), f"{path.name} links to {target}, which does not exist"
        assert not anchor or anchor in anchors(page), f"{target} has no heading #{anchor}"


@pytest.mark.learning
@pytest.mark.slow
def test_accuracies_that_the_pages_promise_are_reached():
    assert run(EXTENDING / "by_hand.md").accuracy > 0.95  # labels with a fifth of noise


CLAIMS = {
    name: claim
    for name, claim in {**vars(test_all_kinds), **vars(test_engines)}.items()
    if name.startswith("test_") and "refused" not in name
}


@functools.cache
def worked_case(name, problem):
    return Case(getattr(run(EXTENDING / "engine.md"), name)(), problem)


@pytest.mark.slow
@pytest.mark.parametrize("problem", SMALL_PROBLEMS, ids=lambda p: p.name)
@pytest.mark.parametrize("name", CLAIMS)
def test_worked_engine_keeps_the_contract_of_engines(name, problem):
    """Every claim of tests/contracts, among them equality with the oracle on every sample."""
    claim, case = CLAIMS[name], worked_case("DenseEngine", problem)
    claim(case, -torch.inf) if "low" in inspect.signature(claim).parameters else claim(case)


@pytest.mark.slow
@pytest.mark.parametrize("problem", SMALL_PROBLEMS, ids=lambda p: p.name)
def test_worked_lower_bound_is_the_most_probable_world_of_the_oracle(problem):
    case = worked_case("CertainEngine", problem)
    posterior = case.infer()
    for i, (evidence, _, _, (weight, world)) in enumerate(case.expected):
        bound = posterior.log_evidence[i].exp().item()
        np.testing.assert_allclose(bound, weight, rtol=1e-10)
        assert bound <= evidence * (1 + 1e-12)
        if world is None:
            assert not posterior.symbol_marginals[i].any()
            continue
        assert tuple(posterior.symbol_marginals[i].argmax(-1).tolist()) == world
        assert posterior.output_marginals[i].argmax(-1).tolist() == case.conclude(world)


# Each engine takes another of the worked ways: worlds, a diagram, factors, the best worlds, draws.
WAYS = {
    "EnumerationEngine": {},
    "DiagramEngine": {},
    "BeliefPropagationEngine": {},
    "ModeEngine": {"n_worlds": 81, "max_width": 1},
    "SamplingEngine": {"n_draws": 5},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "engine"),
    [("weather", engine) for engine in WAYS]
    + [("few", "EnumerationEngine"), ("few", "DiagramEngine")],
)
def test_each_worked_way_equals_the_oracle(name, engine, rng):
    page = run(EXTENDING / "ways.md")
    knowledge, is_drawn = getattr(page, name), engine == "SamplingEngine"
    engine = getattr(page, engine)(**WAYS[engine])
    compiled = engine.compile(knowledge)
    (names,) = compiled.output_states
    n_states = tuple(knowledge.n_states.tolist())

    def conclude(world):
        label = knowledge.conclude([world])[0]
        return None if label is None else (names.index(label),)

    log_prob = random_log(rng, 4, n_states)
    log_likelihood = random_log(rng, 4, (len(names),))
    posterior = engine.infer(compiled, log_prob, log_likelihood)
    for i in range(4):
        evidence, symbols, _, _ = oracle.posterior(
            n_states,
            (len(names),),
            conclude,
            log_prob[i].exp().tolist(),
            log_likelihood[i].exp().tolist(),
        )
        np.testing.assert_allclose(posterior.log_evidence[i].exp(), evidence, rtol=1e-10)
        if not is_drawn:  # all its draws have the same weight, the evidence
            np.testing.assert_allclose(posterior.symbol_marginals[i], symbols, rtol=1e-10)


@pytest.mark.slow
def test_worked_likelihood_is_a_distribution_over_labels():
    likelihood = run(EXTENDING / "likelihood.md").NoisyLikelihood()
    observed = ExactObserved(Entries(["a", "b", "c"], np.arange(3))).bind([["c", "a", "b"]])
    rate = {"rate": torch.tensor(0.3, dtype=torch.float64)}
    of_label = likelihood.log_likelihood(observed, torch.arange(3), rate).exp()[:, 0]
    np.testing.assert_allclose(of_label.sum(0), 1.0, rtol=1e-12)
    np.testing.assert_allclose([of_label[0, 1], of_label[1, 2], of_label[2, 0]], 0.7, rtol=1e-12)


@pytest.mark.slow
def test_worked_transform_takes_part_in_each_mini_batch():
    page = run(EXTENDING / "transform.md")
    seen = []

    class Counted(page.Smoothed):
        def after(self, posterior, index, n_iter, state):
            after = super().after(posterior, index, n_iter, state)
            seen.append((posterior.symbol_marginals, after.symbol_marginals, n_iter))
            return after

    counted = page.smoothed.__class__(
        page.addition, transforms=[Counted(0.2)], max_iter=2, batch_size=30, random_state=0
    )
    X, y, _, _ = page.make_digit_sum(60, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        counted.fit(X, y)
    assert len(seen) == 4  # two iterations of two mini-batches
    for before, after, n_iter in seen:
        share = 0.2 * 0.5 ** (n_iter - 1)
        torch.testing.assert_close(after, (1 - share) * before + share / before.shape[-1])


@pytest.mark.slow
def test_worked_callback_ends_training_within_its_first_iteration():
    page = run(EXTENDING / "callback.md")
    assert page.stopped.n_iter_ < page.stopped.max_iter
    assert page.stopped.score(page.X, page.stopped.predict(page.X)) == 1.0


@pytest.mark.slow
def test_worked_layout_is_used_and_remembered():
    page = run(EXTENDING / "layout.md")
    assert isinstance(page.stacked.layout_, page.SideBySide)
    assert page.stacked.symbol_shape_ == page.apart.symbol_shape_ == (8, 8)
