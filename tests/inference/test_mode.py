"""Inference by the most probable worlds: each search held against sorting all worlds."""

import itertools
import math
import pickle
import time
import warnings

import numpy as np
import pytest
import torch
from contracts.cases import evidence
from problems import SMALL_PROBLEMS
from puzzles import addition, sudoku
from weights import seeded

from sknesy.exceptions import (
    InconsistentLabelError,
    InvalidKnowledgeError,
    TimeLimitError,
    UndeterminedPropositionWarning,
    UnsupportedKnowledgeError,
)
from sknesy.inference import (
    BlackBoxSearch,
    ClauseSearch,
    Compiled,
    DiagramSearch,
    EnumerationEngine,
    ModeEngine,
)
from sknesy.inference._mode_black_box import compile_black_box_search
from sknesy.inference._mode_search import SearchLimits
from sknesy.knowledge import (
    AtLeast,
    ClauseKnowledge,
    DigitAddition,
    FunctionKnowledge,
    StepKnowledge,
)

LIMITS = SearchLimits(n_worlds=1, max_tried=10_000, time_limit=60.0)


def by_diagram(problem):
    return ModeEngine().compile(problem.knowledge)


def by_maxsat(problem):
    if not isinstance(problem.knowledge, ClauseKnowledge):
        pytest.skip("not clauses")
    return ModeEngine(max_edges=1).compile(problem.knowledge)


def by_best_first(problem):
    labels = problem.output_states[0] if len(problem.output_states) == 1 else None
    search = compile_black_box_search(problem.knowledge, labels, LIMITS)
    return Compiled(search, search.n_states, search.output_states)


SEARCHES = {DiagramSearch: by_diagram, ClauseSearch: by_maxsat, BlackBoxSearch: by_best_first}


def compile_search(kind, problem):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndeterminedPropositionWarning)
        search = SEARCHES[kind](problem)
    assert isinstance(search.form, kind)
    return search


def all_worlds(problem, search, log_prob, log_likelihood):
    """For one sample, the log-joint of each world that agrees, by trying all."""
    orders = [
        [states.index(name) for name in names]
        for names, states in zip(problem.output_states, search.output_states, strict=True)
    ]
    found = {}
    for world in itertools.product(*map(range, problem.n_states)):
        concluded = problem.conclude(world)
        if concluded is None:
            continue
        total = sum(float(log_prob[s, v]) for s, v in enumerate(world))
        total += sum(float(log_likelihood[o, orders[o][w]]) for o, w in enumerate(concluded))
        if total > -math.inf:
            found[world] = total
    return found


def mixed_evidence(rng, problem, search):
    """Random evidence, some of whose symbol states are impossible."""
    log_prob, log_likelihood = evidence(problem, search.output_states)
    dead = torch.from_numpy(rng.random(log_prob.shape) < 0.1)
    dead[:2] = False
    return log_prob.masked_fill(dead, -torch.inf), log_likelihood


all_searches = pytest.mark.parametrize("kind", SEARCHES, ids=lambda kind: kind.__name__)
all_problems = pytest.mark.parametrize("problem", SMALL_PROBLEMS, ids=lambda p: p.name)


@all_searches
@all_problems
@pytest.mark.parametrize("n_worlds", [1, 4])
def test_worlds_found_are_the_first_of_all(kind, problem, n_worlds, rng):
    search = compile_search(kind, problem)
    log_prob, log_likelihood = mixed_evidence(rng, problem, search)
    found = search.form.find(log_prob, log_likelihood, SearchLimits(n_worlds, 10_000, None))
    assert found.is_optimal.all()
    for i in range(len(log_prob)):
        expected = all_worlds(problem, search, log_prob[i], log_likelihood[i])
        best = sorted(expected.values(), reverse=True)[:n_worlds]
        n_found = int((found.log_joint[i] > -torch.inf).sum())
        assert n_found == len(best)
        np.testing.assert_allclose(found.log_joint[i, :n_found], best, rtol=1e-9)
        worlds = [tuple(world) for world in found.worlds[i, :n_found].tolist()]
        assert len(set(worlds)) == n_found
        np.testing.assert_allclose([expected[world] for world in worlds], best, rtol=1e-9)
        assert (found.worlds[i, n_found:] == -1).all()
        assert (found.outputs[i, n_found:] == -1).all()


