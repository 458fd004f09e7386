"""From state machines to decision diagrams."""

import itertools
import math
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from levels import worlds_of

from sknesy.compilation import Limits, compile_levels, enumerate_worlds
from sknesy.exceptions import (
    InvalidKnowledgeError,
    TimeLimitError,
    TooManyWorldsError,
    TooWideError,
)
from sknesy.knowledge import (
    AtMost,
    Count,
    DigitAddition,
    Exactly,
    Parity,
    StepKnowledge,
    SymbolSum,
)
from sknesy.numerics.diagram import as_table

NO_LIMITS = Limits()


def diagram_of(knowledge):
    return compile_levels(knowledge, limits=NO_LIMITS).to_diagram()


def reduced_paths(diagram):
    """Every path of a diagram."""
    found = []

    def walk(level, node, row):
        if level == diagram.n_levels:
            found.append(tuple(row))
            return
        for source, state, target in diagram.levels[level].T.tolist():
            if source == node:
                row[diagram.variables[level]] = state
                walk(level + 1, target, row)

    walk(0, 0, [-1] * (diagram.n_symbols + diagram.n_outputs))
    return found


def naive(machine, word):
    """Run a machine on one word, as its documentation says."""
    state, outputs = machine["initial"], []
    for position, symbol in enumerate(machine["reading_order"]):
        result = machine["step"](state, machine["symbol_states"][symbol][word[symbol]], position)
        if result is None:
            return None
        state, output = result if machine["emits"] else (result, None)
        if output is not None:
            outputs.append(output)
    if not machine["accept"](state):
        return None
    outputs += [function(state) for function in machine["final"]]
    return None if None in outputs else outputs


@st.composite
def machines(draw):
    """A machine whose step is a random table; some steps are ruled out."""
    n_symbols = draw(st.integers(1, 4))
    counts = draw(st.lists(st.integers(1, 3), min_size=n_symbols, max_size=n_symbols))
    n_states = draw(st.integers(1, 4))
    emits = draw(st.booleans())
    emitting = draw(st.lists(st.booleans(), min_size=n_symbols, max_size=n_symbols))
    target = st.integers(-1 if draw(st.booleans()) else 0, n_states - 1)
    table = {
        key: (draw(target), draw(st.integers(0, 2)))
        for key in itertools.product(range(n_states), range(3), range(n_symbols))
    }
    refused = draw(st.integers(0, n_states))
    with_final = not emits or draw(st.booleans()) or not any(emitting)

    def step(state, symbol, position):
        after, output = table[state, symbol, position]
        if after < 0:
            return None
        return (after, output if emitting[position] else None) if emits else after

    return {
        "step": step,
        "symbol_states": [range(count) for count in counts],
        "initial": 0,
        "final": [lambda state: state % 2, str] if with_final else [],
        "accept": lambda state: state != refused,
        "emits": emits,
        "reading_order": draw(st.permutations(range(n_symbols))),
    }


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(machines(), st.data())
def test_paths_are_the_worlds_of_conclude_and_of_a_naive_loop(machine, data):
    words = list(itertools.product(*machine["symbol_states"]))
    expected = {word: naive(machine, word) for word in words}
    if all(outputs is None for outputs in expected.values()):
        with pytest.raises(InvalidKnowledgeError, match="rules out all"):
            compile_levels(StepKnowledge(**machine), limits=NO_LIMITS)
        return
    n_outputs = len(next(outputs for outputs in expected.values() if outputs is not None))
    place = data.draw(st.permutations(range(n_outputs)))
    knowledge = StepKnowledge(**machine, output_order=place)
    labels = {}
    for word, outputs in expected.items():
        if outputs is not None:
            label = [None] * n_outputs
            for o, output in zip(place, outputs, strict=True):
                label[o] = output
            labels[word] = tuple(label)

    concluded = knowledge.conclude(words)
    for word, label in zip(words, concluded, strict=True):
        wanted = labels.get(word)
        assert label == (wanted[0] if wanted is not None and n_outputs == 1 else wanted)

    levels = compile_levels(knowledge, limits=NO_LIMITS)
    named = Counter()
    for row in worlds_of(levels):
        states = zip(levels.output_states, row[len(words[0]) :], strict=True)
        named[row[: len(words[0])], tuple(names[v] for names, v in states)] += 1
    assert named == Counter(labels.items())
    assert sorted(reduced_paths(levels.to_diagram())) == worlds_of(levels)


