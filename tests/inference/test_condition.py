"""Knowledge on top of probabilities that any model made."""

import itertools
import re

import numpy as np
import oracle
import pandas as pd
import pytest
import torch

from sknesy.exceptions import (
    ApproximationWarning,
    InconsistentLabelError,
    InvalidKnowledgeError,
)
from sknesy.inference import (
    BeliefPropagationEngine,
    Conditioner,
    DiagramEngine,
    EnumerationEngine,
    ModeEngine,
    SamplingEngine,
    condition,
    decide,
)
from sknesy.knowledge import (
    AnyOf,
    AtMost,
    ClassCounts,
    ClauseKnowledge,
    DigitAddition,
    FunctionKnowledge,
    StepKnowledge,
    SymbolSum,
)

# cat -> animal, dog -> animal, not both
PETS = ClauseKnowledge([[-1, 3], [-2, 3], [-1, -2]], symbols=[[1], [2], [3]])


def is_first_smaller(shape, size):
    return ("round", "square").index(shape) < size


def larger(state, symbol, position):
    return max(state, symbol)


def is_small(state):
    return state < 2


UNLIKE = FunctionKnowledge(is_first_smaller, [["round", "square"], [0, 1, 2]])


def random_proba(n_states, n_samples=4, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.dirichlet(np.ones(n), size=n_samples) for n in n_states]


def padded(arrays):
    wide = max(array.shape[1] for array in arrays)
    return np.stack([np.pad(a, ((0, 0), (0, wide - a.shape[1]))) for a in arrays], axis=1)


def by_brute_force(knowledge, arrays, allows):
    """Evidence and marginals by adding up worlds; `allows(i, world, label)`."""
    n_states = [array.shape[1] for array in arrays]
    worlds = np.array(list(itertools.product(*map(range, n_states))))
    labels = knowledge.conclude(worlds)
    evidence, marginals = [], []
    for i in range(len(arrays[0])):
        total, share, *_ = oracle.posterior(
            n_states,
            [1],
            lambda w, i=i: (
                (0,)
                if (label := labels[(worlds == w).all(axis=1)][0]) is not None
                and allows(i, w, label)
                else None
            ),
            [array[i].tolist() for array in arrays],
            [[1.0]],
        )
        evidence.append(total)
        marginals.append([np.pad(row, (0, max(n_states) - len(row))) for row in share])
    return np.array(evidence), np.array(marginals)


