"""Random levels of diagrams, and all their paths, by plain loops."""

import itertools
from dataclasses import replace

import numpy as np

from sknesy.numerics.diagram import as_table, build_diagram


def paths_of(tables):
    """All paths from the root to the end, each the tuple of its states."""

    def walk(level, node):
        if level == len(tables):
            yield ()
            return
        for state, target in enumerate(as_table(tables[level])[node].tolist()):
            if target >= 0:
                for rest in walk(level + 1, target):
                    yield (state, *rest)

    return [] if len(tables) and not len(tables[0]) else sorted(walk(0, 0))


def worlds_of(levels):
    """All paths, each as the states of symbols and outputs in their order."""
    order = sorted((v, i) for i, v in enumerate(levels.variables) if v >= 0)
    return sorted(tuple(path[i] for _, i in order) for path in paths_of(levels.tables))


def count_true(levels):
    """Number of worlds in which clauses and constraints hold; the last level is the label."""
    *others, truth = levels.tables
    only_true = np.where([True, False], -1, truth)
    return replace(levels, tables=(*others, only_true)).to_diagram().count()


def random_tables(rng, n_levels, max_width=4, max_states=4, density=0.7):
    widths = [1, *rng.integers(1, max_width + 1, n_levels - 1).tolist(), 1]
    tables = []
    for width, after in itertools.pairwise(widths):
        shape = (width, int(rng.integers(1, max_states + 1)))
        table = rng.integers(after, size=shape)
        table[rng.random(shape) > density] = -1
        tables.append(table)
    return tables


def random_diagram(seed, n_symbols, n_outputs, n_hidden=0, density=0.7):
    """Tables, and the diagram over symbols, outputs and variables without weight, mixed."""
    rng = np.random.default_rng(seed)
    n_levels = n_symbols + n_outputs + n_hidden
    tables = random_tables(rng, n_levels, density=density)
    variables = rng.permutation(n_levels)
    variables[variables >= n_symbols + n_outputs] = -1
    return tables, build_diagram(tables, variables.tolist(), n_symbols, n_outputs)
