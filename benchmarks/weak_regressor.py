"""Sums of digits observed with noise: the digits, the noise, and the sums of new images.

Each training image recurs in several sums, whose noise is drawn anew. The exact sums of the same
images are the ceiling; a perceptron on the pixels of both images is the baseline.
"""

import time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor

from benchmarks._shared import DropNet, all_epochs, make_net
from benchmarks.weak_data import mean_and_error
from sknesy import EMNeSyClassifier, EMNeSyRegressor
from sknesy.datasets import make_digit_sum
from sknesy.knowledge import SymbolSum

__all__ = ["run"]

SIGMA = 2.0
N_EPOCHS = 20
N_TEST = 397  # images; 1400 are trained on
SETTINGS = {
    "MLP": {"module__hidden": 128},
    "MLP, dropout": {"module__hidden": 256, "module__dropout": 0.5},
}


def run(seeds=5, n_sums=(10, 30)):
    """Print means and standard errors over seeds, which draw the split, the sums and the noise."""
    for i, n in enumerate(n_sums):
        if i:
            print()
        _print(seeds, n)


def _print(seeds, n_sums):
    """Print the table of training images that occur in so many sums each."""
    start = time.perf_counter()
    rows = [_run_seed(seed, n_sums) for seed in range(seeds)]
    print(
        f"noisy sums, {n_sums} for each training image: {N_EPOCHS} epochs of AdamW, batches of 64; "
        f"one of {len(SETTINGS)}\nsettings is chosen in each training part by the log-evidence of "
        f"sums of images held out;\n{seeds} seeds, {time.perf_counter() - start:.0f} s"
    )
    for name in rows[0]:
        if name != "chosen":
            print(f"{name:42} {mean_and_error([row[name] for row in rows])}")
    print(f"chosen: {', '.join(row['chosen'] for row in rows)}")


def _run_seed(seed, n_sums):
    """Return all figures of one split of the images."""
    images, digits = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8) / 16
    rng = np.random.default_rng(seed)
    train, test = train_test_split(np.arange(len(digits)), test_size=N_TEST, random_state=seed)
    inner, held = train_test_split(train, test_size=0.2, random_state=seed)

    def draw(part, n_rounds):
        rounds = [
            make_digit_sum(images=images[part], digits=digits[part], random_state=round_seed)[:3]
            for round_seed in rng.integers(2**31, size=n_rounds).tolist()
        ]
        X, total, symbols = map(np.concatenate, zip(*rounds, strict=True))
        return X.astype(np.float32), total, symbols, total + rng.normal(0, SIGMA, len(total))

    X_inner, _, _, y_inner = draw(inner, n_sums)
    X_held, _, _, y_held = draw(held, 1)
    evidence = {
        name: _fit(EMNeSyRegressor, name, seed, X_inner, y_inner)
        .posterior(X_held, y_held)
        .log_evidence.mean()
        for name in SETTINGS
    }
    chosen = max(evidence, key=evidence.get)

    X, total, _, y = draw(train, n_sums)
    X_test, total_test, digits_test, y_test = draw(test, 1)
    reg = _fit(EMNeSyRegressor, chosen, seed, X, y)
    clf = _fit(EMNeSyClassifier, chosen, seed, X, total)
    plain = MLPRegressor(hidden_layer_sizes=(256,), early_stopping=True, random_state=seed)
    plain.fit(X.reshape(len(X), -1), y)
    by_pixels = plain.predict(X_test.reshape(len(X_test), -1))
    mean = reg.predict(X_test)
    noisy, exact = ((m.predict_symbols(X_test) == digits_test).mean() for m in (reg, clf))
    return {
        "chosen": chosen,
        f"sigma learned (truth {SIGMA:g})": reg.likelihood_.sigma_,
        "digits, from noisy sums": noisy,
        "digits, from exact sums": exact,
        "digits, exact minus noisy": exact - noisy,
        "R2 of new noisy sums": r2_score(y_test, mean),
        "R2 of new noisy sums, true sums predicted": r2_score(y_test, total_test),
        "R2 of new noisy sums, perceptron": r2_score(y_test, by_pixels),
        "R2 of new true sums": r2_score(total_test, mean),
        "R2 of new true sums, perceptron": r2_score(total_test, by_pixels),
    }


def _fit(estimator, setting, seed, X, y):
    """Fit an estimator of sums with a net of some setting."""
    net = make_net(DropNet, batch_size=64, **SETTINGS[setting]).set_params(lr=3e-3)
    model = estimator(SymbolSum(2), net=net, random_state=seed).set_params(**all_epochs(N_EPOCHS))
    return model.fit(X, y)
