"""Belief propagation on factor graphs, against sums over all joint states."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from weights import random_weights, weigh_factor

from sknesy.numerics.belief_propagation import propagate_beliefs
from sknesy.numerics.factor_chain import chain_factor
from sknesy.numerics.factor_diagram import diagram_factor
from sknesy.numerics.factor_graph import build_factor_graph
from sknesy.numerics.factor_table import table_factor

KINDS = ["table", "chain", "diagram"]


def brute_force(n_states, factors, domains, weights):
    """Sum and marginals of one sample; `weights[i][v]` are plain numbers."""
    total, masses = 0.0, [np.zeros(n) for n in n_states]
    for states in itertools.product(*map(range, n_states)):
        if not all(domain[v] for domain, v in zip(domains, states, strict=True)):
            continue
        mass = math.prod(float(w[v]) for w, v in zip(weights, states, strict=True))
        mass *= math.prod(weigh_factor(factor, states) for factor in factors)
        total += mass
        for i, v in enumerate(states):
            masses[i][v] += mass
    return total, [m / total if total else m for m in masses]


def random_factor(rng, scope, n_states, kind):
    """Weights of which some are zero."""

    def draw(*shape):
        return rng.random(shape) * (rng.random(shape) < 0.7)

    counts = [n_states[i] for i in scope]
    if kind == "table":
        return table_factor(scope, draw(*counts))
    widths = [1, *rng.integers(1, 4, len(scope) - 1), 1]
    if kind == "chain":
        shapes = zip(widths, counts, widths[1:], strict=False)
        return chain_factor(scope, [draw(*shape) for shape in shapes])
    tables = [
        np.where(rng.random((before, n)) < 0.7, rng.integers(after, size=(before, n)), -1)
        for before, n, after in zip(widths, counts, widths[1:], strict=False)
    ]
    return diagram_factor(scope, tables)


@st.composite
def forests(draw):
    """Factors of which each shares at most one variable with those before."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n_states = draw(st.lists(st.integers(1, 3), min_size=1, max_size=7))
    factors, tree = [], [0]
    while len(tree) < len(n_states):
        first = draw(st.sampled_from(tree))
        is_apart = draw(st.booleans())  # starts a tree of its own
        count = min(draw(st.integers(1, 3)), len(n_states) - len(tree))
        fresh = list(range(len(tree), len(tree) + count))
        scope = fresh if is_apart and count > 1 else [first, *fresh]
        scope = tuple(int(i) for i in rng.permutation(scope))
        factors.append(random_factor(rng, scope, n_states, draw(st.sampled_from(KINDS))))
        tree.extend(fresh)
    domains = [rng.random(n) < 0.9 for n in n_states]
    return n_states, factors, domains, rng


@settings(max_examples=40, deadline=None)
@given(forests(), st.sampled_from([0.0, 1.0, 8.0]))
def test_forests_are_exact(forest, scale):
    n_states, factors, domains, rng = forest
    graph = build_factor_graph(n_states, factors, domains)
    log_weights = random_weights(rng, 3, n_states, scale)
    log_weights[2, 0, 0] = -torch.inf
    beliefs = propagate_beliefs(graph, log_weights, damping=0.5)
    assert graph.is_forest
    assert beliefs.has_converged.all()
    for i, weights in enumerate(log_weights.exp().numpy()):
        total, marginals = brute_force(n_states, factors, domains, weights)
        np.testing.assert_allclose(beliefs.log_evidence[i].exp(), total, rtol=1e-10)
        for k, marginal in enumerate(marginals):
            got = beliefs.marginals[i, k, : len(marginal)]
            np.testing.assert_allclose(got, marginal, rtol=1e-10, atol=1e-300)
            assert (beliefs.marginals[i, k, len(marginal) :] == 0).all()


def test_factors_that_allow_nothing_leave_no_evidence():
    shapes = {(0, 1): 0.3, (0, 2): 0.0, (3, 2): 0.0, (3, 5, 4): 0.0}
    factors = [table_factor(scope, np.full([1] * len(scope), w)) for scope, w in shapes.items()]
    graph = build_factor_graph([1] * 6, factors, [np.ones(1, dtype=bool)] * 6)
    beliefs = propagate_beliefs(graph, torch.zeros(2, 6, 1, dtype=torch.float64))
    assert (beliefs.log_evidence == -torch.inf).all()


def differ(n):
    return 1.0 - np.eye(n)


