"""Decision diagrams: their reduction, and messages over them, held against listing all paths."""

import itertools
import math
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from levels import paths_of, random_diagram, random_tables
from weights import seeded, weights_of

from sknesy.numerics import message_passing, segments
from sknesy.numerics.diagram import build_diagram, reduce_tables
from sknesy.numerics.evaluator import (
    find_mode,
    infer_circuit,
    infer_in_log_space,
    sample_worlds,
)
from sknesy.numerics.message_passing import infer_diagram
from sknesy.numerics.rows import merge_rows


def by_arrays(diagram, *weights):
    named = diagram.array_passes.read_label(weights[1].numpy())
    infer = partial(message_passing._infer_arrays, named=named)
    return message_passing._infer_chunk(diagram, infer, *weights)


def by_tensors(diagram, *weights):
    return message_passing._infer_chunk(diagram, message_passing._infer_tensors, *weights)


WAYS = (by_arrays, by_tensors, infer_circuit, infer_in_log_space)


def assert_equal_log_space(diagram, *weights):
    expected = infer_in_log_space(diagram, *weights)
    # A logarithm of -1e4 has twelve digits behind the point: beyond, log space is the worse one.
    largest = expected[0].clamp(min=-1e5).abs().max()
    tolerance = 1e-12 * max(1.0, float(largest) / 1e3)
    for infer in (by_arrays, by_tensors):
        for got, wanted in zip(infer(diagram, *weights), expected, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


def by_paths(tables, diagram, log_prob, log_likelihood):
    """Evidence, marginals and the best path of each sample, by listing all paths."""
    everything = torch.cat(
        [
            torch.nn.functional.pad(a, (0, max(log_prob.shape[2], log_likelihood.shape[2])))[
                :, :, : max(log_prob.shape[2], log_likelihood.shape[2])
            ]
            for a in (log_prob, log_likelihood)
        ],
        dim=1,
    ).exp()
    results = []
    for weights in everything.tolist():
        total, best = 0.0, (0.0, None)
        marginals = np.zeros((len(weights), len(weights[0])))
        for path in paths_of(tables):
            chosen = [(v, s) for v, s in zip(diagram.variables, path, strict=True) if v >= 0]
            weight = math.prod(weights[v][s] for v, s in chosen)
            total += weight
            best = max(best, (weight, path), key=lambda pair: pair[0])
            for v, s in chosen:
                marginals[v, s] += weight
        results.append((total, marginals / total if total else marginals, best))
    return results


@pytest.mark.parametrize("seed", range(20))
def test_reduction_keeps_the_paths_and_merges_equal_nodes(seed):
    tables = random_tables(np.random.default_rng(seed), 6)
    reduced = reduce_tables(tables)
    assert paths_of(reduced) == paths_of(tables)
    for table, after in itertools.pairwise(reduced):
        assert len(np.unique(table, axis=0)) == len(table)
        assert (table >= 0).any(axis=1).all()
        assert set(np.unique(table)) - {-1} == set(range(len(after)))  # all are reached, none more


def test_reduction_of_an_impossible_diagram_is_empty():
    tables = [np.array([[0, 1]]), np.array([[-1], [-1]])]
    diagram = build_diagram(tables, [0, 1], 1, 1)
    assert diagram.widths[0] == 0
    assert diagram.count() == 0
    weights = torch.zeros(3, 1, 2, dtype=torch.float64), torch.zeros(3, 1, 1, dtype=torch.float64)
    log_evidence, symbols, outputs = infer_diagram(diagram, *weights)
    assert (log_evidence == -torch.inf).all()
    assert not symbols.any()
    assert not outputs.any()


def test_equal_hashes_do_not_merge_unlike_rows(monkeypatch):
    """All rows are given the same hash: equality decides."""
    unique = np.unique

    def same_hash(array, *args, **kwargs):
        return unique(array if array.ndim > 1 else np.zeros_like(array), *args, **kwargs)

    rows = np.array([[0, -1], [-1, 0], [0, -1], [5, 5]])
    expected = merge_rows(rows)
    monkeypatch.setattr(np, "unique", same_hash)
    first, name = merge_rows(rows)
    assert first.tolist() == expected[0].tolist() == [0, 1, 3]
    assert name.tolist() == expected[1].tolist() == [0, 1, 0, 2]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_symbols=st.integers(1, 3),
    n_outputs=st.integers(1, 3),
    n_hidden=st.integers(0, 1),
)
def test_messages_equal_sums_over_paths(seed, n_symbols, n_outputs, n_hidden):
    tables, diagram = random_diagram(seed, n_symbols, n_outputs, n_hidden)
    assert diagram.count() == len(paths_of(tables))
    weights = weights_of(diagram, seed)
    expected = by_paths(tables, diagram, *weights)
    for infer in WAYS if diagram.widths[0] else [infer_diagram]:
        log_evidence, *marginals = infer(diagram, *weights)
        for i, (total, shares, _) in enumerate(expected):
            np.testing.assert_allclose(log_evidence[i].exp(), total, rtol=1e-11)
            for j, offset in ((0, 0), (1, diagram.n_symbols)):
                got = marginals[j][i]
                np.testing.assert_allclose(
                    got, shares[offset : offset + len(got), : got.shape[1]], atol=1e-12
                )
    log_joint, worlds, outputs = find_mode(diagram, *weights)
    for i, (_, _, (weight, path)) in enumerate(expected):
        np.testing.assert_allclose(log_joint[i].exp(), weight, rtol=1e-12)
        states = dict(zip(diagram.variables.tolist(), path or (), strict=False))
        states = [states.get(v, -1) for v in range(diagram.n_symbols + diagram.n_outputs)]
        assert [*worlds[i].tolist(), *outputs[i].tolist()] == states


