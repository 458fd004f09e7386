"""Displays: what is drawn equals what predictions, posterior and history say."""

import math
import sys

import matplotlib
import numpy as np
import oracle
import pytest
from learners import ADDITION, blobs, make
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sknesy import ConstrainedClassifier, EMNeSyClassifier, EMNeSyRegressor
from sknesy.exceptions import InconsistentLabelError
from sknesy.inspection import (
    EvidenceDisplay,
    InformationDisplay,
    NoiseDisplay,
    PosteriorDisplay,
    SymbolConfusionDisplay,
)
from sknesy.knowledge import AnyOf, FunctionKnowledge, IdentityKnowledge
from sknesy.layouts import Columns, JointLayout, Part
from sknesy.likelihoods import AnnotatorLikelihood, ConfusionLikelihood
from sknesy.metrics import symbol_accuracy

matplotlib.use("Agg")

X, Y, SYMBOLS = blobs(60)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    sys.modules["matplotlib.pyplot"].close("all") if "matplotlib.pyplot" in sys.modules else None


@pytest.fixture(scope="module")
def clf():
    return make(n_init=3, init_iter=2, max_iter=6, validation_fraction=0.25).fit(X, Y)


@pytest.fixture(scope="module")
def bags():
    rng = np.random.default_rng(0)
    bags = [rng.normal(size=(n, 3)) for n in rng.integers(1, 4, size=20)]
    y = [bool((bag[:, 0] > 0).any()) for bag in bags]
    still = {"max_iter": 1, "learning_rate": 1e-12, "temperature": 1}
    return EMNeSyClassifier(AnyOf(), random_state=0, **still).fit(bags, y), bags, y


def heights(container):
    return [bar.get_height() for bar in container]


def entropy(rows):
    return -np.sum([[p * math.log(p) if p > 0 else 0.0 for p in row] for row in rows], axis=1)


# ----- EvidenceDisplay


def test_lines_are_the_bounds_of_all_starts(clf):
    display = EvidenceDisplay.from_estimator(clf)
    history = clf.history_
    assert len(display.lines_) == len(display.validation_lines_) == 3
    best = clf.history_["start"][clf.history_["is_kept"]][0]
    order = [best, *(start for start in range(3) if start != best)]
    for k, start in enumerate(order):
        own = history["start"] == start
        for lines, name in [
            (display.lines_, "lower_bound"),
            (display.validation_lines_, "validation_lower_bound"),
        ]:
            np.testing.assert_array_equal(lines[k].get_xdata(), history["n_iter"][own])
            np.testing.assert_array_equal(lines[k].get_ydata(), history[name][own])
    assert display.lines_[0].get_ydata().tolist() == clf.lower_bounds_


def test_the_temperature_stands_on_an_axis_of_its_own(clf):
    display = EvidenceDisplay.from_estimator(clf)
    line = display.temperature_line_
    assert line.axes is display.temperature_ax_ is not display.ax_
    best = clf.history_["is_kept"]
    np.testing.assert_array_equal(line.get_ydata(), clf.history_["temperature"][best])


def test_without_a_temperature_there_is_one_axis():
    display = EvidenceDisplay.from_estimator(make(temperature=1, max_iter=2).fit(X, Y))
    assert display.temperature_ax_ is display.temperature_line_ is None
    assert not display.validation_lines_


@pytest.mark.parametrize(("tol", "said"), [(100.0, "converged"), (0.0, "not yet converged")])
def test_it_says_whether_training_has_converged(tol, said):
    clf = make(tol=tol, n_iter_no_change=1, temperature=1, max_iter=3).fit(X, Y)
    (text,) = EvidenceDisplay.from_estimator(clf).ax_.texts
    assert text.get_text() == said


def test_a_history_without_its_columns_is_refused():
    with pytest.raises(ValueError, match=r"columns start, .*, got n_iter.* Pass history_ of"):
        EvidenceDisplay({"n_iter": [1]}).plot()
    empty = dict.fromkeys(["start", "is_kept", "n_iter", "lower_bound", "temperature"], ())
    with pytest.raises(ValueError, match="must have a row, got none"):
        EvidenceDisplay(empty).plot()


