"""Random calls of the public names, as code, and the code that checks what they return."""

from fuzzing import values

PRELUDE = """
import array, collections, datetime, itertools, os, tempfile, uuid
from decimal import Decimal
from fractions import Fraction
import numpy as np, pandas as pd, scipy.sparse as sp, torch, sklearn, skorch
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler
from sknesy import *
from sknesy.datasets import *
from sknesy.inference import *
from sknesy.inspection import *
from sknesy.knowledge import *
from sknesy.layouts import *
from sknesy.likelihoods import *
from sknesy.metrics import *
from sknesy.model_selection import *
from sknesy.nets import *
from sknesy.preprocessing import *
from sknesy.transforms import *
from sknesy.em import *
rng = np.random.default_rng(0)
Z = rng.integers(3, size=(6, 2))
X = np.eye(3)[Z] * 3 + rng.normal(size=(6, 2, 3))
y = Z.sum(1)
weight = np.ones(6)
K = SymbolSum(2, range(3))
"""

KNOWLEDGE = [
    "K",
    "K",
    "None",
    "FunctionKnowledge(max, [range(3)] * 2)",
    "FunctionKnowledge(max, [range(3)] * 2, partial=True)",
    "DigitAddition(1, base=3)",
    "AnyOf(2)",
    "AnyOf()",
    "SymbolSum(states=range(3))",
    "AtLeast(1, 2, of=1, states=range(3))",
    "Parity(2)",
    "ClassCounts(range(3))",
    "ClassCounts(range(3), 2)",
    "ClauseKnowledge([[1, 2]], [[1], [2]])",
    "ClauseKnowledge([], [[1, 2, 3], [4, 5, 6]])",
    "ClauseKnowledge([[-1, -4, 7], [1, -7], [4, -7]], [[1, 2, 3], [4, 5, 6]], [[7]])",
    "IdentityKnowledge(range(5))",
    "StepKnowledge(lambda s, x, i: (s + x) % 3, range(3), 2)",
    "StepKnowledge(lambda s, x, i: (s + x) % 3, range(3))",
    "FunctionKnowledge(lambda a, b: None if a == b else a - b, [range(3)] * 2)",
    "FunctionKnowledge(lambda a, b: {a, b}, [range(3)] * 2)",
    "FunctionKnowledge(lambda a, b: 1 / a, [range(3)] * 2)",
    "FunctionKnowledge(lambda a, b: float('nan'), [range(3)] * 2)",
    "FunctionKnowledge(lambda *a: None, [range(3)] * 2)",
    "FunctionKnowledge(lambda a, b: (a, b), [range(3)] * 2)",
    "FunctionKnowledge(lambda a, b: str(a + b), [range(3)] * 2)",
    "Exactly(1, 2, of=2, states=range(3), names=('n', 'y'))",
    "Count(2, of=1, states=range(3))",
    "ClauseKnowledge([[1], [-1]], [[1, 2, 3], [4, 5, 6]])",
    "FunctionKnowledge(lambda a, b: a + b, symbol_states=[range(3), range(2)])",
    "FunctionKnowledge(lambda w: w.sum(1), [range(3)] * 2, batched=True)",
    "FunctionKnowledge(lambda w: w, [range(3)] * 2, batched=True)",
]
ENGINES = [
    "'auto'",
    "DiagramEngine()",
    "EnumerationEngine()",
    "EnumerationEngine(max_worlds=2)",
    "CircuitEngine()",
    "BeliefPropagationEngine()",
    "SamplingEngine(10)",
    "ModeEngine()",
    "BoundsEngine(max_size=20)",
    "CountsEngine()",
    "AutoEngine()",
    "DiagramEngine(max_width=1)",
    "DiagramEngine(time_limit=0)",
    "AutoEngine(exact_only=True)",
    "ModeEngine(n_worlds=2)",
    "SamplingEngine(5, distance='absolute')",
    "SamplingEngine(3, proposal='net')",
    "AutoEngine(engines=(SamplingEngine(4),))",
    "SamplingEngine(3, n_moves=2)",
    "SamplingEngine(3, distance='hamming')",
    "AutoEngine(time_limit=0)",
    "EnumerationEngine(time_limit=0)",
    "CountsEngine(max_states=1)",
    "ModeEngine(max_tried=1)",
]
LIKELIHOODS = [
    "None",
    "ExactLikelihood()",
    "CandidateLikelihood()",
    "CandidateLikelihood(range(5))",
    "SoftLikelihood()",
    "SoftLikelihood(range(5))",
    "ConfusionLikelihood()",
    "AnnotatorLikelihood()",
    "GaussianLikelihood()",
    "GaussianLikelihood(1.0)",
    "ConfusionLikelihood(np.eye(5))",
    "ConfusionLikelihood(learn=False)",
    "ConfusionLikelihood(structure='symmetric')",
    "AnnotatorLikelihood('accuracy')",
    "GaussianLikelihood(learn=False)",
]
NETS = [
    "None",
    "None",
    "MLP",
    "ConvNet",
    "LeNet",
    "GaussianNB()",
    "LogisticRegression()",
    "DummyClassifier()",
    "Learner(GaussianNB())",
    "skorch.NeuralNet(MLP, criterion=torch.nn.CrossEntropyLoss)",
    "torch.nn.Linear(3, 3)",
    "torch.nn.Linear",
    "RecurrentNet",
    "TransformerNet",
    "skorch.NeuralNet(torch.nn.Linear(3, 3), criterion=torch.nn.CrossEntropyLoss)",
    "skorch.NeuralNetClassifier(MLP)",
    "skorch.NeuralNet(torch.nn.Linear(3, 3), criterion=torch.nn.CrossEntropyLoss, optimizer=torch.optim.LBFGS)",
    "StandardScaler()",
    "skorch.NeuralNet(torch.nn.Linear(3, 2), criterion=torch.nn.CrossEntropyLoss)",
    "skorch.NeuralNet(torch.nn.Linear(4, 3), criterion=torch.nn.CrossEntropyLoss)",
    "skorch.NeuralNet(torch.nn.Identity, criterion=torch.nn.CrossEntropyLoss)",
    "torch.nn.Identity",
    "Learner(GaussianNB(), starter=None)",
]
LAYOUTS = [
    "None",
    "GridLayout()",
    "SequenceLayout()",
    "JointLayout()",
    "GridLayout((3,))",
    "GridLayout((1, 3))",
    "Columns([Part('a', [0]), Part('b', [1])])",
    "Columns([Part('a', [0, 1], columns=range(3))])",
    "JointSequenceLayout()",
    "Columns([Part('a', [0], columns=[0, 1, 2]), Part('b', [1], columns=[3, 4, 5])])",
    "Columns([])",
    "Columns([Part('a', [0])])",
    "GridLayout((7,))",
]
TRANSFORMS = [
    "()",
    "[StateBalance()]",
    "[Temperature(2.0)]",
    "[Annealing()]",
    "[StatePrior([.2, .3, .5])]",
    "[StepSize(.5)]",
    "[StateBalance(), StepSize(.5)]",
    "[StatePrior([.5, .5])]",
    "[StepSize(0)]",
    "[Temperature([3, 2])]",
    "[Annealing(1, 2, 3)]",
    "[None]",
]
PARAMETERS = {
    "target": ["'label'", "'symbols'"],
    "objective": ["'evidence'", "'conditional'"],
    "net": NETS,
    "inference": ENGINES,
    "likelihood": LIKELIHOODS,
    "labels": ["None", "range(5)", "[0, 1]", "[0, 1, 2, 3, 4, 4]", "range(9)", "[]", "['a', 'b']"],
    "class_weight": [
        "None",
        "'balanced'",
        "{1: 2.0}",
        "{99: 1}",
        "{1: -1}",
        "{1: 'a'}",
        "{}",
        "{1: 0}",
        "{0: float('nan')}",
        "{0: float('inf')}",
        "{0: 1e308, 1: 1e308}",
    ],
    "layout": LAYOUTS,
    "symbol_shape": [
        "None",
        "(3,)",
        "(1, 3)",
        "(6,)",
        "(0,)",
        "(-3,)",
        "(3.0,)",
        "('a',)",
        "[3]",
        "()",
        "(10**20,)",
        "(None,)",
        "(-1, -3)",
    ],
    "e_step": ["'auto'", "'batch'", "'epoch'"],
    "m_steps": ["1", "2"],
    "n_init": ["1", "2"],
    "init_iter": ["1", "5"],
    "n_starts_kept": ["1", "2"],
    "temperature": [
        "'auto'",
        "1.0",
        "[2, 1]",
        "[]",
        "[0]",
        "[-1]",
        "[float('nan')]",
        "['a']",
        "[[1]]",
        "lambda i: 'a'",
        "lambda i: 0",
        "lambda i: 2.0",
        "lambda: 1",
        "[1e308]",
        "1e-300",
        "1e300",
        "lambda i: None",
        "np.float16(2)",
        "np.array(2.0)",
    ],
    "state_prior": [
        "None",
        "[.2, .3, .5]",
        "[.5, .5]",
        "[0, 0, 0]",
        "[1, 0, 0]",
        "[-1, 1, 1]",
        "[.2, .3, .5] * 2",
        "[[.2, .3, .5]] * 2",
        "[float('nan')] * 3",
        "['a'] * 3",
        "[1e308] * 3",
        "[1, 1, 1]",
    ],
    "step_size": [
        "1.0",
        "0.5",
        "[1, .5]",
        "[2]",
        "lambda i: 3",
        "lambda i: .5",
        "[]",
        "lambda i: 'a'",
        "1e-300",
    ],
    "transforms": TRANSFORMS,
    "decision": ["'marginals'", "'world'"],
    "max_iter": ["1", "2"],
    "max_time": ["None", "1.0", "1e-9", "float('inf')"],
    "tol": ["0", "1e-4", "float('inf')"],
    "n_iter_no_change": ["1", "10"],
    "validation_fraction": ["None", "0.2", "0.5", "0.99", "1e-9", "0.17"],
    "batch_size": ["None", "1", "2", "4", "100", "10**12"],
    "learning_rate": ["None", "0.01", "1e10", "1e-300", "1e300", "float('inf')"],
    "random_state": ["0", "None", "np.random.RandomState(0)", "2**32 - 1", "2**32"],
    "device": [
        "None",
        "'cpu'",
        "'cuda'",
        "'meta'",
        "'a'",
        "'cpu:1'",
        "torch.device('cpu')",
        "torch.device('meta')",
        "'mps'",
    ],
    "callbacks": ["()", "[EMCallback()]", "[skorch.callbacks.EpochTimer()]", "[EMCallback]"],
    "warm_start": ["False", "True"],
    "verbose": ["0"],
}
REGRESSOR_LACKS = {"target", "labels", "class_weight", "decision"}
NESTED = {
    "net__lr": ["0.1", "-1", "'a'", "None", "float('nan')"],
    "net__module__hidden": ["4", "0", "-1", "'a'", "2.5", "(4, 4)"],
    "net__module__nothing": ["1"],
    "net__batch_size": ["3", "0", "-1", "'a'", "2.5", "None"],
    "net__optimizer": ["torch.optim.SGD", "torch.optim.LBFGS", "int", "None", "'sgd'"],
    "net__optimizer__momentum": ["0.9", "'a'"],
    "net__max_epochs": ["0", "3"],
    "net__device": ["'cpu'", "'a'"],
    "net__iterator_train__shuffle": ["True", "False", "'a'"],
    "net__iterator_train__drop_last": ["True"],
    "net__train_split": ["None", "skorch.dataset.ValidSplit(2)", "3"],
    "net__callbacks": [
        "None",
        "[skorch.callbacks.EarlyStopping()]",
        "[3]",
        "'a'",
        "[skorch.callbacks.GradientNormClipping(1)]",
        "[skorch.callbacks.EpochScoring('accuracy')]",
    ],
    "net__criterion": ["torch.nn.MSELoss"],
    "net__warm_start": ["True"],
    "net__verbose": ["1", "'a'"],
    "inference__time_limit": ["1", "0", "-1", "'a'", "None", "float('nan')"],
    "inference__max_worlds": ["1", "0", "10**30", "'a'", "None", "2.5"],
    "inference__max_width": ["1", "None", "-1"],
    "likelihood__sigma": ["1.0", "0", "-1", "'a'"],
    "layout__symbol_shape": ["(3,)"],
    "nothing": ["1"],
    "nothing__a": ["1"],
    "knowledge__a": ["1"],
}
METHODS = [
    "predict",
    "predict_proba",
    "predict_log_proba",
    "predict_symbols",
    "predict_symbols_proba",
    "predict_net_proba",
    "posterior",
    "score",
]


