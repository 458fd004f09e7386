"""Functions that are asked about worlds in which some symbols are undecided."""

import copy
import pickle

import numpy as np
import pytest

from sknesy._fingerprint import fingerprint
from sknesy.exceptions import InvalidKnowledgeError, UnsupportedKnowledgeError
from sknesy.knowledge import UNDECIDED, FunctionKnowledge, SymbolSum

NAMES = ["rests", "fires"]


def first(*sensors):
    return next((i for i, sensor in enumerate(sensors) if sensor == "fires"), "none")


def at_least_two(*sensors):
    known = [sensor for sensor in sensors if sensor is not UNDECIDED]
    n_firing, n_left = known.count("fires"), len(sensors) - len(known)
    if n_firing >= 2 or n_firing + n_left < 2:
        return n_firing >= 2
    return UNDECIDED.given(n_firing)


def many(worlds):
    n_firing = (worlds == "fires").sum(axis=1)
    n_left = (worlds == UNDECIDED).sum(axis=1)
    return [
        UNDECIDED if low < 2 <= low + left else low >= 2
        for low, left in zip(n_firing, n_left, strict=True)
    ]


def ask(function, world, **options):
    """What a function says of one partial world, and the symbol it wants decided."""
    knowledge = FunctionKnowledge(function, [NAMES] * len(world), partial=True, **options)
    labels, wanted = knowledge.judge([world])
    return labels[0], wanted[0]


def test_sentinel_is_one_object_wherever_it_goes():
    for again in (
        pickle.loads(pickle.dumps(UNDECIDED)),
        copy.copy(UNDECIDED),
        copy.deepcopy([UNDECIDED])[0],
    ):
        assert again is UNDECIDED
    assert repr(UNDECIDED) == "UNDECIDED"
    assert repr(UNDECIDED.given((3, "a"))) == "UNDECIDED.given((3, 'a'))"


def test_sentinel_equals_nothing_else_and_is_found_in_arrays():
    assert UNDECIDED != "UNDECIDED"
    assert UNDECIDED == UNDECIDED
    assert UNDECIDED not in (None, False, -1, "UNDECIDED", UNDECIDED.given(1))
    row = np.array(["a", UNDECIDED, 3], dtype=object)
    assert (row == UNDECIDED).tolist() == [False, True, False]
    assert np.array([UNDECIDED] * 2).shape == (2,)


@pytest.mark.parametrize(
    "use",
    [
        lambda state: state == "fires",
        lambda state: state != "fires",
        lambda state: state in {"fires"},
        lambda state: ["rests"].index(state),
        lambda state: {"fires": 1}.get(state),
        lambda state: state + "!",
        lambda state: 1 + state,
        lambda state: -state,
        lambda state: state < 2,
        lambda state: not state,
        lambda state: f"{state}",
        lambda state: str(state),
        lambda state: int(state),
        lambda state: "abc"[state],
        lambda state: state[0],
        lambda state: [*state],
        lambda state: state.upper(),
        lambda state: sorted([state, "fires"]),
        lambda state: np.exp(state),
        lambda state: max(state, "fires"),
    ],
)
def test_use_of_an_undecided_state_ends_the_call_and_names_the_symbol(use):
    label, wanted = ask(lambda a, b, c: use(b), [0, -1, -1])
    assert label is UNDECIDED
    assert wanted == 1


@pytest.mark.parametrize("answer", [lambda a, b: b, lambda a, b: (a, b), lambda a, b: (a, (b,))])
def test_state_that_is_returned_is_used(answer):
    assert ask(answer, [0, -1]) == (UNDECIDED, 1)


def test_errors_that_a_function_handles_do_not_hide_the_use_of_a_state():
    def handles(a, b):
        try:
            return a + b
        except Exception:
            return "wrong"

    assert ask(handles, [-1, 0]) == (UNDECIDED, 0)


def test_function_that_returns_early_serves_as_it_is():
    assert ask(first, [0, 1, -1]) == (1, -1)
    assert ask(first, [0, -1, 1]) == (UNDECIDED, 1)


def test_function_that_looks_for_the_sentinel_decides_by_what_is_left():
    assert ask(at_least_two, [1, -1, 1]) == (True, -1)
    assert ask(at_least_two, [0, -1, 0]) == (False, -1)
    assert ask(at_least_two, [1, -1, 0]) == (UNDECIDED.given(1), -1)


