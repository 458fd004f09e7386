"""Decision diagrams: their time to compile and to evaluate."""

import itertools
import statistics
import time

import numpy as np
import torch

from sknesy.inference import DiagramEngine
from sknesy.knowledge import (
    AllDifferent,
    ClauseKnowledge,
    DigitAddition,
    Exactly,
    LinearConstraint,
    from_cpmpy,
)

GIVENS = ".3..7....6..1.5....98......8...6...34..8.3..17...2...6.6....28....419..5....8...9"


def sudoku(givens):
    """Make the clauses of a sudoku; givens by rows, a dot for an empty cell, 81 of them or 16."""
    box = round(len(givens) ** 0.25)
    size = box**2
    cell = np.arange(1, size**3 + 1).reshape(size, size, size)
    boxes = cell.reshape(box, box, box, box, size).swapaxes(1, 2).reshape(size, size, size)
    clauses = [
        [-int(group[a, v]), -int(group[b, v])]
        for group in [*cell, *cell.swapaxes(0, 1), *boxes]
        for v in range(size)
        for a, b in itertools.combinations(range(size), 2)
    ]
    symbols = cell.reshape(size**2, size).tolist()
    clauses += [[symbols[i][int(digit) - 1]] for i, digit in enumerate(givens) if digit != "."]
    return ClauseKnowledge(clauses, symbols)


def queens(n):
    """Make the clauses of n queens, one a row; the state is the column."""
    column = np.arange(1, n * n + 1).reshape(n, n)
    clauses = [
        [-int(column[a, i]), -int(column[b, j])]
        for a, b in itertools.combinations(range(n), 2)
        for i, j in itertools.product(range(n), repeat=2)
        if i == j or abs(i - j) == b - a
    ]
    return ClauseKnowledge(clauses, column.tolist())


def bounded_sum():
    """Make the bound that 12 digits add up to 60 or more."""
    digits = [[10 * s + v + 1 for v in range(10)] for s in range(12)]
    literals, weights = [p for digit in digits for p in digit], [*range(10)] * 12
    bound = LinearConstraint(literals, weights, ">=", 60)
    return ClauseKnowledge([], digits, constraints=[bound])


def bounded_sum_by_cpmpy():
    """Make the same bound from a model of CPMpy."""
    import cpmpy

    digits = cpmpy.intvar(0, 9, shape=12)
    return from_cpmpy(cpmpy.Model(cpmpy.sum(digits) >= 60), symbols=digits)


def different_sudoku(givens):
    """Make the same sudoku of rules that cells differ; a given cell has one state."""
    box = round(len(givens) ** 0.25)
    cell = np.arange(box**4).reshape(box**2, box**2)
    boxes = cell.reshape(box, box, box, box).swapaxes(1, 2).reshape(box**2, box**2)
    states = [[int(x)] if x != "." else range(1, box**2 + 1) for x in givens]
    scopes = [group.tolist() for group in [*cell, *cell.T, *boxes]]
    return AllDifferent(symbol_states=states, scopes=scopes)


def random_batch(n_digits, n_samples, seed=0):
    """Draw the log-probabilities of a half-trained net, and the labels of random sums."""
    generator = torch.Generator().manual_seed(seed)
    shape = (n_samples, 2 * n_digits, 10)
    log_prob = 3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    digits = torch.randint(0, 10, shape[:2], generator=generator).numpy()
    carry, rows = np.zeros(n_samples, dtype=np.int64), []
    for place in range(n_digits - 1, -1, -1):
        total = digits[:, place] + digits[:, n_digits + place] + carry
        rows.append(total % 10)
        carry = total // 10
    codes = torch.from_numpy(np.stack([carry, *rows[::-1]], axis=1))
    log_likelihood = torch.full((*codes.shape, 10), -torch.inf, dtype=torch.float64)
    log_likelihood.scatter_(2, codes[:, :, None], 0.0)
    return torch.log_softmax(log_prob, -1), log_likelihood


def run_compile():
    """Print the time to compile well-known knowledge, and its model counts."""
    engine = DiagramEngine(max_width=None, max_edges=None, time_limit=None)
    problems = {
        "8 queens": queens(8),
        "12 queens": queens(12),
        f"9x9 sudoku, {81 - GIVENS.count('.')} givens": sudoku(GIVENS),
        "the same, AllDifferent": different_sudoku(GIVENS),
        "permutations of 12": AllDifferent(12, range(12)),
        "12 digits >= 60": bounded_sum(),
        "the same, by CPMpy": bounded_sum_by_cpmpy(),
        "50 of 100": Exactly(50, 100),
        "addition, N=100": DigitAddition(100),
        "addition, N=1000": DigitAddition(1000),
    }
    print("Decision diagrams: knowledge to diagram, reduced")
    print(f"{'':24}{'seconds':>9}{'edges':>9}{'width':>7}  worlds")
    for name, knowledge in problems.items():
        start = time.perf_counter()
        compiled = engine.compile(knowledge)
        seconds = time.perf_counter() - start
        diagram = compiled.form
        log_count = log_n_worlds(engine, compiled, is_true=knowledge.n_outputs == 1)
        worlds = (
            f"{np.exp(log_count):,.0f}" if log_count < 30 else f"10^{log_count / np.log(10):.1f}"
        )
        width = int(diagram.widths.max())
        print(f"{name:24}{seconds:9.2f}{diagram.n_edges:9,}{width:7}  {worlds}")


def log_n_worlds(engine, compiled, is_true):
    """Compute the log of the number of worlds: the evidence where every state weighs 1."""
    n_states, n_outputs = compiled.n_states, tuple(map(len, compiled.output_states))
    log_prob = torch.zeros((1, len(n_states), max(n_states)), dtype=torch.float64)
    log_likelihood = torch.zeros((1, len(n_outputs), max(n_outputs)), dtype=torch.float64)
    if is_true:
        log_likelihood[0, 0, 0] = -torch.inf
    return float(engine.infer(compiled, log_prob, log_likelihood).log_evidence)


def run_evaluate(n_samples=128, repeats=30):
    """Print the time of one pass: log-evidence and all marginals of a batch of mixed labels."""
    engine = DiagramEngine(max_edges=None)
    print(f"Decision diagrams of addition: one E-step of {n_samples} samples, median of {repeats}")
    print(f"{'':12}{'ms':>9}{'µs a digit':>12}")
    for n_digits in (1, 2, 4, 15, 50, 100, 200, 500, 1000):
        compiled = engine.compile(DigitAddition(n_digits))
        batch = random_batch(n_digits, n_samples)
        engine.infer(compiled, *batch)
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            engine.infer(compiled, *batch)
            seconds.append(time.perf_counter() - start)
        median = statistics.median(seconds)
        print(f"N={n_digits:<10}{1e3 * median:9.2f}{1e6 * median / n_digits:12.0f}")
