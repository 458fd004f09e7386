"""
A handful of known symbols breaks the tie that labels leave
===========================================================

We are told whether two handwritten digits are the same, and nothing else. The digits are ones and
sevens. Swap the two names, and no label changes: labels alone cannot tell which is which. Ten
digits that somebody has read settle it.
"""

# %%
# Data
# ----
# A sample is a pair of images, a one or a seven each. Its label is whether they differ.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sknesy import EMNeSyClassifier
from sknesy.knowledge import FunctionKnowledge
from sknesy.metrics import symbol_accuracy

images, digits = load_digits(return_X_y=True)
kept = np.random.default_rng(0).permutation(np.flatnonzero((digits == 1) | (digits == 7)))[:340]
pairs = kept.reshape(-1, 2)
X, symbols = images[pairs] / 16, digits[pairs]
y = symbols[:, 0] != symbols[:, 1]
X_train, X_test, y_train, symbols_test = X[:120], X[120:], y[:120], symbols[120:]

# %%
# ``symbols=`` has the form of the answers, with gaps: here only the first five pairs are known.

known = np.ma.masked_array(symbols[:120], mask=True)
known.mask[:5] = False
print(f"{known.count()} of {known.size} digits are known: {known[:6].tolist()} ...")

# %%
# Knowledge
# ---------
# The function says all we know, and it treats both digits alike.


def differ(a, b):
    return a != b


knowledge = FunctionKnowledge(differ, states=[1, 7], n_symbols=2)

# %%
# Fit
# ---
# Six starts, each without and with the known digits.

settings = {"learning_rate": 0.02, "batch_size": 16, "max_iter": 25}
alone, helped = [], []
for seed in range(6):
    clf = EMNeSyClassifier(knowledge, **settings, random_state=seed)
    clf.fit(X_train, y_train)
    alone.append(symbol_accuracy(symbols_test, clf.predict_symbols(X_test)))
    labels_right = clf.score(X_test, y[120:])
    clf.fit(X_train, y_train, symbols=known)
    helped.append(symbol_accuracy(symbols_test, clf.predict_symbols(X_test)))
    print(f"seed {seed}: labels {labels_right:.2f}, digits {alone[-1]:.2f} -> {helped[-1]:.2f}")

# %%
# Look
# ----
# A start without known digits ends with all digits right, or all wrong, or undecided at one half.

fig, axis = plt.subplots(figsize=(7, 4), layout="constrained")
axis.hlines(0.5, -0.5, 5.5, color="0.8", linestyle="--", linewidth=1)
axis.vlines(range(6), alone, helped, color="0.8")
axis.plot(alone, "o", color="0.6", markersize=13, label="labels alone")
axis.plot(helped, "o", color="#D55E00", markersize=9, label="labels, and ten digits")
axis.set(xticks=range(6), ylim=(-0.05, 1.05), xlabel="start", ylabel="share of digits right")
fig.legend(loc="outside upper center", ncols=2)
plt.show()

# %%
# What we learnt
# --------------
# A score of labels cannot see an upside-down reading. Before you trust symbols, ask whether another
# reading explains all labels as well; if so, pay for a few symbols. They also help a start off the
# plateau where both readings balance. One wrong digit among few would do harm: check them.
