"""What is handed in and cannot be used is named, with what it must be and what to do."""

import gc
import tracemalloc

import numpy as np
import pytest
from fuzzing.calls import PRELUDE

from sknesy.inference import DiagramEngine
from sknesy.knowledge import FunctionKnowledge, StepKnowledge

FIT = "EMNeSyClassifier(K, max_iter=1, random_state=0)"
FITTED = f"{FIT}.fit(X, y)"

# A call, the kind of error, and what its message says: the parameter, what it was, the cure.
CASES = [
    # Arrays of which something is missing, or that are no numbers
    (f"{FIT}.fit(np.ma.masked_less(X, 0), y)", ValueError, ["X must", "masked", "SimpleImputer"]),
    (f"{FIT}.fit(list(np.ma.masked_less(X, 0)), y)", ValueError, ["X must", "masked entries"]),
    (f"{FITTED}.predict(np.ma.masked_less(X, 0))", ValueError, ["X must", "masked entries"]),
    (f"{FIT}.fit(X, y, sample_weight=np.ma.masked_less(y, 1))", ValueError, ["sample_weight must"]),
    (f"{FIT}.fit(np.full((6, 6), 3, 'm8[h]'), y)", ValueError, ["X must", "timedelta64", "divide"]),
    (
        f"{FIT}.fit(pd.DataFrame({{c: pd.date_range('2020', periods=6) for c in 'abcdef'}}), y)",
        ValueError,
        ["X must hold numbers", "datetime64", "Subtract a date"],
    ),
    (
        "EMNeSyClassifier(AnyOf(), max_iter=1).fit([np.full((2, 3), '2020', 'M8[D]')] * 6, y > 1)",
        ValueError,
        ["must hold numbers", "datetime64"],
    ),
    # Tensors without values in one place
    (f"{FIT}.fit(torch.tensor(X).to_sparse(), y)", TypeError, ["X must", "a sparse tensor"]),
    (f"{FIT}.fit(X, torch.tensor(y).to('meta'))", TypeError, ["y must", "without values"]),
    (f"{FITTED}.posterior(X, symbols=torch.tensor(Z).to('meta'))", TypeError, ["symbols must"]),
    ("exact_match(torch.tensor(y).to('meta'), y)", TypeError, ["y_true must", "without values"]),
    ("condition(K, torch.ones(2, 2, 3).to_sparse())", TypeError, ["proba must", "sparse"]),
    (f"{FIT}.fit([sp.coo_array(x) for x in X], y)", TypeError, ["X must", "coo", "toarray()"]),
    # Shapes
    (
        f"{FIT}.set_params(symbol_shape=(0, 3)).fit(X, y)",
        TypeError,
        ["symbol_shape must", "(0, 3)"],
    ),
    ("EachSymbol(StandardScaler(), (1.5,)).fit(X)", TypeError, ["symbol_shape must", "(1.5,)"]),
    (f"{FIT}.set_params(temperature=[[1], 'a']).fit(X, y)", ValueError, ["temperature must"]),
    (
        "EMNeSyClassifier(K, layout=JointLayout((5,))).fit(X.tolist(), y)",
        ValueError,
        ["X must be of shape (n_samples, 5)", "(6, 2, 3)"],
    ),
    # Nets
    (f"{FIT}.set_params(device='meta').fit(X, y)", ValueError, ["device must", "'meta'", "'cpu'"]),
    (f"{FIT}.set_params(learning_rate=1e200).fit(X, y)", ValueError, ["learning_rate", "1e+200"]),
    (f"{FIT}.set_params(net__lr=-0.1).fit(X, y)", ValueError, ["net__lr must", "-0.1", "0.001"]),
    (
        f"{FIT}.set_params(net__optimizer=float).fit(X, y)",
        ValueError,
        ["The net must be buildable"],
    ),
    # Weights
    (f"{FIT}.fit(X, y, sample_weight=[2**5000] * 6)", ValueError, ["sample_weight must", "Divide"]),
    ("exact_match(y, y, sample_weight=np.ones(3))", ValueError, ["sample_weight.shape"]),
    (f"{FIT}.set_params(class_weight={{2: 'x'}}).fit(X, y)", TypeError, ["class_weight must"]),
    (
        "symbol_calibration_error(Z, np.full((6, 2, 3), 1 / 3), symbol_states=[4, 5])",
        TypeError,
        ["symbol_states[0] must be a collection", "4"],
    ),
    (
        "EMNeSyClassifier(K, likelihood=SoftLikelihood(7)).fit(X, np.full((6, 5), 0.2))",
        TypeError,
        ["classes must be a collection", "7"],
    ),
    # Flags: what is neither True nor False would count as one of them
    (
        "EMNeSyClassifier(K, likelihood=ConfusionLikelihood(learn='no')).fit(X, y)",
        TypeError,
        ["learn must be True or False", "'no'"],
    ),
    ("EvidenceKFold(2, shuffle='no')", TypeError, ["shuffle must be True or False", "'no'"]),
    # Engines
    (
        "DiagramEngine().infer(DiagramEngine().compile(K), np.full((1, 2, 3), 1e200), "
        "unobserved(1, [5]))",
        ValueError,
        ["log_prob must hold", "1e+200", "Subtract a constant"],
    ),
    (
        "CircuitEngine().compile([[1, 2]])",
        TypeError,
        ["knowledge must", "[[1, 2]]", "SymbolSum(2)"],
    ),
    ("AutoEngine().compile(K, 4)", TypeError, ["labels must be a collection", "4", "Pass a list"]),
    ("ModeEngine().compile(K, [{1}])", ValueError, ["labels must hold", "{1}", "tuple"]),
    (
        "CountsEngine().compile(ClassCounts(['a', 'b'], 2), [2])",
        ValueError,
        ["y holds 2", "counts"],
    ),
    (
        "DiagramEngine().infer(DiagramEngine().compile(K), np.zeros((1, 2, 3)), "
        "unobserved(1, [5]), np.random.default_rng(0))",
        TypeError,
        ["generator must", "torch.Generator().manual_seed(0)"],
    ),
    # Schedules and priors
    (f"{FIT}.set_params(temperature=lambda a, b: 1).fit(X, y)", TypeError, ["temperature must"]),
    (f"{FIT}.set_params(step_size=[[1], [1, 2]]).fit(X, y)", ValueError, ["step_size must"]),
    (
        f"{FIT}.set_params(state_prior=list('abc')).fit(X, y)",
        TypeError,
        ["state_prior must", "'a'"],
    ),
    ("SymbolSum(np.timedelta64(3, 'D'))", ValueError, ["n_symbols must be an int", "timedelta64"]),
    (
        "EMNeSyClassifier(K, likelihood=SoftLikelihood(prior=['a'] * 5)).fit(X, np.eye(5)[y])",
        TypeError,
        ["prior must hold a positive number", "'a'"],
    ),
    # Knowledge
    ("IdentityKnowledge([0, 1]).labels_except(torch.ones(2))", ValueError, ["labels"]),
    ("K.conclude([[0, 1], [0]])", ValueError, ["worlds must have the shape (n_worlds, 2)"]),
    ("K.conclude(np.ma.masked_equal([[0, 1]], 1))", ValueError, ["worlds must hold", "masked"]),
    ("K.labels_between('a', 'b')", TypeError, ["low and high must", "'a'", "numbers"]),
    ("K.labels_except({3})", ValueError, ["labels must hold hashable", "{3}"]),
    ("FunctionKnowledge(max, [range(3)], n_symbols=[1])", ValueError, ["n_symbols must", "[1]"]),
    ("write_dimacs('x.cnf', [[1, 'b']])", TypeError, ["clauses[0] must hold ints", "'b'"]),
    ("write_dimacs('x.cnf', [[0]])", TypeError, ["clauses[0] must hold ints other than 0"]),
    ("read_dimacs('a\\0b')", ValueError, ["path must hold no null character"]),
    ("read_dimacs(7)", TypeError, ["path must be the name of a file", "7"]),
    (
        "FunctionKnowledge(np.max, [range(2)] * 2, batched=True).conclude([[0, 1]])",
        ValueError,
        ["function must return one label for each world", "returned 1", "(n_worlds, n_symbols)"],
    ),
    (
        "FunctionKnowledge(lambda w: itertools.count(), [range(2)] * 2, batched=True)"
        ".conclude([[0, 1]])",
        ValueError,
        ["function must return one label for each world", "returned 2"],
    ),
    # Parameters of parts
    (f"{FIT}.set_params(knowledge__base=3)", ValueError, ["knowledge must", "knowledge__base"]),
    (f"{FITTED}.predict_net_proba(X, parts=[True])", TypeError, ["parts must be True", "[True]"]),
    (
        "EMNeSyClassifier(K, layout=Columns([Part('a', [0, 1], states=5)])).fit(X, y)",
        TypeError,
        ["states of part 'a' must be a collection", "5"],
    ),
    # Rules on top of a classifier
    (
        "ConstrainedClassifier(GaussianNB(), AnyOf(2)).fit(X, [[True, None]] * 6)",
        ValueError,
        ["y holds None for symbol 1"],
    ),
    (
        "ConstrainedClassifier(GaussianNB(), AnyOf(2)).fit(X, [[True]] * 5 + [[True, False]])",
        ValueError,
        ["y must hold the state of each symbol", "unlike lengths"],
    ),
    (
        "ConstrainedClassifier(GaussianNB(), None, parts=True).fit(X, Z).predict([X[0], X[0, :1]])",
        ValueError,
        ["X must have the shape (n_samples, 2, n_features)", "unlike lengths"],
    ),
    # Metrics, bags and data sets
    ("symbol_accuracy(3, Z)", TypeError, ["symbols_true must be an array or a list", "int"]),
    ("symbol_calibration_error(Z, [1] * 6)", TypeError, ["proba must hold an array", "sample 0"]),
    ("symbol_calibration_error(Z, np.full((6, 2, 3), 1j))", TypeError, ["proba must hold prob"]),
    ("bags_from_groups([[1], [2, 3]], None, [0, 0])", ValueError, ["X must", "unlike lengths"]),
    ("find_suspect_labels(clone(" + FIT + "), X, None)", ValueError, ["y must hold", "None"]),
    ("ShortestPath(0)", ValueError, ["size must be an int of at least 1", "0"]),
    ("ShortestPath(3, (1, 'a'))", TypeError, ["costs must hold a number for each kind"]),
    ("path_cost(['1001'], [[1, -2, 3, 4]])", ValueError, ["costs must be at least 0", "-2"]),
    ("DigitSum(0)", ValueError, ["n_digits must be an int of at least 1", "0"]),
    ("DigitSum(2)(1, 2, 3)", ValueError, ["digits must be ints, 2 for each number", "(1, 2, 3)"]),
    (
        "make_digit_sum(1, images=X, digits=np.full(6, 1.5))",
        ValueError,
        ["digits must hold one whole"],
    ),
    ("load_mnist(os.__file__)", ValueError, ["path must be an .npz file", "x_train"]),
]


