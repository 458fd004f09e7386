"""Draws judged by their labels: unbiased without a distance, and close to the label with one."""

import itertools
import math
import threading
import time

import numpy as np
import oracle
import pytest
import torch
from joblib import parallel_config
from problems import add
from weights import random_log, seeded

from sknesy.exceptions import InvalidKnowledgeError
from sknesy.inference import SamplingEngine, WorldDistance
from sknesy.knowledge import FunctionKnowledge
from sknesy.numerics.importance import effective_sample_size


def spell(*digits):
    return "".join("abcdefghij"[d] for d in digits)


def pair_up(a, b, c, d):
    return (a + b, c * d)


def add_if_uneven(*digits):
    """The sum, of worlds whose first two digits differ."""
    return None if digits[0] == digits[1] else sum(digits)


def gap(concluded, observed):
    return abs(concluded - observed)


def n_off(worlds, concluded, observed):
    return np.abs(concluded.astype(int) - observed.astype(int))


def observe(compiled, labels):
    """The evidence of labels, one a sample; None is not observed."""
    names = compiled.output_states[0]
    evidence = torch.full((len(labels), 1, len(names)), -torch.inf, dtype=torch.float64)
    for i, label in enumerate(labels):
        evidence[i, 0, slice(None) if label is None else names.index(label)] = 0.0
    return evidence


def prepare(function, n_symbols, labels, n_states=10, scale=1.0, seed=0, **parameters):
    """An engine, compiled knowledge, and evidence of labels under a random net."""
    engine = SamplingEngine(**parameters)
    knowledge = FunctionKnowledge(function, [range(n_states)] * n_symbols)
    known = [label for label in labels if label is not None]
    compiled = engine.compile(knowledge, known or None)
    rng = np.random.default_rng(seed)
    log_prob = random_log(rng, len(labels), [n_states] * n_symbols, scale)
    return engine, compiled, log_prob, observe(compiled, labels)


@pytest.mark.slow
def test_evidence_and_marginals_are_unbiased_under_a_temperature():
    n_runs = 150
    engine, compiled, log_prob, evidence = prepare(
        add_if_uneven, 3, [3, 6], n_states=4, scale=2.0, n_draws=100, proposal_temperature=2.5
    )
    runs = [engine.infer(compiled, log_prob, evidence, seeded(i)) for i in range(n_runs)]
    for n, label in enumerate((3, 6)):
        total, symbols, _, _ = oracle.posterior(
            [4] * 3,
            [10],
            lambda world: None if world[0] == world[1] else (sum(world),),
            log_prob[n].exp().tolist(),
            [[float(w == label) for w in range(10)]],
        )
        weight = torch.stack([run.log_evidence[n].exp() for run in runs])
        assert_near(weight, total)
        joint = torch.stack([run.symbol_marginals[n] for run in runs]) * weight[:, None, None]
        assert_near(joint, total * torch.tensor(symbols))


def assert_near(estimates, expected):
    error = estimates.std(0) / math.sqrt(len(estimates))
    assert ((estimates.mean(0) - expected).abs() <= 4 * error + 1e-12).all()


@pytest.mark.slow
def test_error_falls_with_the_root_of_the_number_of_draws():
    n_runs = 300
    exact = None
    errors = []
    for n_draws in (50, 200, 800):
        engine, compiled, log_prob, evidence = prepare(
            add, 2, [9], n_draws=n_draws, proposal_temperature=1.5
        )
        a, b = log_prob[0].exp()
        exact = float((a * b.flip(0)).sum())
        found = [
            engine.infer(compiled, log_prob, evidence, seeded(i)).log_evidence.exp().item()
            for i in range(n_runs)
        ]
        errors.append(np.sqrt(np.mean((np.array(found) - exact) ** 2)))
    assert 1.6 < errors[0] / errors[1] < 2.5
    assert 1.6 < errors[1] / errors[2] < 2.5


DISTANCES = {
    "exact": "exact",
    "absolute": "absolute",
    "callable": gap,
    "world": WorldDistance(n_off),
}


@pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES)
def test_tolerance_is_zero_where_draws_enough_agree(distance):
    engine, compiled, log_prob, evidence = prepare(add, 2, [9, 9], n_draws=200, scale=0.3)
    plain = engine.infer(compiled, log_prob, evidence)
    engine.set_params(distance=distance, min_ess=0.02)
    compiled = engine.compile(compiled.form.knowledge, [9])
    posterior = engine.infer(compiled, log_prob, evidence)
    assert (posterior.diagnostics["tolerance"] == 0).all()
    assert torch.equal(posterior.log_evidence, plain.log_evidence)
    assert torch.equal(posterior.symbol_marginals, plain.symbol_marginals)


@pytest.mark.parametrize(
    "distance", ["absolute", gap, WorldDistance(n_off)], ids=["name", "function", "world"]
)
def test_where_no_draw_agrees_as_many_count_as_asked_for(distance):
    # The net is certain of 0s and 1s; sums of 6 digits near 54 are out of reach.
    parameters = {"n_draws": 200, "min_ess": 0.2, "distance": distance}
    engine, compiled, log_prob, evidence = prepare(add, 6, [0, 40, 54], **parameters)
    log_prob = log_prob.clone()
    log_prob[..., 2:] -= 20.0
    posterior = engine.infer(compiled, torch.log_softmax(log_prob, -1), evidence)
    size = posterior.diagnostics["effective_sample_size"]
    assert (size >= 0.2 * 200 * (1 - 1e-6)).all()
    assert (posterior.diagnostics["tolerance"][1:] > 0).all()
    assert not posterior.diagnostics["is_dead"].any()


def test_hamming_counts_the_places_that_differ():
    # Each letter is one symbol: draws that are near in letters are near in symbols.
    engine, compiled, log_prob, evidence = prepare(
        spell, 6, ["abcdef", "aaaaaa"], n_draws=400, distance="hamming", scale=0.3
    )
    posterior = engine.infer(compiled, log_prob, evidence)
    assert (posterior.diagnostics["tolerance"] > 0).all()
    assert (posterior.diagnostics["effective_sample_size"] >= 40 * (1 - 1e-6)).all()
    prior = log_prob.exp()
    for n, word in enumerate(([0, 1, 2, 3, 4, 5], [0] * 6)):
        for s, state in enumerate(word):
            assert posterior.symbol_marginals[n, s, state] > 1.5 * prior[n, s, state]


def test_hamming_compares_tuples_too():
    engine, compiled, log_prob, evidence = prepare(
        pair_up, 4, [(18, 81), (0, 0)], n_draws=100, distance="hamming", min_ess=0.05
    )
    posterior = engine.infer(compiled, log_prob, evidence)
    assert not posterior.diagnostics["is_dead"].any()


def moved(n_moves, function=add, distance="absolute", label=60, **parameters):
    engine, compiled, log_prob, evidence = prepare(
        function, 8, [label] * 6, n_draws=100, distance=distance, n_moves=n_moves, **parameters
    )
    log_prob = log_prob.clone()
    log_prob[..., 5:] -= 1.0
    log_prob = torch.log_softmax(log_prob, -1)
    return engine, compiled, log_prob, evidence


def test_moves_lower_the_tolerance_at_an_equal_number_of_draws():
    results = []
    for n_moves in (0, 5):
        engine, *arrays = moved(n_moves)
        results.append(engine.infer(*arrays).diagnostics)
    before, after = results
    assert (before["tolerance"] > 0).all()
    assert (after["tolerance"] < 0.5 * before["tolerance"]).all()
    assert (after["effective_sample_size"] >= 10 * (1 - 1e-6)).all()


def test_moves_keep_to_worlds_that_the_knowledge_allows():
    engine, compiled, log_prob, evidence = moved(6, add_if_uneven, block_size=3)
    draws = compiled.form.draw(log_prob, evidence, 100, seeded())
    counts = draws.log_weight > -torch.inf
    assert counts.any(0).all()
    worlds = draws.worlds[counts]
    assert (worlds[:, 0] != worlds[:, 1]).all()
    assert (draws.outputs[~counts & (draws.worlds[..., 0] == draws.worlds[..., 1])] == -1).all()


