"""Several kinds of symbols: their places, columns and parameters, and what is wrong with them."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from skorch import NeuralNet
from skorch.helper import SliceDict

from sknesy import EMNeSyClassifier
from sknesy.exceptions import InconsistentLabelError
from sknesy.knowledge import FunctionKnowledge, StepKnowledge
from sknesy.layouts import Columns, GridLayout, JointLayout, Part, SequenceLayout
from sknesy.nets import MLP, LeNet

# A few iterations show what these tests ask.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def evaluate(a, sign, b):
    return a + b if sign == "+" else a - b


SIGNS = "+", "-"
VALUE = FunctionKnowledge(evaluate, symbol_states=[range(3), SIGNS, range(3)])


def make_formulas(n=120, seed=0):
    """Numbers, as three features each, and a sign, as two; the value; the true symbols."""
    rng = np.random.default_rng(seed)
    numbers, signs = rng.integers(3, size=(n, 2)), rng.integers(2, size=n)
    noise = 0.3 * rng.normal(size=(n, 8))
    X = np.column_stack([np.eye(3)[numbers].reshape(n, 6), np.eye(2)[signs]]) + noise
    worlds = np.stack([numbers[:, 0], signs, numbers[:, 1]], axis=1)
    return X.astype(np.float32), VALUE.conclude(worlds).astype(int), VALUE.name_worlds(worlds)


def two_parts(number=slice(0, 6), sign=slice(6, 8), **of_number):
    return Columns(
        [Part("number", [0, 2], columns=number, **of_number), Part("sign", [1], columns=sign)]
    )


def make(layout=None, knowledge=VALUE, **parameters):
    layout = two_parts() if layout is None else layout
    defaults = {"learning_rate": 0.02, "max_iter": 30, "tol": 0.01, "random_state": 0}
    return EMNeSyClassifier(knowledge, layout=layout, **{**defaults, **parameters})


@pytest.mark.slow
def test_each_kind_is_learned_by_a_net_of_its_own_from_values_alone():
    X, y, _ = make_formulas(200)
    clf = make(max_iter=60, n_init=3).fit(X, y)
    X, y, symbols = make_formulas(200, seed=1)
    assert clf.score(X, y) > 0.9  # .945 to .965 with 20 seeds
    assert (clf.predict_symbols(X) == symbols).mean() > 0.95
    assert clf.net_.number.module_.layers[-1].out_features == 3
    assert clf.net_["sign"].module_.layers[-1].out_features == 2
    assert clf.symbol_shape_ == {"number": (3,), "sign": (2,)}
    assert [part.layout.symbol_shape for part in clf.layout_.parts] == [(3,), (2,)]
    assert clf.layout.parts[0].layout is None


NAMES = [*"abcdef", "s", "t"]


def as_mapping(X):
    return {"numbers": X[:, :6].reshape(-1, 2, 3), "sign": X[:, None, 6:]}


MASK = np.arange(8) < 6


@pytest.mark.parametrize(
    ("change", "columns"),
    [
        (lambda X: pd.DataFrame(X, columns=NAMES), ([*"abcdef"], ["s", "t"])),
        (lambda X: pd.DataFrame(X, columns=NAMES), (slice("a", "f"), slice("s", None))),
        (lambda X: X, ([0, 1, 2, 3, 4, 5], [6, 7])),
        (lambda X: X.tolist(), (MASK, ~MASK)),
        (as_mapping, ("numbers", "sign")),
        (lambda X: SliceDict(**as_mapping(X)), ("numbers", "sign")),
    ],
    ids=["pandas", "slices of names", "positions", "masks", "mapping", "SliceDict"],
)
def test_columns_are_names_positions_slices_masks_or_keys(change, columns):
    X, y, _ = make_formulas()
    expected = make(max_iter=3).fit(X, y).predict_net_proba(X)
    clf = make(two_parts(*columns), max_iter=3).fit(change(X), y)
    np.testing.assert_array_equal(clf.predict_net_proba(change(X)), expected)


def test_of_shaped_samples_a_part_sees_its_own_symbols():
    X = np.random.default_rng(0).normal(size=(30, 3, 4)).astype(np.float32)
    parts = [Part("number", [0, 2]), Part("sign", [1])]
    clf = make(Columns(parts), max_iter=1).fit(X, np.arange(30) % 4)
    flat = X.reshape(30, 12)
    shape = GridLayout((4,))
    wide = [
        Part("number", [0, 2], [*range(4), *range(8, 12)], layout=shape),
        Part("sign", 1, slice(4, 8)),
    ]
    other = make(Columns(wide), max_iter=1).fit(flat, np.arange(30) % 4)
    np.testing.assert_array_equal(clf.predict_net_proba(X), other.predict_net_proba(flat))
    changed = X.copy()
    changed[:, 1] += 1  # the sign's
    same = clf.predict_net_proba(X) == clf.predict_net_proba(changed)
    assert same[:, [0, 2]].all()
    assert not same[:, 1, :2].any()


def test_a_part_of_one_symbol_may_have_images_without_an_axis_for_it():
    rng = np.random.default_rng(0)
    X = {"pair": rng.normal(size=(20, 2, 6, 6)), "sign": rng.normal(size=(20, 6, 6))}
    clf = make(two_parts("pair", "sign"), max_iter=1).fit(X, np.arange(20) % 4)
    assert clf.symbol_shape_ == {"number": (6, 6), "sign": (6, 6)}
    assert clf.predict(X).shape == (20,)


def test_a_joint_part_sees_all_its_columns_and_predicts_all_its_symbols():
    X, y, _ = make_formulas()
    clf = make(two_parts(layout=JointLayout()), max_iter=2).fit(X, y)
    assert clf.net_.number.module_.layers[-1].out_features == 2 * 3
    before = clf.predict_net_proba(X)
    changed = X.copy()
    changed[:, 0] += 1  # a feature of the first number
    same = clf.predict_net_proba(changed) == before
    assert not same[:, 2].any()
    assert same[:, 1].all()


def test_a_joint_part_without_columns_sees_all_of_x_and_several_inputs_by_their_keys():
    class Two(MLP):
        def __init__(self, symbol_shape, n_states, n_symbols):
            super().__init__((8,), n_states, n_symbols=n_symbols)

        def forward(self, numbers, sign):
            return self.layers(torch.cat([numbers.flatten(1), sign.flatten(1)], dim=1))

    X, y, _ = make_formulas()
    whole = Part("number", [0, 2], layout=JointLayout(), net=Two)
    keyed = clone(whole).set_params(columns=["numbers", "sign"])
    sign = Part("sign", [1], columns="sign")
    X = as_mapping(X)
    found = [
        make(Columns([part, sign]), max_iter=2).fit(X, y).predict_net_proba(X)
        for part in (whole, keyed)
    ]
    np.testing.assert_array_equal(*found)


def test_single_symbols_are_predicted_by_the_net_of_their_part():
    X, y, _ = make_formulas()
    clf = make(max_iter=3).fit(X, y)
    whole = clf.predict_net_proba(X)
    np.testing.assert_allclose(
        clf.predict_net_proba(X[:, 3:6], parts="number"), whole[:, 2], atol=1e-6
    )
    assert clf.predict_net_proba(X[:, 6:], parts="sign").shape == (len(X), 2)
    with pytest.raises(
        ValueError, match=r"parts must be False or the name of a part, 'number', 's"
    ):
        clf.predict_net_proba(X, parts=True)
    with pytest.raises(ValueError, match=r"parts must be True or False for GridLayout.*got 'sign'"):
        GridLayout((3,)).read_parts(X[:, :3], "sign", VALUE)


# Parameters


def test_parameters_of_parts_are_those_of_the_estimator():
    clf = make(two_parts(net=MLP))
    clf.set_params(layout__number__net__lr=0.5, layout__number__net__module__hidden=7)
    part = clf.layout.parts[0]
    assert isinstance(part.net, NeuralNet)
    assert part.net.module is MLP
    assert clf.get_params()["layout__number__net__lr"] == 0.5
    assert clf.get_params()["layout__number__net__module__hidden"] == 7
    assert clf.get_params()["layout__sign"] is clf.layout.parts[1]
    clf.set_params(layout__sign=Part("sign", 1, [6, 7], net=LeNet), layout__number__symbols=[2, 0])
    assert clf.layout.parts[1].net is LeNet
    assert clf.layout.parts[0].symbols == [2, 0]
    twin = clone(clf)
    assert twin.layout.parts[0] is not part
    assert repr(twin) == repr(clf)
    assert "name='sign'" in repr(clf)
    assert twin.layout.get_params(deep=False).keys() == {"parts"}
    fewer = clone(clf.layout).set_params(parts=[Part("all", [0, 1, 2])], all__columns=[0])
    assert [part.columns for part in fewer.parts] == [[0]]


def test_parameters_of_a_layout_of_a_part_reach_it():
    layout = two_parts().set_params(number__layout__symbol_shape=(3,))
    assert layout.parts[0].layout.symbol_shape == (3,)


def test_parameters_that_nobody_has_are_errors():
    with pytest.raises(ValueError, match="Invalid parameter 'digit' for estimator Columns"):
        make().set_params(layout__digit__net=MLP)
    message = r"net of part 'sign' must be given where net__lr is set, got None, which is the est"
    with pytest.raises(ValueError, match=message):
        make().set_params(layout__sign__net__lr=0.1)


def test_a_grid_search_tries_parameters_of_parts():
    X, y, _ = make_formulas(90)
    clf = make(two_parts(net=MLP), max_iter=1).set_params(layout__number__net__lr=0.1)
    grid = {"layout__number__net__module__hidden": [2, 3], "layout__sign__net": [MLP]}
    search = GridSearchCV(clf, grid, cv=2).fit(X, y)
    hidden = search.best_params_["layout__number__net__module__hidden"]
    assert search.best_estimator_.net_.number.module_.layers[1].out_features == hidden


def test_splitters_cut_a_slice_dict():
    X, y, _ = make_formulas(90)
    X, layout = SliceDict(**as_mapping(X)), two_parts("numbers", "sign")
    scores = cross_val_score(make(layout, max_iter=2), X, y, cv=3)
    assert scores.shape == (3,)
    search = GridSearchCV(make(layout, max_iter=1), {"learning_rate": [0.1, 1e-3]}, cv=2)
    assert search.fit(X, y).predict(X).shape == (90,)


def test_a_pickle_predicts_the_same():
    X, y, _ = make_formulas()
    clf = make(max_iter=2).fit(X, y)
    twin = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(twin.predict_net_proba(X), clf.predict_net_proba(X))


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_init": 2, "init_iter": 1},
        {"validation_fraction": 0.2},
        {"e_step": "epoch", "m_steps": 2},
        {"warm_start": True},
        {"state_prior": [0.3, 0.1, 0.2, 0.2, 0.2]},
    ],
    ids=str,
)
def test_every_way_of_training_takes_parts(parameters):
    X, y, symbols = make_sequences(40)
    clf = make(TURNS, FORMULA, max_iter=2, **parameters)
    clf.fit(X, y, symbols=[row if i % 2 else None for i, row in enumerate(symbols)])
    before = clf.net_.sign.module_.layers[-1].weight.detach().clone()
    assert clf.fit(X, y).n_iter_ == 2
    assert set(clf.net_) == {"digit", "sign"}
    is_other = before != clf.net_.sign.module_.layers[-1].weight
    assert is_other.any()


def test_a_stream_may_lack_a_kind():
    X, y, _ = make_sequences(60)
    short = [i for i, x in enumerate(X) if len(x) == 1]
    clf = make(TURNS, FORMULA).partial_fit(X, y)
    before = [clf.net_[name].module_.layers[-1].weight.detach().clone() for name in clf.net_]
    clf.partial_fit([X[i] for i in short], [y[i] for i in short])
    after = [clf.net_[name].module_.layers[-1].weight for name in clf.net_]
    assert not torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])


# What is wrong


NUMBER, SIGN = Part("number", [0, 2], slice(0, 6)), Part("sign", [1], slice(6, 8))


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        ([], TypeError, r"parts must be a list of Part objects, at least one, got \[\]"),
        ([MLP], TypeError, r"parts must hold Part objects, got .*MLP.*Pass for example Part"),
        ([NUMBER], ValueError, r"exactly one part, got none for symbol 1 of 3\. Add it"),
        (
            [NUMBER, Part("sign", [1, 2])],
            ValueError,
            r"exactly one part, got symbol 2 in 'number' and 'sign'\. Leave it out",
        ),
        ([NUMBER, Part("number", [1])], ValueError, r"must differ, got 'number' twice\. Rename"),
        ([NUMBER, Part("a__b", [1])], ValueError, r"without double underscores.*got 'a__b'"),
        ([NUMBER, Part("parts", [1])], ValueError, r"and not 'parts', got 'parts'.*Rename"),
        (
            [NUMBER, SIGN, Part("more", [3])],
            ValueError,
            r"symbols of part 'more' must be positions from 0 to 2, as the knowledge .* got 3",
        ),
        ([NUMBER, Part("sign", [1, 1])], ValueError, r"'sign' must differ, got \[1, 1\]\. Name"),
        ([NUMBER, Part("sign", "1")], TypeError, r"must be positions, ints or a slice, got '1'"),
        ([NUMBER, SIGN, Part("no", [])], ValueError, r"'no' must hold one of the 3 symbols, got"),
        (
            [NUMBER, Part("sign", [1], layout=SequenceLayout())],
            TypeError,
            r"layout of part 'sign' must be a GridLayout, a JointLayout or None, got SequenceLay",
        ),
        (
            [NUMBER, Part("sign", [1], columns=["s"])],
            ValueError,
            r"columns of part 'sign' must select from X, got \['s'\].*Correct `columns`",
        ),
        (
            [NUMBER, Part("sign", [1], states=["*"])],
            ValueError,
            r"states of part 'sign' must be different names .*\('\+', '-'\), got '\*'\. Correct",
        ),
        (
            [Part("number", [0, 2], slice(0, 5)), SIGN],
            ValueError,
            r"Part 'number': X must hold equally many features for each of the 2 symbols, got 5",
        ),
    ],
)
def test_parts_that_are_wrong_are_errors(parts, error, message):
    X, y, _ = make_formulas(20)
    with pytest.raises(error, match=message):
        make(Columns(parts)).fit(X, y)


def test_knowledge_must_be_given():
    with pytest.raises(ValueError, match=r"knowledge must be given with Columns.*got None"):
        make(knowledge=None).fit(*make_formulas(20)[:2])


def test_a_mapping_must_have_the_keys_and_equally_many_samples():
    X, y, _ = make_formulas(20)
    X, clf = as_mapping(X), make(two_parts("numbers", "sign"), max_iter=1)
    message = r"columns of part 'sign' must select from X, which has the keys 'numbers', got 'sign'"
    with pytest.raises(ValueError, match=message):
        clf.fit({"numbers": X["numbers"]}, y)
    message = r"X must hold equally many samples for each part, got \{'number': 20, 'sign': 19\}"
    with pytest.raises(ValueError, match=message):
        clf.fit({**X, "sign": X["sign"][:19]}, y)


def test_shaped_samples_must_have_all_symbols():
    message = r"X must be of shape \(n_samples, 3, \.\.\.\).*got \(20, 2, 4\)\. Pass `columns`"
    with pytest.raises(ValueError, match=message):
        make(Columns([Part("a", [0, 2]), Part("b", [1])])).fit(np.zeros((20, 2, 4)), [0] * 20)


def test_labels_that_need_states_that_a_part_lacks_are_errors():
    X, y, _ = make_formulas(20)
    sums = Columns([NUMBER, Part("sign", [1], slice(6, 8), states=["+"])])
    positive = y >= 0
    clf = make(sums, max_iter=1).fit(X[positive], y[positive])
    assert (clf.predict_symbols(X)[:, 1] == "+").all()
    assert (clf.predict_net_proba(X)[:, 1, 1] == 0).all()
    with pytest.raises(InconsistentLabelError, match=r"y holds -\d for a sample of 3 symbols"):
        make(sums).fit(X, y)


# Sequences


def make_sequences(n=150, seed=0):
    """Formulas of 1, 3 or 5 symbols, each a point of four features."""
    rng = np.random.default_rng(seed)
    names = [0, 1, 2, *SIGNS]
    X, y, symbols = [], [], []
    for length in rng.choice([1, 3, 5], size=n):
        states = [int(rng.integers(2) + 3 if i % 2 else rng.integers(3)) for i in range(length)]
        words = [names[state] for state in states]
        total = words[0]
        for sign, word in zip(words[1::2], words[2::2], strict=True):
            total += word if sign == "+" else -word
        # What a part must not confuse looks alike: 0 and "+", 1 and "-".
        X.append(3 * np.eye(4)[[s % 3 for s in states]] + 0.3 * rng.normal(size=(length, 4)))
        y.append(total)
        symbols.append(words)
    return X, y, symbols


def add_up(state, symbol, position):
    """Read numbers and signs in turns; a state is the total, and the sign that waits."""
    total, sign = state
    if position % 2:
        return None if symbol not in SIGNS else (total, 1 if symbol == "+" else -1)
    return None if symbol in SIGNS else (total + sign * symbol, 0)


def read_total(state):
    return state[0]


def ends_with_a_number(state):
    return state[1] == 0


FORMULA = StepKnowledge(
    add_up,
    states=[0, 1, 2, *SIGNS],
    initial=(0, 1),
    final=read_total,
    accept=ends_with_a_number,
)
TURNS = Columns(
    [
        Part("digit", slice(0, None, 2), states=[0, 1, 2]),
        Part("sign", slice(1, None, 2), states=SIGNS),
    ]
)


@pytest.mark.slow
def test_kinds_take_turns_along_sequences_of_any_length():
    X, y, _ = make_sequences(200)
    clf = make(TURNS, FORMULA, max_iter=40, n_init=3).fit(X, y)
    X, _, symbols = make_sequences(200, seed=1)
    found = np.concatenate(clf.predict_net_proba(X))
    right = found.argmax(1) == [FORMULA.states.index(s) for row in symbols for s in row]
    assert right.mean() > 0.95
    assert clf.net_.digit.module_.layers[-1].out_features == 3


def test_predictions_for_sequences_have_the_states_of_each_part():
    X, y, _ = make_sequences(40)
    clf = make(TURNS, FORMULA, max_iter=1).fit(X, y)
    proba = clf.predict_net_proba(X)
    assert [len(row) for row in proba] == [len(x) for x in X]
    for row in proba:
        assert (row[::2, 3:] == 0).all()
        assert (row[1::2, :3] == 0).all()
        np.testing.assert_allclose(row.sum(1), 1.0)
    symbols = clf.predict_symbols(X, y)
    assert [len(row) for row in symbols] == [len(x) for x in X]
    assert clf.posterior(X, y, symbols).log_evidence.shape == (40,)
    digits = clf.predict_net_proba(X[0][:1], parts="digit")
    np.testing.assert_allclose(digits, proba[0][:1, :3], atol=1e-6)
    longer = [np.concatenate([x, x[-1:], x]) for x in X]  # of up to 11 symbols
    assert [len(row) for row in clf.predict_net_proba(longer)] == [len(x) for x in longer]


def test_samples_may_lack_a_kind():
    X, y, _ = make_sequences(60)
    short = [i for i, x in enumerate(X) if len(x) == 1]
    clf = make(TURNS, FORMULA, max_iter=1).fit(X, y)
    alone = clf.predict_net_proba([X[i] for i in short])
    together = clf.predict_net_proba(X)
    for i, row in zip(short, alone, strict=True):
        np.testing.assert_allclose(row, together[i], atol=1e-6)
    only_short = make(TURNS, FORMULA, max_iter=2)
    only_short.fit([X[i] for i in short], [y[i] for i in short])  # no sign at all
    assert only_short.predict_net_proba(X[:3])[0].shape == (len(X[0]), 5)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            [Part("digit", slice(0, None, 2)), Part("sign", slice(-2, None))],
            r"symbols of part 'sign' must be counted from the front .* got slice\(-2, None, None\)",
        ),
        ([Part("digit", slice(0, None, 2))], r"got none for symbol 1, 3 of 5\. Add it"),
        (
            [Part("digit", slice(0, None, 2), columns=[0]), Part("sign", slice(1, None, 2))],
            r"columns and layout of part 'digit' must be left out .* got columns=\[0\]",
        ),
    ],
)
def test_parts_of_sequences_that_are_wrong_are_errors(parts, message):
    X, y, _ = make_sequences(30)
    with pytest.raises(ValueError, match=message):
        make(Columns(parts), FORMULA).fit(X, y)
