"""
Several starts say which symbols the labels leave open
======================================================

A dial has five positions, shown as handwritten digits. We see where it was and where it is, and are
told how far it was turned. Rename all digits by one, and every turn stays the same: no label tells
their names. A net learns one of five namings and is sure of it; several nets, kept, are not.
"""

# %%
# Data and knowledge
# ------------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sknesy import EMNeSyClassifier
from sknesy.knowledge import FunctionKnowledge
from sknesy.metrics import symbol_accuracy, symbol_calibration_error

rng = np.random.default_rng(0)
images, digits = load_digits(n_class=5, return_X_y=True)
half = rng.random(len(digits)) < 0.5


def turn(before, after):
    """Return how many positions the dial was turned."""
    return (after - before) % 5


def make_pairs(n_pairs, is_used):
    """Draw images of two positions; return them, the positions and the turns."""
    index = rng.choice(np.flatnonzero(is_used), size=(n_pairs, 2))
    return images[index] / 16, digits[index], turn(*digits[index].T)


X, _, y = make_pairs(600, half)
X_test, symbols, y_test = make_pairs(300, ~half)

# %%
# Fit
# ---
# Six of eight starts train to the end. Their weights are alike: the labels prefer none of them.

clf = EMNeSyClassifier(
    FunctionKnowledge(turn, states=range(5), n_symbols=2),
    n_init=8,
    n_starts_kept=6,
    learning_rate=0.003,
    max_iter=20,
    random_state=0,
)
clf.fit(X, y)
print(f"weights of the starts  {clf.start_weights_.round(2)}")
print(f"turns right            {clf.score(X_test, y_test):.2f}")

# %%
# Look
# ----
# One net alone is sure, and may have all digits wrong. The mixture knows that it does not know. It
# also knows how the digits hang together: told the first digit, it weighs the starts by how likely
# each of them thought it, and the second digit follows.

one = EMNeSyClassifier(**{**clf.get_params(deep=False), "n_init": 1, "n_starts_kept": 1})
told = [[first, None] for first in symbols[:, 0].tolist()]
found = {
    "one start": one.fit(X, y).predict_symbols_proba(X_test),
    "six starts": clf.predict_symbols_proba(X_test),
    "six starts, told the other digit": clf.predict_symbols_proba(X_test, symbols=told),
}
for name, proba in found.items():
    # What was told is left out.
    true, proba = symbols[:, 1:], proba[:, 1:]
    print(
        f"{name:33} right {symbol_accuracy(true, proba.argmax(axis=2)):.2f}, confidence "
        f"{proba.max(axis=2).mean():.2f}, calibration error "
        f"{symbol_calibration_error(true, proba):.2f}"
    )

# %%
# Rows are the digits in the images, columns what is said of them.

figure, axes = plt.subplots(1, 3, figsize=(10, 3.7), layout="constrained", sharey=True)
for axis, (name, proba) in zip(axes, found.items(), strict=True):
    said = [proba[symbols[:, 1] == digit, 1].mean(axis=0) for digit in range(5)]
    picture = axis.imshow(said, vmin=0, vmax=1, cmap="Blues")
    axis.plot(range(5), range(5), "x", color="C3", label="right")
    axis.set(title=name, xlabel="said", xticks=range(5), yticks=range(5))
axes[0].set_ylabel("digit in the image")
axes[0].legend(loc="upper right")
figure.colorbar(picture, ax=axes, label="probability")
plt.show()

# %%
# What we learnt: right labels do not mean right symbols. Where starts disagree, a few known symbols
# tell what the labels cannot.
