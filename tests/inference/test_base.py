"""What engines share: the arrays they take, the parameters they check, the views they have."""

import itertools
import pickle

import numpy as np
import pytest
import torch
from oracle import posterior as oracle_posterior
from problems import add
from sklearn.base import clone
from weights import normal

from sknesy.exceptions import SknesyError, UnsupportedKnowledgeError
from sknesy.inference import (
    AutoEngine,
    BeliefPropagationEngine,
    CircuitEngine,
    Compiled,
    DiagramEngine,
    EnumerationEngine,
    InferenceEngine,
    Kind,
    ModeEngine,
    Posterior,
    SamplingEngine,
    WorldDistance,
)
from sknesy.knowledge import ClauseKnowledge, FunctionKnowledge, StepKnowledge, SymbolSum

ENGINES = [
    AutoEngine(),
    BeliefPropagationEngine(),
    DiagramEngine(),
    EnumerationEngine(),
    ModeEngine(),
    CircuitEngine(),
    SamplingEngine(),
]
every_engine = pytest.mark.parametrize("engine", ENGINES, ids=lambda e: type(e).__name__)

# Of the first symbol 2 states, of the second 3.
CLAUSES = ClauseKnowledge([[1, 2], [-3, -1]], symbols=[[1], [2, 3, 4]])


def evidence(engine):
    """Compiled knowledge of padded symbols, and exact float64 evidence with padding -inf."""
    compiled = engine.compile(CLAUSES)
    rng = np.random.default_rng(0)
    log_prob = np.log(rng.dirichlet([1.0] * 3, size=(4, 2)))
    n = np.array(compiled.n_states)
    log_prob[:, np.arange(3) >= n[:, None]] = -np.inf
    log_likelihood = np.log(rng.random((4, 1, 2)))
    return compiled, torch.from_numpy(log_prob), torch.from_numpy(log_likelihood)


def same(first, second, **tolerance):
    tolerance = tolerance or {"rtol": 0.0, "atol": 0.0}
    for name in ("log_evidence", "symbol_marginals", "output_marginals"):
        torch.testing.assert_close(getattr(first, name), getattr(second, name), **tolerance)


@every_engine
def test_arrays_of_any_float_and_lists_are_cast_once(engine):
    compiled, log_prob, log_likelihood = evidence(engine)
    expected = engine.infer(compiled, log_prob, log_likelihood)
    for a, b in (
        (log_prob.numpy(), log_likelihood.numpy()),
        (log_prob.tolist(), log_likelihood),
        (np.asfortranarray(log_prob.numpy()), log_likelihood.numpy().astype(">f8")),
    ):
        same(engine.infer(compiled, a, b), expected)
        assert engine.infer(compiled, a, b).log_evidence.dtype == torch.float64
    for kind, digits in ((torch.float32, 1e-5), (torch.float16, 1e-2), (torch.bfloat16, 5e-2)):
        found = engine.infer(compiled, log_prob.to(kind), log_likelihood.to(kind))
        rounded = engine.infer(
            compiled, log_prob.to(kind).double(), log_likelihood.to(kind).double()
        )
        same(found, rounded)
        if not isinstance(engine, SamplingEngine):
            same(found, expected, rtol=digits, atol=digits)
    whole = np.zeros((4, 1, 2), dtype=np.int64)
    same(
        engine.infer(compiled, log_prob, whole),
        engine.infer(compiled, log_prob, torch.zeros(4, 1, 2).double()),
    )
    read_only = log_prob.numpy().copy()
    read_only.flags.writeable = False
    same(engine.infer(compiled, read_only, log_likelihood), expected)


@every_engine
@pytest.mark.parametrize("filling", [0.0, 5.0, -1e9])
def test_states_that_a_symbol_does_not_have_count_as_impossible(engine, filling):
    compiled, log_prob, log_likelihood = evidence(engine)
    expected = engine.infer(compiled, log_prob, log_likelihood)
    padded = log_prob.masked_fill(log_prob == -torch.inf, filling)
    assert (padded != log_prob).any()
    same(engine.infer(compiled, padded, log_likelihood), expected)
    if "mode" in engine.supports:
        for found, wanted in zip(
            engine.mode(compiled, padded, log_likelihood),
            engine.mode(compiled, log_prob, log_likelihood),
            strict=True,
        ):
            assert torch.equal(found, wanted)