class Draw:
    """Random pieces of code from a generator like random.Random."""

    def __init__(self, random, strangeness=0.3):
        self.random = random
        self.strangeness = strangeness

    def pick(self, options):
        return options[self.random.randrange(len(options))]

    def chance(self, share):
        return self.random.random() < share

    def strange(self):
        return self.pick(values.WRAPS).format(self.pick(values.SCALARS))

    def one(self, options, strangeness=None):
        """One of the options, or something strange."""
        share = self.strangeness if strangeness is None else strangeness
        return self.strange() if self.chance(share) else self.pick(options)

    def data(self, options):
        """Data: right most of the time, else of the kind, else strange."""
        if self.chance(0.7):
            return options[0]
        return self.one(options, 0.1)

    def arguments(self, table, most=3, always=()):
        """Keyword arguments, some of a table of options."""
        names = set(always)
        for _ in range(self.pick([0, 1, 1, 2, most][: most + 2])):
            names.add(self.pick(sorted(table)))
        return ", ".join(f"{name}={self.one(table[name], 0.15)}" for name in sorted(names))


CHECK_FITTED = """
for method in ("predict", "predict_proba", "predict_symbols_proba"):
    if hasattr(clf, method) and not isinstance(X_used, (type(None),)):
        out = getattr(clf, method)(X_used)
        assert len(out) == len(np.asarray(out, dtype=object)) if not isinstance(out, list) else True
        if method == "predict_proba" and isinstance(out, np.ndarray) and out.dtype.kind == "f" and out.ndim == 2:
            assert np.isfinite(out).all() and (out >= 0).all() and np.allclose(out.sum(1), 1) , out
"""


def estimator(draw, kind=None):
    kind = kind or draw.pick(["EMNeSyClassifier", "EMNeSyClassifier", "EMNeSyRegressor"])
    table = {
        k: v
        for k, v in PARAMETERS.items()
        if kind == "EMNeSyClassifier" or k not in REGRESSOR_LACKS
    }
    knowledge = "K" if draw.chance(0.6) else draw.one(KNOWLEDGE, 0.1)
    arguments = draw.arguments(table, 3)
    fixed = {"max_iter": "1", "random_state": "0"}
    for name, value in fixed.items():
        if f"{name}=" not in arguments.replace("init_iter=", ""):
            arguments = f"{arguments}, {name}={value}" if arguments else f"{name}={value}"
    code = f"clf = {kind}({knowledge}, {arguments})\n"
    if draw.chance(0.15):
        code += f"clf.set_params({draw.arguments(NESTED, 2)})\n"
    return code


def fit_arguments(draw):
    arguments = f"X_used, {draw.data(values.Y)}"
    if draw.chance(0.25):
        arguments += f", sample_weight={draw.one(values.WEIGHT, 0.1)}"
    if draw.chance(0.2):
        arguments += f", symbols={draw.one(values.Z, 0.1)}"
    return arguments


def fit(draw):
    code = f"X_used = {draw.data(values.X)}\n" + estimator(draw)
    return (
        code
        + f"clf.fit({fit_arguments(draw)})\n"
        + (CHECK_FITTED if "iter(" not in code and "(x for" not in code else "")
    )


def partial_fit(draw):
    code = f"X_used = {draw.data(values.X)}\n" + estimator(draw)
    for _ in range(1 + draw.random.randrange(2)):
        arguments = fit_arguments(draw)
        if "Classifier" in code and draw.chance(0.4):
            arguments += f", classes={draw.one(['range(5)', '[0, 1]', 'None', '[]', '[9]'], 0.2)}"
        code += f"clf.partial_fit({arguments})\n"
    return code


