"""Whether labels tell the symbols: the maps of states found, against all maps on all worlds."""

import itertools
import pickle
import time
from functools import partial

import cpmpy
import numpy as np
import pytest
from puzzles import sudoku
from readings import (
    maps_that_keep_labels,
    smallest_number_known,
    smallest_number_of_labels,
    worlds_that_occur,
)

from sknesy.exceptions import InconsistentLabelError, UnsupportedKnowledgeError
from sknesy.inspection import check_identifiability
from sknesy.inspection._clause_check import ClauseCheck
from sknesy.inspection._identifiability import _read_symbols
from sknesy.inspection._listed_check import ListedCheck
from sknesy.inspection._state_maps import MapSearch
from sknesy.knowledge import (
    AnyOf,
    ClauseKnowledge,
    DigitAddition,
    FunctionKnowledge,
    LinearConstraint,
    Parity,
    StepKnowledge,
    SymbolSum,
    encode_labels,
    from_cpmpy,
)
from sknesy.sat import NEVER

ALL_WAYS = (True, False)


def in_both_orders(*pairs):
    return sorted({pair for a, b in pairs for pair in ((a, b), (b, a))})


HALF = in_both_orders((0, 0), (0, 1), (2, 3), (2, 4))
EVEN_ODD = in_both_orders((0, 6), (2, 8), (4, 6), (4, 8), (1, 5), (3, 7), (1, 9), (3, 9))


def images(found):
    return {state_map.images for state_map in found.maps}


def groups_of(shared, n_symbols):
    if isinstance(shared, bool):
        return [tuple(range(n_symbols))] if shared else [(s,) for s in range(n_symbols)]
    return [tuple(group) for group in shared]


def conclude_by(knowledge):
    """The labels of all worlds, looked up by world."""
    worlds = list(itertools.product(*map(range, knowledge.n_states.tolist())))
    return dict(zip(worlds, knowledge.conclude(worlds), strict=True)).__getitem__


def expected_maps(knowledge, shared, labels=None, worlds=None):
    n_states, conclude = knowledge.n_states.tolist(), conclude_by(knowledge)
    worlds = worlds or worlds_that_occur(n_states, conclude, labels)
    groups = groups_of(shared, knowledge.n_symbols)
    return maps_that_keep_labels(n_states, conclude, groups, worlds)


# Sizes of symbols and their groups, such that all maps can be tried.
SHAPES = [
    ((3, 3), True),
    ((3, 3), False),
    ((2, 3), False),
    ((2, 3), True),
    ((4, 4), True),
    ((2, 2, 2), True),
    ((2, 2, 2), False),
    ((3, 3, 3), True),
    ((3, 2, 2), [[0], [1, 2]]),
    ((2, 3, 2), [[0, 2], [1]]),
    ((2, 2, 2, 2), [[0, 3], [1, 2]]),
]


class Labels:
    """A table of labels, looked up by world."""

    def __init__(self, n_states, labels):
        worlds = itertools.product(*map(range, n_states))
        self.of_world = dict(zip(worlds, labels, strict=True))

    def __call__(self, *world):
        return self.of_world[world]


def random_problem(seed):
    """Knowledge by a random table of labels, often symmetric, and labels that are observed."""
    rng = np.random.default_rng(seed)
    n_states, shared = SHAPES[seed % len(SHAPES)]
    n_labels = int(rng.integers(2, 5))
    worlds = np.array(list(itertools.product(*map(range, n_states))))
    labels = rng.integers(n_labels, size=len(worlds))
    if seed % 3 == 0:  # the label depends on the sum of something, so that there is symmetry
        labels = (worlds % 2 if seed % 2 else worlds).sum(axis=1) % n_labels
    is_out = rng.random(len(worlds)) < 0.15
    labels = [None if out else int(y) for y, out in zip(labels, is_out, strict=True)]
    labels[0] = 0
    of = Labels(n_states, labels)
    possible = sorted({y for y in labels if y is not None})
    observed = None
    if seed % 4 == 1:
        observed = sorted(rng.permutation(possible)[: max(1, len(possible) - 1)].tolist())
    knowledge = FunctionKnowledge(of, [range(n) for n in n_states])
    return knowledge, of.of_world.__getitem__, shared, observed


