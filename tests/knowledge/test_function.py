"""Knowledge as a Python function."""

import pickle

import numpy as np
import pytest
from problems import add
from sklearn.base import clone

from sknesy.exceptions import InvalidKnowledgeError
from sknesy.knowledge import ClauseKnowledge, FunctionKnowledge, IdentityKnowledge


def divide(a, b):
    return a / b


def test_equal_functions_and_states_are_equal_knowledge():
    assert FunctionKnowledge(add, [range(3)] * 2) == FunctionKnowledge(add, [[0, 1, 2]] * 2)
    assert FunctionKnowledge(add, [range(3)] * 2) != FunctionKnowledge(add, [range(4)] * 2)
    assert hash(FunctionKnowledge(add, [range(3)] * 2)) == hash(
        FunctionKnowledge(add, [range(3)] * 2)
    )


def test_knowledge_is_its_own_clone_and_pickles():
    knowledge = FunctionKnowledge(add, [range(3)] * 2)
    assert clone(knowledge) is knowledge
    assert pickle.loads(pickle.dumps(knowledge)) == knowledge


def test_knowledge_cannot_be_changed():
    knowledge = FunctionKnowledge(add, [range(3)] * 2)
    with pytest.raises(AttributeError):
        knowledge.states = ()


def test_labels_may_be_any_hashable():
    labels = FunctionKnowledge(lambda a, b: (a, str(b)), [range(2), ["x", "y"]])
    assert labels.conclude([[1, 0]])[0] == (1, "x")


def test_names_of_one_type_make_a_plain_array():
    knowledge = FunctionKnowledge(add, [[10, 20], [1, 2, 3]])
    named = knowledge.name_worlds([[0, 2], [1, 0]])
    assert named.tolist() == [[10, 3], [20, 1]]
    assert named.dtype.kind == "i"


def test_names_of_several_types_make_an_object_array():
    named = FunctionKnowledge(add, [[1, 2], ["a", "b"]]).name_worlds(np.array([[0, 1]]))
    assert named.dtype == object
    assert named.tolist() == [[1, "b"]]


def test_function_that_raises_is_named_with_its_states():
    knowledge = FunctionKnowledge(divide, [range(2)] * 2)
    with pytest.raises(
        InvalidKnowledgeError, match=r"for \(0, 0\) it raised ZeroDivisionError.*Return None"
    ):
        knowledge.conclude([[0, 0]])


@pytest.mark.parametrize("label", [[7], {"a"}, float("nan"), (1, [2])])
def test_label_that_is_not_hashable_is_named_with_its_states(label):
    knowledge = FunctionKnowledge(lambda a: label, [range(2)])
    with pytest.raises(InvalidKnowledgeError, match=r"for \(1\) it returned .*number or a string"):
        knowledge.conclude([[1]])


@pytest.mark.parametrize(
    ("states", "error", "message"),
    [
        (3, TypeError, r"states must hold one collection .* got 3.*range\(10\)"),
        ([], ValueError, "at least one symbol, got none"),
        ([3], TypeError, r"states\[0\] must be a collection .* got 3"),
        (["ab"], TypeError, r"states\[0\] must be a collection .* got 'ab'"),
        ([[]], ValueError, r"states\[0\] must hold at least one state"),
        ([[1, 1]], ValueError, r"states\[0\] must hold different names, got 1 twice"),
        ([[[1]]], TypeError, r"states\[0\] must hold hashable names .* got \[1\]"),
    ],
)
def test_wrong_states_are_named(states, error, message):
    with pytest.raises(error, match=message):
        FunctionKnowledge(add, states)


@pytest.mark.parametrize("function", [lambda a: a, lambda a, b, c: a, lambda a, *, b: a])
def test_function_of_another_number_of_symbols_is_named(function):
    with pytest.raises(TypeError, match=r"must take 2 arguments.*signature is \(a.*Change"):
        FunctionKnowledge(function, [range(2)] * 2)