def fitted_method(draw):
    kind = draw.pick(["EMNeSyClassifier", "EMNeSyClassifier", "EMNeSyRegressor"])
    knowledge = draw.pick(
        [
            "K",
            "K",
            "K",
            "SymbolSum(states=range(3))",
            "FunctionKnowledge(max, [range(3)] * 2)",
            "None",
            "ClassCounts(range(3), 2)",
        ]
    )
    target = "y"
    if knowledge == "ClassCounts(range(3), 2)":
        target, kind = "np.stack([(Z == k).sum(1) for k in range(3)], 1)", "EMNeSyClassifier"
    if knowledge == "None":
        kind = "EMNeSyClassifier"
    extra = draw.pick(
        [
            "",
            "",
            "",
            ", target='symbols'",
            ", likelihood=CandidateLikelihood(range(5))",
            ", likelihood=AnnotatorLikelihood()",
            ", inference=SamplingEngine(5)",
            ", n_init=2, n_starts_kept=2",
            ", inference=BeliefPropagationEngine()",
            ", inference=ModeEngine()",
            ", decision='world'",
            ", likelihood=SoftLikelihood(range(5))",
            ", likelihood=GaussianLikelihood()",
            ", objective='conditional'",
            ", layout=JointLayout()",
        ]
    )
    if "symbols" in extra:
        target = "Z"
        knowledge = "AtLeast(1, 2, of=1, states=range(3))"
    if "Candidate" in extra:
        target = "np.eye(5)[y] > 0"
    if "Soft" in extra:
        target = "np.eye(5)[y]"
    if "Annotator" in extra:
        target = "np.stack([y, y], 1)"
    if kind == "EMNeSyRegressor" and any(
        word in extra for word in ("target", "Candidate", "Soft", "Annotator", "decision")
    ):
        kind = "EMNeSyClassifier"
    code = f"clf = {kind}({knowledge}, max_iter=1, random_state=0{extra}).fit(X, {target})\n"
    for _ in range(2):
        method = draw.pick(METHODS)
        arguments = draw.data(values.X)
        if method == "score":
            arguments += f", {draw.data(values.Y)}" + (
                f", sample_weight={draw.one(values.WEIGHT, 0.1)}" if draw.chance(0.3) else ""
            )
        elif method == "predict_net_proba" and draw.chance(0.5):
            arguments = f"{draw.pick([arguments, 'X[:, 0]', 'X[0]'])}, parts={draw.one(['True', 'False'], 0.4)}"
        elif method in ("posterior", "predict_symbols", "predict_symbols_proba"):
            if draw.chance(0.6):
                arguments += f", y={draw.data(values.Y)}"
            if draw.chance(0.4):
                arguments += f", symbols={draw.one(values.Z, 0.1)}"
        elif method == "predict" and kind == "EMNeSyRegressor" and draw.chance(0.5):
            arguments += f", return_std={draw.one(['True', 'False'], 0.3)}"
        code += f"getattr(clf, {method!r}, lambda *a, **k: None)({arguments})\n"
    return code


def constrained(draw):
    base = draw.one(
        [
            "LogisticRegression()",
            "GaussianNB()",
            "DummyClassifier()",
            "sklearn.ensemble.RandomForestClassifier(2)",
            "sklearn.neighbors.KNeighborsClassifier(2)",
            "sklearn.multioutput.MultiOutputClassifier(GaussianNB())",
            "StandardScaler()",
            "FrozenEstimator(GaussianNB())",
            "FrozenEstimator(GaussianNB().fit(X[:, 0], Z[:, 0]))",
            "sklearn.svm.SVC()",
            "sklearn.linear_model.LinearRegression()",
            "EMNeSyClassifier(K, max_iter=1)",
            "GaussianNB",
        ],
        0.1,
    )
    table = {
        "inference": ENGINES,
        "decision": ["'marginals'", "'world'"],
        "smoothing": ["0", "1", ".1", "-1", "2"],
        "parts": ["True", "False", "'auto'"],
    }
    knowledge = draw.one(
        [
            *KNOWLEDGE,
            "AtLeast(1, 2, of=1, states=range(3))",
            "AtLeast(1, 2, of=1, states=range(3))",
        ],
        0.1,
    )
    code = f"X_used = {draw.data(values.X)}\nclf = ConstrainedClassifier({base}, {knowledge}{', ' if True else ''}{draw.arguments(table, 2)})\n"
    weight = f", sample_weight={draw.one(values.WEIGHT, 0.1)}" if draw.chance(0.2) else ""
    code += f"clf.fit(X_used, {draw.data(values.Z[1:])}{weight})\n"
    method = draw.pick(["predict", "predict_proba", "score"])
    arguments = draw.data(["X_used", *values.X])
    if method == "score":
        arguments += f", {draw.data(values.Z[1:])}"
    return code + f"clf.{method}({arguments})\n"


STATES = [
    "range(3)",
    "[0, 1]",
    "'abc'",
    "['a']",
    "[True, False]",
    "[0, 1, 1]",
    "[0, 0.0]",
    "[1, True]",
    "[None, 1]",
    "[(1,), (2,)]",
    "['a', 1]",
    "[float('nan')]",
    "np.arange(3)",
    "pd.Series([1, 2])",
    "[0.1, 0.2]",
    "[-1, 0, 1]",
    "[10**30, 1]",
    "[frozenset({1}), 2]",
    "torch.arange(3)",
    "np.array(['a', 'b'])",
    "(0,)",
    "[END, 1]",
    "range(1000)",
]
STATE_LISTS = [
    "[range(3)] * 2",
    "[range(2), range(3)]",
    "[range(2)] * 3",
    "[range(3), []]",
    "np.array([[0, 1], [2, 3]])",
    "[['a', 'b'], 'cd']",
    "[]",
    "[[1]]",
    "[range(10)] * 30",
    "[range(10**7)]",
    "[[1, 2], [1, 1]]",
]
FUNCTIONS = [
    "max",
    "sum",
    "len",
    "lambda *a: sum(a)",
    "lambda a, b: a + b",
    "lambda a, b: a / b",
    "lambda *a: a",
    "lambda *a: None",
    "lambda a: a",
    "lambda *a: {1}",
    "lambda *a: float('nan')",
    "lambda *a: [1]",
    "lambda *a: np.array([1])",
    "lambda *a: np.int64(1)",
    "lambda *a: object()",
    "int",
    "str",
    "np.sum",
    "lambda **k: 1",
    "lambda w: w",
    "lambda w: w.sum(1)",
    "lambda w: w.tolist()",
    "lambda w: [None] * len(w)",
    "lambda w: w[:1]",
    "lambda *a: itertools.count()",
    "lambda *a: torch.tensor(1)",
    "lambda *a: END",
    "lambda *a: frozenset()",
    "lambda *a: pd.NA",
    "lambda *a: (a[0], float('nan'))",
    "lambda *a: iter(a)",
]
STEPS = [
    "lambda s, x, i: (s + x) % 3",
    "lambda s, x, i: s",
    "lambda s, x, i: None",
    "lambda s, x, i: (s, x)",
    "lambda s, x, i: [s]",
    "lambda s, x, i: float('nan')",
    "lambda s, x, i: s + 1",
    "lambda s, x: s",
    "lambda s, x, i: (s, None)",
    "lambda s, x, i: ((s + x) % 3, x)",
    "lambda s, x, i: 1 / x",
    "lambda s, x, i: object()",
    "lambda s, x, i: {s}",
    "lambda s, x, i: (s, x, i)",
    "lambda s, x, i: x",
    "lambda s, x, i: (x, (s,))",
    "lambda s, x, i: (x, {s})",
    "lambda s, x, i: (x, float('nan'))",
    "max",
    "print",
]
CLAUSES = [
    "[[1, 2]]",
    "[[1], [-1]]",
    "[]",
    "[[]]",
    "[[1, -1]]",
    "[[1, 1]]",
    "[[0]]",
    "[[1.0]]",
    "[['a']]",
    "[[True]]",
    "[1, 2]",
    "[[10**8]]",
    "[[2**31]]",
    "[[2**63]]",
    "[[2**70]]",
    "[[np.int64(1)]]",
    "np.array([[1, 2]])",
    "np.array([[1.0, 2.0]])",
    "torch.tensor([[1, 2]])",
    "[[1, None]]",
    "[[float('nan')]]",
    "[range(1, 3)]",
    "[(1, 2), [3]]",
    "[{1, 2}]",
    "'1 2'",
    "[['1']]",
    "[[1, 2, 3, 4]] * 3",
    "[[-1, -2], [1, 2], [3, -1]]",
    "[[i] for i in range(1, 7)]",
    "iter([[1]])",
    "[iter([1])]",
    "[[1], 2]",
    "[[1j]]",
    "[[[1]]]",
    "pd.DataFrame([[1, 2]])",
]
GROUPS = [
    "[[1], [2]]",
    "[[1, 2, 3], [4, 5, 6]]",
    "[[1]]",
    "[]",
    "[[]]",
    "[[1], [1]]",
    "[[1, 1]]",
    "[[0]]",
    "[[-1]]",
    "[1, 2]",
    "[[1, 2], [3]]",
    "np.array([[1], [2]])",
    "[[1.0]]",
    "[['a']]",
    "[[True]]",
    "[[10**8]]",
    "[[2**63]]",
    "'12'",
    "[(1, 2)]",
    "[{1, 2}]",
    "[[1, 2], [2, 3]]",
    "[range(1, 4)]",
    "[[1, None]]",
    "torch.tensor([[1], [2]])",
    "[[7]]",
    "[[8], [9, 10]]",
    "[range(1, 10**9)]",
]