# ----- SymbolConfusionDisplay


def test_matrix_counts_true_against_predicted_symbols(clf):
    display = SymbolConfusionDisplay.from_estimator(clf, X, SYMBOLS)
    expected = np.zeros((3, 3), dtype=int)
    for true, predicted in zip(SYMBOLS.ravel(), clf.predict_symbols(X).ravel(), strict=True):
        expected[true, predicted] += 1
    np.testing.assert_array_equal(display.im_.get_array(), expected)
    assert [[text.get_text() for text in row] for row in display.text_] == expected.astype(
        str
    ).tolist()
    accuracy = symbol_accuracy(SYMBOLS, clf.predict_symbols(X))
    assert np.trace(display.confusion_matrix) / display.confusion_matrix.sum() == accuracy


def test_labels_may_be_taken_into_account(clf):
    display = SymbolConfusionDisplay.from_estimator(clf, X, SYMBOLS, y=Y)
    accuracy = symbol_accuracy(SYMBOLS, clf.predict_symbols(X, Y))
    assert np.trace(display.confusion_matrix) / 120 == accuracy


def test_best_permutation_undoes_a_renaming():
    rng = np.random.default_rng(0)
    true = rng.integers(5, size=(200, 2))
    renaming = np.array([3, 0, 4, 2, 1])
    predicted = np.where(
        rng.random(true.shape) < 0.2, rng.integers(5, size=true.shape), renaming[true]
    )
    plain, best = (
        SymbolConfusionDisplay.from_predictions(true, predicted, permute=permute)
        for permute in (False, True)
    )
    assert best.predicted_states == renaming.tolist()
    np.testing.assert_array_equal(best.confusion_matrix, plain.confusion_matrix[:, renaming])
    names = [label.get_text() for label in best.ax_.get_xticklabels()]
    assert names == list(map(str, renaming))
    undone = np.argsort(renaming)[predicted]
    assert np.trace(best.confusion_matrix) / 400 == symbol_accuracy(true, undone)


def test_states_that_no_count_moves_keep_their_places():
    display = SymbolConfusionDisplay.from_predictions(
        [["a", "b"]], [["b", "a"]], states=list("abcde"), permute=True
    )
    assert display.predicted_states == ["b", "a", "c", "d", "e"]


@pytest.mark.parametrize(("normalize", "axis"), [("true", 1), ("pred", 0), ("all", None)])
def test_shares_add_up_to_1(normalize, axis):
    true, predicted = [[0, 0, 1]], [[0, 1, 1]]
    matrix = SymbolConfusionDisplay.from_predictions(
        true, predicted, states=[0, 1, 2], normalize=normalize
    ).confusion_matrix
    total = matrix.sum(axis)
    assert np.isclose(total, 1).sum() == (1 if axis is None else 2)  # the state 2 has no symbols
    assert not matrix[2].any()


def test_gaps_and_sets_are_left_out():
    true = [[1, None], [np.nan, {0, 1}], None, [0, 1]]
    display = SymbolConfusionDisplay.from_predictions(true, [[1, 0]] * 4)
    np.testing.assert_array_equal(display.confusion_matrix, [[0, 1], [1, 1]])


def test_samples_may_differ_in_length(bags):
    clf, X_bags, _ = bags
    truth = [bag[:, 0] > 0 for bag in X_bags]
    display = SymbolConfusionDisplay.from_estimator(clf, X_bags, truth)
    assert display.confusion_matrix.sum() == sum(map(len, X_bags))
    assert display.states == [False, True]
    accuracy = symbol_accuracy(truth, clf.predict_symbols(X_bags))
    assert np.trace(display.confusion_matrix) / sum(map(len, X_bags)) == pytest.approx(accuracy)