@pytest.mark.slow
def test_maps_are_those_of_brute_force_on_200_random_knowledges():
    n_open = 0
    for seed in range(200):
        knowledge, of, shared, observed = random_problem(seed)
        n_states = knowledge.n_states.tolist()
        worlds = worlds_that_occur(n_states, of, observed)
        expected = maps_that_keep_labels(n_states, of, groups_of(shared, len(n_states)), worlds)
        found = check_identifiability(knowledge, observed, shared, max_maps=10_000)
        assert images(found) == expected, seed
        assert len(found.maps) == len(expected)
        assert found.is_complete
        assert found.is_identified is (len(expected) == 1)
        assert len(found.known_states) == smallest_number_known(expected)
        n_open += not found.is_identified
    assert 50 < n_open < 180  # both answers are met


def by_check(knowledge, check, shared):
    """Maps as found with another check of maps."""
    symbols = _read_symbols(knowledge, shared)
    with MapSearch(symbols, check) as search:
        found = []
        while (state_map := search.find(NEVER)) is not None:
            found.append(state_map)
            search.exclude(state_map)
    widths = [max(knowledge.n_states[list(group)]) for group in symbols.groups]
    return {tuple(tuple(row[:n]) for row, n in zip(m.tolist(), widths, strict=True)) for m in found}


@pytest.mark.parametrize("seed", range(22))
def test_worlds_one_by_one_lead_to_the_same_maps_as_diagrams(seed):
    knowledge, of, shared, observed = random_problem(seed)
    worlds = worlds_that_occur(knowledge.n_states.tolist(), of, observed)
    check = ListedCheck(knowledge, np.array(worlds), [*map(of, worlds)], is_exact=True)
    assert by_check(knowledge, check, shared) == images(
        check_identifiability(knowledge, observed, shared, max_maps=10_000)
    )


def random_clauses(seed):
    """Clauses over two symbols of three states and a Boolean one; of some, an output follows."""
    rng = np.random.default_rng(seed)
    clauses = []
    for _ in range(int(rng.integers(2, 6))):
        literals = rng.choice(7, size=3, replace=False) + 1
        clauses.append((literals * rng.choice([-1, 1], 3)).tolist())
    symbols, outputs = [[1, 2, 3], [4, 5, 6], [7]], None
    if seed % 2:
        # 8 holds exactly where the literals of the first clause do not all fail
        first = clauses.pop(0)
        clauses += [[-8, *first], *([8, -x] for x in first)]
        outputs = [[8]]
    return ClauseKnowledge(clauses, symbols, outputs)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize("shared", [False, [[0, 1], [2]]])
def test_the_solver_finds_the_maps_of_clauses_that_diagrams_and_brute_force_find(seed, shared):
    knowledge = random_clauses(seed)
    labels = [None, [True], [False]][seed % 3]
    conclude = conclude_by(knowledge)
    if not worlds_that_occur(knowledge.n_states.tolist(), conclude, labels):
        labels = None
    expected = expected_maps(knowledge, shared, labels)
    rows = None if labels is None else encode_labels(labels, knowledge.output_states)
    assert by_check(knowledge, ClauseCheck(knowledge, rows, NEVER), shared) == expected
    assert images(check_identifiability(knowledge, labels, shared, max_maps=10_000)) == expected


@pytest.mark.parametrize("shared", ALL_WAYS)
@pytest.mark.parametrize("n_digits", [1, 2, 3, 4])
def test_digits_are_identified_by_their_sum(n_digits, shared):
    found = check_identifiability(SymbolSum(n_digits), shared=shared)
    assert found.is_identified is True
    assert [state_map.is_identity for state_map in found.maps] == [True]
    assert found.confused == found.known_states == ()
    assert found.next_known_state is None


@pytest.mark.parametrize("shared", [*ALL_WAYS, [[0, 2], [1]]])
@pytest.mark.parametrize("n_symbols", [2, 3])
def test_parity_leaves_the_maps_of_brute_force(n_symbols, shared):
    if n_symbols == 2 and shared == [[0, 2], [1]]:
        shared = [[1], [0]]
    knowledge = Parity(n_symbols)
    assert images(check_identifiability(knowledge, shared=shared)) == expected_maps(
        knowledge, shared
    )


def last_digit(a, b, base=10):
    return (a + b) % base