def after_knowledge(draw):
    """What is done with knowledge k that could be made."""
    return draw.pick(
        [
            "k.conclude({})\n".format(
                draw.one(
                    [
                        "np.zeros((2, k.n_symbols), int)",
                        "[[0] * k.n_symbols]",
                        "np.zeros((2, k.n_symbols))",
                        "np.full((1, k.n_symbols), 99)",
                        "[]",
                        "np.zeros((0, k.n_symbols), int)",
                        "[[-1] * k.n_symbols]",
                        "np.zeros((1, k.n_symbols), bool)",
                        "np.ma.masked_all((1, k.n_symbols), int)",
                        "torch.zeros((1, k.n_symbols), dtype=int)",
                        "[[0.5] * k.n_symbols]",
                        "np.zeros((1, k.n_symbols), np.uint64)",
                    ],
                    0.15,
                )
            ),
            "k.name_worlds({})\n".format(
                draw.one(
                    ["np.zeros((2, k.n_symbols), int)", "[]", "np.full((1, k.n_symbols), 99)"], 0.2
                )
            ),
            f"k.read_labels({draw.one(values.Y, 0.1)})\n",
            f"k.split_labels({draw.one(values.Y, 0.1)})\n",
            "k.join_labels({})\n".format(
                draw.one(["[[0]]", "[[0, 1]]", "np.zeros((2, 3), int)", "[]", "[[9]]"], 0.3)
            ),
            "k.labels_between({}, {})\n".format(
                draw.one(["0", "1", "'a'", "None"]), draw.one(["2", "3", "'b'"])
            ),
            "k.labels_except({})\n".format(draw.one(["0", "0, 1", "99", ""])),
            "k.unroll({})\n".format(draw.one(["1", "2", "3", "0", "-1", "2.0", "10**9", "True"])),
            "repr(k), hash(k), k == k, k.n_states, k.symbol_states, k.label_if_satisfied, k.is_family\n",
            "e = {}\ne = AutoEngine() if e == 'auto' else e\nc = e.compile(k{})\nrepr(c), c.estimate_cost(3)\n".format(
                draw.pick(ENGINES),
                draw.pick(
                    [
                        "",
                        "",
                        ", labels=[0, 1]",
                        ", labels=[]",
                        ", labels=[True]",
                        ", labels=['a']",
                        ", labels=3",
                        ", labels=[None]",
                        ", labels=[float('nan')]",
                        ", labels=[{1}]",
                        ", labels=[(0, 0)]",
                    ]
                ),
            ),
        ]
    )


def knowledge(draw):
    n = draw.one(
        ["1", "2", "3", "None", "0", "-1", "2.0", "10**9", "True", "np.int64(2)", "np.array(2)"],
        0.15,
    )
    states = draw.one(STATES, 0.2)
    kind = draw.random.randrange(11)
    if kind == 0:
        code = f"IdentityKnowledge({states})"
    elif kind == 1:
        arguments = draw.pick(
            [
                draw.one(STATE_LISTS),
                f"states={draw.one(STATES)}, n_symbols={n}",
                f"states={draw.one(STATE_LISTS)}",
                f"{draw.one(STATE_LISTS)}, n_symbols={n}",
                f"{draw.one(STATE_LISTS)}, batched={draw.one(['True', 'False', '1'])}",
            ]
        )
        code = f"FunctionKnowledge({draw.one(FUNCTIONS, 0.15)}, {arguments})"
    elif kind in (2, 3):
        arguments = f"{draw.one(CLAUSES, 0.15)}, {draw.one(GROUPS, 0.15)}"
        if draw.chance(0.3):
            arguments += f", outputs={draw.one(GROUPS, 0.15)}"
        if draw.chance(0.2):
            arguments += f", symbol_states={draw.one(STATE_LISTS, 0.2)}"
        if draw.chance(0.2):
            arguments += f", output_states={draw.one(STATE_LISTS, 0.2)}"
        if draw.chance(0.2):
            arguments += f", constraints={draw.one(['[LinearConstraint([1, 2], [1, 1], chr(60) + chr(61), 1)]', '()', '[3]', 'LinearConstraint([1], [1], chr(61) * 2, 1)', '[LinearConstraint([99], [1], chr(61) * 2, 1)]'], 0.2)}"
        if draw.chance(0.15):
            arguments += f", names={draw.one(STATES, 0.2)}"
        code = f"ClauseKnowledge({arguments})"
    elif kind == 4:
        literals = draw.one(
            [
                "[1, 2]",
                "[1, -2, 3]",
                "[]",
                "[0]",
                "[1, 1]",
                "[1, -1]",
                "['a']",
                "[10**20]",
                "[1.5]",
                "np.array([1, 2])",
            ],
            0.2,
        )
        weights = draw.one(
            [
                "[1, 1]",
                "[1, 2, 3]",
                "[]",
                "[0, 0]",
                "[-1, 2]",
                "[0.5, 1]",
                "[10**20, 1]",
                "['a', 1]",
                "[1]",
                "[2**62, 2**62]",
            ],
            0.2,
        )
        relation = draw.one(["'<='", "'>='", "'=='", "'!='", "'<'", "'='", "''"], 0.2)
        bound = draw.one(["1", "0", "-1", "10**30", "1.5", "True"], 0.2)
        code = f"ClauseKnowledge([], [[1], [2], [3]], constraints=[LinearConstraint({literals}, {weights}, {relation}, {bound})])"
    elif kind in (5, 6):
        table = {
            "initial": ["0", "(0, 0)", "None", "[]", "'a'", "float('nan')"],
            "final": [
                "None",
                "int",
                "str",
                "len",
                "lambda s: None",
                "lambda s: {s}",
                "lambda s: float('nan')",
                "[int, str]",
                "[]",
                "lambda s: s",
                "lambda s: [s]",
                "lambda s: 1 / s",
            ],
            "accept": [
                "None",
                "bool",
                "lambda s: None",
                "lambda s: 'no'",
                "lambda s: np.array([1, 2])",
                "lambda s: s == 1",
                "lambda s: pd.NA",
            ],
            "emits": ["False", "True"],
            "reading_order": ["[0, 1]", "[1, 0]", "[0]", "[0, 0]", "[2, 1]", "['a', 'b']", "None"],
            "output_order": ["[0]", "[1, 0]", "[0, 1, 2]", "[9]", "None"],
            "max_states": ["1", "100", "1000000", "0"],
        }
        code = (
            f"StepKnowledge({draw.one(STEPS, 0.15)}, {draw.one(STATES, 0.2)}, {n}, {draw.arguments(table, 3)})"
            if draw.chance(0.8)
            else f"StepKnowledge({draw.one(STEPS, 0.15)}, symbol_states={draw.one(STATE_LISTS, 0.2)}, {draw.arguments(table, 3)})"
        )
    elif kind == 7:
        code = (
            f"DigitAddition({n}, base={draw.one(['10', '2', '1', '0', '3', '10**9'])}, n_numbers={draw.one(['2', '1', '3', '0', '100'])})"
            if draw.chance(0.5)
            else f"SymbolSum({n}, {states})"
        )
    elif kind in (8, 9):
        name = draw.pick(["Count", "AtLeast", "AtMost", "Exactly", "AnyOf", "AllOf", "Parity"])
        k = (
            f"{draw.one(['0', '1', '2', '9', '-1', '1.5'], 0.2)}, "
            if name in ("AtLeast", "AtMost", "Exactly")
            else ""
        )
        table = {
            "of": [
                "1",
                "'a'",
                "[1, 2]",
                "{1, 2}",
                "99",
                "[]",
                "None",
                "True",
                "range(2)",
                "lambda s: s",
            ],
            "states": STATES,
        }
        if name != "Count":
            table["names"] = [
                "('neg', 'pos')",
                "(0, 1)",
                "(1, 1)",
                "('a',)",
                "'ab'",
                "{1, 2}",
                "(None, 1)",
                "(-1, 1)",
                "({1}, 2)",
            ]
        code = f"{name}({k}{n}, {draw.arguments(table, 3)})"
    else:
        code = f"ClassCounts({states}, {n})"
    return f"k = {code}\n" + after_knowledge(draw)


