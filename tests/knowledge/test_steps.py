"""Knowledge as a state machine."""

import itertools
import pickle

import numpy as np
import oracle
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from sknesy.exceptions import InvalidKnowledgeError, TooWideError, UnsupportedKnowledgeError
from sknesy.inference import DiagramEngine, EnumerationEngine
from sknesy.knowledge import END, StepKnowledge


def add(state, symbol, position):
    return state + symbol


def remember(state, symbol, position):
    return (*state, symbol)


def is_even(state):
    return state % 2 == 0


def test_label_is_the_last_state_by_default():
    knowledge = StepKnowledge(add, range(3), 2)
    assert knowledge.conclude([[1, 2], [0, 0]]).tolist() == [3, 0]
    assert knowledge.output_states == ((0, 1, 2, 3, 4),)


def test_symbols_are_read_by_name():
    knowledge = StepKnowledge(add, ["a", "b"], 3, initial="")
    assert knowledge.conclude([[0, 1, 0]]).tolist() == ["aba"]


def test_symbols_may_differ_in_their_states():
    knowledge = StepKnowledge(remember, symbol_states=[range(2), ["x", "y", "z"]], initial=())
    assert knowledge.n_states.tolist() == [2, 3]
    assert knowledge.conclude([[1, 2]]).tolist() == [(1, "z")]


def test_position_counts_symbols_in_the_order_of_reading():
    knowledge = StepKnowledge(
        lambda state, symbol, position: (*state, (position, symbol)),
        symbol_states=[["a"], ["b"], ["c"]],
        initial=(),
        reading_order=[2, 0, 1],
    )
    assert knowledge.conclude([[0, 0, 0]])[0] == ((0, "c"), (1, "a"), (2, "b"))


def test_each_of_several_final_functions_is_an_output():
    knowledge = StepKnowledge(add, range(3), 2, final=[str, is_even])
    assert knowledge.conclude([[1, 2], [0, 2]]).tolist() == [("3", False), ("2", True)]
    assert knowledge.output_states == (("0", "1", "2", "3", "4"), (False, True))


def test_none_from_step_or_final_and_refused_states_rule_a_world_out():
    worlds = list(itertools.product(range(3), repeat=2))
    expected = [a + b if (a + b) % 2 == 0 else None for a, b in worlds]
    accept = StepKnowledge(add, range(3), 2, accept=is_even)
    final = StepKnowledge(add, range(3), 2, final=lambda s: s if s % 2 == 0 else None)
    assert accept.conclude(worlds).tolist() == expected
    assert final.conclude(worlds).tolist() == expected
    assert accept.output_states == final.output_states == ((0, 2, 4),)
    step = StepKnowledge(lambda s, v, _: None if v < s else v, range(3), 2)
    assert step.conclude([[0, 2], [2, 0]]).tolist() == [2, None]