def test_function_that_does_not_tell_its_arguments_is_tried():
    assert FunctionKnowledge(max, [range(2)] * 2).conclude([[0, 1]]).tolist() == [1]


def test_function_that_is_none_is_named():
    with pytest.raises(TypeError, match="function must be callable, got 7.*lambda"):
        FunctionKnowledge(7, [range(2)])


@pytest.mark.parametrize(
    ("worlds", "message"),
    [
        ([[1, 2, 0]], r"shape \(n_worlds, 2\).* got \(1, 3\)"),
        ([[1, 3]], "state 3 for symbol 1, which has the states 0 ... 2"),
        ([[0.5, 1]], "must hold ints, got float64"),
    ],
)
def test_wrong_worlds_are_named(worlds, message):
    with pytest.raises(ValueError, match=message):
        FunctionKnowledge(add, [range(3)] * 2).conclude(worlds)


def test_repr_is_one_short_line():
    assert (
        repr(FunctionKnowledge(add, [range(10)] * 2)) == "FunctionKnowledge(add, [range(10)] * 2)"
    )
    many = FunctionKnowledge(lambda *a: 0, [range(10)] * 40)
    assert repr(many) == "FunctionKnowledge(<lambda>, [range(10)] * 40)"
    assert repr(IdentityKnowledge(range(3))) == "IdentityKnowledge(range(3))"
    clauses = ClauseKnowledge([[1, 2]], [[1], [2]])
    assert repr(clauses) == "ClauseKnowledge(1 clause, 2 symbols of 2 states)"


def _sums(worlds):
    return worlds.sum(axis=1)


def test_batched_function_sees_names_and_concludes_as_one_by_one():
    states = [(1, 2, 5), (10, 20), (0, 7, 9)]
    one = FunctionKnowledge(lambda a, b, c: a + b + c, states)
    many = FunctionKnowledge(_sums, states, batched=True)
    worlds = list(np.ndindex(3, 2, 3))
    assert many.conclude(worlds).tolist() == one.conclude(worlds).tolist()
    assert {type(label) for label in many.conclude(worlds)} == {int}
    assert len(many.conclude(np.empty((0, 3), dtype=int))) == 0
    assert many == FunctionKnowledge(_sums, states, batched=True)


def test_batched_function_may_rule_out_worlds_and_return_tuples():
    def label(worlds):
        return [None if a == b else (int(a), int(b)) for a, b in worlds]

    knowledge = FunctionKnowledge(label, [range(2)] * 2, batched=True)
    assert knowledge.conclude([[0, 0], [0, 1]]).tolist() == [None, (0, 1)]


def test_batched_function_of_too_few_labels_is_named():
    knowledge = FunctionKnowledge(lambda worlds: worlds[:1, 0], [range(2)] * 2, batched=True)
    with pytest.raises(InvalidKnowledgeError, match="2 worlds it returned 1"):
        knowledge.conclude([[0, 0], [0, 1]])


def test_batched_function_that_raises_is_named_with_the_shape():
    knowledge = FunctionKnowledge(lambda worlds: worlds / "a", [range(2)] * 2, batched=True)
    with pytest.raises(InvalidKnowledgeError, match=r"\(1, 2\).*many worlds"):
        knowledge.conclude([[0, 0]])


def test_batched_function_takes_one_argument():
    with pytest.raises(TypeError, match="one argument.*leave out `batched`"):
        FunctionKnowledge(lambda a, b: a, [range(2)] * 2, batched=True)
    with pytest.raises(TypeError, match="batched must be True or False, got 'yes'"):
        FunctionKnowledge(_sums, [range(2)] * 2, batched="yes")


def test_batched_function_returns_no_nan():
    knowledge = FunctionKnowledge(lambda worlds: [float("nan")], [range(2)] * 2, batched=True)
    with pytest.raises(InvalidKnowledgeError, match="other than NaN"):
        knowledge.conclude([[0, 0]])