CP = """import cpmpy as cp
a, b, c = cp.intvar(0, 2, name="a"), cp.intvar(0, 2, name="b"), cp.boolvar(name="c")
v = cp.intvar(0, 3, shape=3, name="v")
m = cp.intvar(0, 2, shape=(2, 2), name="m")
"""
CP_PARTS = [
    "a + b == 2",
    "a < b",
    "a != b",
    "c.implies(a == 1)",
    "cp.AllDifferent(v)",
    "cp.sum(v) <= 4",
    "cp.any(v > 1)",
    "v[0] * v[1] == 2",
    "a // (b + 1) == 1",
    "a % 2 == 1",
    "cp.max(v) == 2",
    "cp.Count(v, 1) == 1",
    "cp.Element(v, a) == 2",
    "~c",
    "c",
    "(a == 1) == c",
    "cp.Xor([c, a == 1])",
    "a + 0.5 * b < 2",
    "a ** 2 == 4",
    "abs(a - b) == 1",
    "cp.Table([a, b], [[0, 1], [1, 2]])",
    "cp.Circuit(v)",
    "cp.Cumulative([a], [1], [b], [1], 1)",
    "True",
    "False",
    "cp.AllEqual(v)",
    "cp.min(v) + a == 3",
    "cp.IfThenElse(c, a == 1, b == 1)",
    "a == 99",
    "a * b * v[0] == 4",
    "(a + b) * 10**12 == 10**12",
    "cp.GlobalCardinalityCount(v, [0, 1], [1, 1])",
    "a",
    "3",
    "cp.NValue(v) == 2",
    "cp.InDomain(a, [0, 2])",
    "cp.Inverse(v, v)",
    "a // b == 1",
    "a % b == 1",
    "cp.LexLess([a, b], [b, a])",
    "m == 1",
    "v > 0",
    "cp.any(m[0] == 1)",
]


def cpmpy(draw):
    parts = [draw.pick(CP_PARTS) for _ in range(1 + draw.random.randrange(3))]
    model = draw.one(
        [
            f"[{', '.join(parts)}]",
            f"cp.Model({', '.join(parts)})",
            parts[0],
            f"cp.Model([{', '.join(parts)}])",
            "cp.Model(minimize=a)",
        ],
        0.1,
    )
    symbols = draw.one(
        [
            "[a, b]",
            "[a, b, c]",
            "v",
            "[*v]",
            "[a, b, c, *v]",
            "m",
            "[[a, b]]",
            "a",
            "[]",
            "[a, a]",
            "[3]",
            "[a + 1]",
            "[a, b, c, *v, *m.flat]",
            "{'a': a}",
            "cp.intvar(0, 10**9)",
            "[cp.intvar(-3, 5)]",
        ],
        0.1,
    )
    arguments = ""
    if draw.chance(0.3):
        arguments += f", outputs={draw.one(['[c]', '[a]', 'c', '[]', '[a, a]', 'v', '[cp.boolvar()]', '[a + b]'], 0.2)}"
    if draw.chance(0.3):
        arguments += f", auxiliaries={draw.one(['[c]', 'v', '[]', '[a]', 'm'], 0.2)}"
    if draw.chance(0.1):
        arguments += f", max_clauses={draw.one(['1', '100', '0'], 0.3)}"
    if draw.chance(0.1):
        arguments += f", names={draw.one(STATES, 0.3)}"
    return CP + f"k = from_cpmpy({model}, {symbols}{arguments})\n" + after_knowledge(draw)


DIMACS = [
    "p cnf 3 2",
    "1 -2 0",
    "3 0",
    "c hello",
    "%",
    "0",
    "p cnf 3",
    "p cnf -1 2",
    "p cnf a b",
    "p dnf 3 2",
    "p cnf 3 2 7",
    "1 2",
    "1 -4 0",
    "1 2 3",
    "1.5 0",
    "x 0",
    "- 0",
    "--1 0",
    "+1 0",
    "99999999999999999999 0",
    "1 0 2 0",
    "",
    "   ",
    "p cnf 10000000000 1",
    "p cnf 3 0",
    "\\x00",
    "\\ufeff",
    "c ind 1 2 0",
    "p wcnf 3 2",
    "1\\t2\\t0",
    "1 2 0 c x",
    "\\r",
    "p cnf 0 0",
    "1_0 0",
    "\\u0661 0",
    "-0",
]


def dimacs(draw):
    kind = draw.random.randrange(4)
    if kind == 0:
        content = "bytes([{}])".format(
            ", ".join(str(draw.random.randrange(256)) for _ in range(draw.random.randrange(60)))
        )
    elif kind == 1:
        lines = [draw.pick(DIMACS) for _ in range(draw.random.randrange(6))]
        content = '"{}".encode("utf-8")'.format("\\n".join(lines))
    elif kind == 2:
        text = "c x\\np cnf 3 3\\n1 -2 0\\n-1 3 0\\n2 3 0\\n"
        place, cut = draw.random.randrange(30), draw.random.randrange(4)
        content = f'bytearray(b"{text}")\ncontent[{place}:{place + cut}] = bytes([{draw.random.randrange(256)}] * {draw.random.randrange(3)})'
    else:
        content = draw.pick(
            [
                "b'\\x1f\\x8b' + bytes(20)",
                "b'BZh9' + bytes(20)",
                "b'\\xfd7zXZ\\x00' + bytes(9)",
                "__import__('gzip').compress(b'p cnf 1 1\\n1 0\\n')[:-4]",
                "__import__('gzip').compress(b'p cnf 1 1\\n1 0\\n')",
                "__import__('bz2').compress(b'p cnf 1 1\\n1 0\\n')",
                "__import__('lzma').compress(b'p cnf 1 1\\n1 0\\n')",
                "b''",
            ]
        )
    suffix = draw.pick([".cnf", ".cnf", ".cnf.gz", ".cnf.bz2", ".cnf.xz", ".dimacs", ""])
    code = f"content = {content}\n"
    code += (
        f"path = os.path.join(tempfile.mkdtemp(), 'f{suffix}')\nopen(path, 'wb').write(content)\n"
    )
    if draw.chance(0.2):
        return (
            code
            + f"read_dimacs({draw.one(['path', 'path + chr(0)', 'os.path.dirname(path)', 'path.encode()', 'open(path)', 'path + str(1)'], 0.4)})\n"
        )
    if draw.chance(0.25):
        return (
            code
            + f"write_dimacs({draw.one(['path', 'os.path.dirname(path)', 'path + chr(0)', '3.5'], 0.1)}, {draw.one(CLAUSES, 0.2)})\nread_dimacs(path)\n"
        )
    return (
        code
        + "clauses = read_dimacs(path)\nassert all(type(x) is int and x for c in clauses for x in c)\nwrite_dimacs(path + '2', clauses)\nassert read_dimacs(path + '2') == clauses\nClauseKnowledge(path, [[1]])\n"
    )