def test_sums_modulo_4_leave_the_maps_of_brute_force():
    knowledge = FunctionKnowledge(partial(last_digit, base=4), states=range(4), n_symbols=2)
    for shared in ALL_WAYS:
        found = check_identifiability(knowledge, shared=shared)
        assert images(found) == expected_maps(knowledge, shared)


@pytest.mark.parametrize("base", [10, 14])  # of many states, not all pairs exclude each other
@pytest.mark.parametrize("shared", ALL_WAYS)
def test_sums_modulo_a_number_leave_shifts(base, shared):
    """By symbol a + k and b - k; with one map for both, 2 k must be a multiple of the base."""
    knowledge = FunctionKnowledge(partial(last_digit, base=base), states=range(base), n_symbols=2)
    found = check_identifiability(knowledge, shared=shared)
    assert len(found.maps) == len(found.symmetries) == (2 if shared else base)
    for state_map in found.maps:
        shift = state_map[0][0]
        assert state_map[0] == {v: (v + shift) % base for v in range(base)}
        assert state_map[1] == {v: (v - shift) % base for v in range(base)}


def maps_of_pairs(pairs, n_digits):
    """Maps that keep the sums of pairs: one digit after the other, each bound to one before."""
    cells = {cell: None for pair in pairs for cell in pair}
    order = []
    while len(order) < len(cells):
        bound = [c for c in cells if any(c in pair and {*order} & {*pair} for pair in pairs)]
        order.append(next(c for c in [*bound, *cells] if c not in order))
    found = [{}]
    for cell in order:
        found = [
            longer
            for shorter in found
            for longer in ({**shorter, cell: w} for w in range(n_digits))
            if all(
                longer[a] + longer[b] == a[1] + b[1]
                for a, b in pairs
                if a in longer and b in longer
            )
        ]
    return found


@pytest.mark.parametrize("shared", ALL_WAYS)
@pytest.mark.parametrize(("worlds", "n_digits"), [(HALF, 5), (EVEN_ODD, 10)])
def test_pairs_of_digits_leave_as_many_maps_as_a_plain_search_finds(worlds, n_digits, shared):
    cells = [((0, a), (0 if shared else 1, b)) for a, b in worlds]
    expected = maps_of_pairs(cells, n_digits)
    found = check_identifiability(
        SymbolSum(2, states=range(n_digits)), shared=shared, worlds=worlds, max_maps=2_000
    )
    assert found.is_complete
    assert {
        tuple(state_map[s][v] for s, v in sorted({c for pair in cells for c in pair}))
        for state_map in found.maps
    } == {tuple(partial[key] for key in sorted(partial)) for partial in expected}
    assert len(found.maps) == len(expected)


def test_half_and_even_odd_have_the_number_of_maps_that_is_known():
    half = check_identifiability(SymbolSum(2, states=range(5)), worlds=HALF)
    even_odd = check_identifiability(SymbolSum(2), worlds=EVEN_ODD)
    assert (len(half.maps), len(even_odd.maps)) == (3, 36)


def is_kandinsky(*figure):
    """Shapes all alike or all different, and two objects of one colour."""
    return len(set(figure[:3])) != 2 and len(set(figure[3:])) == 2


def test_kandinsky_has_162_solutions_36_symmetries_and_6_orbits():
    shapes, colours = ["square", "circle", "triangle"], ["red", "yellow", "blue"]
    knowledge = FunctionKnowledge(is_kandinsky, [shapes] * 3 + [colours] * 3)
    solutions = [
        figure
        for figure in itertools.product(*[shapes] * 3, *[colours] * 3)
        if is_kandinsky(*figure)
    ]
    found = check_identifiability(knowledge, shared=[[0, 1, 2], [3, 4, 5]])
    assert len(solutions) == 162
    assert len(found.symmetries) == len(found.maps) == 36
    orbits = {
        frozenset(map(tuple, np.concatenate([m.rename([z]) for m in found.maps]).tolist()))
        for z in solutions
    }
    assert len(orbits) == 6
    # Where all figures obey the rule, one shape for all will do.
    of_solutions = check_identifiability(knowledge, [True], shared=[[0, 1, 2], [3, 4, 5]])
    assert (len(of_solutions.maps), len(of_solutions.symmetries)) == (54, 36)