def ring(n, n_states=3):
    """Neighbours in a ring differ; all factors are the same table."""
    factors = [table_factor((i, (i + 1) % n), differ(n_states)) for i in range(n)]
    return build_factor_graph([n_states] * n, factors, [[True] * n_states] * n)


def test_what_is_told_apart_is_loops_rounds_and_shared_tables():
    path = [table_factor((i, i + 1), differ(3)) for i in range(9)]
    graph = build_factor_graph([3] * 10, path, [[True] * 3] * 10)
    assert graph.n_rounds == 9
    assert [len(group.potential.arrays[0]) for group in graph.groups] == [1]  # one for all
    assert ring(10).n_rounds is None
    twice = [table_factor((0, 1), differ(3)), table_factor((1, 0), differ(3))]
    assert build_factor_graph([3] * 2, twice, [[True] * 3] * 2).n_rounds is None


def test_one_loop_comes_close(rng):
    # A ring of eight in three colours: the sum of eight-fold products of a matrix is its trace.
    log_weights = random_weights(rng, 20, [3] * 8, 0.5)
    beliefs = propagate_beliefs(ring(8), log_weights, tol=1e-12, max_iter=1000)
    assert beliefs.has_converged.all()
    for i, weights in enumerate(log_weights.exp()):
        product = torch.eye(3, dtype=torch.float64)
        for w in weights:
            product = product @ (torch.diag(w) @ torch.from_numpy(differ(3)))
        # The second eigenvalue is at most half as large: 2 * 2**-8 is left of a round trip.
        np.testing.assert_allclose(beliefs.log_evidence[i], product.trace().log(), atol=0.02)


def test_marginals_are_gradient_of_log_evidence_in_loops(rng):
    log_weights = random_weights(rng, 4, [3] * 4)
    sent = {"tol": 1e-13, "max_iter": 2000, "damping": 0.3}
    marginals = propagate_beliefs(ring(4), log_weights, **sent).marginals
    step = 1e-5
    for i, v in np.ndindex(4, 3):
        sides = []
        for sign in (1, -1):
            moved = log_weights.clone()
            moved[:, i, v] += sign * step
            sides.append(propagate_beliefs(ring(4), moved, **sent).log_evidence)
        np.testing.assert_allclose(
            (sides[0] - sides[1]) / (2 * step), marginals[:, i, v], atol=1e-8
        )


def test_batch_equals_its_samples_one_by_one(rng):
    graph = ring(5)
    log_weights = random_weights(rng, 8, [3] * 5, 3.0)
    log_weights[3, 2, 1] = -torch.inf  # zeros are counted, for the whole batch
    log_weights[5, 0, 1:] = -2_000.0  # in log space
    batch = propagate_beliefs(graph, log_weights, damping=0.2)
    for i in range(8):
        one = propagate_beliefs(graph, log_weights[i : i + 1], damping=0.2)
        np.testing.assert_allclose(one.log_evidence[0], batch.log_evidence[i], rtol=1e-12)
        np.testing.assert_allclose(one.marginals[0], batch.marginals[i], rtol=1e-10, atol=1e-300)
        assert one.has_converged[0] == batch.has_converged[i]


def test_damping_does_not_move_the_fixed_point(rng):
    log_weights = random_weights(rng, 5, [3] * 6)
    plain, damped = (
        propagate_beliefs(ring(6), log_weights, damping=d, tol=1e-12, max_iter=2000)
        for d in (0.0, 0.7)
    )
    assert damped.n_iter > plain.n_iter
    np.testing.assert_allclose(plain.log_evidence, damped.log_evidence, atol=1e-9)
    np.testing.assert_allclose(plain.marginals, damped.marginals, atol=1e-9)


def test_messages_at_max_iter_have_not_converged(rng):
    beliefs = propagate_beliefs(ring(5), random_weights(rng, 3, [3] * 5), tol=1e-12, max_iter=2)
    assert not beliefs.has_converged.any()
    assert beliefs.n_iter == 2


