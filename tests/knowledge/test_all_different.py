"""Symbols that take pairwise different states."""

import itertools
import pickle

import pytest

from sknesy.knowledge import AllDifferent, ClauseKnowledge, DistinctConstraint


def test_label_is_true_where_no_two_symbols_of_a_scope_are_alike():
    scopes = [[0, 1, 2], [2, 3]]
    knowledge = AllDifferent(4, ["a", "b", "c"], scopes=scopes)
    worlds = list(itertools.product(range(3), repeat=4))
    expected = [len({*w[:3]}) == 3 and w[2] != w[3] for w in worlds]
    assert knowledge.conclude(worlds).tolist() == expected
    # The clauses that a solver is given say the same.
    clauses = ClauseKnowledge(knowledge.clauses, knowledge.symbols)
    assert clauses.conclude(worlds).tolist() == expected


def test_states_are_alike_by_their_names_whatever_their_numbers():
    knowledge = AllDifferent(symbol_states=[["x", "y"], ["y"], ["z", 1, "x"]])
    worlds = list(itertools.product(range(2), range(1), range(3)))
    named = [[("x", "y")[a], "y", ("z", 1, "x")[c]] for a, _, c in worlds]
    assert knowledge.conclude(worlds).tolist() == [len({*names}) == 3 for names in named]


@pytest.mark.parametrize("names", [("again", "new"), ((0, 0), (1, 1))], ids=["words", "tuples"])
def test_labels_may_be_named(names):
    knowledge = AllDifferent(2, range(2), names=names)
    assert knowledge.conclude([[0, 0], [0, 1], [1, 1]]).tolist() == [names[0], names[1], names[0]]
    assert knowledge.label_if_satisfied == names[1]


def test_it_is_a_value():
    knowledge = AllDifferent(3, range(4), scopes=[[0, 1], [1, 2]])
    again = AllDifferent(symbol_states=[range(4)] * 3, scopes=((0, 1), (1, 2)))
    assert knowledge == again == pickle.loads(pickle.dumps(knowledge))
    assert hash(knowledge) == hash(again)
    assert knowledge != AllDifferent(3, range(4))
    assert repr(knowledge) == "AllDifferent(3, range(4), scopes=[[0, 1], [1, 2]])"
    assert eval(repr(knowledge)) == knowledge


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"states": range(3)}, r"n_symbols must be .* got None. Pass .*AllDifferent\(9"),
        ({"scopes": 3}, r"scopes must hold groups of symbols, got 3\. Pass"),
        ({"scopes": [0, 1]}, r"scopes\[0\] must be a group .* got 0\. Write one group"),
        ({"scopes": [[0, 4]]}, r"scopes\[0\] must hold .* 0 \.\.\. 3, got 4\. Symbols are"),
        ({"scopes": [[0, True]]}, r"scopes\[0\] must hold numbers .* got True"),
        ({"scopes": [[0, 1], [2]]}, r"scopes\[1\] .* at least two .* got \[2\]\. .*leave out"),
        ({"scopes": [[1, 1]]}, r"scopes\[0\] .* each once, got \[1, 1\]"),
        ({"n_symbols": 1}, r"n_symbols must be at least 2, got 1\. A symbol is never"),
        ({}, r"scopes\[0\] must have as many states .* 4 symbols have 3 .*Give more states"),
        (
            {"scopes": [[0, 1]], "names": "no"},
            "names must be a collection of names of states, got .no",
        ),
    ],
)
def test_wrong_arguments_are_errors_that_say_the_value_and_the_cure(arguments, message):
    if "states" not in arguments:
        arguments = {"n_symbols": 4, "states": range(3), **arguments}
    with pytest.raises((TypeError, ValueError), match=message):
        AllDifferent(**arguments)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (3, r"groups must hold the literals of each variable, got 3\. Pass"),
        ({"a": 1}, r"groups must hold the literals"),
        ([1, 2], r"groups\[0\] must hold a literal for each value, got 1\. Pass"),
        ([[1, 0]], r"groups\[0\] must hold ints other than 0, got 0\. Number"),
        ([[1], [2.5]], r"groups\[1\] must hold ints other than 0, got 2\.5"),
    ],
)
def test_wrong_groups_are_errors_that_say_the_value_and_the_cure(groups, message):
    with pytest.raises((TypeError, ValueError), match=message):
        DistinctConstraint(groups)


def test_values_of_a_constraint_may_be_named():
    red, blue, also_red = 1, 2, 3
    constraint = DistinctConstraint([{"red": red, "blue": blue}, {"red": also_red}])
    knowledge = ClauseKnowledge([], [[1, 2], [3]], constraints=[constraint])
    assert knowledge.conclude([[0, 0], [0, 1], [1, 1]]).tolist() == [True, False, True]
