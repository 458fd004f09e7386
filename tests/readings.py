"""The naive oracle of maps of states: all of them, on all worlds. Imports nothing from sknesy."""

import itertools


def worlds_that_occur(n_states, conclude, labels=None):
    """The worlds that have a label, one of those given."""
    every = itertools.product(*map(range, n_states))
    found = [(z, conclude(z)) for z in every]
    return [z for z, y in found if y is not None and (labels is None or y in labels)]


def maps_that_keep_labels(n_states, conclude, groups, worlds):
    """The set of maps, one tuple of images for each group, that change no label of the worlds.

    A state that does not occur is taken for itself.
    """
    options = []  # for each group and state, the states for which it may be taken
    for symbols in groups:
        for v in range(max(n_states[s] for s in symbols)):
            met = [s for s in symbols if any(z[s] == v for z in worlds)]
            options.append(range(min(n_states[s] for s in met)) if met else [v])
    kept = set()
    for images in itertools.product(*options):
        rows, rest = [], list(images)
        for symbols in groups:
            width = max(n_states[s] for s in symbols)
            rows.append(tuple(rest[:width]))
            rest = rest[width:]
        of_symbol = {s: row for symbols, row in zip(groups, rows, strict=True) for s in symbols}
        for z in worlds:
            image = tuple(of_symbol[s][v] for s, v in enumerate(z))
            if conclude(image) != conclude(z):
                break
        else:
            kept.add(tuple(rows))
    return kept


def smallest_number_known(maps):
    """The size of a smallest set of pairs of group and state, one of which each map moves."""
    identity = {tuple(tuple(range(len(row))) for row in rows) for rows in maps}
    moved = [
        {(g, v) for g, row in enumerate(rows) for v, w in enumerate(row) if v != w}
        for rows in maps - identity
    ]
    every = sorted(set().union(*moved))
    for size in range(len(every) + 1):
        for chosen in itertools.combinations(every, size):
            if all(pairs.intersection(chosen) for pairs in moved):
                return size
    raise AssertionError


def smallest_number_of_labels(n_states, conclude, groups, given, further):
    """The size of a smallest set of further labels that leaves the states of those given as is.

    None if there is no such set.
    """
    worlds = worlds_that_occur(n_states, conclude, given)
    occurring = [
        (g, v)
        for g, symbols in enumerate(groups)
        for v in range(max(n_states))
        if any(z[s] == v for z in worlds for s in symbols)
    ]
    for size in range(len(further) + 1):
        for chosen in itertools.combinations(further, size):
            worlds = worlds_that_occur(n_states, conclude, [*given, *chosen])
            maps = maps_that_keep_labels(n_states, conclude, groups, worlds)
            if all(rows[g][v] == v for rows in maps for g, v in occurring):
                return size
    return None