@pytest.fixture(scope="module")
def two_kinds():
    """A digit and a sign, in columns of their own."""
    rng = np.random.default_rng(0)
    truth = np.stack([rng.integers(3, size=40), rng.integers(2, size=40)], axis=1)
    table = np.hstack([np.eye(3)[truth[:, 0]], np.eye(2)[truth[:, 1]]])
    knowledge = FunctionKnowledge(lambda a, b: a * (1 - 2 * b), [range(3), range(2)])
    parts = [
        Part("digit", symbols=[0], columns=[0, 1, 2]),
        Part("sign", symbols=[1], columns=[3, 4]),
    ]
    clf = EMNeSyClassifier(knowledge, layout=Columns(parts), max_iter=2, random_state=0)
    return clf.fit(table, truth[:, 0] * (1 - 2 * truth[:, 1])), table, truth


def test_a_group_is_a_part_or_positions(two_kinds):
    clf, table, truth = two_kinds
    sign = SymbolConfusionDisplay.from_estimator(clf, table, truth, group="sign")
    assert sign.states == [0, 1]
    assert sign.confusion_matrix.sum() == 40
    np.testing.assert_array_equal(sign.confusion_matrix.sum(1), np.bincount(truth[:, 1]))
    same = SymbolConfusionDisplay.from_estimator(clf, table, truth, group=[1])
    np.testing.assert_array_equal(same.confusion_matrix, sign.confusion_matrix)
    with pytest.raises(
        ValueError, match=r"part .*\('digit', 'sign'\), got 'word'. Pass such a name"
    ):
        SymbolConfusionDisplay.from_estimator(clf, table, truth, group="word")
    with pytest.raises(ValueError, match=r"in 0 \.\.\. 1, got \[2\]. Pass a list"):
        SymbolConfusionDisplay.from_estimator(clf, table, truth, group=[2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0]], [[0], [1]]), "symbols_true must hold a row for each of the 2 samples, got 1"),
        (([[0, 1]], [[0]]), r"symbols_true\[0\] must hold 1 symbols"),
        (([[None]], [[0]]), "at least one symbol that counts, got none. Pass true states"),
    ],
)
def test_symbols_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SymbolConfusionDisplay.from_predictions(*arguments)


def test_states_and_normalize_are_checked():
    with pytest.raises(ValueError, match="states that occur, got 'a' without 'b'. Add them"):
        SymbolConfusionDisplay.from_predictions([["a"]], [["b"]], states=["a"])
    with pytest.raises(
        ValueError, match="normalize must be one of 'true', 'pred', 'all', got 'rows'"
    ):
        SymbolConfusionDisplay.from_predictions([["a"]], [["b"]], normalize="rows")


# ----- PosteriorDisplay


@pytest.mark.parametrize("index", [0, 7, -1])
def test_bars_are_the_net_and_the_posterior(clf, index):
    display = PosteriorDisplay.from_estimator(clf, X, Y, index=index)
    net, posterior = clf.predict_net_proba(X)[index], clf.predict_symbols_proba(X, Y)[index]
    for s, (wide, narrow) in enumerate(display.bars_):
        np.testing.assert_allclose(heights(wide), net[s], rtol=1e-6)
        np.testing.assert_allclose(heights(narrow), posterior[s], rtol=1e-6)
    log_evidence = clf.posterior(X, Y).log_evidence[index]
    title = display.figure_.get_suptitle()
    assert title == f"y = {Y[index]}, log-evidence {log_evidence:.3g} nats"


def test_without_y_the_posterior_is_that_of_any_label(clf):
    display = PosteriorDisplay.from_estimator(clf, X)
    np.testing.assert_allclose(display.posterior, clf.predict_symbols_proba(X)[0], rtol=1e-6)
    assert display.figure_.get_suptitle() == "nothing is observed"


def test_known_symbols_are_certain(clf):
    display = PosteriorDisplay.from_estimator(clf, X, symbols=SYMBOLS)
    np.testing.assert_allclose(display.posterior, np.eye(3)[SYMBOLS[0]])
    assert display.figure_.get_suptitle().startswith("symbols: ")
    assert (display.net < 1).all()