def permutes(state_map):
    return state_map.is_permutation and len({tuple(row) for row in state_map.images}) == 1


@pytest.mark.parametrize("labels", [None, [True]])
def test_digits_of_a_4x4_sudoku_may_be_permuted(labels):
    knowledge = sudoku(2)
    found = check_identifiability(knowledge, labels)
    assert images(found) == {(p,) for p in itertools.permutations(range(4))}
    assert len(found.known_states) == 3


@pytest.mark.slow
def test_4x4_sudokus_by_position_are_permuted_or_all_taken_for_one_grid():
    knowledge = sudoku(2)
    found = check_identifiability(knowledge, [True], shared=False, time_limit=60)
    constant = [m for m in found.maps if all(len(set(row)) == 1 for row in m.images)]
    assert len(constant) == 288  # grids there are
    assert len(found.maps) == 288 + 24
    assert sum(map(permutes, found.maps)) == 24


@pytest.mark.slow
def test_further_labels_are_as_few_as_brute_force_finds():
    n_met = 0
    for seed in range(1, 200, 4):  # of these, some labels are observed
        knowledge, of, shared, observed = random_problem(seed)
        found = check_identifiability(knowledge, observed, shared, max_maps=10_000)
        if found.is_identified:
            assert found.further_labels is found.next_label is None
            continue
        n_states = knowledge.n_states.tolist()
        further = sorted({of(z) for z in worlds_that_occur(n_states, of)} - {*observed})
        groups = groups_of(shared, len(n_states))
        expected = smallest_number_of_labels(n_states, of, groups, observed, further)
        got = found.further_labels
        assert (None if got is None else len(got)) == expected, seed
        if got is None:
            assert any("no further labels" in note for note in found.notes)
            continue
        n_met += 1
        again = check_identifiability(knowledge, [*observed, *got], shared, max_maps=10_000)
        seen = {(tuple(g), v) for g in groups for v in range(max(n_states))} - {*found.unseen}
        assert not seen & {(c.symbols, c.state) for c in again.confused}
        assert found.next_label in further
    assert n_met > 5


def test_knowledge_of_every_language_leaves_the_same_maps():
    def step(remainder, is_true, position):
        return (remainder + is_true) % 2

    x = cpmpy.boolvar(3, name="x")
    knowledge = {
        "function": FunctionKnowledge(
            lambda *bits: sum(bits) % 2 == 1, states=range(2), n_symbols=3
        ),
        "steps": StepKnowledge(step, range(2), 3, final=bool),
        "clauses": ClauseKnowledge(
            [[1, 2, 3], [1, -2, -3], [-1, 2, -3], [-1, -2, 3]], [[1], [2], [3]]
        ),
        "cpmpy": from_cpmpy(cpmpy.Model(cpmpy.sum(x) % 2 == 1), symbols=x),
    }
    for shared in ALL_WAYS:
        expected = expected_maps(knowledge["function"], shared)
        for name, same in knowledge.items():
            assert images(check_identifiability(same, shared=shared)) == expected, name


def test_constraints_and_several_outputs_leave_the_maps_of_brute_force():
    counted = ClauseKnowledge(
        [],
        symbols=[[1, 2, 3], [4, 5, 6]],
        constraints=[LinearConstraint([2, 3, 5, 6], [1, 2, 1, 2], "<=", 2)],
    )
    for shared in ALL_WAYS:
        assert images(check_identifiability(counted, shared=shared)) == expected_maps(
            counted, shared
        )
    small = DigitAddition(1, base=3)
    labels = small.join_labels([(0, 2), (1, 0)]).tolist()
    found = check_identifiability(small, labels)
    assert images(found) == expected_maps(small, True, [(0, 2), (1, 0)])


def test_labels_may_come_as_y_with_repeats_and_the_label_of_y_is_in_further_labels():
    addition = DigitAddition(1)
    found = check_identifiability(addition, np.array([3, 4, 15, 15, 3]))
    assert not found.is_identified
    assert found.unseen == (((0, 1), 5),)
    (label,) = found.further_labels
    assert check_identifiability(addition, [3, 4, 15, label]).is_identified