ENGINE_PARAMETERS = {
    "AutoEngine": {
        "max_worlds": ["10", "1"],
        "max_width": ["10", "None"],
        "max_edges": ["10", "None"],
        "time_limit": ["1", "None", "0"],
        "exact_only": ["True"],
        "engines": [
            "(DiagramEngine(),)",
            "()",
            "[SamplingEngine(2)]",
            "DiagramEngine()",
            "(AutoEngine(),)",
        ],
    },
    "DiagramEngine": {
        "symbol_order": ["'natural'", "'force'", "'auto'"],
        "max_width": ["10", "None"],
        "max_edges": ["10", "None"],
        "time_limit": ["1", "None"],
    },
    "EnumerationEngine": {"max_worlds": ["10"], "time_limit": ["1", "None"]},
    "CircuitEngine": {
        "branching": ["'degree'", "'elimination'"],
        "max_size": ["10", "None"],
        "time_limit": ["1", "None"],
    },
    "BeliefPropagationEngine": {
        "max_iter": ["1"],
        "tol": ["0", "1"],
        "damping": ["0", "1", ".5"],
        "reweighting": ["1", "0", "'none'"],
        "time_limit": ["1"],
    },
    "SamplingEngine": {
        "n_draws": ["1", "2"],
        "proposal": ["'net'", "'auto'", "'look-ahead'"],
        "draw_order": ["'auto'", "'natural'", "'sure-first'"],
        "look_ahead": ["True", "False"],
        "proposal_temperature": ["1", "2", "0", ".1"],
        "distance": [
            "'absolute'",
            "'hamming'",
            "lambda a, b: abs(a - b)",
            "lambda a, b: 'x'",
            "lambda a, b: -1",
            "lambda a, b: float('nan')",
            "lambda a: 1",
            "WorldDistance(lambda w, c, o: 0.0)",
        ],
        "min_ess": ["0", "1", ".5"],
        "n_moves": ["0", "1"],
        "block_size": ["None", "1", "99"],
        "max_states": ["1", "1000"],
        "n_jobs": ["None", "1", "0"],
        "time_limit": ["1", "None"],
    },
    "ModeEngine": {
        "n_worlds": ["1", "3", "10**6"],
        "max_width": ["1"],
        "max_edges": ["1"],
        "max_tried": ["1"],
        "time_limit": ["1", "None", "0"],
    },
    "BoundsEngine": {"max_size": ["1", "30", "None"], "time_limit": ["1", "None", "0"]},
    "CountsEngine": {"max_states": ["1", "100"], "exact_only": ["True"]},
}
LOGP = [
    "P",
    "P",
    "P.numpy()",
    "P.float()",
    "P.tolist()",
    "P[:1]",
    "P[0]",
    "P * float('nan')",
    "P - 1e300",
    "P + 1e308",
    "P * float('inf')",
    "torch.full_like(P, -float('inf'))",
    "P.requires_grad_()",
    "P.half()",
    "P.long()",
    "P.to(torch.complex64)",
    "P.to_sparse()",
    "P[..., :2]",
    "P[:, :1]",
    "P.new_zeros(2, 5, 9)",
    "torch.zeros_like(P)",
    "P[:0]",
    "P.T",
    "P * -float('inf')",
    "P.to('meta')",
    "pd.DataFrame(P[0].numpy())",
    "P > 0",
    "P.exp()",
    "-P",
    "P.mT.contiguous().mT",
    "P.numpy().astype(object)",
    "P.numpy().astype(str)",
    "np.ma.array(P.numpy(), mask=True)",
]
LOGL = [
    "L",
    "L",
    "L.numpy()",
    "L.float()",
    "L[:1]",
    "L * float('nan')",
    "torch.full_like(L, -float('inf'))",
    "torch.full_like(L, float('inf'))",
    "L + 1e308",
    "L[..., :1]",
    "L[:0]",
    "L[0]",
    "L + 5",
    "None",
    "L.tolist()",
]


def engine(draw):
    name = draw.pick(sorted(ENGINE_PARAMETERS))
    k = draw.pick(KNOWLEDGE) if draw.chance(0.7) else draw.one(KNOWLEDGE, 0.5)
    code = f"k = {k}\nif isinstance(k, Knowledge) and k.is_family: k = k.unroll(2)\n"
    code += f"e = {name}({draw.arguments(ENGINE_PARAMETERS[name], 2)})\n"
    code += f"c = e.compile(k{draw.pick(['', '', '', ', [0, 1]', ', []', ', [99]', ', 3'])})\n"
    code += "P = torch.log_softmax(torch.randn(2, len(c.n_states), max(c.n_states), generator=torch.Generator().manual_seed(0), dtype=torch.float64), -1)\nfor s, n in enumerate(c.n_states): P[:, s, n:] = -float('inf')\nL = unobserved(2, list(map(len, c.output_states)))\n"
    method = draw.pick(["infer", "infer", "mode", "sample"])
    p, q = (
        draw.one(LOGP, 0.1) if draw.chance(0.6) else "P",
        draw.one(LOGL, 0.1) if draw.chance(0.4) else "L",
    )
    extra = (
        draw.pick(
            [
                "",
                ", generator=torch.Generator()",
                ", generator=None",
                f", generator={draw.strange()}",
            ]
        )
        if method == "infer"
        else ""
    )
    if method == "sample":
        extra = f", {draw.one(['1', '3', '0'], 0.3)}{draw.pick(['', ', torch.Generator()'])}"
    code += f"if {method!r} == 'infer' or {method!r} in e.supports:\n  r = e.{method}(c, {p}, {q}{extra})\n"
    if method == "infer":
        code += "  m = r.symbol_marginals; t = m.sum(-1)\n  assert not m.isnan().any() and not r.log_evidence.isnan().any()\n  assert ((t - 1).abs() < 1e-6).logical_or(t == 0).all(), t\n"
    return code


PROBA = [
    "P",
    "P",
    "P.tolist()",
    "P[..., 0]",
    "P[:1]",
    "P[0]",
    "P * 2",
    "-P",
    "P * np.nan",
    "P * 0",
    "P.astype(np.float32)",
    "torch.tensor(P)",
    "P.astype(str)",
    "P > .3",
    "P[:, :1]",
    "P[..., :2]",
    "P[:0]",
    "list(P)",
    "list(P.transpose(1, 0, 2))",
    "pd.DataFrame(P[:, 0])",
    "P.astype(object)",
    "P.astype(complex)",
    "np.ma.array(P)",
    "np.ma.masked_greater(P, .5)",
    "P.reshape(4, -1)",
    "np.eye(3)[[[0, 1]] * 4]",
    "P * (1 + 1e-9)",
    "P + 1e-3",
    "P.astype(np.float16)",
    "[[None] * 2] * 4",
]


