"""Worlds a second that the SAT-guided search lists."""

import random
import statistics
import time

import numpy as np

from sknesy import sat


def addition(n_digits, total):
    """Make clauses of x + y = total, with one proposition a digit state and one a carry."""
    numbers = iter(range(1, 10_000))
    x, y, s = ([[next(numbers) for _ in range(10)] for _ in range(n_digits)] for _ in range(3))
    carry = [next(numbers) for _ in range(n_digits)]
    clauses = sat.exactly_one(map(tuple, s))
    for i in range(n_digits):  # the least significant digit first
        clauses.append([s[i][total // 10**i % 10]])
        for a, b, c in np.ndindex(10, 10, 2 if i else 1):
            given = [-x[i][a], -y[i][b]]
            if i:
                given.append(-carry[i - 1] if c else carry[i - 1])
            clauses.append([*given, s[i][(a + b + c) % 10]])
            clauses.append([*given, carry[i] if a + b + c >= 10 else -carry[i]])
    clauses.append([carry[-1] if total >= 10**n_digits else -carry[-1]])
    return clauses, [tuple(v) for pair in zip(x, y, strict=True) for v in pair]


def random_3cnf(n_propositions, n_clauses, seed):
    """Draw clauses of three literals over Boolean variables."""
    rng = random.Random(seed)
    clauses = [
        [rng.choice([-1, 1]) * p for p in rng.sample(range(1, n_propositions + 1), 3)]
        for _ in range(n_clauses)
    ]
    return clauses, [(-p, p) for p in range(1, n_propositions + 1)]


def n_worlds(found):
    """Return the number of assignments that the rows stand for."""
    n_variables, _, width = found.blocks.shape
    sizes = np.concatenate([np.ones((n_variables, width), int), found.blocks.sum(-1)], axis=1)
    return int(sizes[np.arange(n_variables), found.satisfying].prod(1).sum())


def run(repeats=3):
    """Print worlds, rows and rates of two families: the median of some runs."""
    problems = {"x + y = 9999": addition(4, 9999)}
    problems |= {f"random 3-CNF 30/60, seed {i}": random_3cnf(30, 60, i) for i in range(3)}
    print("Enumeration of worlds")
    print(f"{'':32}{'worlds':>9}{'rows':>9}{'worlds/s':>10}{'rows/s':>10}")
    for name, (clauses, variables) in problems.items():
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            found = sat.enumerate_assignments(clauses, variables)
            seconds.append(time.perf_counter() - start)
        worlds, rows, median = n_worlds(found), len(found.satisfying), statistics.median(seconds)
        print(f"{name:32}{worlds:9}{rows:9}{worlds / median:10.0f}{rows / median:10.0f}")