def test_the_end_of_a_sequence_is_no_state_that_is_confused():
    found = check_identifiability(Parity().unroll(2))
    assert found.is_identified  # one symbol alone tells its state
    unrolled = AnyOf().unroll(3)
    assert images(check_identifiability(unrolled)) == {((0, 1, 2),)}


def test_symbols_with_fewer_states_are_not_padded():
    """By position, 2 x 3 states have maps of 2 and of 3 states, none of which leaves its symbol."""
    knowledge = FunctionKnowledge(lambda a, b: "any", [range(2), range(3)])
    found = check_identifiability(knowledge, shared=False)
    assert len(found.maps) == 2**2 * 3**3
    # One map for both: the states 0 and 1 stay what both symbols have, 2 may be any.
    assert len(check_identifiability(knowledge).maps) == 2**2 * 3


def is_second_positive(a, b):
    return None if a else b > 0


def test_a_state_of_some_symbols_of_a_group_may_be_taken_for_one_that_only_they_have():
    """Symbol 0 is never in state 1, so that its lack of a state 2 does not matter."""
    knowledge = FunctionKnowledge(is_second_positive, [range(2), range(3)])
    found = check_identifiability(knowledge)
    assert images(found) == expected_maps(knowledge, True)
    assert found.maps[1][1] in ({0: 0, 1: 2, 2: 2}, {0: 0, 1: 1, 2: 1}, {0: 0, 1: 2, 2: 1})


def is_even(*digits):
    return sum(digits) % 2 == 0


def test_more_maps_than_are_listed_leave_no_doubt_which_states_are_confused():
    """Each digit may be taken for each other of its parity, or all for those of the other one."""
    knowledge = FunctionKnowledge(is_even, states=range(10), n_symbols=2)
    found = check_identifiability(knowledge, max_maps=20)
    assert len(found.maps) == 20
    assert (found.is_complete, found.is_confused_complete) == (False, True)
    assert {(c.state, c.taken_for) for c in found.confused} == {
        (v, w) for v in range(10) for w in range(10) if v != w
    }
    assert len(found.known_states) == 10
    assert "max_maps=20" in repr(found)
    assert "more than 19 maps" in repr(found)


def add_all(*digits):
    return sum(digits)


def test_a_black_box_beyond_reach_is_identified_by_draws_or_left_open():
    of_sums = FunctionKnowledge(add_all, states=range(5), n_symbols=20)
    assert check_identifiability(of_sums).is_identified is True
    of_parity = FunctionKnowledge(is_even, states=range(5), n_symbols=20)
    found = check_identifiability(of_parity)
    assert found.is_identified is None
    assert found.maps[0].is_identity
    assert found.known_states is found.next_known_state is None
    assert repr(found).startswith("Not decided")
    assert "no small diagram" in repr(found)


def test_worlds_that_occur_are_enough_where_knowledge_is_beyond_reach():
    of_parity = FunctionKnowledge(is_even, states=range(5), n_symbols=20)
    worlds = [[0] * 20, [1] + [0] * 19]
    found = check_identifiability(of_parity, worlds=worlds)
    assert {(m[0][0], m[0][1]) for m in found.maps} == {
        (a, b) for a in range(5) for b in range(5) if a % 2 != b % 2
    }
    assert found.is_complete


def wait(a, b):
    time.sleep(0.05)
    return a + b


@pytest.mark.slow
def test_what_the_time_does_not_decide_is_left_open():
    slow = FunctionKnowledge(wait, states=range(40), n_symbols=2)
    start = time.monotonic()
    found = check_identifiability(slow, time_limit=1.0)
    assert found.is_identified is None
    assert time.monotonic() - start < 4  # not the 80 s that all worlds take
    assert "no small diagram" in found.notes[0]


def test_states_without_number_are_left_open():
    found = check_identifiability(FunctionKnowledge(abs, [range(2_000)]))
    assert found.is_identified is None
    assert "2,000 states" in found.notes[0]


def append(word, letter, position):
    return word + letter


def test_a_machine_beyond_reach_is_left_open():
    words = StepKnowledge(append, [*"abcd"], 12, initial="", final=len)
    found = check_identifiability(words, time_limit=0.5)
    assert found.is_identified is None
    assert "no small diagram" in repr(found)


@pytest.mark.slow
def test_9x9_sudokus_are_answered_or_left_open_within_the_time():
    found = check_identifiability(sudoku(3), [True], time_limit=2)
    assert found.is_identified is not True
    assert all(permutes(state_map) for state_map in found.maps)


