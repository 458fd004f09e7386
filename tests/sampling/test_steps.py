"""Machines of which not all states are kept: right on average, and better for what is ahead."""

import itertools
import math
import pickle

import numpy as np
import pytest
import torch
from weights import random_log, seeded

from sknesy.exceptions import (
    InconsistentLabelError,
    InvalidKnowledgeError,
    UnsupportedKnowledgeError,
)
from sknesy.inference import DiagramEngine, SamplingEngine
from sknesy.knowledge import DigitAddition, StepKnowledge, SymbolSum
from sknesy.sampling import SamplerOptions, add_nameless, compile_sampler
from sknesy.sampling._step_filter import Evidence, filter_forward
from sknesy.sampling._step_guide import RegressionGuide
from sknesy.sampling._step_tables import StepRun, StepTables
from sknesy.sampling._steps import _as_machine

N_RUNS = 150


def _remember(state, symbol, position):
    """Every sequence has a state of its own, but for one that cannot occur."""
    return None if state[-2:] == (symbol, symbol) else (*state, symbol)


def _count_kinds(state):
    return len(set(state))


def _weigh(state, symbol, position):
    """Emit whether the sum has passed another ten; what counts is the sum of squares too."""
    total, squares = state
    after = (total + symbol, squares + symbol**2)
    return after, after[0] // 10 > total // 10


def _total(state):
    return state[0]


def _is_even(state):
    return state[1] % 2 == 0


def machines():
    return {
        "sum": SymbolSum(12),
        "addition": DigitAddition(2, n_numbers=8),
        "sequences": SymbolSum(states=range(5)).unroll(9),
        "prefixes": StepKnowledge(_remember, list("abc"), 7, initial=(), final=_count_kinds),
        "squares": StepKnowledge(
            _weigh, range(6), 6, initial=(0, 0), final=_total, accept=_is_even, emits=True
        ),
    }


def exact_labels(rng, compiled, knowledge, n):
    """Log-likelihoods of labels that random worlds have; the last sample has none."""
    counts = tuple(map(len, compiled.output_states))
    worlds = rng.integers(knowledge.n_states, size=(500, knowledge.n_symbols))
    labels = [x for x in knowledge.conclude(worlds) if x is not None][: n - 1]
    log_likelihood = np.full((n, len(counts), max(counts)), -np.inf)
    for i, label in enumerate(labels):
        for o, name in enumerate(label if len(counts) > 1 else [label]):
            log_likelihood[i, o, compiled.output_states[o].index(name)] = 0.0
    for o, count in enumerate(counts):
        log_likelihood[-1, o, :count] = 0.0
    return torch.from_numpy(log_likelihood)


def rename(log_likelihood, states, other_states):
    """Log-likelihoods with states in another order."""
    renamed = torch.full_like(log_likelihood, -torch.inf)
    for o, (names, others) in enumerate(zip(states, other_states, strict=True)):
        renamed[:, o, : len(others)] = log_likelihood[:, o, [names.index(x) for x in others]]
    return renamed


@pytest.mark.slow
@pytest.mark.parametrize("name", machines())
def test_estimates_are_right_on_average_where_few_states_are_kept(name, rng):
    knowledge = machines()[name]
    exact = DiagramEngine().compile(knowledge)
    log_prob = random_log(rng, 3, knowledge.n_states.tolist(), scale=1.0)
    if name == "sequences":
        log_prob = torch.log_softmax(torch.randn(3, 9, 6, generator=seeded(0)).double(), -1)
        log_prob[:, :4, -1] = -torch.inf
    log_likelihood = exact_labels(rng, exact, knowledge, 3)
    expected = DiagramEngine().infer(exact, log_prob, log_likelihood)
    engine = SamplingEngine(n_draws=10, max_states=4)
    # All labels have names, but the sampler must not try all states to find them.
    labels = list(dict.fromkeys(itertools.product(*exact.output_states)))
    if len(exact.output_states) == 1:
        labels = list(exact.output_states[0])
    compiled = engine.compile(knowledge, labels)
    log_likelihood = rename(log_likelihood, exact.output_states, compiled.output_states)
    runs = [engine.infer(compiled, log_prob, log_likelihood, seeded(i)) for i in range(N_RUNS)]
    scale = expected.log_evidence.exp()
    weight = torch.stack([run.log_evidence.exp() for run in runs]) / scale
    assert_near(weight, torch.ones_like(scale))
    assert (weight.std(0) > 0).any()  # states were left out
    weighted = [
        w[:, None, None] * run.symbol_marginals for w, run in zip(weight, runs, strict=True)
    ]
    assert_near(torch.stack(weighted), expected.symbol_marginals)