@all_searches
@all_problems
def test_with_all_worlds_the_posterior_is_exact(kind, problem, rng):
    search = compile_search(kind, problem)
    log_prob, log_likelihood = mixed_evidence(rng, problem, search)
    posterior = ModeEngine(n_worlds=300).infer(search, log_prob, log_likelihood)
    exact = EnumerationEngine()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndeterminedPropositionWarning)
        table = exact.compile(problem.knowledge)
    order = [
        [names.index(name) for name in states]
        for names, states in zip(search.output_states, table.output_states, strict=True)
    ]
    widths = torch.full_like(log_likelihood, -torch.inf)
    for o, columns in enumerate(order):
        widths[:, o, : len(columns)] = log_likelihood[:, o, columns]
    expected = exact.infer(table, log_prob, widths)
    np.testing.assert_allclose(posterior.log_evidence, expected.log_evidence, atol=1e-10)
    np.testing.assert_allclose(posterior.symbol_marginals, expected.symbol_marginals, atol=1e-10)
    for o, columns in enumerate(order):
        np.testing.assert_allclose(
            posterior.output_marginals[:, o, columns],
            expected.output_marginals[:, o, : len(columns)],
            atol=1e-10,
        )


@all_searches
@all_problems
def test_evidence_grows_with_the_number_of_worlds(kind, problem, rng):
    search = compile_search(kind, problem)
    arrays = mixed_evidence(rng, problem, search)
    values = [ModeEngine(n_worlds=k).infer(search, *arrays).log_evidence for k in (1, 2, 5)]
    for fewer, more in itertools.pairwise(values):
        assert (more >= fewer - 1e-12).all()


def test_samples_follow_the_shares_of_the_worlds(rng):
    problem = SMALL_PROBLEMS[0]
    search = by_diagram(problem)
    arrays = evidence(problem, search.output_states)
    engine = ModeEngine(n_worlds=3)
    posterior = engine.infer(search, *arrays)
    generator = seeded(0)
    worlds, outputs = engine.sample(search, *arrays, 4_000, generator)
    for draws, marginals in (
        (worlds, posterior.symbol_marginals),
        (outputs, posterior.output_marginals),
    ):
        for v in range(marginals.shape[-1]):
            share = (draws == v).double().mean(0)
            np.testing.assert_allclose(share, marginals[..., v], atol=0.04)


def near_certain(rng, grid, n_states, n_wrong=4):
    """A net that is sure of each symbol, and wrong of a few."""
    log_prob = np.full((len(grid), n_states), np.log(0.01 / (n_states - 1)))
    log_prob[np.arange(len(grid)), grid] = np.log(0.99)
    log_prob += 0.3 * rng.standard_normal(log_prob.shape)
    for s in rng.choice(len(grid), n_wrong, replace=False):
        log_prob[s] = np.roll(log_prob[s], 1)
    return torch.from_numpy(log_prob)


