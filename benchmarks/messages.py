"""Belief propagation over groups that all differ, against pairs: accuracy, rounds and cost.

A sudoku is stated as factors of two cells each, as groups that count as one each, and as groups
that count as far as they are independent. Exact marginals of 4 x 4 grids come from a decision
diagram. The net is made up: it favours the true digits by so many nats, beside noise of the
deviation that is given.
"""

import itertools
import time

import numpy as np
import torch

from sknesy.compilation import compile_factors
from sknesy.datasets import make_visual_sudoku
from sknesy.inference import DiagramEngine
from sknesy.numerics.belief_propagation import propagate_beliefs
from sknesy.numerics.factor_graph import build_factor_graph
from sknesy.numerics.factor_table import table_factor

__all__ = ["run"]

_WAYS = {"pairs": None, "groups, one each": 1.0, "groups": None}
_NETS = [(0.3, 0.0), (1.0, 0.0), (1.0, 1.0), (1.0, 2.0), (1.0, 8.0)]  # noise, nats


def run(n_samples=50, seed=0):
    """Print the divergence from exact marginals of 4 x 4 grids, and the cost of 9 x 9 ones."""
    print("divergence from exact marginals, nats a cell: 4 x 4 grids")
    _print_head()
    graphs, knowledge = make_graphs(4)
    engine = DiagramEngine()
    compiled = engine.compile(knowledge)
    holds = torch.tensor([-torch.inf, 0.0], dtype=torch.float64).expand(n_samples, 1, 2)
    for noise, nats in _NETS:
        log_prob, _ = make_up(4, n_samples, noise, nats, seed)
        exact = engine.infer(compiled, log_prob, holds).symbol_marginals
        row = []
        for way, reweighting in _WAYS.items():
            found = propagate(graphs[way], log_prob, reweighting).marginals.clamp(min=1e-12)
            loss = exact * (exact.clamp(min=1e-12).log() - found.log())
            row.append(f"{loss.sum(-1).mean():.4f}")
        _print_row(noise, nats, row)
    print("\nms a round and 4 grids, and rounds of at most 50, CPU: 9 x 9 grids")
    _print_head()
    graphs, _ = make_graphs(9)
    for noise, nats in _NETS:
        log_prob, _ = make_up(9, 4, noise, nats, seed)
        row = []
        for way, reweighting in _WAYS.items():
            seconds = []
            for _ in range(3):
                start = time.process_time()
                found = propagate(graphs[way], log_prob, reweighting)
                seconds.append(time.process_time() - start)
            row.append(f"{1000 * min(seconds) / found.n_iter:.1f} x {found.n_iter}")
        _print_row(noise, nats, row)
    print("\nlog-probability of the true digits, nats a cell: 9 x 9 grids; the net alone last")
    _print_head()
    for noise, nats in _NETS:
        log_prob, truth = make_up(9, 20, noise, nats, seed)
        row = []
        for way, reweighting in _WAYS.items():
            found = propagate(graphs[way], log_prob, reweighting).marginals
            right = found.clamp(min=1e-12).log().gather(2, truth[..., None])
            row.append(f"{right.mean():.3f}")
        row.append(f"{log_prob.gather(2, truth[..., None]).mean():.3f}")
        _print_row(noise, nats, row)


def make_graphs(size):
    """Return factor graphs of a sudoku, by the ways that it is stated, and the knowledge."""
    knowledge = make_visual_sudoku(1, size=size)[-1]
    groups = compile_factors(knowledge)
    scopes = [factor.scope for factor in groups.factors]
    pairs = sorted({pair for scope in scopes for pair in itertools.combinations(scope, 2)})
    differ = 1.0 - np.eye(size)
    by_pairs = build_factor_graph(
        groups.n_states, [table_factor(pair, differ) for pair in pairs], groups.domains
    )
    by_groups = groups.to_graph()
    return dict(zip(_WAYS, (by_pairs, by_groups, by_groups), strict=True)), knowledge


def make_up(size, n_samples, noise, nats, seed):
    """Make up log-probabilities of a net on valid grids, and return the true states, too."""
    _, y, symbols, _ = make_visual_sudoku(2 * n_samples, size=size, random_state=seed)
    truth = torch.from_numpy(symbols[y])
    logits = noise * np.random.default_rng(seed).standard_normal((n_samples, size**2, size))
    logits = torch.from_numpy(logits)
    logits.scatter_add_(2, truth[..., None], torch.full((n_samples, size**2, 1), nats).double())
    return logits.log_softmax(-1), truth


def propagate(graph, log_prob, reweighting):
    """Send messages as `BeliefPropagationEngine` does, for at most 50 rounds."""
    return propagate_beliefs(graph, log_prob, max_iter=50, damping=0.5, reweighting=reweighting)


def _print_head():
    print(f"{'noise':>6}{'nats':>6}" + "".join(f"{way:>20}" for way in _WAYS), flush=True)


def _print_row(noise, nats, row):
    print(f"{noise:6}{nats:6}" + "".join(f"{text:>20}" for text in row), flush=True)