@pytest.fixture(scope="module")
def space():
    made = {}
    exec(PRELUDE, made)
    return made


@pytest.mark.parametrize(("call", "kind", "said"), CASES, ids=[call for call, _, _ in CASES])
def test_message_names_the_parameter_what_it_was_and_the_cure(call, kind, said, space):
    with pytest.raises(kind) as caught:
        eval(call, space)
    assert type(caught.value).__module__.split(".")[0] in ("builtins", "sknesy", "sklearn")
    for words in said:
        assert words in str(caught.value)


def test_masked_arrays_without_a_masked_entry_are_arrays(space):
    clf = eval(FITTED, space)
    X = space["X"]
    np.testing.assert_array_equal(clf.predict_proba(np.ma.array(X)), clf.predict_proba(X))


def test_small_unsigned_integers_keep_their_values_in_frames(space):
    """Float32 holds every number of 16 bits, so that a frame is read as an array is."""
    X = (np.arange(36).reshape(6, 6) * 1820).astype(np.uint16)
    clf = eval(f"{FIT}.fit(X_ints, y)", {**space, "X_ints": X.astype(np.float32)})
    frame = space["pd"].DataFrame(X)
    expected = clf.predict_proba(X.astype(np.float32))
    np.testing.assert_array_equal(clf.predict_proba(frame), expected)
    np.testing.assert_array_equal(clf.predict_proba(frame.astype("UInt16")), expected)


