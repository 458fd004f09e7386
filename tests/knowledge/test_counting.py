"""Sums, counts and thresholds of symbols."""

import itertools
import pickle
from fractions import Fraction

import numpy as np
import pytest

from sknesy.knowledge import (
    END,
    AllOf,
    AnyOf,
    AtLeast,
    AtMost,
    Count,
    Exactly,
    Parity,
    SymbolSum,
)

# Each class as a function of n_symbols, `of` and `states`, and its label of the count c of n.
COUNTING = {
    "Count": (Count, lambda c, n: c),
    "AtLeast": (lambda *a, **k: AtLeast(2, *a, **k), lambda c, n: c >= 2),
    "AtMost": (lambda *a, **k: AtMost(1, *a, **k), lambda c, n: c <= 1),
    "Exactly": (lambda *a, **k: Exactly(2, *a, **k), lambda c, n: c == 2),
    "AnyOf": (AnyOf, lambda c, n: c > 0),
    "AllOf": (AllOf, lambda c, n: c == n),
    "Parity": (Parity, lambda c, n: c % 2 == 1),
}
each = pytest.mark.parametrize("name", COUNTING)


@each
def test_label_is_about_the_number_of_true_symbols(name):
    make, label = COUNTING[name]
    worlds = list(itertools.product(range(2), repeat=4))
    concluded = make(4).conclude(worlds).tolist()
    assert concluded == [label(sum(w), 4) for w in worlds]
    assert {type(got) for got in concluded} == {int if name == "Count" else bool}


@each
@pytest.mark.parametrize("of", ["b", ["b"], ["c", "a"], {"a", "b", "c"}])
def test_states_to_count_may_be_named(name, of):
    make, label = COUNTING[name]
    worlds = list(itertools.product(range(3), repeat=3))
    counts = [sum("abc"[v] in of for v in w) for w in worlds]
    concluded = make(3, of=of, states=["a", "b", "c"]).conclude(worlds)
    assert concluded.tolist() == [label(count, 3) for count in counts]


@each
def test_family_serves_every_length(name):
    make, label = COUNTING[name]
    knowledge = make().unroll(3)
    assert knowledge.symbol_states == ((False, True, END),) * 3
    for n in range(4):
        for word in itertools.product(range(2), repeat=n):
            world = [*word, *[2] * (3 - n)]
            assert knowledge.conclude([world])[0] == label(sum(word), n)


@each
def test_knowledge_is_a_value(name):
    make, _ = COUNTING[name]
    for knowledge in (make(3), make(), make().unroll(2), make(3, of=[1], states=[0, 1, 2])):
        assert pickle.loads(pickle.dumps(knowledge)) == knowledge
    assert make(3) == make(3, of=[True])
    assert hash(make(3)) == hash(make(3))
    assert make(3) != make(4)
    assert make(3) != make(3, of=False)


@pytest.mark.parametrize("name", [name for name in COUNTING if name != "Count"])
@pytest.mark.parametrize("names", [("neg", "pos"), ("pos", "neg"), np.array([-1, 1]), [1, 0]])
def test_both_answers_may_be_named(name, names):
    make, label = COUNTING[name]
    worlds = list(itertools.product(range(2), repeat=4))
    knowledge = make(4, names=names)
    expected = [list(names)[label(sum(w), 4)] for w in worlds]
    assert knowledge.conclude(worlds).tolist() == expected
    assert set(knowledge.output_states[0]) == set(expected)
    assert knowledge != make(4)
    assert pickle.loads(pickle.dumps(knowledge)) == knowledge
    assert make(names=names).unroll(4).conclude(worlds).tolist() == expected


def test_thresholds_of_another_number_or_kind_differ():
    assert AtLeast(1, 3) != AtLeast(2, 3)
    assert AtMost(1, 3) != Exactly(1, 3)
    assert AnyOf(3) != AtLeast(1, 3)


def test_numbers_are_added():
    knowledge = SymbolSum(2, states=[5, -1, Fraction(1, 2)])
    labels = {-2, Fraction(-1, 2), 1, 4, Fraction(11, 2), 10}
    assert knowledge.output_states == (tuple(sorted(labels)),)
    assert knowledge.conclude([[0, 1], [2, 2]]).tolist() == [4, 1]
    assert SymbolSum().unroll(2).conclude([[3, 10], [10, 10]]).tolist() == [3, 0]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SymbolSum(2, states=[0.5]), TypeError, r"ints or fractions, got 0.5.*Fraction\("),
        (lambda: SymbolSum(2, states=["a"]), TypeError, r"ints or fractions, got 'a' \(str\)"),
        (lambda: Count(2, of="x"), ValueError, "one of the states False, True.* got 'x'. Pass"),
        (lambda: Count(2, of=["x"]), ValueError, "of must name one of the states .* got 'x'"),
        (lambda: Count(2, of=[]), ValueError, "of must name .* got none"),
        (lambda: Count(2, states=range(3)), ValueError, "one of the states 0, 1, 2.* got True"),
        (lambda: AnyOf(2, of=1), ValueError, "one of the states False, True.* got 1"),
        (lambda: AtLeast(-1), ValueError, "k must be an int of at least 0, got -1"),
        (lambda: AtMost(1.5), ValueError, "k must be an int of at least 0, got 1.5"),
        (lambda: Exactly(True), ValueError, "k must be an int of at least 0, got True"),
        (
            lambda: AnyOf(names=("a", "b", "c")),
            ValueError,
            r"pair of labels, .*\('a', 'b', 'c'\)",
        ),
        (lambda: AnyOf(names={"a", "b"}), ValueError, r"Pass for example names=\('neg', 'pos'\)"),
        (lambda: AnyOf(names="ab"), TypeError, "names must be a collection .* got 'ab'"),
        (lambda: AnyOf(0), ValueError, "n_symbols must be an int of at least 1, got 0"),
    ],
)
def test_wrong_arguments_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_repr_says_what_is_counted():
    assert repr(AtLeast(2, 3)) == "AtLeast(2, 3)"
    assert repr(AtLeast(2, 3, names=(-1, 1))) == "AtLeast(2, 3, names=[-1, 1])"
    assert repr(AnyOf()) == "AnyOf()"
    assert repr(AnyOf().unroll(5)) == "AnyOf(up to 5 symbols)"
    assert repr(Count(1, of=[0, 2], states=range(3))) == "Count(1, of=[0, 2], states=range(3))"
    assert repr(SymbolSum(2, states=[0, 1])) == "SymbolSum(2, states=[0, 1])"
    assert repr(SymbolSum(40)) == "SymbolSum(40)"