def assert_near(estimates, expected):
    """The mean is within four standard errors, and what a rare state may add."""
    error = estimates.std(0) / math.sqrt(len(estimates))
    assert ((estimates.mean(0) - expected).abs() <= 4.5 * error + 5e-3).all()


def test_all_states_kept_is_exact(rng):
    knowledge = SymbolSum(6)
    exact, engine = DiagramEngine(), SamplingEngine(n_draws=30)
    compiled = exact.compile(knowledge)
    log_prob = random_log(rng, 3, knowledge.n_states.tolist())
    log_likelihood = exact_labels(rng, compiled, knowledge, 3)
    expected = exact.infer(compiled, log_prob, log_likelihood)
    estimate = engine.infer(engine.compile(knowledge), log_prob, log_likelihood)
    np.testing.assert_allclose(estimate.log_evidence, expected.log_evidence, atol=1e-12)
    np.testing.assert_allclose(estimate.diagnostics["effective_sample_size"], 30, rtol=1e-12)


def long_sum(rng, n_symbols=60, n=4):
    """A sum far from what the net thinks, and its log-evidence."""
    knowledge = SymbolSum(n_symbols)
    log_prob = random_log(rng, n, knowledge.n_states.tolist(), scale=1.0)
    digits = np.minimum(rng.integers(10, size=(n, n_symbols)) + 1, 9)
    labels = digits.sum(axis=1).tolist()
    engine = SamplingEngine(n_draws=20)
    compiled = engine.compile(knowledge, labels)
    log_likelihood = torch.full((n, 1, len(compiled.output_states[0])), -torch.inf).double()
    for i, label in enumerate(labels):
        log_likelihood[i, 0, compiled.output_states[0].index(label)] = 0.0
    exact = DiagramEngine().compile(knowledge)
    every = torch.full((n, 1, len(exact.output_states[0])), -torch.inf).double()
    every[range(n), 0, labels] = 0.0
    expected = DiagramEngine().infer(exact, log_prob, every).log_evidence
    return knowledge, labels, log_prob, log_likelihood, expected


@pytest.mark.slow
def test_error_falls_with_max_states(rng):
    knowledge, labels, log_prob, log_likelihood, expected = long_sum(rng)
    errors = []
    for max_states in (10, 40, 160):
        engine = SamplingEngine(n_draws=20, max_states=max_states)
        posterior = engine.infer(engine.compile(knowledge, labels), log_prob, log_likelihood)
        errors.append(float((posterior.log_evidence - expected).square().mean().sqrt()))
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 0.01


@pytest.mark.slow
def test_what_lies_ahead_tells_which_states_to_keep(rng):
    knowledge, labels, log_prob, log_likelihood, expected = long_sum(rng)
    sampler = compile_sampler(knowledge, labels, options=SamplerOptions(max_states=40))
    evidence = Evidence(
        log_prob.numpy(), add_nameless(log_likelihood, sampler.output_states).numpy()
    )

    def spread(is_guided):
        tables = StepTables(_as_machine(knowledge))
        run = StepRun(tables, sampler.emission, sampler.final_outputs, sampler.output_states)
        rng = np.random.default_rng(0)

        def guide():
            return RegressionGuide(run, evidence, rng).log_value if is_guided else None

        found = filter_forward(run, evidence, 40, 25, guide, rng, lambda: None).log_evidence
        ratio = np.exp(found.reshape(-1, 25) - expected.numpy()[:, None])
        return ((ratio - 1) ** 2).mean(axis=1)

    # A filter of the other kind is worth less than a tenth of one that is guided.
    assert (spread(True) < 0.1).all()
    assert spread(False).mean() > 10 * spread(True).mean()


