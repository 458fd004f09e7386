"""
Ask which symbols labels can tell, and label the few that they cannot
=====================================================================

Pairs of handwritten digits have their sum as a label, but only four pairs occur: 0 + 0, 0 + 1,
2 + 3 and 2 + 4. A net may be right about every sum and wrong about most digits. That can be known
before training, and so can the remedy: a few images of a 2.
"""

# %%
# Data
# ----
# The four pairs, in both orders, of the digits 0-4.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sknesy import EMNeSyClassifier
from sknesy.inspection import (
    IdentifiabilityDisplay,
    SymbolConfusionDisplay,
    check_identifiability,
)
from sknesy.knowledge import SymbolSum
from sknesy.metrics import symbol_accuracy

rng = np.random.default_rng(0)
pairs = np.array([(0, 0), (0, 1), (1, 0), (2, 3), (3, 2), (2, 4), (4, 2)])
images, digits = load_digits(n_class=5, return_X_y=True)
half = rng.random(len(digits)) < 0.5


def draw(n_samples, is_used):
    """Draw pairs, and an image of each digit."""
    symbols = pairs[rng.integers(len(pairs), size=n_samples)]
    index = [[rng.choice(np.flatnonzero(is_used & (digits == d))) for d in row] for row in symbols]
    return images[np.array(index)] / 16, symbols


X, symbols = draw(400, half)
X_test, symbols_test = draw(200, ~half)
y, y_test = symbols.sum(axis=1), symbols_test.sum(axis=1)

# %%
# Knowledge
# ---------
# Three readings of the digits explain all sums. To know twos is enough to exclude two of them.

knowledge = SymbolSum(2, states=range(5))
found = check_identifiability(knowledge, worlds=pairs)
print(found)

# %%
# Fit
# ---
# By labels alone; with five images of a 0, which no reading has wrong; with five images of a 2.

fitted = {}
for name, digit in [("labels alone", None), ("five zeros known", 0), ("five twos known", 2)]:
    known = np.ma.masked_array(symbols, mask=True)
    places = np.argwhere(symbols == digit)[:5]
    known.mask[tuple(places.T)] = False
    clf = EMNeSyClassifier(knowledge, learning_rate=0.01, max_iter=12, random_state=0)
    clf.fit(X, y, symbols=known)
    fitted[name] = clf
    right = symbol_accuracy(symbols_test, clf.predict_symbols(X_test))
    print(f"{name:17} sums right {clf.score(X_test, y_test):.2f}, digits right {right:.2f}")

# %%
# Look
# ----
# On the left, what the knowledge allows: numbers count the readings. The net that sees labels alone
# has learned one of them. It could not know better.

figure, axes = plt.subplots(1, 3, figsize=(11, 4.4), layout="constrained")
IdentifiabilityDisplay.from_result(found, ax=axes[0])
for axis, name in zip(axes[1:], ["labels alone", "five twos known"], strict=True):
    SymbolConfusionDisplay.from_estimator(fitted[name], X_test, symbols_test, ax=axis)
    axis.set_title(name)
plt.show()

# %%
# What we learnt: ask before you train, and buy the labels that are worth it.