@every_engine
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.ones((4, 2, 3), dtype=bool), "log_prob must hold log-probabilities, got bool. Pass"),
        (torch.ones((4, 2, 3), dtype=torch.bool), "got torch.bool. Pass floats"),
        (torch.ones((4, 2, 3), dtype=torch.complex64), "got torch.complex64. Pass floats"),
        ([[[0.0], [0.0, 0.0]]] * 4, "got object. Pass floats in one array"),
        ("net", "got <U3. Pass floats"),
        (None, "got object. Pass floats"),
    ],
)
def test_what_holds_no_log_probabilities_is_named_with_the_cure(engine, wrong, message):
    compiled, _, log_likelihood = evidence(engine)
    with pytest.raises(TypeError, match=message):
        engine.infer(compiled, wrong, log_likelihood)


NOT_NUMBERS = ["a", True, float("nan"), [3], -1]


def numeric_parameters():
    for engine in ENGINES:
        for name, value in engine.get_params(deep=False).items():
            limits = ("limit", "max_", "n_", "min_", "tol", "damping", "temperature", "block")
            if any(word in name for word in limits) and name != "n_jobs":
                yield pytest.param(engine, name, value, id=f"{type(engine).__name__}-{name}")


@pytest.mark.parametrize(("engine", "name", "default"), [*numeric_parameters()])
def test_every_number_of_every_engine_is_checked_when_it_compiles(engine, name, default):
    for wrong in NOT_NUMBERS:
        broken = clone(engine).set_params(**{name: wrong})
        with pytest.raises((TypeError, ValueError)) as caught:
            broken.compile(CLAUSES)
        message = str(caught.value)
        assert message.startswith(f"{name} must be ")
        assert f"got {wrong!r}. " in message
        assert message.endswith(f"Pass for example {name}={default}.")
        assert not isinstance(caught.value, SknesyError)


def test_numbers_that_are_allowed_pass():
    for engine, name, value in (
        (DiagramEngine(), "time_limit", np.float32(3.0)),
        (DiagramEngine(), "max_width", np.int64(100)),
        (DiagramEngine(), "time_limit", float("inf")),
        (EnumerationEngine(), "time_limit", None),
        (BeliefPropagationEngine(), "damping", 0),
        (SamplingEngine(), "proposal_temperature", 1),
    ):
        clone(engine).set_params(**{name: value}).compile(CLAUSES)


@pytest.mark.parametrize(
    ("parameters", "knowledge", "name"),
    [
        ({"distance": "hamming"}, CLAUSES, "distance"),
        ({"n_jobs": 2}, CLAUSES, "n_jobs"),
        ({"max_states": 7}, CLAUSES, "max_states"),
        ({"proposal_temperature": 2.0}, SymbolSum(3), "proposal_temperature"),
        ({"look_ahead": False}, SymbolSum(3), "look_ahead"),
        ({"draw_order": "natural"}, FunctionKnowledge(max, [range(3)] * 2), "draw_order"),
        ({"max_states": 7}, FunctionKnowledge(max, [range(3)] * 2), "max_states"),
    ],
)
def test_options_that_draws_of_the_knowledge_do_not_depend_on_are_refused(
    parameters, knowledge, name
):
    with pytest.raises(UnsupportedKnowledgeError, match=f"{name} must be left at .* Leave it out"):
        SamplingEngine(**parameters).compile(knowledge)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"min_ess": 0.5}, "min_ess must be left at 0.1 .*got 0.5. Pass a distance"),
        ({"n_moves": 3}, "n_moves must be left at 0 .*got 3. Pass a distance"),
        ({"distance": "absolute", "block_size": 2}, "block_size must be .*got 2. Pass `n_moves`"),
        (
            {"distance": WorldDistance(max, conditional=min)},
            "conditional of `distance` must be None .*got <built-in function min>. Set criterion=",
        ),
    ],
)
def test_options_without_the_one_they_belong_to_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        SamplingEngine(**parameters).compile(FunctionKnowledge(max, [range(3)] * 2))


