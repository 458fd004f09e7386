"""Search over partial worlds, and the circuits it is compiled to."""

import math
import random

import numpy as np
import oracle
import pytest
import torch

from sknesy.compilation import compile_levels, compile_partial_worlds, enumerate_worlds
from sknesy.compilation._levels import Limits
from sknesy.exceptions import InvalidKnowledgeError, TimeLimitError, TooWideError
from sknesy.inference import CircuitEngine, DiagramEngine, EnumerationEngine
from sknesy.knowledge import UNDECIDED, FunctionKnowledge
from sknesy.numerics.evaluator import infer_circuit
from sknesy.sat import NEVER

HEADS = ["tails", "heads"]


class Tree:
    """A random function: a decision tree, which reads symbols in orders of its own."""

    def __init__(self, rng, n_states):
        self.n_states = n_states
        self.root = self._grow(rng, dict(enumerate(n_states)))
        self.n_calls = 0

    def _grow(self, rng, left):
        if not left or rng.random() < 0.25:
            return rng.choice(["a", "b", "c", None])
        s = rng.choice(sorted(left))
        rest = {t: n for t, n in left.items() if t != s}
        return s, [self._grow(rng, rest) for _ in range(left[s])]

    def __call__(self, *states):
        self.n_calls += 1
        node = self.root
        while isinstance(node, tuple):
            s, children = node
            node = children[[10 * v for v in range(len(children))].index(states[s])]
        return node


def trees():
    for seed in range(30):
        rng = random.Random(seed)
        tree = Tree(rng, [rng.choice([1, 2, 3]) for _ in range(5)])
        if any(tree(*(10 * v for v in w)) for w in np.ndindex(*tree.n_states)):
            yield seed, tree


def as_knowledge(tree, **options):
    states = [[10 * v for v in range(n)] for n in tree.n_states]
    return FunctionKnowledge(tree, states, partial=True, **options)


@pytest.mark.parametrize(("seed", "tree"), [pytest.param(*x, id=str(x[0])) for x in trees()])
def test_random_functions_have_the_posterior_of_the_oracle(seed, tree):
    rng = np.random.default_rng(seed)
    compiled = CircuitEngine().compile(as_knowledge(tree))
    (names,) = compiled.output_states
    width = max(tree.n_states)
    prob = np.zeros((1, 5, width))
    for s, n in enumerate(tree.n_states):
        prob[0, s, :n] = rng.dirichlet(np.ones(n))
    likelihood = rng.random((1, 1, len(names)))

    def conclude(world):
        label = tree(*(10 * v for v in world))
        return None if label is None else (names.index(label),)

    with np.errstate(divide="ignore"):
        posterior = CircuitEngine().infer(compiled, np.log(prob), np.log(likelihood))
    total, symbols, outputs, _ = oracle.posterior(
        tree.n_states, [len(names)], conclude, prob[0].tolist(), likelihood[0].tolist()
    )
    np.testing.assert_allclose(posterior.log_evidence.exp(), [total], rtol=1e-10)
    for s, row in enumerate(symbols):
        np.testing.assert_allclose(posterior.symbol_marginals[0, s, : len(row)], row, rtol=1e-10)
    np.testing.assert_allclose(posterior.output_marginals[0, 0], outputs[0], rtol=1e-10)


def first(*coins):
    return next((i for i, coin in enumerate(coins) if coin == "heads"), None)


def fair(n):
    return torch.full((1, n, 2), 0.5, dtype=torch.float64).log()


def evidence(knowledge, log_prob):
    """Evidence of each label, by name."""
    compiled = CircuitEngine().compile(knowledge)
    (names,) = compiled.output_states
    labels = torch.eye(len(names), dtype=torch.float64).log()[:, None]
    found = CircuitEngine().infer(compiled, log_prob.expand(len(names), -1, -1), labels)
    return dict(zip(names, found.log_evidence.exp().tolist(), strict=True))


def test_first_of_forty_coins_that_shows_heads_decides():
    knowledge = FunctionKnowledge(first, states=HEADS, n_symbols=40, partial=True)
    found = evidence(
        knowledge, torch.tensor([0.9, 0.1], dtype=torch.float64).log().expand(1, 40, 2)
    )
    np.testing.assert_allclose(
        [found[i] for i in range(40)], [0.1 * 0.9**i for i in range(40)], rtol=1e-10
    )


@pytest.mark.parametrize("k", [3, 20])
def test_k_of_forty_are_searched_once_for_each_count(k):
    calls = []

    def at_least_k(*coins):
        calls.append(coins)
        known = [coin for coin in coins if coin is not UNDECIDED]
        n_heads, n_left = known.count("heads"), len(coins) - len(known)
        if n_heads >= k or n_heads + n_left < k:
            return n_heads >= k
        return UNDECIDED.given(n_heads)

    knowledge = FunctionKnowledge(at_least_k, states=HEADS, n_symbols=40, partial=True)
    found = evidence(knowledge, fair(40))
    expected = sum(math.comb(40, i) for i in range(k, 41)) / 2**40
    np.testing.assert_allclose([found[True], found[False]], [expected, 1 - expected], rtol=1e-10)
    assert len(calls) < 2 * (40 * k + 1) + 2000  # two for each that is open, and the check