def repeated_tables(rng, n_repeats, width, period):
    """A start, a block that is repeated, and an end, as a chain of tables."""
    inner = [width, *rng.integers(1, 6, period - 1).tolist(), width]
    block = [rng.integers(after, size=(before, 3)) for before, after in itertools.pairwise(inner)]
    for table in block:
        table[rng.random(table.shape) < 0.2] = -1
    flat = block[-1].ravel()
    flat[:width] = np.arange(width)[: len(flat)]  # most nodes at the end are reached
    start = np.arange(width).reshape(1, width)
    end = np.zeros((width, 2), dtype=np.int64)
    end[rng.random(end.shape) < 0.3] = -1
    return [start, *(block * n_repeats), end]


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_repeats=st.integers(6, 40),
    width=st.integers(1, 3),
    kinds=st.lists(st.sampled_from("soa"), min_size=1, max_size=4),
    is_named=st.booleans(),
    is_extreme=st.booleans(),
)
@example(  # products of products lost what mattered, and nobody noticed
    seed=192, n_repeats=15, width=3, kinds=["s", "a"], is_named=False, is_extreme=True
)
def test_repeated_blocks_equal_log_space(seed, n_repeats, width, kinds, is_named, is_extreme):
    """Blocks of symbols, outputs and variables without weight, under labels of both kinds."""
    rng = np.random.default_rng(seed)
    tables = repeated_tables(rng, n_repeats, width, len(kinds))
    kinds = np.array(["s", *(kinds * n_repeats), "o"])
    variables = np.full(len(kinds), -1)
    counts = [(kinds == kind).sum() for kind in "so"]
    variables[kinds == "s"] = rng.permutation(counts[0])
    variables[kinds == "o"] = counts[0] + rng.permutation(counts[1])
    diagram = build_diagram(tables, variables.tolist(), *map(int, counts))
    if not diagram.widths[0]:
        return
    weights = weights_of(diagram, seed, n=3, dead=0.02)
    if is_extreme:
        weights = make_extreme(weights, rng)
    if is_named:
        best = weights[1].argmax(-1, keepdim=True)
        weights[1] = torch.full_like(weights[1], -torch.inf).scatter(2, best, -0.5)
    assert_equal_log_space(diagram, *weights)