@pytest.mark.parametrize("low", [-400.0, -2_000.0, -1e6])
def test_weights_that_plain_numbers_cannot_hold_are_not_impossible(low):
    """The only states left are all improbable, along a chain factor and along tables."""
    n_states = [2] * 4
    is_odd = np.zeros((2, 2, 2))
    for state, v in np.ndindex(2, 2):
        is_odd[state, v, state ^ v] = 1.0
    last = is_odd[:, :, 1:]
    chain = chain_factor((0, 1, 2, 3), (is_odd[:1], is_odd, is_odd, last))
    tables = [table_factor((i, i + 1), differ(2)) for i in range(3)]
    log_weights = torch.tensor([[[0.0, low]] * 4], dtype=torch.float64)
    domains = [[True, True]] * 4
    odd = propagate_beliefs(build_factor_graph(n_states, [chain], domains), log_weights)
    # One of four is in state 1, or three are.
    expected = low + math.log(4) + math.log1p(math.exp(2 * low))
    np.testing.assert_allclose(odd.log_evidence, [expected], rtol=1e-12)
    np.testing.assert_allclose(odd.marginals[0, :, 1], [0.25] * 4, rtol=1e-10)
    turns = propagate_beliefs(build_factor_graph(n_states, tables, domains), log_weights)
    np.testing.assert_allclose(turns.log_evidence, [2 * low + math.log(2)], rtol=1e-12)
    np.testing.assert_allclose(turns.marginals[0], np.full((4, 2), 0.5), rtol=1e-10)


@pytest.mark.parametrize("low", [-40.0, -300.0, -600.0])
@pytest.mark.parametrize("kind", KINDS)
def test_products_that_plain_numbers_cannot_hold_are_not_impossible(low, kind):
    """Six variables are in the same state: each is probable enough, and their product is not."""
    if kind == "chain":
        same = np.zeros((2, 2, 2))
        same[[0, 1], [0, 1], [0, 1]] = 1.0
        factor = chain_factor(range(6), (same.sum(0)[None], *[same] * 4, same.sum(2)[..., None]))
    elif kind == "diagram":
        same = np.array([[0, -1], [-1, 1]])
        factor = diagram_factor(range(6), [np.array([[0, 1]]), *[same] * 4, same.clip(max=0)])
    else:
        table = np.zeros((2,) * 6)
        table[(0,) * 6] = table[(1,) * 6] = 1.0
        factor = table_factor(range(6), table)
    graph = build_factor_graph([2] * 6, [factor], [[True, True]] * 6)
    log_weights = torch.tensor([[-torch.inf, 0.0], *[[0.0, low]] * 5], dtype=torch.float64)
    beliefs = propagate_beliefs(graph, log_weights[None])
    np.testing.assert_allclose(beliefs.log_evidence, [5 * low], rtol=1e-12)
    np.testing.assert_allclose(beliefs.marginals[0], [[0.0, 1.0]] * 6, rtol=1e-12)


def test_impossible_evidence_is_minus_infinity_and_spares_its_neighbours(rng):
    # Three neighbours in a ring that are all in state 0; the other sample is possible.
    log_weights = random_weights(rng, 2, [3] * 3)
    log_weights[0, :, 1:] = -torch.inf
    beliefs = propagate_beliefs(ring(3), log_weights)
    assert beliefs.log_evidence[0] == -torch.inf
    assert (beliefs.marginals[0] == 0).all()
    assert beliefs.log_evidence[1] > -torch.inf
    assert not beliefs.marginals.isnan().any()


def test_known_states_make_loops_exact():
    # In a ring of four where one variable is known, nothing goes round.
    log_weights = torch.zeros((1, 4, 3), dtype=torch.float64)
    log_weights[0, 0, 1:] = -torch.inf
    beliefs = propagate_beliefs(ring(4), log_weights, tol=1e-14)
    # Colourings of a path of three whose ends differ from 0: 2 * 2 * 2 - 2 * 1 of them.
    np.testing.assert_allclose(beliefs.log_evidence.exp(), [6.0], rtol=1e-10)


def test_variables_without_factors_keep_their_weights(rng):
    graph = build_factor_graph([2, 3], [], [[True, True], [True, False, True]])
    log_weights = random_weights(rng, 4, [2, 3])
    beliefs = propagate_beliefs(graph, log_weights)
    expected = log_weights[:, 0, :2].logsumexp(-1) + log_weights[:, 1, [0, 2]].logsumexp(-1)
    np.testing.assert_allclose(beliefs.log_evidence, expected, rtol=1e-13)
    assert (beliefs.marginals[:, 1, 1] == 0).all()


def test_large_batches_are_computed_in_parts(rng, monkeypatch):
    log_weights = random_weights(rng, 9, [3] * 5)
    whole = propagate_beliefs(ring(5), log_weights)
    monkeypatch.setattr("sknesy.numerics.belief_propagation._MAX_CELLS", 2 * ring(5).n_cells)
    parts = propagate_beliefs(ring(5), log_weights)
    np.testing.assert_allclose(parts.marginals, whole.marginals, rtol=1e-12)
    assert parts.n_iter == whole.n_iter
