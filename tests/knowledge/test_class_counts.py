import pickle

import numpy as np
import pytest
from sklearn.base import clone

from sknesy.exceptions import InconsistentLabelError, UnsupportedKnowledgeError
from sknesy.knowledge import END, ClassCounts


def test_a_world_gives_the_number_of_symbols_in_each_class():
    knowledge = ClassCounts(["a", "b", "c"], n_symbols=4)
    assert knowledge.conclude([[0, 0, 2, 0], [1, 2, 1, 1]]).tolist() == [(3, 0, 1), (0, 3, 1)]
    assert knowledge.conclude(np.empty((0, 4), dtype=int)).shape == (0,)
    assert knowledge.n_outputs == 3
    assert knowledge.output_states == ((0, 1, 2, 3, 4),) * 3


def test_end_counts_for_nothing_wherever_it_stands():
    bags = ClassCounts(["a", "b"]).unroll(3)
    assert bags.symbol_states == (("a", "b", END),) * 3
    assert bags.conclude([[2, 2, 2], [0, 2, 1], [1, 1, 2]]).tolist() == [(0, 0), (1, 1), (0, 2)]


def test_it_is_a_value():
    family, sized = ClassCounts(range(3)), ClassCounts(range(3), n_symbols=4)
    assert family == ClassCounts([0, 1, 2])
    assert len({family, sized, family.unroll(4), ClassCounts(range(4))}) == 4
    for knowledge in (family, sized, family.unroll(4)):
        assert pickle.loads(pickle.dumps(knowledge)) == knowledge
        assert clone(knowledge, safe=False) is knowledge
    assert repr(family) == "ClassCounts(range(3))"
    assert repr(sized) == "ClassCounts(range(3), 4)"
    assert repr(family.unroll(4)) == "ClassCounts(range(3), up to 4 symbols)"


def test_a_family_has_no_symbols_and_is_unrolled_once():
    family = ClassCounts(range(3))
    assert family.is_family
    assert family.n_outputs == 3
    for ask in ("symbol_states", "output_states", "n_symbols"):
        with pytest.raises(UnsupportedKnowledgeError, match=r"unroll\(n_symbols\)"):
            getattr(family, ask)
    with pytest.raises(UnsupportedKnowledgeError, match="n_symbols=None"):
        family.unroll(2).unroll(2)


@pytest.mark.parametrize(
    ("classes", "error", "match"),
    [
        (["a"], ValueError, "at least two names.*got 'a'"),
        (["a", END], ValueError, "END"),
        (["a", "a"], ValueError, "'a' twice"),
        ("ab", TypeError, "collection of names"),
    ],
)
def test_classes_must_be_names(classes, error, match):
    with pytest.raises(error, match=match):
        ClassCounts(classes)


@pytest.mark.parametrize("n_symbols", [0, 2.5, True])
def test_the_number_of_symbols_must_be_an_int(n_symbols):
    with pytest.raises(ValueError, match="n_symbols must be an int of at least 1"):
        ClassCounts(range(3), n_symbols)


@pytest.mark.parametrize("wrong", [-1, 0.5, np.inf, "two", True])
def test_what_is_no_count_is_an_error_with_its_row_and_the_cure(wrong):
    y = np.array([[1, 2], [3, 0], [wrong, 2]], dtype=object)
    with pytest.raises(InconsistentLabelError, match=f"{wrong!r} in.*row 2.*Multiply proportions"):
        ClassCounts(["a", "b"]).read_labels(y)


def test_whole_numbers_are_counts_whatever_their_type():
    for y in ([[1, 2]], [[1.0, 2.0]], np.array([[1, 2]], dtype=np.uint8), [(1, 2)]):
        assert ClassCounts(["a", "b"]).read_labels(y) == [(1, 2)]


def test_counts_that_do_not_add_up_are_an_error_with_their_row_and_the_cure():
    with pytest.raises(InconsistentLabelError, match=r"4 symbols.*\(1, 2\).*3.*row 1.*Correct"):
        ClassCounts(["a", "b"], n_symbols=4).read_labels([[2, 2], [1, 2]])