def test_engines_without_a_view_name_those_that_have_it():
    engine = BeliefPropagationEngine()
    compiled, *arrays = evidence(engine)
    for call in (engine.mode, lambda *given: engine.sample(*given, 3)):
        with pytest.raises(NotImplementedError, match="BeliefPropagationEngine cannot") as caught:
            call(compiled, *arrays)
        able = str(caught.value).partition("Use one that can: ")[2].rstrip(".").split(", ")
        assert {"DiagramEngine", "EnumerationEngine", "ModeEngine", "CircuitEngine"} <= set(able)
        assert not {"BeliefPropagationEngine", "InferenceEngine", "ExactEngine"} & set(able)


@every_engine
def test_engines_tell_their_views_and_the_quality_of_their_posteriors(engine):
    compiled, *arrays = evidence(engine)
    assert engine.supports <= {"mode", "sample"}
    posterior = engine.infer(compiled, *arrays)
    assert isinstance(posterior.kind, Kind)
    assert 0 <= engine.quality(posterior) <= 1
    if posterior.kind == "exact":
        assert engine.quality(posterior) == 1
    if "sample" in engine.supports:
        with pytest.raises(ValueError, match="n_draws must be .*got 0"):
            engine.sample(compiled, *arrays, 0)


@every_engine
def test_what_engines_compile_has_one_form_that_pickles_and_moves(engine):
    compiled, *arrays = evidence(engine)
    assert isinstance(compiled, Compiled)
    assert compiled.n_states == (2, 3)
    assert compiled.output_states == ((False, True),)
    again = pickle.loads(pickle.dumps(compiled)).to("cpu")
    assert type(again) is type(compiled)
    assert again.estimate_cost(8) == compiled.estimate_cost(8) > 0
    assert repr(again) == repr(compiled)
    same(engine.infer(again, *arrays), engine.infer(compiled, *arrays))


def test_kinds_are_words_and_no_other_word_is_one():
    assert [str(kind) for kind in Kind] == ["exact", "lower_bound", "estimate"]
    nothing = torch.zeros(0)
    assert Posterior(nothing, nothing, nothing, "estimate").kind is Kind.ESTIMATE
    with pytest.raises(ValueError, match="kind must be one of .*'lower_bound'.* 'lower bound'"):
        Posterior(nothing, nothing, nothing, "lower bound")


class OneWorld:
    """The only world of some knowledge, as a form."""

    def __init__(self, world, output):
        self.world, self.output = world, output

    def estimate_cost(self, n_samples):
        return 1.0

    def to(self, device):
        return self


class OneWorldEngine(InferenceEngine):
    """Exact, and cheaper than any other, where there is one world; refuses other knowledge."""

    kind = "exact"

    def compile(self, knowledge, labels=None, reuse=None):
        allowed = [
            (world, label)
            for world in itertools.product(*map(range, knowledge.n_states.tolist()))
            for label in knowledge.conclude([world]).tolist()
            if label is not None
        ]
        if len(allowed) != 1:
            raise UnsupportedKnowledgeError("The knowledge must have one world. Use another.")
        [(world, label)] = allowed
        return Compiled(OneWorld(world, 0), tuple(knowledge.n_states.tolist()), ((label,),))

    def _infer(self, compiled, log_prob, log_likelihood, generator):
        total = log_likelihood[:, 0, 0] + sum(
            log_prob[:, s, v] for s, v in enumerate(compiled.form.world)
        )
        symbols = torch.zeros_like(log_prob)
        symbols[:, range(log_prob.shape[1]), compiled.form.world] = 1.0
        return Posterior(total, symbols, torch.ones_like(log_likelihood), self.kind)


class GuessingEngine(InferenceEngine):
    """Estimates that everything is as the net has it, and is sure of it."""

    def __init__(self, confidence=1.0):
        self.confidence = confidence

    def compile(self, knowledge, labels=None, reuse=None):
        return Compiled(OneWorld(None, None), tuple(knowledge.n_states.tolist()), ((False, True),))

    def _infer(self, compiled, log_prob, log_likelihood, generator):
        return Posterior(
            torch.zeros(len(log_prob)), log_prob.exp(), log_likelihood.exp(), Kind.ESTIMATE
        )

    def quality(self, posterior):
        return self.confidence