def test_images_of_symbols_are_drawn_above_them():
    images = np.random.default_rng(0).random((20, 2, 4, 5))
    clf = EMNeSyClassifier(ADDITION, max_iter=1, random_state=0).fit(images, np.arange(20) % 5)
    display = PosteriorDisplay.from_estimator(clf, images, index=3)
    drawn = [im.get_array() for ax in display.figure_.axes for im in ax.images]
    np.testing.assert_allclose(drawn, images[3], rtol=1e-6)
    both = EMNeSyClassifier(ADDITION, layout=JointLayout(), max_iter=1, random_state=0)
    both.fit(images[:, 0], np.arange(20) % 5)
    display = PosteriorDisplay.from_estimator(both, images[:, 0], index=3)
    (drawn,) = [im.get_array() for ax in display.figure_.axes for im in ax.images]
    np.testing.assert_allclose(drawn, images[3, 0], rtol=1e-6)


def test_many_symbols_are_rows_of_matrices():
    many = FunctionKnowledge(lambda *bits: sum(bits), [range(2)] * 9)
    features = np.random.default_rng(0).random((20, 9, 2))
    clf = EMNeSyClassifier(many, max_iter=1, random_state=0).fit(features, np.arange(20) % 10)
    display = PosteriorDisplay.from_estimator(clf, features, np.arange(20) % 10, index=4)
    assert not display.bars_
    net, posterior = display.ims_
    np.testing.assert_allclose(net.get_array(), clf.predict_net_proba(features)[4], rtol=1e-6)
    expected = clf.predict_symbols_proba(features, np.arange(20) % 10)[4]
    np.testing.assert_allclose(posterior.get_array(), expected, rtol=1e-6)


def test_a_bag_has_as_many_symbols_as_it_is_long(bags):
    clf, X_bags, y = bags
    for index, bag in enumerate(X_bags[:5]):
        display = PosteriorDisplay.from_estimator(clf, X_bags, y, index=index)
        assert len(display.bars_) == len(bag)
        expected = clf.predict_symbols_proba(X_bags, y)[index]
        np.testing.assert_allclose(display.posterior, expected, rtol=1e-6)


def test_samples_and_names_that_are_not_there_are_refused(clf):
    with pytest.raises(IndexError, match="one of the 60 samples, got 60. Pass 0, say"):
        PosteriorDisplay.from_estimator(clf, X, Y, index=60)
    with pytest.raises(IndexError, match="one of the 60 samples, got 1.5"):
        PosteriorDisplay.from_estimator(clf, X, Y, index=1.5)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        PosteriorDisplay.from_estimator(clf, X, Y[:5])
    with pytest.raises(InconsistentLabelError, match="99"):
        PosteriorDisplay.from_estimator(clf, X, [99] * 60)
    with pytest.raises(ValueError, match=r"must hold 2 names, one for each symbol, got \['one'\]"):
        PosteriorDisplay.from_estimator(clf, X, symbol_names=["one"])


def test_a_display_that_divides_axes_stands_in_a_grid(clf):
    import matplotlib.pyplot as plt

    free = plt.figure().add_axes((0, 0, 1, 1))
    with pytest.raises(ValueError, match="must stand in a grid, as plt.subplots makes it"):
        PosteriorDisplay.from_estimator(clf, X, ax=free)


# ----- NoiseDisplay


def test_matrix_of_noise_is_what_the_likelihood_learned():
    clf = make(likelihood=ConfusionLikelihood(), max_iter=2).fit(X, Y)
    display = NoiseDisplay.from_estimator(clf)
    (image,) = display.axes_[0].images
    np.testing.assert_array_equal(image.get_array(), clf.likelihood_.confusion_)
    assert display.labels == clf.classes_.tolist()


@pytest.fixture(scope="module")
def crowd():
    rng = np.random.default_rng(0)
    kind = rng.integers(2, size=(80, 1))
    y = np.where(rng.random((80, 15)) < 0.3, rng.integers(2, size=(80, 15)), kind)
    return EMNeSyClassifier(likelihood=AnnotatorLikelihood(), random_state=0).fit(None, y)


