"""Bounds on weighted sums of literals."""

import itertools
import operator
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import holds

from sknesy.exceptions import TooWideError
from sknesy.knowledge import ClauseKnowledge, LinearConstraint, read_dimacs

RELATIONS = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}

# A symbol of three states, and two Boolean variables.
VARIABLES = [(1, 2, 3), (-4, 4), (-5, 5)]


def holds_in(constraint, true):
    total = sum(
        weight
        for literal, weight in zip(constraint.literals, constraint.weights, strict=True)
        if (abs(literal) in true) == (literal > 0)
    )
    return RELATIONS[constraint.relation](total, constraint.bound)


@st.composite
def constraints(draw, n_propositions=5):
    literal = st.integers(1, n_propositions).flatmap(lambda p: st.sampled_from([p, -p]))
    terms = draw(st.lists(st.tuples(literal, st.integers(-4, 4)), max_size=6))
    relation = draw(st.sampled_from(sorted(RELATIONS)))
    return LinearConstraint(
        [x for x, _ in terms], [w for _, w in terms], relation, draw(st.integers(-5, 6))
    )


@settings(max_examples=80, deadline=None)
@given(constraints())
def test_encoding_has_one_model_where_the_constraint_holds_and_none_elsewhere(constraint):
    clauses = constraint.encode(VARIABLES, 6)
    auxiliaries = sorted({abs(x) for clause in clauses for x in clause if abs(x) > 5})
    for states in itertools.product(*map(range, (3, 2, 2))):
        literals = {v[i] for v, i in zip(VARIABLES, states, strict=True)}
        true = {x for x in literals if x > 0}
        n_models = sum(
            holds(clauses, true | {a for a, bit in zip(auxiliaries, bits, strict=True) if bit})
            for bits in itertools.product([False, True], repeat=len(auxiliaries))
        )
        assert n_models == int(holds_in(constraint, true))


@settings(max_examples=50, deadline=None)
@given(st.lists(constraints(), max_size=2))
def test_knowledge_concludes_that_clauses_and_constraints_hold(found):
    """Proposition 5 is auxiliary: some choice of it must do."""
    clauses = [[-1, 4]]
    knowledge = ClauseKnowledge(clauses, [[1, 2, 3], [4]], constraints=found)
    worlds = list(itertools.product(range(3), range(2)))
    expected = [
        any(
            holds(clauses, true) and all(holds_in(c, true) for c in found)
            for true in ({v + 1} | ({4} if bit else set()) | extra for extra in (set(), {5}))
        )
        for v, bit in worlds
    ]
    assert knowledge.conclude(worlds).tolist() == expected


def test_cardinality_constraints_bound_the_number_of_true_literals():
    worlds = list(itertools.product([0, 1], repeat=3))
    n_true = [a + b + (1 - c) for a, b, c in worlds]
    for constraint, expected in (
        (LinearConstraint.at_most([1, 2, -3], 1), [n <= 1 for n in n_true]),
        (LinearConstraint.at_least([1, 2, -3], 2), [n >= 2 for n in n_true]),
        (LinearConstraint.exactly([1, 2, -3], 2), [n == 2 for n in n_true]),
    ):
        knowledge = ClauseKnowledge([], [[1], [2], [3]], constraints=[constraint])
        assert knowledge.conclude(worlds).tolist() == expected


def test_knowledge_differs_by_its_constraints():
    plain, one, two = (
        ClauseKnowledge([[1, 2]], [[1], [2], [3]], constraints=constraints)
        for constraints in (
            [],
            [LinearConstraint.at_most([1, 2, 3], 1)],
            [LinearConstraint.at_most([1, 2, 3], 2)],
        )
    )
    assert plain == ClauseKnowledge([[1, 2]], [[1], [2], [3]])
    assert len({plain, one, two}) == 3
    len(one.clauses)  # derived, and not pickled
    again = pickle.loads(pickle.dumps(one))
    assert again == one
    assert hash(again) == hash(one)
    assert repr(one) == "ClauseKnowledge(1 clause, 1 constraint, 3 symbols of 2 states)"


def test_encoding_takes_numbers_that_nothing_uses():
    """Proposition 9 is in a constraint only, 7 in a clause only."""
    constraints = [LinearConstraint.at_most([1, 2, 3, 9], 2), LinearConstraint.exactly([1, 2], 1)]
    knowledge = ClauseKnowledge([[1, 7]], [[1], [2], [3]], constraints=constraints)
    assert knowledge.given_auxiliaries == (7, 9)
    assert set(knowledge.auxiliaries) > {7, 9}
    assert min(set(knowledge.auxiliaries) - {7, 9}) == 10
    assert knowledge.given_clauses == ((1, 7),)


def test_dimacs_has_the_constraints_as_clauses(tmp_path):
    knowledge = ClauseKnowledge(
        [[1, 2]], [[1], [2], [3]], constraints=[LinearConstraint.at_most([1, 2, 3], 1)]
    )
    knowledge.to_dimacs(tmp_path / "a.cnf")
    again = ClauseKnowledge(read_dimacs(tmp_path / "a.cnf"), [[1], [2], [3]])
    worlds = list(itertools.product([0, 1], repeat=3))
    assert again.conclude(worlds).tolist() == knowledge.conclude(worlds).tolist()


def test_long_constraint_is_shown_by_its_ends():
    constraint = LinearConstraint.at_most(range(1, 101), 50)
    assert repr(constraint) == "LinearConstraint([1] + [2] + [3] + [4] + ... + [100] <= 50)"
    assert repr(LinearConstraint([], [], "==", 0)) == "LinearConstraint(0 == 0)"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1, 0], [1, 1], "<=", 1), ValueError, "other than 0, got 0.*negate"),
        (([1, 2], [1], "<=", 1), ValueError, "each of 2 literals, got 1.*at_most"),
        (([1], [1], "<", 1), ValueError, "one of '<=', '>=' and '==', got '<'.*at most b - 1"),
        (([1], [0.5], "<=", 1), TypeError, "weights .* must be ints, got 0.5. Scale"),
        ((["a"], [1], "<=", 1), TypeError, "literals .* must be ints, got 'a'"),
        (([1], [1], "<=", True), TypeError, "bound .* must be ints, got True"),
        (([1], [2**61], "<=", 0), ValueError, "at most 1,152,921,.* got 2,305,.*Scale them down"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        LinearConstraint(*arguments)


@pytest.mark.parametrize(
    ("constraints", "error", "message"),
    [
        (LinearConstraint.at_most([1], 1), TypeError, r"must be a sequence of.*for example \["),
        (
            [[1, 2]],
            TypeError,
            r"must be a LinearConstraint or a DistinctConstraint, got \[1, 2\]",
        ),
    ],
)
def test_wrong_constraints_are_named(constraints, error, message):
    with pytest.raises(error, match=message):
        ClauseKnowledge([], [[1], [2]], constraints=constraints)


@pytest.mark.slow
def test_weights_with_too_many_sums_for_clauses_are_an_error():
    constraint = LinearConstraint(range(1, 31), [2**i for i in range(30)], "<=", 2**29 + 12345)
    assert len(ClauseKnowledge([], [[p] for p in range(1, 31)], constraints=[constraint]).clauses)
    heavy = LinearConstraint(range(1, 45), [3**i % 10**9 for i in range(44)], "<=", 5 * 10**9)
    knowledge = ClauseKnowledge([], [[p] for p in range(1, 45)], constraints=[heavy])
    with pytest.raises(TooWideError, match=r"more than 1,000,000 partial sums.*smaller weights"):
        knowledge.conclude([[0] * 44])
