"""
Digits can be learnt from sums alone
====================================

Nobody tells the classifier which digit an image shows. It sees pairs of images, and the sum of each
pair. It also knows how a sum follows from two digits. That is enough to learn to read digits.
"""

# %%
# Data
# ----
# ``make_digit_sum`` pairs the handwritten digits that come with scikit-learn. A row of ``X`` is two
# images, and ``y`` is their sum. The digits themselves are kept for the evaluation.

import matplotlib.pyplot as plt
import numpy as np

from sknesy import EMNeSyClassifier
from sknesy.datasets import make_digit_sum
from sknesy.knowledge import FunctionKnowledge
from sknesy.metrics import symbol_accuracy

X, y, digits, _ = make_digit_sum(random_state=0)
X_train, X_test, y_train, y_test = X[:600], X[600:], y[:600], y[600:]
digits_test = digits[600:]
print(f"{len(X_train)} pairs to learn from, of shape {X_train.shape[1:]}; sums {y_train[:5]} ...")

# %%
# Knowledge
# ---------
# Knowledge is a plain Python function of the states, and the states that each symbol can have.
# (``make_digit_sum`` returns the same knowledge as its last value. Here we write it out.)

addition = FunctionKnowledge(lambda a, b: a + b, states=range(10), n_symbols=2)
print("3 and 4 give", addition.conclude([[3, 4]])[0])

# %%
# Fit
# ---
# Without a ``net``, the classifier takes a small convolutional net for images. It stops when the
# log-evidence, log p(sum | images), rises by less than ``tol`` for a few iterations.

clf = EMNeSyClassifier(addition, tol=2e-3, random_state=0)
clf.fit(X_train, y_train)
print(f"Converged after {clf.n_iter_} iterations, at {clf.lower_bounds_[-1]:.3f} nats a sum.")

# %%
# Look
# ----
# The classifier predicts sums, as any classifier predicts its labels. It also predicts the symbols.

digits_found = clf.predict_symbols(X_test)
print(f"sums right    {clf.score(X_test, y_test):.3f}")
print(f"digits right  {symbol_accuracy(digits_test, digits_found):.3f}")

# %%
# ``posterior`` combines both sources: what the images look like, and what the sum allows. Where the
# sum of a pair is known, its digits are almost certain.

alone = clf.predict_symbols_proba(X_test)
given = clf.posterior(X_test, y_test).symbol_marginals
print(f"digits right, given the sum  {symbol_accuracy(digits_test, given.argmax(axis=2)):.3f}")

# %%
# The picture shows the three test pairs for which the sum changes the verdict most. Light bars are
# the probabilities from the images alone. Dark bars are those given the sum as well.

most_changed = np.abs(given - alone).sum(axis=(1, 2)).argsort()[-3:]
fig, axes = plt.subplots(3, 4, figsize=(9, 6), width_ratios=[1, 2, 1, 2], layout="constrained")
for row, i in zip(axes, most_changed, strict=True):
    for s, (image_axis, bar_axis) in enumerate((row[:2], row[2:])):
        image_axis.imshow(X_test[i, s], cmap="gray_r")
        image_axis.set(xticks=[], yticks=[], title=f"truly {digits_test[i, s]}")
        bar_axis.bar(np.arange(10) - 0.2, alone[i, s], 0.4, color="#9ecae1", label="images alone")
        bar_axis.bar(np.arange(10) + 0.2, given[i, s], 0.4, color="#08519c", label="given the sum")
        bar_axis.set(xticks=range(10), ylim=(0, 1.05))
    row[0].set_ylabel(f"sum {y_test[i]}", fontsize="x-large")
for axis in axes[-1, 1::2]:
    axis.set_xlabel("digit")
fig.legend(*axes[0, 1].get_legend_handles_labels(), loc="outside upper center", ncols=2)
plt.show()

# %%
# What we learnt
# --------------
# Labels of the whole taught the parts: no digit was ever given, yet nearly all are read correctly.
# A fitted classifier can also label its own data: ask ``posterior`` what each part must be, given
# the label.