@pytest.mark.parametrize("n_moves", [0, 2])
def test_draws_infinitely_far_have_no_weight(n_moves):
    def right_or_never(concluded, observed):
        return 0.0 if concluded == observed else math.inf

    engine, compiled, log_prob, evidence = prepare(
        add, 2, [9, 14], n_draws=300, distance=right_or_never, min_ess=0.3, n_moves=n_moves
    )
    draws = compiled.form.draw(log_prob, evidence, 300, seeded())
    misses = draws.worlds.sum(-1) != torch.tensor([9, 14])
    assert not misses.all(0).any()
    assert n_moves or misses.any(0).all()
    assert (draws.log_weight[misses] == -torch.inf).all()
    assert (draws.log_weight[~misses] > -torch.inf).all()
    found = engine.infer(compiled, log_prob, evidence).log_evidence
    engine = SamplingEngine(300)
    plain = engine.infer(engine.compile(compiled.form.knowledge, [9, 14]), log_prob, evidence)
    np.testing.assert_allclose(found, plain.log_evidence, rtol=1e-9)


def test_where_moves_reach_the_label_draws_that_miss_it_have_no_weight():
    _, compiled, log_prob, evidence = prepare(
        add, 2, [9, 14], n_draws=300, distance="absolute", min_ess=0.4, n_moves=6
    )
    draws = compiled.form.draw(log_prob, evidence, 300, seeded())
    assert draws.tolerance.tolist() == [0.0, 0.0]
    misses = draws.worlds.sum(-1) != torch.tensor([9, 14])
    assert torch.equal(draws.log_weight == -torch.inf, misses)
    assert misses.any()


@pytest.mark.parametrize("block_size", [1, 2])
def test_a_move_changes_no_more_symbols_than_a_block_holds(block_size):
    batches = []

    def look(worlds, concluded, observed):
        batches.append(worlds)
        return np.abs(concluded.astype(int) - observed.astype(int))

    engine, *arrays = moved(1, distance=WorldDistance(look), block_size=block_size)
    engine.infer(*arrays)
    before, proposed = (batch[:600] for batch in batches)
    n_changed = (before[:, None] != proposed[None]).sum(-1).min(0)
    assert n_changed.max() == block_size


@pytest.mark.parametrize(("n_moves", "min_ess", "is_exact"), [(2, 0.9, False), (10, 0.8, True)])
def test_moved_draws_follow_the_posterior_under_their_tolerance(n_moves, min_ess, is_exact):
    parameters = {"distance": "absolute", "n_moves": n_moves, "min_ess": min_ess}
    engine, compiled, log_prob, evidence = prepare(
        add, 3, [8], n_states=4, n_draws=20_000, **parameters
    )
    posterior = engine.infer(compiled, log_prob, evidence, seeded())
    tolerance = float(posterior.diagnostics["tolerance"])
    assert (tolerance == 0) == is_exact
    expected = np.zeros((3, 4))
    p = log_prob[0].exp().numpy()
    for world in itertools.product(range(4), repeat=3):
        distance = abs(sum(world) - 8)
        share = math.exp(-distance / tolerance) if tolerance else float(distance == 0)
        expected[range(3), world] += share * math.prod(p[range(3), world])
    total = expected[0].sum()
    np.testing.assert_allclose(posterior.symbol_marginals[0], expected / total, atol=0.03)
    assert posterior.log_evidence.item() == pytest.approx(math.log(total), abs=0.04)


def add_slowly(*digits):
    time.sleep(0.001)
    return sum(digits)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_parallel_jobs_change_no_number(backend):
    results = []
    for n_jobs in (1, 2):
        engine, compiled, log_prob, evidence = moved(2, function=add_slowly, n_jobs=n_jobs)
        with parallel_config(backend=backend):
            results.append(engine.infer(compiled, log_prob, evidence, seeded(3)))
    alone, together = results
    assert torch.equal(alone.log_evidence, together.log_evidence)
    assert torch.equal(alone.symbol_marginals, together.symbol_marginals)
    assert torch.equal(alone.diagnostics["tolerance"], together.diagnostics["tolerance"])