IS_TRUE = torch.tensor([[[-torch.inf, 0.0]]], dtype=torch.float64)
IS_FALSE = torch.tensor([[[0.0, -torch.inf]]], dtype=torch.float64)
GRID = np.array([[(3 * (r % 3) + r // 3 + c) % 9 for c in range(9)] for r in range(9)]).ravel()


@pytest.fixture(scope="module")
def nine_by_nine():
    """An empty sudoku, for which no decision diagram is to be had."""
    knowledge = sudoku(3)
    search = ModeEngine(max_width=1_000).compile(knowledge, [True])
    assert isinstance(search.form, ClauseSearch)
    return search


def test_an_empty_sudoku_is_solved_with_a_net_that_is_almost_right(nine_by_nine, rng):
    log_prob = near_certain(rng, GRID, 9)[None]
    posterior = ModeEngine().infer(nine_by_nine, log_prob, IS_TRUE)
    assert posterior.diagnostics["is_optimal"].all()
    assert posterior.symbol_marginals[0].argmax(1).tolist() == GRID.tolist()


@pytest.mark.slow
def test_time_limit_is_obeyed_and_what_is_found_is_a_world(nine_by_nine, rng):
    log_prob = torch.from_numpy(rng.standard_normal((2, 81, 9))).log_softmax(-1)
    engine = ModeEngine(n_worlds=2, time_limit=1.0)
    start = time.monotonic()
    posterior = engine.infer(nine_by_nine, log_prob, IS_TRUE.expand(2, 1, 2))
    assert time.monotonic() - start < 3.0
    assert not posterior.diagnostics["is_optimal"].any()
    assert posterior.diagnostics["n_worlds"].tolist() == [2, 2]
    _, worlds, _ = engine.mode(nine_by_nine, log_prob[:1], IS_TRUE)
    for group in (worlds.view(9, 9), worlds.view(9, 9).T):
        assert all(sorted(row) == list(range(9)) for row in group.tolist())


def test_the_best_world_that_is_no_sudoku_is_known_at_once(nine_by_nine, rng):
    log_prob = near_certain(rng, GRID, 9, n_wrong=0)[None]
    best = log_prob.topk(2, dim=-1).values[0]
    log_joint, worlds, outputs = ModeEngine().mode(nine_by_nine, log_prob, IS_FALSE)
    # The right grid is no violation; any single cell changed is one.
    least = (best[:, 0] - best[:, 1]).min()
    np.testing.assert_allclose(log_joint[0], best[:, 0].sum() - least, rtol=1e-12)
    assert outputs.tolist() == [[0]]
    assert (worlds[0] != torch.from_numpy(GRID)).sum() == 1


@pytest.mark.parametrize("n_worlds", [1, 5])
def test_outputs_of_clauses_are_evidence(n_worlds, rng):
    """A sum of three digits by MaxSAT, whose carries are auxiliary, and by a diagram."""
    knowledge = addition(3)
    by_clauses = ModeEngine(n_worlds, max_edges=1).compile(knowledge)
    exact = ModeEngine(n_worlds).compile(knowledge)
    assert isinstance(by_clauses.form, ClauseSearch)
    assert isinstance(exact.form, DiagramSearch)
    log_prob = torch.from_numpy(rng.standard_normal((4, 6, 10))).log_softmax(-1)
    log_likelihood = torch.full((4, 4, 10), -torch.inf, dtype=torch.float64)
    for i, digits in enumerate(([3, 1, 4, 1], [0, 0, 0, 0], [8, 9, 9, 1], [6, 5, 3, 0])):
        log_likelihood[i, range(4), digits] = 0.0
    limits = SearchLimits(n_worlds, 1, None)
    found = by_clauses.form.find(log_prob, log_likelihood, limits)
    expected = exact.form.find(log_prob, log_likelihood, limits)
    np.testing.assert_allclose(found.log_joint, expected.log_joint, rtol=1e-9)
    assert torch.equal(found.worlds, expected.worlds)


def count_marks(*marks):
    return sum(marks) if sum(marks) < 30 else None


MANY = FunctionKnowledge(count_marks, [range(2)] * 40)


def test_a_function_of_many_symbols_is_searched_best_first(rng):
    engine = ModeEngine(n_worlds=2)
    search = engine.compile(MANY, [3, 4])
    assert isinstance(search.form, BlackBoxSearch)
    assert search.output_states == ((3, 4),)
    p = torch.full((1, 40), 0.01, dtype=torch.float64)
    p[0, :3] = 0.9
    log_prob = torch.stack([1 - p, p], -1).log()
    is_four = torch.tensor([[[-torch.inf, 0.0]]], dtype=torch.float64)
    posterior = engine.infer(search, log_prob, is_four)
    assert posterior.diagnostics["is_optimal"].all()
    expected = 3 * math.log(0.9) + math.log(0.01) + 36 * math.log(0.99) + math.log(2)
    np.testing.assert_allclose(posterior.log_evidence, [expected])


def test_where_nothing_is_found_in_time_there_is_no_evidence():
    engine = ModeEngine(max_tried=20)
    search = engine.compile(MANY, [29])
    p = torch.full((2, 40), 0.01, dtype=torch.float64)
    log_prob = torch.stack([1 - p, p], -1).log()
    is_29 = torch.zeros((2, 1, 1), dtype=torch.float64)
    posterior = engine.infer(search, log_prob, is_29)
    assert (posterior.log_evidence == -torch.inf).all()
    assert (posterior.symbol_marginals == 0).all()
    assert (posterior.output_marginals == 0).all()
    assert posterior.diagnostics["n_worlds"].tolist() == [0, 0]
    assert not posterior.diagnostics["is_optimal"].any()
    worlds, outputs = engine.sample(search, log_prob, is_29, 3)
    assert worlds.shape == (3, 2, 40)
    assert (worlds == -1).all()
    assert (outputs == -1).all()


def test_labels_of_a_function_are_added_by_reuse():
    engine = ModeEngine()
    search = engine.compile(MANY, [3, 4])
    assert engine.compile(MANY, [5, 3], reuse=search).output_states == ((3, 4, 5),)
    assert pickle.loads(pickle.dumps(search)).output_states == ((3, 4),)


def test_constraints_that_do_not_hold_are_found_best_first():
    knowledge = AtLeast(5, 40, of=[True], states=[False, True])
    search = ModeEngine(max_edges=1).compile(knowledge)
    p = torch.full((1, 40), 0.99, dtype=torch.float64)
    p[0, 5:] = 0.1
    log_prob = torch.stack([1 - p, p], -1).log()
    log_joint, worlds, _ = ModeEngine().mode(search, log_prob, IS_FALSE)
    np.testing.assert_allclose(
        log_joint, [4 * math.log(0.99) + math.log(0.01) + 35 * math.log(0.9)]
    )
    assert int(worlds.sum()) == 4


def test_labels_that_nobody_names_are_asked_for():
    with pytest.raises(UnsupportedKnowledgeError, match=r"FunctionKnowledge.*Pass the labels"):
        ModeEngine().compile(MANY)


@pytest.mark.parametrize(
    ("knowledge", "label"),
    [
        (DigitAddition(2), (7, 0, 0)),
        (ClauseKnowledge([[1, -1]], [[1]]), False),
        (addition(1), (9, True)),
    ],
)
def test_an_impossible_label_is_an_error(knowledge, label):
    with pytest.raises(InconsistentLabelError, match="cannot conclude"):
        ModeEngine(max_edges=1).compile(knowledge, [label])


def test_clauses_that_contradict_each_other_are_an_error():
    knowledge = ClauseKnowledge([[1], [-1]], [[1], [2]])
    with pytest.raises(InvalidKnowledgeError, match="contradict each other"):
        ModeEngine(max_edges=1).compile(knowledge)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_worlds": 0}, "n_worlds must be .*at least 1, got 0"),
        ({"max_tried": 0}, "max_tried must be .*at least 1, got 0"),
        ({"time_limit": -1.0}, "time_limit must be .*at least 0, .*got -1.0"),
        ({"max_width": 0}, "max_width must be .*at least 1, .*got 0"),
    ],
)
def test_parameters_are_checked(parameters, message):
    with pytest.raises(ValueError, match=message):
        ModeEngine(**parameters).compile(SMALL_PROBLEMS[0].knowledge)


@pytest.mark.slow
def test_a_slow_function_meets_the_limit_of_a_batch():
    def add_slowly(a, b):
        time.sleep(0.3)
        return a + b

    engine = ModeEngine(max_width=1, time_limit=1.0)
    knowledge = FunctionKnowledge(add_slowly, [range(10)] * 2)
    compiled = Compiled(BlackBoxSearch(knowledge, (10, 10), ((1, 3),)), (10, 10), ((1, 3),))
    log_prob = torch.full((32, 2, 10), -math.log(10), dtype=torch.float64)
    start = time.monotonic()
    posterior = engine.infer(compiled, log_prob, torch.zeros(32, 1, 2, dtype=torch.float64))
    assert time.monotonic() - start < 3.0
    assert not posterior.diagnostics["is_optimal"].any()


@pytest.mark.slow
def test_a_machine_that_takes_long_to_read_meets_the_limit():
    def step_slowly(state, symbol, position):
        time.sleep(0.2)
        return state + symbol

    knowledge = StepKnowledge(step_slowly, range(2), 30)
    start = time.monotonic()
    with pytest.raises(TimeLimitError, match=r"\(. of 30 symbols read\)"):
        ModeEngine(time_limit=1.0).compile(knowledge, [0, 1])
    assert time.monotonic() - start < 3.0