def test_label_is_asked_for_of_accepted_states_only():
    knowledge = StepKnowledge(add, range(3), 2, accept=bool, final=lambda s: 12 // s)
    assert knowledge.conclude([[1, 2], [0, 0]]).tolist() == [4, None]


def test_outputs_are_those_that_some_world_has():
    """What is emitted on the way to a world that is ruled out at last is no state of an output."""
    knowledge = StepKnowledge(
        lambda state, symbol, position: (symbol, f"saw {symbol}"),
        ["a", "b"],
        1,
        emits=True,
        accept=lambda state: state == "a",
    )
    assert knowledge.output_states == (("saw a",),)


def test_step_is_called_once_for_each_state_and_symbol():
    calls = []

    def step(state, symbol, position):
        calls.append((state, symbol, position))
        return (state + symbol) % 2

    knowledge = StepKnowledge(step, [0, 1], 5)
    knowledge.conclude(list(itertools.product(range(2), repeat=5)))
    knowledge.conclude([[0] * 5])
    assert len(calls) == len(set(calls)) == 2 + 4 * 4


def test_labels_without_an_order_are_kept_as_they_appear():
    knowledge = StepKnowledge(lambda s, v, _: v, [3, "a", None, 1.5], 1)
    assert knowledge.output_states == ((3, "a", 1.5),)
    unordered = StepKnowledge(lambda s, v, _: s + v * 1j, [2, 1], 2, initial=0j)
    assert unordered.output_states == ((4j, 3j, 2j),)
    sets = StepKnowledge(
        lambda s, v, _: s | {v}, [2, 1], 2, initial=frozenset(), final=lambda s: tuple(sorted(s))
    )
    assert sets.conclude([[0, 0], [1, 0]]).tolist() == [(2,), (1, 2)]


def test_numpy_numbers_are_plain_labels():
    knowledge = StepKnowledge(lambda s, v, _: np.int64(s) + v, range(2), 2)
    assert all(type(name) is int for name in knowledge.output_states[0])


def test_family_serves_every_length():
    family = StepKnowledge(add, range(3))
    assert family.is_family
    knowledge = family.unroll(3)
    assert not knowledge.is_family
    assert knowledge.symbol_states == ((0, 1, 2, END),) * 3
    worlds = [[1, 2, 2], [1, 2, 3], [2, 3, 3], [3, 3, 3], [1, 3, 1], [3, 0, 0]]
    assert knowledge.conclude(worlds).tolist() == [5, 3, 2, 0, None, None]


@given(st.randoms(use_true_random=False), st.integers(1, 3), st.integers(1, 4))
def test_unrolled_family_equals_knowledge_of_each_length(random, n_names, n_symbols):
    table = {
        key: random.choice([None, 0, 1, 2])
        for key in itertools.product(range(3), range(n_names), range(n_symbols))
    }

    def step(state, symbol, position):
        return table[state, symbol, position]

    def accept(state):
        return random_states[state]

    random_states = [random.random() < 0.7 for _ in range(3)]
    padded = StepKnowledge(step, range(n_names), accept=accept).unroll(n_symbols)
    words = list(itertools.product(range(n_names + 1), repeat=n_symbols))
    try:
        concluded = dict(zip(words, padded.conclude(words), strict=True))
    except InvalidKnowledgeError:
        concluded = dict.fromkeys(words)
    for word, label in concluded.items():
        letters = [v for v in word if v < n_names]
        state = 0
        for position, letter in enumerate(letters):
            state = None if state is None else table[state, letter, position]
        wanted = state is not None and accept(state) and word[: len(letters)] == tuple(letters)
        assert label == (state if wanted else None)


def test_where_others_emit_the_end_emits_the_end():
    family = StepKnowledge(lambda s, v, _: (s + v, s + v), range(2), emits=True, final=is_even)
    knowledge = family.unroll(2)
    assert knowledge.output_states == ((0, 1, END), (0, 1, 2, END), (False, True))
    labels = knowledge.conclude([[1, 1], [1, 2], [2, 2]]).tolist()
    assert labels == [(1, 2, True), (1, END, False), (END, END, True)]


def test_end_is_one_thing_in_every_process():
    assert pickle.loads(pickle.dumps(END)) is END
    assert repr(END) == "END"


def count_two(state, symbol, position):
    a, b = state
    return a + (symbol == "a"), b + (symbol == "b")


@pytest.mark.parametrize("engine", [DiagramEngine(), EnumerationEngine()], ids=["diagram", "table"])
def test_a_row_of_counts_serves_every_length(engine, rng):
    family = StepKnowledge(
        count_two, ["a", "b", "c"], initial=(0, 0), final=[lambda s: s[0], lambda s: s[1]]
    )
    assert family.n_outputs == 2
    rows = family.read_labels([(2, 1), (0, 0)])
    assert rows == [(2, 1), (0, 0)]
    for n in (1, 3):
        knowledge = family.unroll(n)
        assert knowledge.n_outputs == 2
        assert knowledge.output_states == (tuple(range(n + 1)),) * 2
        assert knowledge.read_labels(np.array(rows)) == rows

        def conclude(world):
            word = world[: (*world, 3).index(3)]
            if any(v != 3 for v in world[len(word) :]):
                return None
            return word.count(0), word.count(1)

        worlds = list(itertools.product(range(4), repeat=n))
        assert knowledge.conclude(worlds).tolist() == list(map(conclude, worlds))
        prob = rng.dirichlet(np.ones(4), size=(1, n))
        label = rng.uniform(size=(1, 2, n + 1))
        posterior = engine.infer(
            engine.compile(knowledge), *(torch.from_numpy(x).log() for x in (prob, label))
        )
        evidence, symbols, outputs, _ = oracle.posterior(
            (4,) * n, (n + 1,) * 2, conclude, prob[0], label[0]
        )
        np.testing.assert_allclose(posterior.log_evidence.exp(), [evidence], rtol=1e-10)
        np.testing.assert_allclose(posterior.symbol_marginals[0], symbols, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(posterior.output_marginals[0], outputs, rtol=1e-10, atol=1e-12)


def test_family_itself_has_no_symbols():
    family = StepKnowledge(add, range(3))
    message = "StepKnowledge.add, range.3.. is a family .*Give n_symbols, or use unroll"
    for use in (
        lambda: family.symbol_states,
        lambda: family.n_symbols,
        lambda: family.output_states,
        lambda: family.conclude([[0]]),
    ):
        with pytest.raises(UnsupportedKnowledgeError, match=message):
            use()


def test_knowledge_of_some_symbols_is_no_family():
    with pytest.raises(UnsupportedKnowledgeError, match="has 2 symbols.*n_symbols=None"):
        StepKnowledge(add, range(3), 2).unroll(3)


def test_equal_machines_are_equal_knowledge():
    assert StepKnowledge(add, range(3), 2) == StepKnowledge(add, symbol_states=[[0, 1, 2]] * 2)
    assert hash(StepKnowledge(add, range(3), 2)) == hash(StepKnowledge(add, range(3), 2))
    for other in (
        StepKnowledge(remember, range(3), 2),
        StepKnowledge(add, range(4), 2),
        StepKnowledge(add, range(3), 3),
        StepKnowledge(add, range(3)),
        StepKnowledge(add, range(3), 2, initial=1),
        StepKnowledge(add, range(3), 2, final=is_even),
        StepKnowledge(add, range(3), 2, accept=is_even),
        StepKnowledge(add, range(3), 2, reading_order=[1, 0]),
        StepKnowledge(add, range(3)).unroll(2),
    ):
        assert StepKnowledge(add, range(3), 2) != other
    assert StepKnowledge(add, range(3)).unroll(2) == StepKnowledge(add, range(3)).unroll(2)


def test_use_changes_neither_equality_nor_pickle():
    knowledge, fresh = StepKnowledge(add, range(3), 2), StepKnowledge(add, range(3), 2)
    knowledge.conclude([[1, 2]])
    assert knowledge == fresh
    assert pickle.dumps(knowledge) == pickle.dumps(fresh)
    again = pickle.loads(pickle.dumps(knowledge))
    assert again == knowledge
    assert again.conclude([[1, 2]]).tolist() == [3]
    assert clone(knowledge) is knowledge


def test_knowledge_cannot_be_changed():
    with pytest.raises(AttributeError):
        StepKnowledge(add, range(3), 2).initial = 1


def test_repr_is_one_short_line():
    assert repr(StepKnowledge(add, range(3), 2)) == "StepKnowledge(add, range(3), 2)"
    assert repr(StepKnowledge(add, range(3))) == "StepKnowledge(add, range(3))"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "Either states or symbol_states must be given, got states=None"),
        (
            {"states": [0], "symbol_states": [[0]]},
            ValueError,
            r"Either states or symbol_states .*Pass states=range\(10\), n_symbols=5",
        ),
        ({"states": "ab"}, TypeError, "states must be a collection .* got 'ab'"),
        ({"states": [0, END]}, ValueError, r"without END.*Use unroll\(n_symbols\)"),
        ({"states": [0], "n_symbols": 0}, ValueError, "n_symbols must be .* got 0. Pass the"),
        ({"states": [0], "n_symbols": 2.0}, ValueError, "n_symbols must be an int .* got 2.0"),
        ({"symbol_states": 3}, TypeError, "symbol_states must hold one collection .* got 3"),
        ({"symbol_states": []}, ValueError, "at least one symbol, got none. Pass"),
        ({"symbol_states": [3]}, TypeError, r"symbol_states\[0\] must be a collection .* got 3"),
        ({"symbol_states": [[0]], "n_symbols": 2}, ValueError, "must be 1, the length .* got 2"),
        ({"states": [0], "initial": None}, TypeError, "initial must be .* got None.*Use a number"),
        ({"states": [0], "initial": [1]}, TypeError, r"initial must be a hashable .* got \[1\]"),
        (
            {"states": [0], "reading_order": [0]},
            ValueError,
            r"reading_order must be None .* got \[0\].*Give n_s",
        ),
        (
            {"states": [0], "n_symbols": 3, "reading_order": [0, 2, 2]},
            ValueError,
            r"each of the symbols 0 ... 2 once, got \(0, 2, 2\). Pass for example range\(3\)",
        ),
        ({"states": [0], "max_states": 0}, ValueError, "max_states must be .* got 0"),
        ({"states": [0], "final": []}, ValueError, "at least one function.* Leave it out"),
        ({"states": [0], "final": 3}, TypeError, "final must be callable, got 3"),
        ({"states": [0], "accept": 3}, TypeError, "accept must be callable, got 3"),
        (
            {"states": [0], "final": add},
            TypeError,
            r"final is called as final\(state\), but its signature is \(state, symbol, position\)",
        ),
    ],
)
def test_wrong_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        StepKnowledge(add, **arguments)