def test_array_of_many_worlds_holds_the_sentinel():
    assert ask(many, [1, -1, 1], batched=True) == (True, -1)
    assert ask(many, [1, -1, 0], batched=True) == (UNDECIDED, -1)


@pytest.mark.parametrize(("function", "batched"), [(first, False), (many, True)])
def test_full_worlds_are_concluded_and_judged_as_without(function, batched):
    worlds = list(np.ndindex(2, 2, 2))
    plain, partial = (
        FunctionKnowledge(function, [NAMES] * 3, batched=batched, partial=partial)
        for partial in (False, True)
    )
    expected = [function(*w) for w in plain.name_worlds(worlds)] if not batched else None
    expected = expected or list(many(plain.name_worlds(worlds)))
    assert partial.conclude(worlds).tolist() == expected
    assert partial.judge(worlds).labels.tolist() == expected
    assert plain.conclude(worlds).tolist() == expected


def test_knowledge_is_a_value_that_says_whether_it_is_partial():
    plain, partial = (FunctionKnowledge(first, [NAMES] * 3, partial=p) for p in (False, True))
    assert plain != partial
    assert pickle.loads(pickle.dumps(partial)) == partial
    assert repr(partial) == "FunctionKnowledge(first, [['rests', 'fires']] * 3, partial=True)"
    assert (plain.is_partial, partial.is_partial, SymbolSum(2).is_partial) == (False, True, False)
    assert fingerprint(partial) == fingerprint(partial) != fingerprint(plain)
    assert fingerprint(at_least_two) == fingerprint(at_least_two)


def test_other_knowledge_refuses_partial_worlds():
    for knowledge in (FunctionKnowledge(first, [NAMES] * 3), SymbolSum(3)):
        with pytest.raises(UnsupportedKnowledgeError, match=r"undecided.*partial=True"):
            knowledge.judge([[-1, 0, 0]])


@pytest.mark.parametrize(
    ("function", "options", "said"),
    [
        (lambda a, b: UNDECIDED, {}, r"\('rests', 'rests'\) it returned UNDECIDED.*Pass partial="),
        (lambda a, b: UNDECIDED, {"partial": True}, r"returned UNDECIDED\. Return the label"),
        (lambda a, b: UNDECIDED.given(1), {"partial": True}, r"returned UNDECIDED\.given\(1\)"),
        (lambda *s: UNDECIDED in s, {"partial": True}, r"by `is`.*any\(state is UNDECIDED"),
        (lambda w: [UNDECIDED] * len(w), {"partial": True, "batched": True}, "returned UNDECIDED"),
    ],
)
def test_undecided_full_world_is_an_error_with_its_cure(function, options, said):
    with pytest.raises(InvalidKnowledgeError, match=said):
        FunctionKnowledge(function, [NAMES] * 2, **options).conclude([[0, 0]])


@pytest.mark.parametrize(
    ("function", "batched", "said"),
    [
        (
            lambda a, b: "".join([a, b]),
            False,
            r"\(UNDECIDED, 'fires'\) it raised TypeError.*return U",
        ),
        (lambda w: w.max(axis=1), True, r"raised TypeError.*worlds == UNDECIDED"),
        (lambda a, b: UNDECIDED.given([a]), False, r"hashable value, got \[UNDECIDED\].*tuple"),
        (lambda a, b: {1}, False, r"\(UNDECIDED, 'fires'\) it returned \{1\}"),
    ],
)
def test_wrong_answer_about_a_partial_world_is_an_error_with_its_cure(function, batched, said):
    knowledge = FunctionKnowledge(function, [NAMES] * 2, batched=batched, partial=True)
    with pytest.raises(InvalidKnowledgeError, match=said):
        knowledge.judge([[-1, 1]])


def test_no_state_may_have_the_name_of_the_sentinel():
    with pytest.raises(ValueError, match="must not hold UNDECIDED.*another name"):
        FunctionKnowledge(first, [["a", UNDECIDED]])


def test_states_out_of_range_are_refused():
    with pytest.raises(ValueError, match="state 2 for symbol 1"):
        FunctionKnowledge(first, [NAMES] * 2, partial=True).judge([[-1, 2]])