@pytest.mark.slow
@pytest.mark.parametrize(("n_jobs", "configured"), [(2, {}), (None, {"n_jobs": 2})])
def test_parallel_jobs_are_run_by_the_backend_that_is_configured(n_jobs, configured):
    threads = set()

    def add_and_note(*digits):
        threads.add(threading.current_thread())
        return add_slowly(*digits)

    options = {"n_draws": 600, "n_jobs": n_jobs}
    engine, compiled, log_prob, evidence = prepare(add_and_note, 8, [30], **options)
    assert threads <= {threading.main_thread()}
    with parallel_config(backend="threading", **configured):
        engine.infer(compiled, log_prob, evidence)
    assert threads - {threading.main_thread()}


def test_each_different_world_is_concluded_from_once():
    seen = []

    def add_and_note(*digits):
        seen.append(digits)
        return sum(digits)

    engine, compiled, log_prob, evidence = prepare(
        add_and_note, 2, [3, 5, 7], n_states=5, n_draws=500
    )
    seen.clear()
    engine.infer(compiled, log_prob, evidence)
    assert len(seen) == len(set(seen)) <= 25


def test_nameless_labels_agree_with_unobserved_evidence_only():
    # Only sums 2 and 7 have names; other sums are concluded all the same.
    engine, compiled, log_prob, evidence = prepare(add, 2, [2, 7, None], n_draws=2_000)
    posterior = engine.infer(compiled, log_prob, evidence)
    assert compiled.output_states == ((2, 7),)
    assert posterior.log_evidence[2].item() == pytest.approx(0.0, abs=1e-12)
    for n, label in enumerate((2, 7)):
        a, b = log_prob[n].exp()
        exact = sum(float(a[i] * b[label - i]) for i in range(label + 1))
        error = 4 * math.sqrt(exact * (1 - exact) / 2_000)
        assert posterior.log_evidence[n].exp().item() == pytest.approx(exact, abs=error)


def test_weighed_evidence_gives_nameless_labels_no_weight():
    engine, compiled, log_prob, evidence = prepare(add, 2, [2, 7], n_draws=500)
    evidence[:] = torch.tensor([0.0, -1.0])
    draws = compiled.form.draw(log_prob, evidence, 500, seeded())
    nameless = draws.outputs[..., 0] == -1
    assert nameless.any()
    assert (draws.log_weight[nameless] == -torch.inf).all()
    total = draws.worlds.sum(-1)
    assert torch.equal(draws.outputs[..., 0] == -1, (total != 2) & (total != 7))


def test_labels_that_nobody_named_are_found_by_trying_worlds():
    compiled = SamplingEngine().compile(FunctionKnowledge(add, [range(3)] * 2))
    assert compiled.output_states == ((0, 1, 2, 3, 4),)


def test_further_labels_get_names_without_disturbing_the_first():
    engine = SamplingEngine()
    first = engine.compile(FunctionKnowledge(add, [range(10)] * 2), [3, 4])
    again = engine.compile(first.form.knowledge, [4, 9], reuse=first)
    assert again.output_states == ((3, 4, 9),)


def test_knowledge_that_rules_out_all_that_was_tried_is_named():
    with pytest.raises(InvalidKnowledgeError, match="rules out all 100 that were tried"):
        SamplingEngine().compile(FunctionKnowledge(lambda a, b: None, [range(10)] * 2))


def infer_with(distance, function=add, labels=(9,)):
    engine, compiled, log_prob, evidence = prepare(function, 2, list(labels), distance=distance)
    return engine.infer(compiled, log_prob, evidence)


@pytest.mark.parametrize("value", [-1, math.nan, "far", None])
def test_distance_that_is_no_number_of_at_least_0_is_named(value):
    def constant(concluded, observed):
        return value

    with pytest.raises(InvalidKnowledgeError) as caught:
        infer_with(constant)
    message = str(caught.value)
    assert f", 9) it returned {value!r}. Return 0 for labels that agree" in message


