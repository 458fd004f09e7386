"""Circuits of formulas that are too wide for a decision diagram: time, size, and exact answers.

The formulas are random clauses of three literals, and those of a folder of DIMACS files with exact
model counts, ``counts.csv``, and the share of models in which each variable is true,
``marginals.npz``; ``weighted.npz`` has log weighted counts for random probabilities.
"""

import csv
import time
from pathlib import Path

import numpy as np
import torch

from sknesy.inference import CircuitEngine
from sknesy.knowledge import ClauseKnowledge, read_dimacs

__all__ = ["run"]

_MAX_WIRES = 2_000_000
RANDOM = [(70, 175), (70, 140), (70, 105), (70, 210), (70, 245)]


def draw_clauses(n_propositions, n_clauses, seed):
    """Return random clauses of three different propositions."""
    rng = np.random.default_rng(seed)
    propositions = [rng.choice(n_propositions, 3, replace=False) + 1 for _ in range(n_clauses)]
    signs = rng.choice([-1, 1], (n_clauses, 3))
    return [(p * s).tolist() for p, s in zip(propositions, signs, strict=True)]


def count_models(circuit):
    """Return the exact number of worlds of the label True, by ints of any length."""
    layers = circuit.as_layers
    values = [1] * layers.n_nodes
    values[layers.n_cells - 2] = values[layers.zero] = 0  # the cell of the label False
    for layer in layers.layers:
        first = layer.first.tolist()
        second = [[layers.n_cells] * len(row) for row in first]  # one
        if layer.second is not None:
            second = layer.second.tolist()
        for i, pair in enumerate(zip(first, second, strict=True), layer.start):
            values[i] = sum(values[a] * values[b] for a, b in zip(*pair, strict=True))
    return values[layers.root]


def measure(name, clauses, n_propositions, expected=None, marginals=None, weighted=None):
    """Compile one formula; print time and size, and whether the answers are right."""
    knowledge = ClauseKnowledge(clauses, [[p] for p in range(1, n_propositions + 1)])
    engine = CircuitEngine(max_size=None, time_limit=None)

    def compile_(labels):
        start = time.process_time()
        return engine.compile(knowledge, labels), time.process_time() - start

    compiled, seconds = compile_([True])
    # The complement as well, where it fits into a small machine's memory
    both = f"{compile_(None)[1]:6.1f} s" if compiled.form.n_wires < _MAX_WIRES else "-"
    n_models = count_models(compiled.form)
    holds = torch.tensor([[[-torch.inf, 0.0]]], dtype=torch.float64)
    even = torch.full((1, n_propositions, 2), 0.5, dtype=torch.float64).log()
    start = time.process_time()
    posterior = engine.infer(compiled, even, holds)
    infer = time.process_time() - start
    said = "" if expected is None else f"count {'right' if n_models == expected else 'WRONG'}"
    if marginals is not None:
        error = np.abs(posterior.symbol_marginals[0, :, 1].numpy() - marginals).max()
        said += f", marginals within {error:.0e}"
    if weighted is not None:
        p, log_weight, truth = weighted
        log_prob = torch.from_numpy(np.log(np.stack([1 - p, p], axis=1)))[None]
        posterior = engine.infer(compiled, log_prob, holds)
        error = abs(float(posterior.log_evidence[0]) / log_weight - 1)
        off = np.abs(posterior.symbol_marginals[0, :, 1].numpy() - truth).max()
        said += f"; weighted within {error:.0e} of the logarithm, {off:.0e}"
    form = compiled.form
    print(
        f"{name:<34} {seconds:7.2f} s, with False {both:>8} {form.n_wires:>10,} wires "
        f"{len(form.layers):4} layers {1000 * infer:8.1f} ms  {said}",
        flush=True,
    )


def run(folder=None, seeds=range(1)):
    """Print a row for each formula: CPU seconds to compile the worlds of True, and all; the size.

    Behind it stands the CPU time of a sample, and whether counts and marginals are right.
    """
    for n_propositions, n_clauses in RANDOM:
        for seed in seeds:
            clauses = draw_clauses(n_propositions, n_clauses, seed)
            measure(f"random {n_propositions}/{n_clauses}, seed {seed}", clauses, n_propositions)
    if folder is None:
        return
    folder = Path(folder)
    marginals = np.load(folder / "marginals.npz")
    weighted = np.load(folder / "weighted.npz")
    with open(folder / "counts.csv") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        name = Path(row["file"]).stem
        if int(row["models"]) == 0:
            continue
        n = int(row["variables"])
        weights = None
        if f"{name}/p" in weighted:
            weights = tuple(weighted[f"{name}/{key}"] for key in ("p", "log_weight", "posterior"))
        given = marginals.get(name)
        measure(name, read_dimacs(folder / row["file"]), n, int(row["models"]), given, weights)