def only_ones(a, b):
    return "ones" if a == b == 1 else None


def test_an_exact_engine_of_ones_own_is_chosen_where_it_is_the_cheapest():
    auto = AutoEngine(engines=(DiagramEngine(), OneWorldEngine(), EnumerationEngine()))
    knowledge = FunctionKnowledge(only_ones, [range(3)] * 2)
    choice = auto.compile(knowledge)
    assert isinstance(choice.engine, OneWorldEngine)
    assert choice.reason.startswith("exact; OneWorldEngine with ")
    log_prob = torch.tensor([[[0.2, 0.5, 0.3]] * 2]).double().log()
    found = auto.infer(choice, log_prob, torch.zeros(1, 1, 1))
    total, symbols, _, _ = oracle_posterior(
        [3, 3],
        [1],
        lambda world: [0] if tuple(world) == (1, 1) else None,
        log_prob.exp()[0].tolist(),
        [[1.0]],
    )
    assert found.log_evidence.exp().item() == pytest.approx(total, rel=1e-6)
    np.testing.assert_allclose(found.symbol_marginals[0], symbols)
    # Where it does not reach, the others do.
    choice = auto.compile(FunctionKnowledge(max, [range(3)] * 2))
    assert isinstance(choice.engine, DiagramEngine | EnumerationEngine)
    assert "OneWorldEngine: The knowledge must have one world" in choice.reason


def test_an_approximate_engine_of_ones_own_is_rated_by_what_it_says_of_itself():
    few = DiagramEngine(max_width=1)
    for confidence, chosen in ((1.0, GuessingEngine), (0.0, SamplingEngine)):
        engines = (few, SamplingEngine(50), GuessingEngine(confidence))
        with pytest.warns(UserWarning, match=f"by {chosen.__name__}"):
            choice = AutoEngine(engines=engines).compile(CLAUSES)
        assert isinstance(choice.engine, chosen)
    with pytest.raises(SknesyError, match="max_width=1"):
        AutoEngine(engines=(few, GuessingEngine()), exact_only=True).compile(CLAUSES)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"engines": ()}, r"engines must be a tuple of inference engines.* got \(\)\. Pass"),
        ({"engines": DiagramEngine()}, r"engines must be .* got DiagramEngine\(\)\. Pass"),
        ({"engines": ("exact",)}, r"engines must be .* got \('exact',\)\. Pass"),
        (
            {"engines": (DiagramEngine(),), "max_worlds": 7},
            "max_worlds must be left out .*got 7. Set the limit of the engine",
        ),
    ],
)
def test_engines_to_choose_from_are_checked(parameters, message):
    with pytest.raises((TypeError, ValueError), match=message):
        AutoEngine(**parameters).compile(CLAUSES)


def count_and_emit(state, symbol, position):
    return ((state + symbol) % 2,) * 2


# Several outputs, emitted on the way; one label, of a function.
OTHERS = [
    StepKnowledge(count_and_emit, [0, 1], 3, emits=True),
    FunctionKnowledge(max, [range(2), range(4)]),
]


each_kind = pytest.mark.parametrize(
    ("engine", "knowledge"),
    [
        pytest.param(engine, knowledge, id=f"{name}-{type(engine).__name__}")
        for name, knowledge in zip(
            ["clauses", "emits", "function"], [CLAUSES, *OTHERS], strict=True
        )
        for engine in ENGINES
        if name == "clauses" or not isinstance(engine, CircuitEngine)
    ],
)


@each_kind
def test_tensors_count_by_their_values_however_they_lie_in_memory(engine, knowledge):
    compiled = engine.compile(knowledge)
    log_prob, log_likelihood = open_evidence(compiled, 2)
    turned = log_prob.transpose(1, 2).contiguous().transpose(1, 2)
    once = log_prob[:1].expand(2, -1, -1)
    tracked = log_prob.clone().requires_grad_()
    for view in ("infer", *sorted(engine.supports)):
        results = []
        for array in (log_prob, turned, once, tracked):
            count = (3, torch.Generator().manual_seed(0)) if view == "sample" else ()
            found = getattr(engine, view)(compiled, array, log_likelihood, *count)
            first = found.log_evidence if view == "infer" else found[0]
            assert not first.requires_grad
            results.append(first)
        assert all(torch.equal(result, results[0]) for result in results)