def spelled_length(a, b):
    return "x" * (a + b)


@pytest.mark.parametrize(
    ("distance", "function", "labels", "cause"),
    [
        ("absolute", spelled_length, ["xxx"], "'xxx': could not convert string to float"),
        ("hamming", spelled_length, ["xxx"], "'xxx': they differ in length: ["),
        ("hamming", add, [9], "object of type 'int' has no len()"),
    ],
)
def test_labels_without_such_a_distance_are_named(distance, function, labels, cause):
    with pytest.raises(InvalidKnowledgeError) as caught:
        infer_with(distance, function, labels)
    message = str(caught.value)
    assert f"distance='{distance}' needs labels that it can compare, got " in message
    assert cause in message
    assert "Choose another distance, or pass a function of two labels." in message


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda worlds, concluded, observed: 1.0, r"got shape \(\)"),
        (lambda worlds, concluded, observed: worlds, r"got shape \(100, 2\)"),
        (lambda worlds, concluded, observed: -worlds[:, 0] - 1, r"got -\d+.0 for world \["),
        (lambda worlds, concluded, observed: worlds[:, 0] * np.nan, r"got nan for world \["),
    ],
    ids=["scalar", "matrix", "negative", "nan"],
)
def test_world_distance_of_the_wrong_shape_or_sign_is_named(function, what):
    with pytest.raises(InvalidKnowledgeError, match=what) as caught:
        infer_with(WorldDistance(function))
    assert "Return 0 for worlds that agree with the label." in str(caught.value)


def test_world_distance_that_returns_no_numbers_or_is_no_function_is_named():
    with pytest.raises(InvalidKnowledgeError, match="must return numbers, got 'far'.*an array"):
        infer_with(WorldDistance(lambda worlds, concluded, observed: "far"))
    with pytest.raises(TypeError, match=r"function .*got 3. Pass function\(worlds, concluded"):
        WorldDistance(3)
    with pytest.raises(TypeError, match=r"conditional .*got 3. Pass conditional\(worlds, observed"):
        WorldDistance(lambda worlds, concluded, observed: 0, 3)


def test_world_distance_sees_names_of_states_and_labels():
    seen = []

    def look(worlds, concluded, observed):
        seen.append((worlds, concluded, observed))
        return (concluded != observed).astype(float)

    knowledge = FunctionKnowledge(lambda a, b: a + b, [["u", "v"]] * 2)
    engine = SamplingEngine(distance=WorldDistance(look), n_draws=50)
    compiled = engine.compile(knowledge, ["uv"])
    log_prob = torch.full((1, 2, 2), 0.5).double().log()
    engine.infer(compiled, log_prob, observe(compiled, ["uv"]))
    [(worlds, concluded, observed)] = seen
    assert [a + b for a, b in worlds.tolist()] == concluded.tolist()
    assert observed.tolist() == ["uv"] * 50


def test_world_distance_is_not_asked_of_worlds_that_are_ruled_out():
    seen = []

    def look(worlds, concluded, observed):
        seen.append(worlds)
        return np.abs(concluded.astype(float) - observed.astype(float))

    infer_with(WorldDistance(look), add_if_uneven)
    assert all((worlds[:, 0] != worlds[:, 1]).all() for worlds in seen)


def test_name_of_no_distance_is_named():
    with pytest.raises(ValueError, match="distance must be") as caught:
        SamplingEngine(distance="l2").compile(FunctionKnowledge(add, [range(3)] * 2))
    assert "'l2'" in str(caught.value)
    for name in ("exact", "absolute", "hamming"):
        assert f"'{name}'" in str(caught.value)


def test_effective_sample_size_of_the_diagnostics_is_that_of_the_weights():
    engine, compiled, log_prob, evidence = prepare(add, 3, [9, 20], proposal_temperature=2.0)
    draws = compiled.form.draw(log_prob, evidence, 100, seeded(4))
    posterior = engine.infer(compiled, log_prob, evidence, seeded(4))
    size = posterior.diagnostics["effective_sample_size"]
    assert torch.equal(size, effective_sample_size(draws.log_weight))