def test_levels_are_symbols_in_reading_order_with_outputs_behind_them():
    levels = compile_levels(DigitAddition(2), limits=NO_LIMITS)
    # Symbols 0 and 1 are the first number, 2 and 3 the second; outputs 4, 5 and 6 the sum.
    assert levels.variables == (1, 3, 6, 0, 2, 5, 4)
    assert levels.output_states == ((0, 1), tuple(range(10)), tuple(range(10)))


def test_columns_of_an_addition_meet_in_two_carries_and_look_alike():
    diagram = diagram_of(DigitAddition(30))
    assert diagram.count() == 10**60
    assert diagram.widths[3::3].tolist() == [2] * 30
    columns = [diagram.levels[3 * i : 3 * i + 3] for i in range(1, 30)]
    for column in columns[1:]:
        for level, first in zip(column, columns[0], strict=True):
            assert level.equal(first)


def test_edges_of_one_state_lead_neighbours_to_neighbours():
    """So that a batch is evaluated by a few long slices, not edge by edge."""
    for knowledge in (DigitAddition(3), SymbolSum(5, states=[3, 0, 1]), Count(6)):
        tables = compile_levels(knowledge, limits=NO_LIMITS).tables
        for table in tables[: knowledge.n_symbols]:
            for targets in as_table(table).T:
                kept = targets[targets >= 0]
                assert (np.diff(kept) >= 0).all()


def test_counts_of_worlds_are_binomials():
    diagram = diagram_of(Exactly(50, 100))
    assert diagram.count() == 2**100
    fifty = StepKnowledge(_count, [False, True], 100, accept=_is_fifty)
    assert diagram_of(fifty).count() == math.comb(100, 50)
    assert diagram_of(fifty).widths.max() == 51


def _count(state, symbol, position):
    return state + symbol


def _is_fifty(state):
    return state == 50


def test_states_that_the_label_does_not_need_are_merged():
    assert diagram_of(Parity(50)).widths.max() == 2
    assert diagram_of(AtMost(3, 50)).widths.max() == 5
    assert diagram_of(StepKnowledge(_count, [0, 1], 50, final=_is_fifty)).widths.max() < 51


@pytest.mark.parametrize("limits", [Limits(max_width=100), Limits(max_edges=10_000)])
def test_machine_that_remembers_everything_is_too_wide(limits):
    name, limit = next((k, v) for k, v in vars(limits).items() if v is not None)
    knowledge = StepKnowledge(_remember, [0, 1], 30, initial=())
    with pytest.raises(TooWideError, match=f"{name}={limit}. Raise the engine's `{name}`"):
        compile_levels(knowledge, limits=limits)


def _remember(state, symbol, position):
    return (*state, symbol)


def test_limits_hold_for_knowledge_that_was_unrolled_before():
    knowledge = SymbolSum(20)
    assert knowledge.output_states == (tuple(range(181)),)
    with pytest.raises(TooWideError, match="max_width=50"):
        compile_levels(knowledge, limits=Limits(max_width=50))


def test_time_limit_stops_a_slow_machine():
    knowledge = StepKnowledge(_remember, [0, 1], 40, initial=())
    with pytest.raises(TimeLimitError, match=r"time_limit=0.05 s \(\d+ of 40 symbols read\)"):
        compile_levels(knowledge, limits=Limits(time_limit=0.05))


@pytest.mark.parametrize("n", [100, 200])
def test_machines_are_refused_by_their_number_of_worlds_however_large(n):
    with pytest.raises(TooManyWorldsError, match=r"has 1(e\+|0\^)\d+ possible worlds.*Raise"):
        enumerate_worlds(DigitAddition(n), max_worlds=50)


def test_paths_to_many_labels_are_listed_in_little_memory():
    def mix(state, symbol, position):
        return (7 * state + symbol) % 503

    knowledge = StepKnowledge(mix, states=range(7), n_symbols=5, accept=bool)
    tracemalloc.start()
    try:
        worlds = enumerate_worlds(knowledge, max_worlds=7**5 - 1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    names = worlds.output_states[0]
    expected = knowledge.conclude(worlds.rows).tolist()
    assert [names[k] for k in worlds.outputs[:, 0]] == expected
    assert len(worlds.rows) == 16773
    assert peak < 30e6  # a column of each label for each path takes 67 MB
