"""
A set of candidates can stand for a label
=========================================

A rushed reader of digits writes "a 3 or an 8, I think, or a 5". A photo's caption names four people
and one face is in it. The label is one of a few, and we do not know which. Pass the set itself.
"""

# %%
# Data
# ----
# Each of 600 training images has its digit in the set. In addition the set holds other digits at
# random, and in half of the sets the digit that is easily taken for it: 8 for 3, 9 for 4.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from sknesy import EMNeSyClassifier

images, digits = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
order = rng.permutation(len(images))
X, truth = images[order] / 16, digits[order]
X_train, X_test, d_train, d_test = X[:600], X[600:], truth[:600], truth[600:]

look_alike = np.array([8, 7, 3, 8, 9, 3, 0, 1, 3, 4])
marks = rng.random((600, 10)) < 0.3  # (images, digits)
is_named = rng.random(600) < 0.5
marks[is_named, look_alike[d_train[is_named]]] = True
marks[np.arange(600), d_train] = True
y = np.array([set(np.flatnonzero(row).tolist()) for row in marks], dtype=object)
print(f"{marks.sum(axis=1).mean():.1f} candidates an image; the first: {y[0]}, truly {d_train[0]}")

# %%
# Knowledge
# ---------
# There is none beyond the sets: the label is the symbol. A y of sets needs no further setting. A
# table like ``marks`` can be passed as it is with ``likelihood=CandidateLikelihood()``.

# %%
# Fit
# ---
# For comparison, logistic regression takes every candidate as a label, with equal weights.

settings = {"learning_rate": 3e-3, "max_iter": 25, "random_state": 0}
clf = EMNeSyClassifier(**settings).fit(X_train, y)
with_labels = EMNeSyClassifier(**settings).fit(X_train, d_train)

image, digit = marks.nonzero()
weight = 1 / marks.sum(axis=1)[image]
equal = LogisticRegression(max_iter=60).fit(X_train[image], digit, weight)

# %%
# Look
# ----
# ``posterior`` tells which candidate it is, given the image and the set.

told = clf.posterior(X_train, y).symbol_marginals[:, 0]  # (images, digits)
print(f"test digits right, from true labels     {with_labels.score(X_test, d_test):.3f}")
print(f"test digits right, from sets            {clf.score(X_test, d_test):.3f}")
print(f"test digits right, candidates as labels {equal.score(X_test, d_test):.3f}")
print(f"candidates of training images resolved  {np.mean(told.argmax(axis=1) == d_train):.3f}")

# %%
# The picture shows twelve training images, and below each its set. A candidate is the darker, the
# more probable it is now. The true digit is framed.

fig, axes = plt.subplots(2, 12, figsize=(10, 3.4), height_ratios=[1, 3], layout="constrained")
for i, (above, below) in enumerate(axes.T):
    above.imshow(X_train[i].reshape(8, 8), cmap="gray_r")
    below.imshow(np.where(marks[i], told[i], np.nan)[:, None], cmap="Blues", vmin=-0.1, vmax=1)
    for digit in np.flatnonzero(marks[i]):
        colour = "white" if told[i, digit] > 0.5 else "black"
        below.text(0, digit, digit, color=colour, ha="center", va="center")
    below.add_patch(
        plt.Rectangle((-0.5, d_train[i] - 0.5), 1, 1, fill=False, color="#D55E00", lw=2)
    )
    above.axis("off")
    below.axis("off")
fig.suptitle("images, and the candidates of each: dark is probable, the frame is the truth")
plt.show()

# %%
# What we learnt
# --------------
# Candidates compete: the net believes the one that fits other images, and the others fade. To train
# on all of them teaches the companions as well. It fails where a digit never appears without the
# same companion, for then no set tells the two apart.
