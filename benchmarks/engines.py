"""Every engine on the same evidence: how long it takes, and how far it is from the exact answer."""

import time
import warnings

import numpy as np
import torch

from benchmarks.diagrams import GIVENS, queens, sudoku
from benchmarks.sampling import addition_clauses
from sknesy.exceptions import SknesyError
from sknesy.inference import (
    BeliefPropagationEngine,
    DiagramEngine,
    EnumerationEngine,
    ModeEngine,
    SamplingEngine,
)
from sknesy.knowledge import ClauseKnowledge

__all__ = ["run"]

ENGINES = {
    "table": EnumerationEngine(max_worlds=200_000, time_limit=20),
    "diagram": DiagramEngine(max_width=50_000, max_edges=1_000_000, time_limit=20),
    "belief propagation": BeliefPropagationEngine(time_limit=20),
    "100 draws": SamplingEngine(100, time_limit=20),
    "best world": ModeEngine(max_width=1, time_limit=20),
    "10 best worlds": ModeEngine(10, max_width=1, time_limit=20),
}


def random_clauses(n=30, m=100, seed=0):
    """Draw clauses of three literals over Boolean symbols."""
    rng = np.random.default_rng(seed)
    clauses = [
        (rng.choice(np.arange(1, n + 1), 3, replace=False) * rng.choice([-1, 1], 3)).tolist()
        for _ in range(m)
    ]
    return ClauseKnowledge(clauses, [[p] for p in range(1, n + 1)])


PROBLEMS = {
    "addition, N=2, clauses": lambda: addition_clauses(2),
    "addition, N=4, clauses": lambda: addition_clauses(4),
    "4x4 sudoku": lambda: sudoku("." * 16),
    "8 queens": lambda: queens(8),
    "3-CNF 30/100": random_clauses,
    "9x9 sudoku, 26 givens": lambda: sudoku(GIVENS),
    "9x9 sudoku, empty": lambda: sudoku("." * 81),
}


def imagine(knowledge, n_samples, lead, seed=0):
    """Make the log-probabilities of a net that favours a world of the knowledge, and its label."""
    generator = torch.Generator().manual_seed(seed)
    guide = SamplingEngine(1, draw_order="constrained")
    compiled = guide.compile(knowledge)
    counts = torch.tensor(compiled.n_states)
    width = int(counts.max())
    exists = torch.arange(width) < counts[:, None]
    flat = torch.where(exists, 0.0, -torch.inf).double().expand(n_samples, -1, -1)
    widest = max(map(len, compiled.output_states))
    evidence = torch.full((n_samples, len(compiled.output_states), widest), -torch.inf).double()
    if knowledge.outputs is None:
        evidence[..., 1] = 0.0
    else:
        for o, states in enumerate(compiled.output_states):
            evidence[:, o, : len(states)] = 0.0
    worlds, outputs = guide.sample(compiled, torch.log_softmax(flat, -1), evidence, 1, generator)
    evidence = torch.full_like(evidence, -torch.inf).scatter_(2, outputs[0][..., None], 0.0)
    logits = torch.randn(flat.shape, generator=generator, dtype=torch.float64)
    logits += lead * torch.nn.functional.one_hot(worlds[0], width)
    return torch.log_softmax(logits.masked_fill(~exists, -torch.inf), -1), evidence


def run(n_samples=8, leads=(1.0, 4.0)):
    """Print time and error of each engine on each problem.

    A lead is how much the made-up net favours the true states, in nats beside noise of 1.
    """
    print(f"Batch of {n_samples}; error: mean difference of symbol marginals from the exact ones")
    for name, make in PROBLEMS.items():
        knowledge = make()
        batches = [imagine(knowledge, n_samples, lead) for lead in leads]
        exact = None
        print(f"\n{name}")
        columns = "".join(f"{f'ms, lead {lead:g}':>14}{'error':>9}" for lead in leads)
        print(f"  {'engine':20}{'compile s':>10}{columns}")
        for label, engine in ENGINES.items():
            start = time.perf_counter()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    compiled = engine.compile(knowledge)
            except SknesyError as error:
                print(f"  {label:20}{time.perf_counter() - start:10.2f}  {type(error).__name__}")
                continue
            seconds = time.perf_counter() - start
            row, posteriors = "", []
            for batch in batches:
                start = time.perf_counter()
                posteriors.append(engine.infer(compiled, *batch))
                ms = 1e3 * (time.perf_counter() - start)
                error = "-"
                if exact is not None or posteriors[-1].kind == "exact":
                    truth = exact[len(posteriors) - 1] if exact else posteriors[-1]
                    difference = posteriors[-1].symbol_marginals - truth.symbol_marginals
                    error = f"{float(difference.abs().mean()):.1e}"
                row += f"{ms:14.1f}{error:>9}"
            if exact is None and posteriors[0].kind == "exact":
                exact = posteriors
            print(f"  {label:20}{seconds:10.2f}{row}", flush=True)
