"""The naive oracle: nested loops over worlds in plain Python. Imports nothing from sknesy."""

import itertools
import math


def posterior(n_states, n_output_states, conclude, prob, likelihood):
    """Evidence and marginals of one sample, by definition.

    `conclude(world)` gives the tuple of output states, or None. `prob[s][v]` and
    `likelihood[o][w]` are plain probabilities, as floats, or all as Fractions.
    """
    evidence = []
    symbols = [[[] for _ in range(n)] for n in n_states]
    outputs = [[[] for _ in range(n)] for n in n_output_states]
    best = (0.0, None)
    for world in itertools.product(*map(range, n_states)):
        concluded = conclude(world)
        if concluded is None:
            continue
        weight = 1
        for s, v in enumerate(world):
            weight *= prob[s][v]
        for o, w in enumerate(concluded):
            weight *= likelihood[o][w]
        evidence.append(weight)
        for s, v in enumerate(world):
            symbols[s][v].append(weight)
        for o, w in enumerate(concluded):
            outputs[o][w].append(weight)
        if weight > best[0]:
            best = (weight, world)
    add = math.fsum if all(isinstance(x, float) for x in evidence) else sum
    total = add(evidence)
    share = [[add(x) / total if total else 0.0 for x in row] for row in symbols]
    output_share = [[add(x) / total if total else 0.0 for x in row] for row in outputs]
    return total, share, output_share, best


def holds(clauses, propositions):
    """Whether a set of true propositions satisfies clauses."""
    return all(any((abs(x) in propositions) == (x > 0) for x in clause) for clause in clauses)


def conclude_clauses(clauses, symbols, outputs, auxiliaries, world):
    """Output states of a world under clauses, trying every output and auxiliary; None if none."""

    def true(groups, states):
        return {
            group[v] if len(group) > 1 else group[0]
            for group, v in zip(groups, states, strict=True)
            if len(group) > 1 or v == 1
        }

    found = set()
    for states in itertools.product(*[range(max(len(group), 2)) for group in outputs]):
        for bits in itertools.product([False, True], repeat=len(auxiliaries)):
            chosen = {a for a, bit in zip(auxiliaries, bits, strict=True) if bit}
            if holds(clauses, true(symbols, world) | true(outputs, states) | chosen):
                found.add(states)
    assert len(found) <= 1
    return found.pop() if found else None