def make_extreme(weights, rng):
    """Log-weights of which most are e^-350 to e^-2000, or nothing."""
    levels = np.array([0.0, -1.0, -300.0, -460.0, -700.0, -2000.0, -np.inf])
    drawn = [levels[rng.integers(len(levels), size=array.shape)] for array in weights]
    return [
        torch.where(array > -torch.inf, torch.from_numpy(new), array)
        for array, new in zip(weights, drawn, strict=True)
    ]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_symbols=st.integers(1, 8), n_outputs=st.integers(1, 3))
def test_nothing_is_lost_where_plain_numbers_fail(seed, n_symbols, n_outputs):
    _, diagram = random_diagram(seed, n_symbols, n_outputs, density=0.9)
    if diagram.widths[0]:
        weights = make_extreme(weights_of(diagram, seed), np.random.default_rng(seed))
        assert_equal_log_space(diagram, *weights)


def parity(n_symbols):
    """The parity of n bits: two nodes side by side, the same block again and again."""
    flip = np.array([[0, 1], [1, 0]])
    tables = [flip[:1], *([flip] * (n_symbols - 1)), np.array([[0, -1], [-1, 0]])]
    return build_diagram(tables, range(n_symbols + 1), n_symbols, 1)


def test_a_repeated_block_is_found_and_evaluated_at_once():
    diagram = parity(1000)
    repeated = [segment for segment in diagram.segments if segment.n_repeats > 1]
    assert len(repeated) == 1
    assert repeated[0].n_repeats >= 990
    n_levels = sum(len(segment.steps) * segment.n_repeats for segment in diagram.segments)
    assert n_levels == diagram.n_levels


@pytest.mark.parametrize("n_symbols", [3, 50, 1000])
def test_parity_of_many_bits_has_its_closed_form(n_symbols):
    """P(odd) = (1 - prod_i (1 - 2 p_i)) / 2."""
    rng = np.random.default_rng(n_symbols)
    p = rng.uniform(0.0, 1.0, (4, n_symbols))
    log_prob = torch.from_numpy(np.log(np.stack([1 - p, p], -1)))
    log_likelihood = torch.tensor([[[-torch.inf, 0.0]]], dtype=torch.float64).expand(4, -1, -1)
    log_evidence, symbols, _ = infer_diagram(parity(n_symbols), log_prob, log_likelihood)
    odd = (1 - np.prod(1 - 2 * p, axis=1)) / 2
    np.testing.assert_allclose(log_evidence, np.log(odd), rtol=1e-10)
    rest = np.prod(1 - 2 * p, axis=1, keepdims=True) / (1 - 2 * p)
    np.testing.assert_allclose(symbols[..., 1], p * (1 + rest) / 2 / odd[:, None], rtol=1e-7)


@pytest.mark.parametrize("low", [-5.0, -100.0, -700.0, -1e4, -1e300])
def test_small_probabilities_are_as_exact_in_long_diagrams(low):
    """Evidence that the net thinks all but impossible, in one place or everywhere."""
    diagram = parity(200)
    log_prob = torch.zeros(3, 200, 2, dtype=torch.float64)
    log_prob[0, :, 1] = low  # all bits surely 0, and yet the parity is odd
    log_prob[1, 7, 1] = low
    log_prob[1, 8:, 1] = -torch.inf
    log_prob[1, :7, 1] = -torch.inf
    log_prob[2] = torch.randn(200, 2, generator=seeded(0))
    log_likelihood = torch.tensor([[[-torch.inf, 0.0]]], dtype=torch.float64).expand(3, -1, -1)
    assert_equal_log_space(diagram, log_prob, log_likelihood)
    log_evidence, symbols, _ = infer_diagram(diagram, log_prob, log_likelihood)
    np.testing.assert_allclose(log_evidence[1], low, rtol=1e-12)
    np.testing.assert_allclose(symbols[1, 7], [0.0, 1.0])