def test_knapsack_of_forty_items_is_pruned_by_its_weight():
    """At most two of forty equal items fit; the label is the value of those taken."""

    def pack(*taken):
        value = weight = 0
        for item, is_taken in enumerate(taken):
            if is_taken == "heads":
                value, weight = value + item % 3, weight + 1
            if weight > 2:
                return None
        return value

    knowledge = FunctionKnowledge(pack, states=HEADS, n_symbols=40, partial=True)
    expected = dict.fromkeys(range(5), 0)
    items = [item % 3 for item in range(40)]
    for values in ([()], [(a,) for a in items], [*pairs(items)]):
        for taken in values:
            expected[sum(taken)] += 1
    found = evidence(knowledge, fair(40))
    np.testing.assert_allclose(
        [found[v] * 2**40 for v in range(5)], list(expected.values()), rtol=1e-10
    )


def pairs(items):
    return ((a, b) for i, a in enumerate(items) for b in items[:i])


def test_small_functions_are_listed_with_few_calls():
    """Tables and diagrams of all worlds come from the same search."""
    n_calls = 0

    def counted(*coins):
        nonlocal n_calls
        n_calls += 1
        return first(*coins)

    knowledge = FunctionKnowledge(counted, states=HEADS, n_symbols=12, partial=True)
    worlds = enumerate_worlds(knowledge)
    assert n_calls < 100
    plain = FunctionKnowledge(first, states=HEADS, n_symbols=12)
    expected = enumerate_worlds(plain)
    assert np.array_equal(worlds.rows, expected.rows)
    assert [worlds.output_states[0][o] for (o,) in worlds.outputs] == [
        expected.output_states[0][o] for (o,) in expected.outputs
    ]
    tables = [compile_levels(k, limits=Limits()).to_diagram() for k in (knowledge, plain)]
    assert tables[0].count() == tables[1].count() == 2**12 - 1
    for engine in (EnumerationEngine(), DiagramEngine()):
        assert engine.compile(knowledge, [3]).n_states == (2,) * 12


def test_parts_that_say_the_same_are_one():
    """A function that decides late leads to the circuit of one that decides early."""

    def late(a, b, c):
        label = bool(a)
        return label if b == c or b != c else None

    circuit, _, _ = compile_partial_worlds(
        FunctionKnowledge(late, [[0, 1]] * 3, partial=True), None, NEVER
    )
    early, _, _ = compile_partial_worlds(
        FunctionKnowledge(lambda a, b, c: bool(a), [[0, 1]] * 3, partial=True), None, NEVER
    )
    assert circuit.n_wires == early.n_wires


def test_symbols_that_are_never_read_are_free():
    def label(*coins):
        return coins[30]

    knowledge = FunctionKnowledge(label, states=HEADS, n_symbols=60, partial=True)
    compiled = CircuitEngine().compile(knowledge)
    log_prob = torch.log_softmax(torch.randn(1, 60, 2, dtype=torch.float64), -1)
    _, symbols, outputs = infer_circuit(compiled.form, log_prob, torch.zeros(1, 1, 2).double())
    np.testing.assert_allclose(symbols, log_prob.exp(), rtol=1e-10)
    assert compiled.output_states == (("heads", "tails"),)
    np.testing.assert_allclose(outputs[0, 0].flip(0), log_prob[0, 30].exp(), rtol=1e-10)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (
            lambda a, b: 1 if UNDECIDED is b else a,
            r"\(UNDECIDED, UNDECIDED\) it returned 1, and for \((\d), \d\) \1\.",
        ),
        (
            lambda a, b: None if UNDECIDED is b else a,
            r"\(UNDECIDED, UNDECIDED\) it returned None, and for \((\d), \d\) \1\.",
        ),
    ],
)
def test_answer_that_a_completion_contradicts_is_an_error_with_both_calls(function, said):
    knowledge = FunctionKnowledge(function, [[0, 1]] * 2, partial=True)
    with pytest.raises(InvalidKnowledgeError, match=rf"{said} Check .* return UNDECIDED where"):
        CircuitEngine().compile(knowledge)


def test_rest_that_says_too_little_is_an_error_with_both_calls():
    def forgets(*bits):
        return UNDECIDED.given(0) if UNDECIDED in bits else sum(bits)

    def forgets_by_identity(*bits):
        return UNDECIDED.given(0) if any(bit is UNDECIDED for bit in bits) else sum(bits)

    with pytest.raises(InvalidKnowledgeError, match="by `is`"):
        CircuitEngine().compile(FunctionKnowledge(forgets, [[0, 1]] * 4, partial=True))
    knowledge = FunctionKnowledge(forgets_by_identity, [[0, 1]] * 4, partial=True)
    with pytest.raises(InvalidKnowledgeError, match=r"it returned \d, and for .* give UNDECIDED"):
        CircuitEngine().compile(knowledge)


def test_limits_are_errors_that_tell_how_far_it_got():
    knowledge = FunctionKnowledge(lambda *c: c.count("heads"), [HEADS] * 40, partial=True)
    with pytest.raises(
        TooWideError, match=r"max_size=500 partial worlds \(.*left to search.*Bounds"
    ):
        CircuitEngine(max_size=500).compile(knowledge)
    with pytest.raises(TimeLimitError, match=r"time_limit=0 s \(.*judged"):
        CircuitEngine(time_limit=0).compile(knowledge)


def test_function_that_rules_everything_out_is_an_error():
    knowledge = FunctionKnowledge(lambda *coins: None, [HEADS] * 40, partial=True)
    with pytest.raises(InvalidKnowledgeError, match="rules out all"):
        CircuitEngine().compile(knowledge)