@each_kind
def test_no_samples_give_no_posteriors(engine, knowledge):
    compiled = engine.compile(knowledge)
    evidence = open_evidence(compiled, 0)
    assert engine.infer(compiled, *evidence).log_evidence.shape == (0,)
    if "mode" in engine.supports:
        assert engine.mode(compiled, *evidence)[0].shape == (0,)
    if "sample" in engine.supports:
        assert engine.sample(compiled, *evidence, 3)[0].shape[:2] == (3, 0)


@every_engine
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: np.ma.masked_less(x.numpy(), 0), "masked entries. Fill them: -inf"),
        (lambda x: x.to_sparse(), "got a sparse tensor. Pass a dense one"),
        (lambda x: x.to("meta"), "got a tensor without values"),
    ],
    ids=["masked", "sparse", "meta"],
)
def test_evidence_that_lacks_values_is_refused(engine, change, message):
    compiled = engine.compile(CLAUSES)
    log_prob, log_likelihood = open_evidence(compiled, 2)
    with pytest.raises(TypeError, match=f"log_prob.*{message}"):
        engine.infer(compiled, change(log_prob), log_likelihood)


def open_evidence(compiled, n_samples):
    """Say of all states of symbols and outputs that they are alike."""
    n_states, n_output_states = compiled.n_states, list(map(len, compiled.output_states))
    shape = n_samples, len(n_states), max(n_states)
    log_prob = torch.full(shape, -float(np.log(max(n_states))), dtype=torch.float64)
    return log_prob, log_prob.new_zeros(n_samples, len(n_output_states), max(n_output_states))


@pytest.mark.parametrize(
    ("engine", "name"),
    [(AutoEngine(exact_only="no"), "exact_only"), (SamplingEngine(look_ahead="no"), "look_ahead")],
)
def test_a_switch_of_an_engine_is_true_or_false(engine, name):
    with pytest.raises(TypeError, match=f"{name} must be True or False, got 'no'"):
        engine.compile(CLAUSES)


@pytest.mark.parametrize("n_jobs", ["two", 2.5, True])
def test_jobs_are_counted_in_ints(n_jobs):
    engine = SamplingEngine(proposal="net", n_jobs=n_jobs)
    with pytest.raises(TypeError, match=f"n_jobs must be an int .*got {n_jobs!r}.*n_jobs=2"):
        engine.compile(OTHERS[1])


@pytest.mark.parametrize("engine", [EnumerationEngine(), DiagramEngine()])
@pytest.mark.parametrize("far", [-1e17, -3e60, 2e12])
def test_log_weights_far_from_zero_tell_states_apart(engine, far):
    """As of a number that is far from every label, under Gaussian noise."""
    compiled = engine.compile(FunctionKnowledge(add, [range(3)] * 2))
    log_prob = torch.log_softmax(normal(4, 2, 3), -1)
    log_likelihood = normal(4, 1, 5)
    near = engine.infer(compiled, log_prob, log_likelihood)
    lifted = log_likelihood * 4096.0 + far  # a power of two, so that small numbers survive
    expected = engine.infer(compiled, log_prob, lifted - far)
    found = engine.infer(compiled, log_prob, lifted)
    assert not torch.allclose(near.output_marginals, found.output_marginals)
    torch.testing.assert_close(found.output_marginals, expected.output_marginals)
    torch.testing.assert_close(found.symbol_marginals, expected.symbol_marginals)
    torch.testing.assert_close(found.log_evidence, expected.log_evidence + far)
    log_joint, worlds, _ = engine.mode(compiled, log_prob, lifted)
    torch.testing.assert_close(log_joint, engine.mode(compiled, log_prob, lifted - far)[0] + far)
    assert (worlds == engine.mode(compiled, log_prob, lifted - far)[1]).all()
