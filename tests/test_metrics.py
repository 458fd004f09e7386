"""Scores of symbols."""

import numpy as np
import pytest

from sknesy.metrics import symbol_accuracy, symbol_calibration_error


def test_share_of_symbols_that_are_right():
    assert symbol_accuracy([["a", "b"], ["c", "d"]], [["a", "x"], ["c", "d"]]) == 0.75


def test_unlike_shapes_are_an_error():
    with pytest.raises(ValueError, match=r"same shape, got \(1, 2\) and \(2,\)"):
        symbol_accuracy([[1, 2]], [1, 2])


def test_samples_may_differ_in_length():
    true = [np.array([1, 2, 3]), np.array([4])]
    assert symbol_accuracy(true, [[1, 2, 0], [4]]) == 0.75
    assert symbol_accuracy(np.array([[1, 2], [3, 4]]), [[1, 2], [3, 0]]) == 0.75


@pytest.mark.parametrize(
    ("symbols_pred", "found"),
    [([[1, 2], [3]], "3 and 2 of sample 0"), ([[1, 2, 3]], "1 and none of sample 1")],
)
def test_unlike_lengths_are_an_error(symbols_pred, found):
    with pytest.raises(ValueError, match=f"got {found}. Pass one row"):
        symbol_accuracy([[1, 2, 3], [4]], symbols_pred)


def naive_calibration_error(symbols_true, proba, n_bins, mask):
    """Sum over bins of n_b / n |accuracy_b - confidence_b|, a symbol at a time."""
    bins = [[] for _ in range(n_bins)]
    for i, row in enumerate(proba):
        for s, p in enumerate(row):
            if not mask[i][s]:
                continue
            confidence = max(p)
            b = next(b for b in range(n_bins) if confidence <= (b + 1) / n_bins or b == n_bins - 1)
            bins[b].append((confidence, list(p).index(confidence) == symbols_true[i][s]))
    n = sum(map(len, bins))
    error = 0.0
    for found in filter(None, bins):
        confidence = sum(c for c, _ in found) / len(found)
        accuracy = sum(r for _, r in found) / len(found)
        error += len(found) / n * abs(accuracy - confidence)
    return error


@pytest.mark.parametrize("n_bins", [1, 7, 10])
@pytest.mark.parametrize("are_lists", [False, True])
def test_calibration_error_equals_that_of_a_loop(n_bins, are_lists):
    rng = np.random.default_rng(n_bins)
    lengths = rng.integers(1, 5, size=60) if are_lists else [3] * 60
    proba = [rng.dirichlet([0.3] * 4, size=n) for n in lengths]
    true = [rng.integers(4, size=n) for n in lengths]
    mask = [rng.random(n) < 0.8 for n in lengths]
    expected = naive_calibration_error(true, proba, n_bins, mask)
    if not are_lists:
        proba, true, mask = np.array(proba), np.array(true), np.array(mask)
    found = symbol_calibration_error(true, proba, n_bins=n_bins, mask=mask)
    assert found == pytest.approx(expected, abs=1e-12)
    assert expected > 0.1


def test_probabilities_from_which_symbols_are_drawn_are_calibrated():
    rng = np.random.default_rng(0)
    proba = rng.dirichlet([1.0] * 3, size=(20_000, 2))
    drawn = (proba.cumsum(axis=2) > rng.random((20_000, 2, 1))).argmax(axis=2)
    assert symbol_calibration_error(drawn, proba) < 0.01
    sure = np.eye(3)[proba.argmax(axis=2)]
    wrong = 1 - symbol_accuracy(drawn, proba.argmax(axis=2))
    assert symbol_calibration_error(drawn, sure) == pytest.approx(wrong)


def test_states_of_calibration_errors_are_named_by_symbol():
    proba = [[[1.0, 0.0], [0.0, 1.0]]]
    states = [["a", "b"], [(1, 2), "c"]]
    assert symbol_calibration_error([["a", "c"]], proba, symbol_states=states) == 0
    assert symbol_calibration_error([["b", "c"]], proba, symbol_states=states) == 0.5


@pytest.mark.parametrize(
    ("arguments", "parameters", "message"),
    [
        (([[0]], [[[1.0, 0.0]]]), {"n_bins": 0}, "n_bins must be .* at least 1, got 0. Pass 10"),
        (([[0]], [[[1.0, 0.0]]]), {"n_bins": 2.0}, "n_bins must be an int .* got 2.0"),
        (
            ([[0, 1]], [[[1.0, 0.0]]]),
            {},
            r"got lengths \[1\] for lengths \[2\]. Pass the true",
        ),
        (([[0]], [[[1.0, 0.0]]]), {"mask": [[]]}, "mask must hold an entry for each"),
        (([[0]], np.array([[1.0]])), {}, r"in \[0, 1\], got an entry of shape \(1,\)"),
        (([[0]], [[[2.0, -1.0]]]), {}, r"proba must hold probabilities"),
        (([[0]], [[[1.0, 0.0]]]), {"mask": [[False]]}, "must hold a symbol that counts, got none"),
        (([[0]], [[[1.0, 0.0]]]), {"symbol_states": []}, "got those of 0 for a sample of 1. Pass"),
    ],
)
def test_what_has_no_calibration_error_is_an_error(arguments, parameters, message):
    with pytest.raises(ValueError, match=message):
        symbol_calibration_error(*arguments, **parameters)