def assert_is_posterior(posterior, evidence, marginals):
    np.testing.assert_allclose(posterior.log_evidence, np.log(evidence), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(posterior.symbol_marginals, marginals, rtol=1e-10, atol=1e-14)
    assert posterior.kind == "exact"


RULES = {
    "clauses": PETS,
    "question": AtMost(1, n_symbols=3),
    "function": UNLIKE,
    "steps": StepKnowledge(larger, symbol_states=[[0, 1], [0, 1, 2]], final=is_small),
}


@pytest.mark.parametrize("knowledge", RULES.values(), ids=RULES)
@pytest.mark.parametrize("form", ["padded", "list", "frames", "tensor", "nested lists"])
def test_without_y_rules_hold_in_whatever_form_probabilities_come(knowledge, form):
    arrays = random_proba(knowledge.n_states)
    proba = {
        "padded": lambda: padded(arrays),
        "list": lambda: arrays,
        "frames": lambda: [pd.DataFrame(array) for array in arrays],
        "tensor": lambda: torch.tensor(padded(arrays), requires_grad=True),
        "nested lists": lambda: padded(arrays).tolist(),
    }[form]()
    expected = by_brute_force(knowledge, arrays, lambda i, world, label: label is True)
    assert_is_posterior(condition(knowledge, proba), *expected)


@pytest.mark.parametrize("states", [(False, True), (True, False), (0, 1), (1, 0)])
def test_one_number_a_boolean_symbol_is_the_probability_of_true(states):
    named = FunctionKnowledge(
        lambda a, b, c: bool((c or not (a or b)) and not (a and b)), [states] * 3
    )
    p = np.random.default_rng(0).random((5, 3))
    expected = condition(PETS, p).symbol_marginals[:, :, 1]
    found = condition(named, p).symbol_marginals[:, :, states.index(True)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(condition(PETS, p.tolist()).symbol_marginals[:, :, 1], expected)


def test_a_model_of_one_symbol_may_pass_what_predict_proba_gives():
    rules = FunctionKnowledge(lambda v: v != "b", [["a", "b", "c"]])
    posterior = condition(rules, [[0.2, 0.5, 0.3]])
    np.testing.assert_allclose(posterior.symbol_marginals, [[[0.4, 0.0, 0.6]]])


def test_labels_sets_and_gaps_in_y_are_evidence_row_by_row():
    total = SymbolSum(2, states=range(3))
    arrays = random_proba([3, 3], n_samples=4)
    said = [3, {0, 4}, None, 1]
    allowed = [{3}, {0, 4}, set(range(5)), {1}]
    expected = by_brute_force(total, arrays, lambda i, world, label: label in allowed[i])
    assert_is_posterior(condition(total, arrays, said), *expected)


def test_without_y_the_label_of_what_is_no_rule_is_unknown():
    total = SymbolSum(2, states=range(3))
    arrays = random_proba([3, 3])
    posterior = condition(total, arrays)
    assert_is_posterior(posterior, np.ones(4), padded(arrays))
    sums = [np.convolve(*rows) for rows in zip(*arrays, strict=True)]
    np.testing.assert_allclose(posterior.output_marginals[:, 0], sums)


@pytest.mark.parametrize("y", [[None, True, False, {False, True}], [np.nan, 1, 0, {0, 1}]])
def test_rules_may_be_unknown_broken_or_kept_row_by_row(y):
    arrays = random_proba([2, 2, 2])
    allowed = [{True, False}, {True}, {False}, {True, False}]
    expected = by_brute_force(PETS, arrays, lambda i, world, label: label in allowed[i])
    assert_is_posterior(condition(PETS, arrays, y), *expected)


def test_known_symbols_and_sets_of_states_are_evidence_too():
    arrays = random_proba([2, 3], n_samples=4)
    known = [["round", None], None, [np.nan, {1, 2}], ["square", 2]]
    possible = [[{0}, {0, 1, 2}], [{0, 1}, {0, 1, 2}], [{0, 1}, {1, 2}], [{1}, {2}]]

    def allows(i, world, label):
        return label and all(v in s for v, s in zip(world, possible[i], strict=True))

    expected = by_brute_force(UNLIKE, arrays, allows)
    assert_is_posterior(condition(UNLIKE, arrays, symbols=known), *expected)


def test_labels_of_several_outputs_are_rows():
    counts = ClassCounts(["cat", "dog"], n_symbols=3)
    arrays = random_proba([2, 2, 2])
    y = [(1, 2), (None, {0, 3}), None, (3, 0)]
    allowed = [{(1, 2)}, {(3, 0), (0, 3)}, {(0, 3), (1, 2), (2, 1), (3, 0)}, {(3, 0)}]
    expected = by_brute_force(counts, arrays, lambda i, world, label: label in allowed[i])
    assert_is_posterior(condition(counts, arrays, y), *expected)


def test_labels_that_are_split_into_outputs_are_written_as_the_user_does():
    addition = DigitAddition(1)
    arrays = random_proba([10, 10], n_samples=2)
    expected = by_brute_force(addition, arrays, lambda i, w, _: w[0] + w[1] == [7, 13][i])
    assert_is_posterior(condition(addition, arrays, [7, 13]), *expected)


@pytest.mark.parametrize("knowledge", [AtMost(1), AnyOf()])
def test_knowledge_of_any_number_of_symbols_takes_as_many_as_there_are(knowledge):
    arrays = random_proba([2] * 4)
    fixed = type(knowledge)(*([1] if isinstance(knowledge, AtMost) else []), n_symbols=4)
    expected = condition(fixed, arrays)
    assert_is_posterior(
        condition(knowledge, arrays), np.exp(expected.log_evidence), expected.symbol_marginals
    )
    worlds = decide(knowledge, arrays)
    assert worlds.dtype == bool
    np.testing.assert_array_equal(worlds, decide(fixed, arrays))


def test_steps_of_any_number_of_symbols_that_answer_yes_or_no_hold():
    steps = StepKnowledge(larger, [0, 1, 2], final=is_small)
    arrays = random_proba([3, 3])
    fixed = StepKnowledge(larger, [0, 1, 2], 2, final=is_small)
    expected = by_brute_force(fixed, arrays, lambda i, world, label: label is True)
    assert_is_posterior(condition(steps, arrays), *expected)


def test_output_marginals_are_sorted_by_name():
    knowledge = FunctionKnowledge(lambda a, b: "zay"[a + b], [[0, 1]] * 2)
    p = np.array([[0.5, 0.5]])
    posterior = condition(knowledge, p)
    np.testing.assert_allclose(posterior.output_marginals, [[[0.5, 0.25, 0.25]]])  # a, y, z


@pytest.mark.parametrize("inference", [DiagramEngine(), EnumerationEngine(), "auto"])
def test_all_exact_engines_agree(inference):
    arrays = random_proba([2, 2, 2])
    expected = by_brute_force(PETS, arrays, lambda i, world, label: label)
    assert_is_posterior(condition(PETS, arrays, inference=inference), *expected)


@pytest.mark.parametrize(
    ("knowledge", "inference"),
    [
        *((knowledge, "auto") for knowledge in RULES.values()),
        (PETS, BeliefPropagationEngine()),  # which has marginals only: another engine searches
    ],
    ids=[*RULES, "belief propagation"],
)
@pytest.mark.parametrize("decision", ["marginals", "world"])
def test_decisions_are_the_best_of_all_worlds_that_obey(knowledge, inference, decision):
    arrays = random_proba(knowledge.n_states, n_samples=20, seed=1)
    worlds = np.array(list(itertools.product(*map(range, knowledge.n_states))))
    worlds = worlds[knowledge.conclude(worlds).astype(bool)]
    scores = padded(arrays)
    if decision == "marginals":
        scores = condition(knowledge, arrays).symbol_marginals
    columns = np.arange(len(arrays))
    picked = np.stack([scores[:, columns, world] for world in worlds], axis=1)
    value = picked.sum(axis=2) if decision == "marginals" else picked.prod(axis=2)
    expected = knowledge.name_worlds(worlds[value.argmax(axis=1)])
    found = decide(knowledge, arrays, decision=decision, inference=inference)
    np.testing.assert_array_equal(found, expected)


def test_the_two_decisions_differ_where_many_worlds_share_a_state():
    """The likeliest world has 0; most worlds have 1 at the first place."""
    proba = [np.array([[0.5, 0.5]]), np.array([[0.34, 0.22, 0.22, 0.22]])]
    rules = FunctionKnowledge(lambda a, b: (a == 0) == (b == 0), [[0, 1], [0, 1, 2, 3]])
    assert decide(rules, proba, decision="world").tolist() == [[0, 0]]
    assert decide(rules, proba, decision="marginals")[0, 0] == 1


def test_decisions_keep_to_known_symbols_and_labels():
    arrays = random_proba([2, 2, 2], n_samples=8)
    worlds = decide(PETS, arrays, [True, False] * 4, [[True, None, None]] * 8)
    assert worlds[:, 0].all()
    np.testing.assert_array_equal(PETS.conclude(worlds.astype(int)), [True, False] * 4)


def test_smoothing_mixes_in_the_uniform_distribution():
    arrays = random_proba([2, 3])
    mixed = [0.7 * array + 0.3 / array.shape[1] for array in arrays]
    found, expected = condition(UNLIKE, arrays, smoothing=0.3), condition(UNLIKE, mixed)
    np.testing.assert_allclose(found.symbol_marginals, expected.symbol_marginals)
    np.testing.assert_allclose(found.log_evidence, expected.log_evidence)


def test_smoothing_overrules_as_few_certain_states_as_possible():
    p = [[1.0, 1.0, 0.0]]  # a cat, a dog, and no animal
    rules = ClauseKnowledge([[-1, 3], [-2, 3]], symbols=[[1], [2], [3]])
    assert decide(rules, p, smoothing=1e-6).tolist() == [[True, True, True]]


def test_what_the_model_rules_out_altogether_is_an_error_with_its_cure():
    p = [[0.5, 0.5, 0.5], [1.0, 1.0, 0.5]]
    for call in (condition, decide):
        with pytest.raises(InconsistentLabelError, match=r"sample 1 .*1 of 2.*smoothing=1e-6"):
            call(PETS, p)
    with pytest.raises(InconsistentLabelError, match=r"sample 0 where y holds False"):
        condition(PETS, [[0.0, 0.0, 0.5]], [False])
    with pytest.raises(InconsistentLabelError, match=r"symbols says \[True, True, None\]"):
        condition(PETS, [[0.5, 0.5, 0.5]], symbols=[[True, True, None]])


def test_where_the_model_excludes_nothing_what_is_known_must_be_corrected():
    with pytest.raises(InconsistentLabelError, match=r"symbols says \[True, True.* Correct y or"):
        condition(PETS, [[0.5, 0.5, 0.5]], symbols=[[True, True, None]], smoothing=1e-6)


def test_rules_that_no_world_obeys_are_an_error():
    never = FunctionKnowledge(lambda a, b: bool(a > b > a), [[False, True]] * 2)
    with pytest.raises(InvalidKnowledgeError, match=r"no world gives the label True.*Take rules"):
        condition(never, [[0.5, 0.5]])


def test_approximations_say_where_they_found_nothing():
    many = FunctionKnowledge(lambda *v: sum(v) == 12, [[0, 1]] * 12)
    p = np.full((1, 12), 1e-9)
    engine = ModeEngine(max_tried=1, max_width=1)
    with pytest.warns(ApproximationWarning, match=r"1 of 1 samples .*smoothing"):
        posterior = condition(many, p, inference=engine)
    assert posterior.kind == "lower_bound"
    assert posterior.log_evidence.tolist() == [-np.inf]


def test_estimates_are_those_of_the_seed_0():
    arrays = random_proba([2, 2, 2])
    first, second = (condition(PETS, arrays, inference=SamplingEngine(50)) for _ in range(2))
    np.testing.assert_array_equal(first.log_evidence, second.log_evidence)


def test_single_precision_is_normalised_in_double():
    p = torch.softmax(torch.randn(6, 3, 2, generator=torch.Generator().manual_seed(0)), dim=2)
    found = condition(PETS, p, y=[None] * 6)
    np.testing.assert_allclose(found.log_evidence, 0.0, atol=1e-15)


BAD = {
    "logits": ([[[1.0, -3.0]] * 3], r"symbol 0 of sample 0 are 1, -3, with the sum -2.*softmax"),
    "sums": ([[[0.5, 0.5], [0.5, 0.6], [0, 1]]], r"symbol 1 of sample 0 are 0.5, 0.6.*sum 1.1"),
    "above one": ([[0.5, 1.5, 0.5]], r"symbol 1 of sample 0 are -0.5, 1.5"),
    "NaN": ([[0.5, np.nan, 0.5]], r"symbol 1 of sample 0 are nan, nan"),
    "masked": (np.ma.masked_equal([[0.5, 0.0, 0.5]], 0.0), r"symbol 1 of sample 0 are nan"),
    "too few": ([[0.5, 0.5]], r"3 symbols of up to 2 states, got the shape \(1, 2\)"),
    "ragged": ([[0.5, 0.5, 0.5], [0.5, 0.5]], r"rows of unlike lengths. Pad"),
    "flat": ([0.5, 0.5, 0.5], r"got the shape \(3,\)"),
    "list": ([np.ones((4, 2)) / 2] * 2, r"each of the 3 symbols, got a list of 2"),
    "columns": ([np.ones((4, 2)) / 2] * 2 + [np.ones((4, 1))], r"proba\[2\].*\(4, 2\).*\(4, 1\)"),
    "rows": ([np.ones((4, 2)) / 2] * 2 + [np.ones((3, 2)) / 2], r"proba\[2\].*got \(3, 2\)"),
    "empty": (np.empty((0, 3, 2)), r"at least one sample, got none"),
}


@pytest.mark.parametrize(("proba", "message"), BAD.values(), ids=BAD)
def test_what_is_no_probability_is_an_error_that_says_where(proba, message):
    with pytest.raises(ValueError, match=message):
        condition(PETS, proba)


def test_padding_must_be_zero():
    arrays = padded(random_proba([2, 3]))
    arrays[0, 0] = [0.5, 0.2, 0.3]
    with pytest.raises(ValueError, match=r"over the 2 states .*0 for padding.*0.5, 0.2, 0.3"):
        condition(UNLIKE, arrays)


def test_other_mistakes_name_parameter_value_and_cure():
    p = [[0.5, 0.5, 0.5]]
    with pytest.raises(ValueError, match=r"symbol 0 has 'round', 'square'.*n_states"):
        condition(UNLIKE, [[0.5, 0.5]])
    with pytest.raises(TypeError, match=r"knowledge must be a Knowledge, got list"):
        condition([[-1, 3]], p)
    with pytest.raises(
        TypeError, match=r"inference must be an inference engine or 'auto', got 'no"
    ):
        condition(PETS, p, inference="no such")
    with pytest.raises(ValueError, match=r"decision must be one of .*got 'mean'"):
        decide(PETS, p, decision="mean")
    with pytest.raises(ValueError, match=r"smoothing must be .*got 2"):
        condition(PETS, p, smoothing=2)
    with pytest.raises(ValueError, match=re.escape("[1, 2]")):
        condition(PETS, p, [True, False])
    with pytest.raises(TypeError, match=r"proba must hold probabilities, got <U"):
        condition(PETS, [["a", "b", "c"]])
    with pytest.raises(InconsistentLabelError, match=r"symbols holds 7 for symbol 1 of sample 0"):
        condition(PETS, p, symbols=[[None, 7, None]])


def test_a_conditioner_compiles_once_for_all_labels():
    conditioner = Conditioner(PETS, "auto")
    arrays = random_proba([2, 2, 2])
    for y in (None, [True, False, None, True], [False] * 4, None):
        found, expected = conditioner.posterior(arrays, y), condition(PETS, arrays, y)
        np.testing.assert_allclose(found.symbol_marginals, expected.symbol_marginals)
        np.testing.assert_allclose(found.log_evidence, expected.log_evidence)
        np.testing.assert_array_equal(conditioner.decide(arrays, y), decide(PETS, arrays, y))


def test_a_conditioner_must_know_how_many_symbols_there_are():
    with pytest.raises(ValueError, match=r"n_symbols must be given .*AtMost\(1\).*how many"):
        Conditioner(AtMost(1))
    assert Conditioner(AtMost(1), n_symbols=3).decide([[0.9, 0.8, 0.1]]).tolist() == [
        [True, False, False]
    ]


def test_inputs_are_unchanged():
    arrays = random_proba([2, 2, 2])
    copies = [array.copy() for array in arrays]
    condition(PETS, arrays, smoothing=0.1, symbols=[[True, None, None]] * 4)
    np.testing.assert_array_equal(arrays, copies)