def condition(draw):
    k = draw.pick(KNOWLEDGE) if draw.chance(0.8) else draw.one(KNOWLEDGE, 0.5)
    code = "P = np.random.default_rng(1).dirichlet([1, 1, 1], size=(4, 2))\nZ = Z[:4]; y = y[:4]\n"
    table = {"inference": ENGINES, "smoothing": ["0", ".1", "1", "2", "-1"]}
    name = draw.pick(["condition", "decide", "Conditioner"])
    p = draw.one(PROBA, 0.1) if draw.chance(0.6) else "P"
    arguments = p
    if draw.chance(0.4):
        arguments += f", y={draw.data(values.Y)}"
    if draw.chance(0.3):
        arguments += f", symbols={draw.one(values.Z, 0.1)}"
    if name == "Conditioner":
        smoothing = f", smoothing={draw.one(table['smoothing'], 0.2)}" if draw.chance(0.3) else ""
        n = f", n_symbols={draw.one(['2', '3', '0', 'None'], 0.2)}" if draw.chance(0.3) else ""
        return (
            code
            + f"o = Conditioner({k}, {draw.one(ENGINES, 0.1)}{n})\no.{draw.pick(['posterior', 'decide'])}({arguments}{smoothing})\nrepr(o)\n"
        )
    if name == "decide":
        table["decision"] = ["'marginals'", "'world'"]
    code += f"r = {name}({k}, {arguments}, {draw.arguments(table, 2)})\n"
    if name == "condition":
        code += "m = r.symbol_marginals if hasattr(r, 'symbol_marginals') else None\n"
    return code


def likelihood(draw):
    make = draw.pick(
        [
            f"CandidateLikelihood({draw.one(['None', 'range(5)', '[0, 1]', '[]', '[0, 0]'], 0.3)})",
            f"SoftLikelihood({draw.one(['None', 'range(5)', '[0, 1]'], 0.3)}, {draw.one(['None', '[.2] * 5', '[1, 0, 0, 0, 0]', '[-1] * 5', '[.5, .5]'], 0.3)})",
            f"ConfusionLikelihood({draw.one(['None', 'np.eye(5)', 'np.full((5, 5), .2)', 'np.zeros((5, 5))', '{0: {1: 1.0}}', '[[1, 0], [0, 1]]', '-np.eye(5)', 'np.eye(5) * 2', 'np.eye(5, 4)', 'np.eye(5) * np.nan', 'pd.DataFrame(np.eye(5))', '[[.2] * 5] * 5'], 0.25)}, {draw.arguments({'learn': ['True', 'False'], 'structure': [chr(39) + 'full' + chr(39), chr(39) + 'symmetric' + chr(39)], 'strength': ['1.0', '0', '-1', '1e308']}, 2)})",
            f"AnnotatorLikelihood({draw.arguments({'structure': [chr(39) + 'confusion' + chr(39), chr(39) + 'accuracy' + chr(39)], 'strength': ['None', '1', '0', '-1'], 'accuracy': ['.7', '0', '1', '2', '1e-300']}, 3)})",
            f"GaussianLikelihood({draw.one(['None', '1.0', '0', '-1', '1e-300', '1e300', '[1, 2]', 'np.ones(6)'], 0.3)}, learn={draw.one(['True', 'False'], 0.2)})",
        ]
    )
    code = f"lik = {make}\nclf = {draw.pick(['EMNeSyClassifier', 'EMNeSyClassifier', 'EMNeSyRegressor'])}({draw.pick(['K', 'K', 'K', 'None', 'ClassCounts(range(3), 2)', 'FunctionKnowledge(lambda a, b: str(a + b), [range(3)] * 2)'])}, likelihood=lik, max_iter=2, random_state=0)\n"
    return (
        code
        + f"clf.fit(X, {draw.one(values.Y, 0.1)})\nclf.predict(X)\nclf.score(X, {draw.one(values.Y, 0.1)})\n"
    )


def layout(draw):
    def part():
        return f"Part({draw.one([repr('a'), repr('b'), repr('c')], 0.1)}, {draw.one(['[0]', '[1]', '[0, 1]', 'range(2)', 'slice(0, 1)', '[-1]', '[5]', '0', '[]', '[0, 0]'], 0.1)}, {draw.arguments({'columns': ['[0, 1, 2]', '[3, 4, 5]', 'None', 'range(3)', 'slice(0, 3)', '[99]', '[]', '[-1]', '[True, False]', repr('a'), '[' + repr('a') + ']'], 'net': NETS, 'layout': LAYOUTS, 'states': ['None', 'range(3)', '[0, 1]', '3', '[]']}, 2)})"

    made = draw.pick(
        [
            f"Columns([{part()}, {part()}])",
            f"Columns([{part()}])",
            f"Columns({draw.strange()})",
            f"GridLayout({draw.one(PARAMETERS['symbol_shape'], 0.3)})",
            f"SequenceLayout({draw.one(PARAMETERS['symbol_shape'], 0.3)})",
            f"JointLayout({draw.one(PARAMETERS['symbol_shape'], 0.3)})",
            f"JointSequenceLayout({draw.one(PARAMETERS['symbol_shape'], 0.3)})",
        ]
    )
    k = draw.pick(
        [
            "K",
            "K",
            "SymbolSum(states=range(3))",
            "AnyOf()",
            "FunctionKnowledge(lambda a, b: a + b, [range(3), range(2)])",
            "ClassCounts(range(3))",
        ]
    )
    return f"X_used = {draw.data(values.X) if draw.chance(0.5) else draw.pick(['X.reshape(6, -1)', 'X', 'list(X)', 'dict(a=X[:, 0], b=X[:, 1])', 'pd.DataFrame(X.reshape(6, -1))', 'X[:, 0]'])}\nclf = EMNeSyClassifier({k}, layout={made}, max_iter=1, random_state=0)\nclf.fit(X_used, y)\nclf.predict(X_used)\nclf.predict_symbols(X_used)\nclf.predict_net_proba(X_used)\n"


def transform(draw):
    made = draw.pick(
        [
            f"Temperature({draw.one(PARAMETERS['temperature'], 0.3)})",
            f"Annealing({draw.one(['3', '1', '0', '-1'], 0.3)}, {draw.one(['2', '0', '-1', '1e9'], 0.3)}, {draw.one(['1', '0', '2'], 0.3)})",
            f"StatePrior({draw.one(PARAMETERS['state_prior'], 0.3)})",
            f"StateBalance({draw.one(['0', '1', '.5', '2', '-1'], 0.4)})",
            f"StepSize({draw.one(PARAMETERS['step_size'], 0.3)})",
        ]
    )
    return f"t = {made}\nrepr(t), clone(t)\nclf = EMNeSyClassifier(K, transforms=[t], max_iter=2, random_state=0, e_step={draw.pick([repr('batch'), repr('epoch')])})\nclf.fit(X, y)\nclf.predict(X)\n"


def metric(draw):
    name = draw.pick(["exact_match", "output_accuracy"])
    if draw.chance(0.5):
        return (
            f"r = {name}({draw.one(values.Y, 0.1)}, {draw.one(values.Y, 0.1)}"
            + (f", sample_weight={draw.one(values.WEIGHT, 0.1)}" if draw.chance(0.3) else "")
            + ")\nassert r is None or np.isfinite(r).all()\n"
        )
    if draw.chance(0.5):
        return f"r = symbol_accuracy({draw.one(values.Z, 0.1)}, {draw.one(values.Z, 0.1)})\nassert np.isfinite(r)\n"
    table = {
        "symbol_states": ["None", "[range(3)] * 2", "range(3)", "[range(2)] * 2"],
        "n_bins": ["10", "1", "0"],
        "mask": ["None", "Z > 0", "np.ones(6, bool)", "Z"],
    }
    return f"P = np.random.default_rng(1).dirichlet([1, 1, 1], size=(6, 2))\nr = symbol_calibration_error({draw.one(values.Z, 0.1)}, {draw.one(PROBA, 0.1)}, {draw.arguments(table, 2)})\nassert np.isfinite(r)\n"


