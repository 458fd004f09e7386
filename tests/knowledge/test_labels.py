"""What is a label of which knowledge, and what is not."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch

from sknesy._validation import as_column, check_labels
from sknesy.exceptions import InconsistentLabelError, InvalidKnowledgeError
from sknesy.inference import DiagramEngine, EnumerationEngine, ModeEngine
from sknesy.knowledge import (
    AnyOf,
    ClauseKnowledge,
    DigitAddition,
    FunctionKnowledge,
    IdentityKnowledge,
    StepKnowledge,
    SymbolSum,
)

SUM_AND_TRUTH = StepKnowledge(lambda s, v, _: s + v, range(3), 2, final=[str, bool])
WORLDS = [[0, 1], [1, 1], [0, 0], [1, 2]]

# Labels as knowledge with one output concludes them, of one kind or mixed.
LABELS = {
    "ints": [3, 1, 3],
    "huge ints": [2**63, -1, 10**400],
    "bools": [True, False],
    "floats": [0.5, -0.0, 1e300],
    "fractions": [Fraction(1, 2), Fraction(3)],
    "strings": ["b", "a", "a\0"],
    "tuples": [(1, "a"), (2, "b")],
    "mixed": [1, "a", (2,), None.__class__, 0.5, True],
}
one_output = FunctionKnowledge(max, [range(2)] * 2)


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels_are_read_as_they_are_from_whatever_holds_them(labels):
    def concluded():
        knowledge = FunctionKnowledge(labels.__getitem__, [range(len(labels))])
        return knowledge.conclude([[i] for i in range(len(labels))])

    column = np.fromiter(labels, dtype=object, count=len(labels))
    for y in (
        labels,
        tuple(labels),
        concluded(),
        column,
        column[:, None],
        as_column(labels),
        as_column(labels)[:, None],
        pd.Series(column),
        pd.Series(as_column(labels), index=range(5, 5 + len(labels))),
        pd.DataFrame({"y": column}),
        [[label] for label in labels],
    ):
        read = one_output.read_labels(y)
        assert read == labels
        assert list(map(type, read)) == list(map(type, labels))
        assert one_output.split_labels(y).tolist() == labels
        assert one_output.join_labels(one_output.split_labels(y)).tolist() == labels


@pytest.mark.parametrize("knowledge", [SUM_AND_TRUTH, DigitAddition(1)])
def test_rows_are_read_as_they_are_from_whatever_holds_them(knowledge):
    concluded = knowledge.conclude(WORLDS)
    rows = concluded.tolist()
    for y in (
        concluded,
        rows,
        list(map(list, rows)),
        np.array(rows, dtype=object),
        pd.Series(concluded),
        pd.DataFrame(rows),
        [np.array(row, dtype=object) for row in rows],
    ):
        read = knowledge.read_labels(y)
        assert read == rows
        assert [list(map(type, row)) for row in read] == [list(map(type, row)) for row in rows]
        assert knowledge.split_labels(y).shape == (len(WORLDS), 2)


def test_sums_stand_in_any_column():
    sums = np.array([10**30, 7], dtype=object)
    addition = DigitAddition(30)
    for y in (sums[:, None], pd.Series(sums), pd.DataFrame({"y": sums}), sums.tolist()):
        assert addition.join_labels(addition.split_labels(y)).tolist() == sums.tolist()


def test_numbers_of_libraries_are_plain():
    for y in (
        torch.tensor([1, 0]),
        pd.Series([1, 0], dtype="Int64"),
        np.array([1, 0], dtype=np.uint8),
        [np.int32(1), np.int64(0)],
        np.array([np.int8(1), 0], dtype=object),
    ):
        read = one_output.read_labels(y)
        assert read == [1, 0]
        assert {type(label) for label in read} == {int}


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1, None], "got None for sample 1: it is missing. Leave the sample out, or .*_weight 0"),
        ([1.0, np.nan], "got nan for sample 1: it is missing"),
        (pd.Series([1, None], dtype="Int64"), "got nan for sample 1: it is missing"),
        (np.ma.masked_array([1, 2], mask=[0, 1]), "got None for sample 1: it is missing"),
        ([1, np.ma.masked], "got None for sample 1: it is missing"),
        ([1, np.ma.array(2, mask=True)], "got None for sample 1: it is missing"),
        ([1, {1, 2}], r"got \{1, 2\} \(set\) for sample 1. A set is no label; name .* tuples"),
        ([1, frozenset([2])], r"got frozenset\(\{2\}\).* A set is no label"),
        ([[1, 2], [3]], r"hashable label .* got \[1, 2\] \(list\) for sample 0. Use tuples"),
        ([[3, 1]], r"one label for each sample.* got the shape \(1, 2\). Pass a 1-D"),
        ("ab", "must hold one label for each sample, got 'ab'. Pass a list"),
        (7, "must hold one label for each sample, got 7. Pass a list"),
    ],
)
def test_what_is_no_label_is_an_error_with_the_cure(y, message):
    with pytest.raises(InconsistentLabelError, match=message):
        one_output.read_labels(y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([("1", True), ("2", None)], "got None for sample 1: it is missing"),
        ([("1", True), ("2",)], r"y holds \('2',\), but .* 2 outputs. Pass y of shape"),
        ([{"1", True}, ("2", True)], "y holds {.*}, but .* 2 outputs"),
        (np.zeros((2, 3)), r"shape \(n_samples, 2\), one column .* got \(2, 3\)"),
        (["12", "34"], "y holds '12', but .* 2 outputs"),
    ],
)
def test_what_is_no_row_is_an_error_with_the_cure(y, message):
    with pytest.raises(InconsistentLabelError, match=message):
        SUM_AND_TRUTH.read_labels(y)


@pytest.mark.parametrize("label", [frozenset([1]), float("nan")])
def test_knowledge_cannot_conclude_a_set_or_nan(label):
    for knowledge in (
        FunctionKnowledge(lambda a: label, [range(2)]),
        StepKnowledge(lambda s, v, p: 0, range(2), 1, final=lambda s: label),
        StepKnowledge(lambda s, v, p: (0, label), range(2), 1, emits=True),
    ):
        with pytest.raises(InvalidKnowledgeError, match=r"(frozenset|nan).* Return a"):
            knowledge.conclude([[1]])
    for make in (
        lambda: IdentityKnowledge([1, label]),
        lambda: AnyOf(names=(1, label)),
        lambda: ClauseKnowledge([[1]], [[1]], [[2]], output_states=[[1, label]]),
    ):
        with pytest.raises(TypeError, match=r"NaN, None and sets, got (frozenset|nan).*tuple"):
            make()


@pytest.mark.parametrize("engine", [EnumerationEngine(), DiagramEngine(), ModeEngine()])
@pytest.mark.parametrize("labels", [[1, 0], [1.0, 0.0], [np.True_, np.False_]])
def test_equal_labels_of_other_types_are_the_same_and_named_as_the_knowledge_names_them(
    engine, labels
):
    """False, 0 and 0.0 are equal and have one hash."""
    for knowledge in (AnyOf(2), FunctionKnowledge(lambda a, b: bool(a or b), [range(2)] * 2)):
        (states,) = engine.compile(knowledge, labels).output_states
        assert {type(name) for name in states} == {bool}
        assert set(states) == {False, True}
    (states,) = engine.compile(SymbolSum(2, states=range(2)), [True, 2.0]).output_states
    assert {type(name) for name in states} == {int}


@pytest.mark.parametrize(
    ("labels", "cure"),
    [
        (["pos", "neg"], r"'pos'.*\(labels: False, True\).*AnyOf\(names=\('neg', 'pos'\)\)"),
        ([1, -1], r"y holds -1.* AnyOf\(names=\(-1, 1\)\): first the label for False"),
        ([1, -1, 2], r"y holds -1.* Check y or `knowledge`"),
    ],
)
def test_labels_of_two_answers_that_have_other_names_are_an_error_with_the_cure(labels, cure):
    with pytest.raises(InconsistentLabelError, match=cure):
        check_labels(labels, [False, True])
    with pytest.raises(InconsistentLabelError, match=r"y holds 0.*\(labels: True\). Check y"):
        check_labels([0, 1], [True])


def test_scalars_of_numpy_in_a_list_are_labels_whatever_they_hold():
    for values in (["a", "bc"], [1, 2], [True, False], [0.5, 1.5]):
        scalars = list(np.array(values))
        assert IdentityKnowledge(values).read_labels(scalars) == values
