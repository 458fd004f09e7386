"""Clauses of puzzles whose numbers of solutions are published, and of long addition."""

import itertools

import numpy as np

from sknesy.knowledge import ClauseKnowledge


def sudoku(side, givens=""):
    """Clauses of a sudoku of side**2 x side**2 cells; givens by rows, a dot for an empty cell."""
    n = side**2
    cell = np.arange(1, n**3 + 1).reshape(n, n, n)
    boxes = cell.reshape(side, side, side, side, n).swapaxes(1, 2).reshape(n, n, n)
    groups = [*cell, *cell.swapaxes(0, 1), *boxes]
    clauses = [
        [-int(group[a, v]), -int(group[b, v])]
        for group in groups
        for v in range(n)
        for a, b in itertools.combinations(range(n), 2)
    ]
    symbols = cell.reshape(n * n, n).tolist()
    clauses += [[symbols[i][int(digit) - 1]] for i, digit in enumerate(givens) if digit != "."]
    return ClauseKnowledge(clauses, symbols)


def queens(n):
    """One queen a row; its column is the state."""
    column = np.arange(1, n * n + 1).reshape(n, n)
    clauses = [
        [-int(column[a, i]), -int(column[b, j])]
        for a, b in itertools.combinations(range(n), 2)
        for i, j in itertools.product(range(n), repeat=2)
        if i == j or abs(i - j) == b - a
    ]
    return ClauseKnowledge(clauses, column.tolist())


def addition(n_digits, base=10):
    """The digits of x + y from the digits of x and y, lowest first; carries are auxiliary.

    The symbols are the digits of x, then those of y. The last output is the last carry.
    """
    numbers = itertools.count(1)
    x, y, total = ([[next(numbers) for _ in range(base)] for _ in range(n_digits)] for _ in "xyt")
    carry = [next(numbers) for _ in range(n_digits)]
    clauses = []
    for i in range(n_digits):
        for a, b, c in itertools.product(range(base), range(base), (0, 1) if i else (0,)):
            given = [-x[i][a], -y[i][b]]
            if i:
                given.append(-carry[i - 1] if c else carry[i - 1])
            clauses.append([*given, total[i][(a + b + c) % base]])
            clauses.append([*given, carry[i] if a + b + c >= base else -carry[i]])
    return ClauseKnowledge(clauses, x + y, [*total, [carry[-1]]])