def selection(draw):
    kind = draw.random.randrange(5)
    if kind == 0:
        table = {
            "n_splits": ["2", "3", "9", "1"],
            "shuffle": ["True", "False"],
            "random_state": ["0", "None"],
        }
        always = ("n_splits",) if draw.chance(0.6) else ()
        return f"s = EvidenceKFold({draw.arguments(table, 2, always)})\nf = list(s.split({draw.one(values.X, 0.1)}, {draw.one(values.Y, 0.1)}{draw.pick(['', '', ', groups=[0, 0, 1, 1, 2, 2]', ', groups=[1]', ', groups=[None] * 6'])}))\nassert sorted(np.concatenate([b for a, b in f]).tolist()) == list(range(sum(len(b) for a, b in f)))\n"
    if kind == 1:
        return f"r = as_evidence({draw.one(values.Y, 0.1)})\nassert r.dtype == object\n"
    if kind == 2:
        name = draw.pick(["log_evidence_score", "symbol_score"])
        return f"clf = EMNeSyClassifier(K, max_iter=1, random_state=0).fit(X, y)\n{name}({draw.one(['clf', 'clf', 'clone(clf)', 'GaussianNB()', 'clf'], 0.1)}, {draw.data(values.X)}, {draw.one(values.Y, 0.1)}{', symbols=' + draw.one(values.Z, 0.1) if draw.chance(0.6) else ''}{', sample_weight=' + draw.one(values.WEIGHT, 0.1) if draw.chance(0.3) else ''})\n"
    if kind == 3:
        return f"clf = EMNeSyClassifier(K, max_iter=1, random_state=0)\ns = find_suspect_labels({draw.one(['clf', 'clf', 'clf', 'GaussianNB()'], 0.05)}, {draw.data(values.X)}, {draw.data(values.Y)}, cv={draw.one(['2', '3', '9', 'EvidenceKFold(2)', '1', 'sklearn.model_selection.KFold(2)'], 0.15)}{', symbols=' + draw.one(values.Z, 0.1) if draw.chance(0.2) else ''}{', sample_weight=' + draw.one(values.WEIGHT, 0.1) if draw.chance(0.2) else ''})\ns.to_frame()\n"
    y = draw.data(["y", *values.Y])
    return f"b = bags_from_groups({draw.one(['X[:, 0]', *values.X], 0.1)}, {y}, {draw.one(['[0, 0, 1, 1, 2, 2]', '[0, 1, 0, 1, 0, 1]', '[None] * 6', 'list(' + repr('aabbcc') + ')', '[0]', '[float(' + repr('nan') + ')] * 6'], 0.15)})\n"


def preprocessing(draw):
    t = draw.one(
        [
            "StandardScaler()",
            "sklearn.decomposition.PCA(2)",
            "sklearn.decomposition.PCA(9)",
            "sklearn.preprocessing.OneHotEncoder()",
            "sklearn.preprocessing.FunctionTransformer(lambda x: x[:1])",
            "sklearn.impute.SimpleImputer()",
            "GaussianNB()",
            "sklearn.preprocessing.MinMaxScaler()",
            "StandardScaler",
            "sklearn.preprocessing.FunctionTransformer()",
            "sklearn.preprocessing.KBinsDiscretizer(2)",
            "sklearn.feature_selection.SelectKBest(k=1)",
        ],
        0.1,
    )
    return f"t = EachSymbol({t}, symbol_shape={draw.one(PARAMETERS['symbol_shape'], 0.1) if draw.chance(0.3) else None})\nt.fit({draw.one(values.X, 0.05)}, {draw.pick(['None', 'y', 'Z'])})\nt.transform({draw.data(values.X)})\n"


def dataset(draw):
    image = [
        "None",
        "np.zeros((20, 8, 8))",
        "np.zeros((20, 64))",
        "np.zeros((0, 8, 8))",
        "np.zeros((20, 8, 8), np.uint8)",
        "np.full((20, 8, 8), np.nan)",
        "np.zeros((20, 2, 2))",
        "np.zeros((20, 8, 8, 3))",
        "np.zeros((20, 1, 1))",
        "torch.zeros(20, 8, 8)",
    ]
    digit = [
        "None",
        "np.arange(20) % 10",
        "np.arange(20)",
        "np.zeros(20, int)",
        "np.arange(20) % 10 * 1.0",
        "np.full(20, -1)",
        "np.arange(5)",
        "['1'] * 20",
        "np.ones(20, int)",
    ]
    seed = ["0", "None", "np.random.RandomState(0)"]

    def images():
        return {"images": image, "digits": digit} if draw.chance(0.5) else {}

    paired = "images=np.zeros((20, 8, 8)), digits=np.arange(20) % 10, " if draw.chance(0.3) else ""
    n = draw.one(["3", "1", "0", "None", "-1", "2.0", "True"], 0.15)
    size = {
        "n_digits": ["1", "2", "0", "20"],
        "n_numbers": ["2", "1", "3", "0"],
        "random_state": seed,
    }
    return draw.pick(
        [
            lambda: (
                f"make_digit_sum({n}, {paired}{draw.arguments(size if paired else {**size, **images()}, 3)})\n"
            ),
            lambda: (
                f"make_visual_sudoku({n}, {paired}{draw.arguments({'size': ['4', '9', '1', '5', '0'], 'n_known': ['0', '3', '16', '17', '-1'], 'lowest_digit': ['0', '1', '9', '-1'], 'is_paired': ['True', 'False'], 'random_state': seed, **({} if paired else images())}, 3)})\n"
            ),
            lambda: (
                f"make_shortest_path({n}, {draw.arguments({'size': ['3', '1', '2', '0', '12'], 'costs': ['(1, 2)', '(1,)', '()', '(0, 1)', '(-1, 1)', '(1, 1)', '(float(' + repr('nan') + '), 1)', '(1e308, 1e308)', repr('ab')], 'random_state': seed}, 3)})\n"
            ),
            lambda: (
                f"make_handwritten_formula({n}, {paired}{draw.arguments({'max_length': ['1', '3', '7', '2', '0', '9', '4001', '5000', '-1'], 'random_state': seed, **({} if paired else images())}, 3)})\n"
            ),
            lambda: (
                f"load_mnist({draw.one(['os.devnull', repr('/nowhere'), repr('/tmp'), '__import__(' + repr('sklearn') + ').__file__'], 0.3)})\n"
                if draw.chance(0.3)
                else f"DigitSum({draw.one(['1', '2', '0'], 0.4)})({draw.one(['1, 2', '1', repr('a'), '', '1, 2, 3, 4'], 0.3)})\n"
            ),
            lambda: (
                f"s = ShortestPath({draw.one(['3', '1', '0', '2'], 0.2)}, {draw.one(['(1, 2)', '()', '(0,)', '(1, 1)', repr('ab')], 0.2)})\ns.batch({draw.one(['np.zeros((2, 9), int)', 'np.zeros((2, 4), int)', 'np.ones((2, 9), int)', 'np.full((1, 9), 9)', '[]'], 0.2)})\n"
            ),
            lambda: (
                f"path_cost({draw.one(['np.ones((2, 3, 3), bool)', 'np.ones((2, 9))', 'np.ones((3, 3))', '[]'], 0.3)}, {draw.one(['np.ones((2, 3, 3))', 'np.ones((2, 9))', 'np.ones((3, 3))', '[]'], 0.3)})\n"
            ),
            lambda: (
                f"is_shortest_path({draw.one(['np.ones((2, 3, 3), bool)', 'np.ones((2, 9), bool)', 'np.ones((3, 3))', '[]'], 0.3)}, {draw.one(['np.ones((2, 3, 3))', 'np.ones((2, 9))', '-np.ones((2, 3, 3))', '[]', 'np.full((2, 3, 3), np.nan)'], 0.3)}, tol={draw.one(['1e-6', '0', '-1'], 0.3)})\n"
            ),
        ]
    )()


TARGETS = {
    "fit": (fit, 6),
    "partial_fit": (partial_fit, 2),
    "fitted": (fitted_method, 4),
    "constrained": (constrained, 2),
    "knowledge": (knowledge, 4),
    "cpmpy": (cpmpy, 2),
    "dimacs": (dimacs, 1),
    "engine": (engine, 4),
    "condition": (condition, 2),
    "likelihood": (likelihood, 2),
    "layout": (layout, 2),
    "transform": (transform, 1),
    "metric": (metric, 1),
    "selection": (selection, 2),
    "preprocessing": (preprocessing, 1),
    "dataset": (dataset, 1),
}


def draw_call(random, target=None):
    """A random call, as code behind PRELUDE."""
    if target is None:
        names = [name for name, (_, share) in TARGETS.items() for _ in range(share)]
        target = names[random.randrange(len(names))]
    return target, TARGETS[target][0](Draw(random))
