"""Sums over variables whose values all differ, against sums over permutations."""

import itertools
import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from weights import random_weights

from sknesy.numerics.all_different import unroll_all_different
from sknesy.numerics.belief_propagation import propagate_beliefs
from sknesy.numerics.factor_diagram import diagram_factor
from sknesy.numerics.factor_graph import build_factor_graph
from sknesy.numerics.factor_truth import infer_truth


def sum_permutations(values, log_weights):
    """Log-sum and log-marginals of states (n_variables, n_states) whose values all differ."""
    masses = np.full(log_weights.shape, -np.inf)
    for states in itertools.product(*(range(len(names)) for names in values)):
        if len({names[v] for names, v in zip(values, states, strict=True)}) == len(values):
            at = tuple(range(len(values))), states
            masses[at] = np.logaddexp(masses[at], log_weights[at].sum())
    total = np.logaddexp.reduce(masses[0])
    return total, masses - total if total > -np.inf else masses


def build(values):
    factor = diagram_factor(range(len(values)), unroll_all_different(values))
    sizes = [len(names) for names in values]
    return build_factor_graph(sizes, [factor], [[True] * n for n in sizes])


@st.composite
def named_states(draw):
    """Values of the states of two to five variables, of which some are of one variable only."""
    names = st.lists(st.integers(0, 6), min_size=1, max_size=4, unique=True)
    return draw(st.lists(names, min_size=2, max_size=4))


@settings(max_examples=40, deadline=None)
@given(named_states(), st.integers(0, 2**32), st.sampled_from([1.0, 30.0, 1000.0]))
def test_sums_are_those_over_injective_maps(values, seed, scale):
    rng = np.random.default_rng(seed)
    log_weights = random_weights(rng, 3, list(map(len, values)), scale, dead=0.2)
    if not len(unroll_all_different(values)[0]):
        assert sum_permutations(values, log_weights[0].numpy())[0] == -np.inf
        return
    beliefs = propagate_beliefs(build(values), log_weights)
    for i, log_weight in enumerate(log_weights.numpy()):
        total, log_marginals = sum_permutations(values, log_weight)
        np.testing.assert_allclose(beliefs.log_evidence[i], total, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(
            beliefs.marginals[i], np.exp(log_marginals), rtol=1e-9, atol=1e-300
        )


def test_both_answers_are_sums_of_positive_terms(rng):
    """Whether all differ is all but certain one way or the other: 1 - p would have no digits."""
    values = [range(4), range(4), [0, 2, 3, 5]]
    log_weights = torch.from_numpy(rng.standard_normal((3, 3, 4)))
    log_weights[0, [0, 1, 2], [0, 1, 1]] += 200.0
    log_weights[1, [0, 1], [2, 2]] += 200.0
    answers = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]], dtype=torch.float64)
    graph = build(values)
    for i, weights in enumerate(log_weights.exp().numpy()):
        expected = {False: 0.0, True: 0.0}
        for states in itertools.product(*map(range, [4, 4, 4])):
            names = {v[s] for v, s in zip(values, states, strict=True)}
            expected[len(names) == 3] += math.prod(
                w[s] for w, s in zip(weights, states, strict=True)
            )
        found = infer_truth(graph, log_weights[[i, i]], answers)
        np.testing.assert_allclose(found[0], np.log(list(expected.values())), rtol=1e-12)
        np.testing.assert_allclose(found[1].sum(-1), np.ones((2, 3)), rtol=1e-12)


def test_a_square_of_nine_takes_a_node_for_each_set():
    tables = unroll_all_different([range(9)] * 9)
    assert [len(table) for table in tables] == [math.comb(9, k) for k in range(9)]
    assert sum(int((table >= 0).sum()) for table in tables) == 9 * 2**8
    log_weights = torch.zeros((1, 9, 9), dtype=torch.float64)
    found = propagate_beliefs(build([range(9)] * 9), log_weights)
    np.testing.assert_allclose(found.log_evidence.exp(), [math.factorial(9)], rtol=1e-12)


def test_few_of_many_values_are_counted():
    found = propagate_beliefs(build([range(12)] * 3), torch.zeros((2, 3, 12), dtype=torch.float64))
    np.testing.assert_allclose(found.log_evidence.exp(), [math.perm(12, 3)] * 2, rtol=1e-12)


def test_at_most_one_of_many_remembers_one_thing():
    """The value 0 is shared; each variable has one of its own besides."""
    tables = unroll_all_different([[0, k] for k in range(1, 31)])
    assert max(map(len, tables)) == 2


def test_large_batches_are_summed_in_parts(rng, monkeypatch):
    log_weights = random_weights(rng, 9, [4] * 4)
    whole = propagate_beliefs(build([range(4)] * 4), log_weights)
    monkeypatch.setattr("sknesy.numerics.factor_diagram._MAX_TERMS", 40)
    parts = propagate_beliefs(build([range(4)] * 4), log_weights)
    np.testing.assert_allclose(parts.marginals, whole.marginals, rtol=1e-13)


def test_too_few_values_leave_no_path():
    assert len(unroll_all_different([range(2)] * 3)[0]) == 0


def test_values_may_be_more_than_the_bits_of_an_int():
    tables = unroll_all_different([range(70)] * 2)
    assert [len(table) for table in tables] == [1, 70]
    assert (tables[1] >= 0).sum() == 70 * 69