@pytest.mark.parametrize("step", [lambda state, symbol: 0, lambda: 0])
def test_step_of_other_arguments_is_named(step):
    with pytest.raises(TypeError, match=r"called as step\(state, symbol, position\), but.*Change"):
        StepKnowledge(step, [0])


def test_step_that_is_none_is_named():
    with pytest.raises(TypeError, match=r"step must be callable, got 7. Pass .* step\(state, sy"):
        StepKnowledge(7, [0])


@pytest.mark.parametrize(
    ("step", "arguments", "message"),
    [
        (
            lambda s, v, p: 1 // v,
            {},
            "state 0, symbol 0, position 0 it raised ZeroDivisionError.*Return None",
        ),
        (lambda s, v, p: [v], {}, r"a hashable state .* position 0 it returned \[0\] \(list\)"),
        (lambda s, v, p: float("nan"), {}, "other than NaN.* it returned nan"),
        (lambda s, v, p: v, {"emits": True}, r"a pair .*as emits=True.*returned 0.*\(state, None"),
        (lambda s, v, p: (None, v), {"emits": True}, "a hashable state .* None .*None alone for"),
        (lambda s, v, p: (v, [v]), {"emits": True}, r"a hashable output .* returned \[0\]"),
        (
            lambda s, v, p: (v, v or None),
            {"emits": True},
            "for all worlds or for none, but it emits for state 0, symbol 1, position 0 and "
            "returned None as output for state 0, symbol 0, position 0",
        ),
        (lambda s, v, p: (v, None), {"emits": True}, "must have an output.* or pass `final`"),
        (add, {"accept": lambda s: s.x}, "accept must .* state 0 it raised AttributeError"),
        (add, {"final": lambda s: 1 // s}, "final must .* state 0 it raised ZeroDivisionError"),
        (add, {"final": lambda s: [s]}, r"final must return a hashable .* returned \[0\]"),
        (add, {"output_order": [1, 0]}, r"each of the outputs 0 ... 0 once, got \(1, 0\)"),
    ],
)
def test_wrong_results_are_named_with_their_state(step, arguments, message):
    with pytest.raises(InvalidKnowledgeError, match=message):
        StepKnowledge(step, [0, 1], 2, **arguments).conclude([[0, 0]])


@pytest.mark.parametrize(
    ("step", "arguments", "message"),
    [
        (lambda s, v, p: None, {}, "rules out all. Check when step and final return None"),
        (add, {"accept": lambda s: False}, "rules out all.* and accept is False"),
        (add, {"final": lambda s: None}, "rules out all"),
        (lambda s, v, p: (s, v) if p == 0 else None, {"emits": True}, "rules out all"),
    ],
)
def test_where_all_worlds_are_ruled_out_none_has_a_label_and_nothing_compiles(
    step, arguments, message
):
    knowledge = StepKnowledge(step, [0, 1], 2, **arguments)
    assert knowledge.conclude([[0, 0], [1, 0]]).tolist() == [None, None]
    with pytest.raises(InvalidKnowledgeError, match=message):
        DiagramEngine().compile(knowledge)


def test_machine_of_too_many_states_is_named():
    knowledge = StepKnowledge(remember, [0, 1], 30, initial=(), max_states=100)
    with pytest.raises(
        TooWideError, match="max_states=100 states after 6 of 30 symbols. Keep .* raise `max_sta"
    ):
        knowledge.conclude([[0] * 30])


def test_labels_of_one_output_are_what_y_holds():
    knowledge = StepKnowledge(add, range(3), 2)
    assert knowledge.split_labels([3, 1]).tolist() == [3, 1]
    assert knowledge.split_labels(np.array([[3], [1]])).tolist() == [3, 1]
    assert knowledge.join_labels(np.array([3, 1])).tolist() == [3, 1]
    with pytest.raises(ValueError, match=r"one label for each sample.* got the shape \(1, 2\)"):
        knowledge.split_labels([[3, 1]])


def test_labels_of_several_outputs_are_rows_or_tuples():
    knowledge = StepKnowledge(add, range(3), 2, final=[str, is_even])
    for y in ([("3", False), ("2", True)], knowledge.conclude([[1, 2], [0, 2]])):
        rows = knowledge.split_labels(y)
        assert rows.tolist() == [["3", False], ["2", True]]
        assert knowledge.join_labels(rows).tolist() == rows.tolist()
    assert knowledge.split_labels([]).shape == (0, 2)
    with pytest.raises(ValueError, match=r"shape \(n_samples, 2\), one column .* got \(2, 3\)"):
        knowledge.split_labels(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"y holds \(1,\), but .* states of 2 outputs. Pass y"):
        knowledge.split_labels([(1,)])
    with pytest.raises(ValueError, match="y holds 7, but"):
        knowledge.split_labels([7])