def test_the_same_question_has_the_same_answer():
    knowledge = FunctionKnowledge(last_digit, states=range(10), n_symbols=2)
    first, second = (check_identifiability(knowledge, shared=False) for _ in range(2))
    assert repr(first) == repr(second)
    assert first.maps == second.maps


def test_answers_pickle_and_name_states_as_the_knowledge_does():
    found = pickle.loads(pickle.dumps(check_identifiability(Parity(2))))
    assert found.maps[1][0] == {False: True, True: False}
    assert repr(found.maps[1]) == "StateMap(False -> True, True -> False)"
    assert [tuple(c) for c in found.confused] == [
        ((0, 1), False, True, 1),
        ((0, 1), True, False, 1),
    ]
    assert found.next_known_state == ((0, 1), False, 1)
    np.testing.assert_array_equal(found.maps[1].rename([[True, False]]), [[False, True]])
    by_position = check_identifiability(Parity(2), shared=False)
    assert "symbol 0: False -> True" in repr(by_position.maps[1])
    assert "False of symbol 0 may be taken for True" in repr(by_position)


COLOURS = FunctionKnowledge(lambda a, b: a == b, [["red", "blue"], [0, 1]])


@pytest.mark.parametrize(
    ("arguments", "kind", "value", "cure"),
    [
        ({"knowledge": 3}, TypeError, "got 3", "SymbolSum"),
        ({"knowledge": AnyOf()}, UnsupportedKnowledgeError, "AnyOf", "unroll"),
        ({"knowledge": COLOURS}, ValueError, "'red', 'blue'", r"shared=\[\[0\], \[1\]\]"),
        ({"labels": [99]}, InconsistentLabelError, "99", "Check labels"),
        ({"labels": 3}, InconsistentLabelError, "labels are .*got 3", "Pass a list"),
        ({"labels": []}, ValueError, "got none", "Pass None"),
        ({"shared": "all"}, TypeError, "'all'", "Pass for example"),
        ({"shared": [0, 1]}, TypeError, "got 0", "Pass for example"),
        ({"shared": [[0]]}, ValueError, r"\[\[0\]\]", "Pass for example"),
        ({"shared": [[0, 1], [1]]}, ValueError, r"\[\[0, 1\], \[1\]\]", "Pass for example"),
        ({"time_limit": 0}, ValueError, "got 0", "time_limit=10"),
        ({"time_limit": "1 s"}, TypeError, "'1 s'", "time_limit=10"),
        ({"max_maps": 1}, ValueError, "got 1", "such as 1000"),
        ({"worlds": "ab"}, TypeError, "'ab'", "Pass for example"),
        ({"worlds": []}, ValueError, "got none", "Pass None"),
        ({"worlds": [[0, 12]]}, InconsistentLabelError, "12", "Pass names of states"),
        ({"worlds": [[0, None]]}, ValueError, "symbol 1", "Pass names of states"),
        ({"worlds": [[0, 1, 2]]}, ValueError, "2 symbols", "Pass names of states"),
        ({"worlds": [[0, 1]], "labels": [5]}, InconsistentLabelError, "none", "Check worlds"),
    ],
)
def test_errors_name_the_value_and_the_cure(arguments, kind, value, cure):
    with pytest.raises(kind, match=f"(?s){value}.*{cure}"):
        check_identifiability(**{"knowledge": SymbolSum(2), **arguments})


def differ(a, b):
    return a + b if a != b else None


def test_worlds_that_are_ruled_out_cannot_occur():
    knowledge = FunctionKnowledge(differ, states=range(3), n_symbols=2)
    with pytest.raises(InconsistentLabelError, match=r"\(1, 1\).*Check worlds"):
        check_identifiability(knowledge, worlds=[[0, 1], [1, 1]])


def test_maps_rename_only_worlds_of_their_states():
    swap = check_identifiability(Parity(2)).maps[1]
    with pytest.raises(ValueError, match=r"holds 7 for symbol 1.*Pass names"):
        swap.rename([[False, 7]])
    with pytest.raises(ValueError, match=r"\(n_worlds, 2\).*got \(3,\)"):
        swap.rename([0, 1, 1])