def test_symbols_in_a_frame_are_scored_as_those_in_an_array(space):
    """Also where there are as many samples as columns, which iterating a frame would mix up."""
    clf, Z, pd = eval(FITTED, space), space["Z"][:2].astype(object), space["pd"]
    Z[1] = None
    unknown = [None, None]
    score = [
        eval("log_evidence_score", space)(clf, space["X"][:2], unknown, symbols=symbols)
        for symbols in (Z, pd.DataFrame(Z))
    ]
    assert score[0] == score[1]


def test_true_symbols_in_a_sparse_array_are_those_of_its_rows(space):
    Z, sp, error = space["Z"], space["sp"], eval("symbol_calibration_error", space)
    proba = np.full((6, 2, 3), 1 / 3)
    assert error(sp.csr_array(Z), proba) == error(Z, proba)


def test_what_is_missing_agrees_with_no_prediction(space):
    accuracy = eval("symbol_accuracy", space)
    pd = space["pd"]
    assert accuracy([[0, None], [pd.NA, 1]], [[0, None], [1, 1]]) == 0.5


def _pair(a, b):
    return a, b


def _remember(state, symbol, position):
    return (*state, symbol)


def _emit_all(state, symbol, position):
    after = (*state, symbol)
    return after, after


MANY = 90  # labels squared would be 8100 * 8100 entries, 525 MB


@pytest.mark.parametrize(
    "knowledge",
    [
        FunctionKnowledge(_pair, [range(MANY)] * 2),
        StepKnowledge(_remember, range(MANY), 2, initial=(), final=tuple),
        StepKnowledge(_emit_all, range(MANY), 2, initial=(), emits=True),
    ],
    ids=["function", "final", "emitted"],
)
def test_memory_of_a_diagram_does_not_grow_with_the_square_of_the_labels(knowledge):
    engine = DiagramEngine()
    gc.collect()
    tracemalloc.start()
    try:
        compiled = engine.compile(knowledge)
        assert compiled.form.count() == MANY**2
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60e6