def test_parts_of_a_batch_equal_the_whole(monkeypatch):
    _, diagram = random_diagram(5, 3, 2, 1)
    weights = weights_of(diagram, 0, n=23)
    whole = infer_diagram(diagram, *weights)
    modes = find_mode(diagram, *weights)
    monkeypatch.setattr(message_passing, "_MAX_COLUMNS", 4)
    monkeypatch.setattr("sknesy.numerics.evaluator._MAX_ENTRIES", 100)
    monkeypatch.setattr(message_passing, "_find_array_passes", lambda *args: None)
    for got, wanted in zip(infer_diagram(diagram, *weights), whole, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-14)
    for got, wanted in zip(find_mode(diagram, *weights), modes, strict=True):
        torch.testing.assert_close(got, wanted)


def test_both_ways_to_sum_edges_agree(monkeypatch):
    for seed in range(5):
        _, diagram = random_diagram(seed, 3, 2, 1, density=1.0)
        weights = weights_of(diagram, seed)
        results = []
        for prefers in (True, False):
            monkeypatch.setattr(message_passing, "_prefers_runs", lambda *args, p=prefers: p)
            results.append(by_tensors(diagram, *weights))
        for a, b in zip(*results, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_a_small_batch_goes_through_numpy_and_a_large_one_through_tensors(monkeypatch):
    taken = []
    for name in ("_infer_arrays", "_infer_tensors"):
        way = getattr(message_passing, name)
        monkeypatch.setattr(
            message_passing,
            name,
            lambda *args, f=way, n=name, **options: taken.append(n) or f(*args, **options),
        )
    diagram = parity(3)
    for n in (2, 2000):
        infer_diagram(diagram, *weights_of(diagram, 0, n=n))
    assert taken == ["_infer_arrays", "_infer_tensors"]


def test_a_block_of_too_many_paths_goes_through_tensors():
    rng = np.random.default_rng(0)
    block = [rng.integers(4, size=(4, 9)) for _ in range(4)]  # 4 * 9^4 paths
    tables = [np.arange(4)[None], *(block * 6), np.eye(4, dtype=np.int64) - 1]
    diagram = build_diagram(tables, range(26), 25, 1)
    assert diagram.array_passes is None
    weights = weights_of(diagram, 0, n=1)
    for got, wanted in zip(
        infer_diagram(diagram, *weights), infer_in_log_space(diagram, *weights), strict=True
    ):
        np.testing.assert_allclose(got, wanted, rtol=1e-11, atol=1e-12)


def test_empty_batches():
    _, diagram = random_diagram(1, 3, 1, 1)
    weights = [array[:0] for array in weights_of(diagram, 1)]
    log_evidence, symbols, outputs = infer_diagram(diagram, *weights)
    assert log_evidence.shape == (0,)
    assert symbols.shape == weights[0].shape
    assert outputs.shape == weights[1].shape
    assert find_mode(diagram, *weights)[1].shape == (0, diagram.n_symbols)
    assert sample_worlds(diagram, *weights, 3)[0].shape == (3, 0, diagram.n_symbols)


def test_pickles_without_what_is_derived():
    _, diagram = random_diagram(3, 3, 2, 1)
    assert len(diagram.segments) > 0
    assert len(diagram.tables) > 0
    again = pickle.loads(pickle.dumps(diagram))
    assert "segments" not in vars(again)
    assert torch.equal(again.edges, diagram.edges)
    assert repr(again) == repr(diagram)


def test_narrow_starts_only():
    """A wide block is not evaluated from each of its nodes."""
    width = segments._MAX_START_WIDTH + 1
    shift = (np.arange(width)[:, None] + np.arange(2)) % width
    tables = [np.arange(width).reshape(1, -1), *([shift] * 20), np.eye(width, dtype=int) - 1]
    diagram = build_diagram(tables, range(22), 21, 1)
    assert all(segment.n_repeats == 1 for segment in diagram.segments)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_same_posterior():
    diagram = parity(100)
    weights = weights_of(diagram, 0)
    on_device = infer_diagram(diagram.to("cuda"), *(array.to("cuda") for array in weights))
    for got, wanted in zip(on_device, infer_diagram(diagram, *weights), strict=True):
        torch.testing.assert_close(got.cpu(), wanted, rtol=1e-10, atol=1e-12)