def test_each_of_few_people_has_a_matrix(crowd):
    display = NoiseDisplay.from_estimator(crowd, annotators=[4, 0, 9])
    for ax, person in zip(display.axes_, [4, 0, 9], strict=True):
        confusion = crowd.likelihood_.confusion_[person]
        np.testing.assert_array_equal(ax.images[0].get_array(), confusion)
        assert ax.get_title() == f"annotator {person}: {np.diagonal(confusion).mean():.0%} right"
    with pytest.raises(ValueError, match=r"columns of y in 0 \.\.\. 14, got \[15\]"):
        NoiseDisplay.from_estimator(crowd, annotators=[15])


def test_many_people_are_points(crowd):
    (ax,) = NoiseDisplay.from_estimator(crowd).axes_
    right = np.diagonal(crowd.likelihood_.confusion_, axis1=1, axis2=2)
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), right)


def test_many_people_of_several_labels_stand_in_the_order_of_how_often_they_are_right():
    rng = np.random.default_rng(0)
    confusion = rng.dirichlet(np.ones(3), size=(20, 3))
    (ax,) = NoiseDisplay(confusion, labels=["a", "b", "c"]).plot().axes_
    drawn = ax.collections[1].get_offsets()[:, 1]
    assert (np.diff(drawn) >= 0).all()
    expected = np.sort(np.diagonal(confusion, axis1=1, axis2=2).mean(1))
    np.testing.assert_allclose(drawn, expected)


def test_gaussian_noise_is_a_curve_of_its_width():
    rng = np.random.default_rng(0)
    reg = EMNeSyRegressor(ADDITION, max_iter=3, random_state=0).fit(X, Y + rng.normal(size=60))
    display = NoiseDisplay.from_estimator(reg)
    assert display.sigma == reg.likelihood_.sigma_
    x, density = display.axes_[0].lines[-1].get_data()
    assert np.trapezoid(density, x) == pytest.approx(1, abs=0.02)
    variance = np.trapezoid(density * x**2, x)
    assert np.sqrt(variance) == pytest.approx(display.sigma, rel=0.05)


def test_a_likelihood_without_noise_is_refused(clf):
    with pytest.raises(TypeError, match=r"knows noise .*, got ExactLikelihood\(\). Fit with one"):
        NoiseDisplay.from_estimator(clf)


def test_a_display_without_noise_is_refused():
    with pytest.raises(ValueError, match="confusion or sigma must be given, got None for both"):
        NoiseDisplay(labels=[0, 1]).plot()


# ----- InformationDisplay


def test_shares_are_those_of_the_entropies_of_net_and_posterior(clf):
    display = InformationDisplay.from_estimator(clf, X, Y)
    p, q = clf.predict_net_proba(X), clf.predict_symbols_proba(X, Y)
    for s in range(2):
        whole = entropy([q[:, s].mean(0)])[0]
        by_net, missing = 1 - entropy(p[:, s]).mean() / whole, entropy(q[:, s]).mean() / whole
        assert display.entropy[s] == pytest.approx(whole)
        assert display.by_net[s] == pytest.approx(by_net)
        assert display.missing[s] == pytest.approx(missing)
        assert display.by_net[s] + display.by_y[s] + missing == pytest.approx(1)
        ends = [bars[s].get_x() + bars[s].get_width() for bars in display.bars_]
        assert ends == pytest.approx([min(max(by_net, 0), 1 - missing), 1 - missing, 1])


def test_what_y_tells_alone_is_that_of_the_oracle(clf):
    display = InformationDisplay.from_estimator(clf, X, Y)
    frequencies = clf.predict_symbols_proba(X, Y).mean(0).tolist()
    left = []
    for y in Y.tolist():
        likelihood = [[float(w == y) for w in range(5)]]
        left.append(oracle.posterior((3, 3), (5,), lambda w: (sum(w),), frequencies, likelihood)[1])
    for s in range(2):
        whole = entropy([frequencies[s]])[0]
        expected = 1 - entropy([rows[s] for rows in left]).mean() / whole
        assert display.by_y_alone[s] == pytest.approx(expected)