@pytest.mark.slow
def test_machine_that_never_meets_a_state_twice(rng):
    knowledge = StepKnowledge(_remember, list("abcd"), 30, initial=(), final=_count_kinds)
    engine = SamplingEngine(n_draws=20, max_states=50)
    compiled = engine.compile(knowledge, [3, 4])
    log_prob = random_log(rng, 2, [4] * 30, scale=0.5)
    log_likelihood = torch.tensor([[[0.0, 0.0]], [[-torch.inf, 0.0]]]).double()
    posterior = engine.infer(compiled, log_prob, log_likelihood)
    assert (posterior.log_evidence <= 1e-9).all()
    assert (posterior.symbol_marginals.sum(-1) - 1).abs().max() < 1e-9
    worlds, outputs = engine.sample(compiled, log_prob, log_likelihood, 5, seeded(0))
    for world in worlds.reshape(-1, 30).tolist():
        assert all(len(set(world[i : i + 3])) > 1 for i in range(28))
    assert compiled.output_states[0][outputs[0, 1, 0]] == 4


def test_same_seed_gives_the_same_numbers_whatever_was_asked_before(rng):
    knowledge, labels, log_prob, log_likelihood, _ = long_sum(rng, 30)
    engine = SamplingEngine(n_draws=20, max_states=20)
    compiled = engine.compile(knowledge, labels)
    first = engine.infer(compiled, log_prob, log_likelihood, seeded(1))
    engine.infer(compiled, log_prob.roll(1, 2), log_likelihood, seeded(2))
    again = engine.infer(compiled, log_prob, log_likelihood, seeded(1))
    fresh = pickle.loads(pickle.dumps(compiled))
    unpickled = engine.infer(fresh, log_prob, log_likelihood, seeded(1))
    for other in (again, unpickled):
        assert torch.equal(first.log_evidence, other.log_evidence)
        assert torch.equal(first.symbol_marginals, other.symbol_marginals)


def test_transitions_do_not_pickle(rng):
    knowledge, labels, log_prob, log_likelihood, _ = long_sum(rng, 30)
    engine = SamplingEngine(n_draws=20, max_states=20)
    compiled = engine.compile(knowledge, labels)
    before = len(pickle.dumps(compiled))
    engine.infer(compiled, log_prob, log_likelihood)
    assert len(pickle.dumps(compiled)) == before


def test_further_labels_get_names():
    engine = SamplingEngine(max_states=20)
    compiled = engine.compile(SymbolSum(50), [10, 20])
    assert compiled.output_states == ((10, 20),)
    assert engine.compile(SymbolSum(50), [20], reuse=compiled) is compiled
    more = engine.compile(SymbolSum(50), [30, 20], reuse=compiled)
    assert more.output_states == ((10, 20, 30),)


def test_labels_must_be_given_where_all_states_are_too_many():
    with pytest.raises(UnsupportedKnowledgeError, match="labels must be given .*max_states=20 "):
        SamplingEngine(max_states=20).compile(SymbolSum(50))


def test_label_must_have_as_many_outputs_as_the_machine():
    with pytest.raises(InconsistentLabelError, match=r"y holds \(1, 2\).* 9 outputs"):
        SamplingEngine().compile(DigitAddition(8), [(1, 2)])


def _fail(state, symbol, position):
    return state + 1 // (symbol != 2 or position < 3)


def test_step_that_raises_is_named_with_state_and_symbol(rng):
    engine = SamplingEngine(max_states=5)
    compiled = engine.compile(StepKnowledge(_fail, range(3), 6), [6])
    log_prob = random_log(rng, 1, [3] * 6)
    with pytest.raises(InvalidKnowledgeError, match="state 3, symbol 2, position 3 it raised Zero"):
        engine.infer(compiled, log_prob, torch.zeros(1, 1, 1).double())


def _never(state, symbol, position):
    return None


def test_machine_that_rules_out_all_worlds_is_an_error():
    with pytest.raises(InvalidKnowledgeError, match="allow at least one world"):
        SamplingEngine().compile(StepKnowledge(_never, range(3), 6, emits=True), [(1, 2)])