def test_display_and_diagnostics_of_one_net_agree():
    still = {"max_iter": 1, "learning_rate": 1e-12, "temperature": 1}
    clf = make(**still).fit(X, Y)
    missing = InformationDisplay.from_estimator(clf, X, Y).missing
    assert missing == pytest.approx(clf.diagnostics_[0]["missing_information"], rel=1e-5)


def test_sequences_have_one_bar(bags):
    clf, X_bags, y = bags
    display = InformationDisplay.from_estimator(clf, X_bags, y)
    assert display.missing == pytest.approx(clf.diagnostics_[0]["missing_information"], rel=1e-5)
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["all symbols"]


def test_a_symbol_of_one_state_has_nothing_to_tell():
    clf = EMNeSyClassifier(IdentityKnowledge([0, 1]), max_iter=1, random_state=0)
    clf.fit(np.zeros((4, 1)), [0, 1, 0, 1])
    display = InformationDisplay.from_estimator(clf, np.zeros((2, 1)), [1, 1])
    assert np.isnan(display.missing).all()
    assert "the same state in all samples" in [text.get_text() for text in display.ax_.texts]


# ----- all displays

FROM_ESTIMATOR = {
    EvidenceDisplay: (),
    InformationDisplay: (X, Y),
    PosteriorDisplay: (X, Y),
    SymbolConfusionDisplay: (X, SYMBOLS),
    NoiseDisplay: (),
}


@pytest.mark.parametrize("display", FROM_ESTIMATOR, ids=lambda d: d.__name__)
def test_an_estimator_that_is_not_fitted_is_refused(display):
    with pytest.raises(NotFittedError):
        display.from_estimator(EMNeSyClassifier(ADDITION), *FROM_ESTIMATOR[display])


@pytest.mark.parametrize("display", FROM_ESTIMATOR, ids=lambda d: d.__name__)
def test_other_estimators_are_refused(display):
    rules = FunctionKnowledge(lambda a, b: a <= b, [["u", "v"]] * 2)
    forest = RandomForestClassifier(2, random_state=0).fit(X[:, 0], SYMBOLS > 1)
    constrained = ConstrainedClassifier(forest, knowledge=rules)
    with pytest.raises((TypeError, NotFittedError), match="EMNeSyClassifier|fitted"):
        display.from_estimator(constrained, *FROM_ESTIMATOR[display])
    with pytest.raises(TypeError, match="must be a fitted EMNeSyClassifier.*, got RandomForest"):
        display.from_estimator(forest, *FROM_ESTIMATOR[display])


@pytest.mark.parametrize("display", FROM_ESTIMATOR, ids=lambda d: d.__name__)
def test_pipelines_are_looked_through_and_axes_are_used(display):
    import matplotlib.pyplot as plt

    pipe = make_pipeline(FunctionTransformer(), make(max_iter=1, likelihood=ConfusionLikelihood()))
    _, (left, right) = plt.subplots(1, 2)
    shown = display.from_estimator(pipe.fit(X, Y), *FROM_ESTIMATOR[display], ax=right)
    assert shown.figure_ is right.figure
    assert not left.has_data()


@pytest.mark.parametrize("display", FROM_ESTIMATOR, ids=lambda d: d.__name__)
def test_without_matplotlib_the_extra_is_named(display, monkeypatch):
    fitted = make(max_iter=1, likelihood=ConfusionLikelihood()).fit(X, Y)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=rf'{display.__name__}.plot needs .* "sknesy\[plot\]"'):
        display.from_estimator(fitted, *FROM_ESTIMATOR[display])


@pytest.mark.parametrize("display", FROM_ESTIMATOR, ids=lambda d: d.__name__)
def test_a_figure_within_a_figure_is_drawn_in(display):
    import matplotlib.pyplot as plt

    fitted = make(max_iter=1, likelihood=ConfusionLikelihood()).fit(X, Y)
    inner, _ = plt.figure(layout="constrained").subfigures(1, 2)
    shown = display.from_estimator(fitted, *FROM_ESTIMATOR[display], ax=inner.subplots())
    assert shown.figure_ is inner
    inner.figure.canvas.draw()
