"""
Four looks show whether a fit went well
=======================================

Nobody tells the classifier which digit an image shows, so an accuracy of digits cannot be watched.
What can be seen is how training went, what net and labels tell of the digits, and what the label
makes of a single sample. A few known digits then show which ones are taken for others.
"""

# %%
# Data and knowledge
# ------------------
# A row of ``X`` is two images of digits, and ``y`` is their sum.

import matplotlib.pyplot as plt
import pandas as pd

from sknesy import EMNeSyClassifier
from sknesy.datasets import make_digit_sum
from sknesy.inspection import (
    EvidenceDisplay,
    InformationDisplay,
    PosteriorDisplay,
    SymbolConfusionDisplay,
)

X, y, digits, addition = make_digit_sum(random_state=0)
X_train, X_test, y_train, y_test = X[:600], X[600:], y[:600], y[600:]

# %%
# Fit
# ---
# Three starts run for five iterations, and the one with the highest log-evidence goes on.
# ``history_`` is a table of all of them.

clf = EMNeSyClassifier(addition, n_init=3, tol=0.005, n_iter_no_change=3, random_state=0)
clf.set_params(learning_rate=0.002).fit(X_train, y_train)
history = pd.DataFrame(clf.history_)
print(history.groupby("start")[["n_iter", "lower_bound"]].last())

# %%
# What is missing
# ---------------
# ``diagnostics_`` tell for each iteration, and for each of the two digits, the share of what there
# is to know that net and labels leave open. At first the net knows nothing: a sum alone tells about
# a fifth of a digit.

for n_iter in (1, len(clf.diagnostics_)):
    shares = clf.diagnostics_[n_iter - 1]["missing_information"]
    print(f"iteration {n_iter:2}: missing", ", ".join(f"{share:.1%}" for share in shares))

# %%
# Look
# ----
# Each display stands in Axes of one figure. Above on the left is the log-evidence of the starts,
# with the temperature that falls in the shaded iterations. On the right is the test pair for which
# the sum changes the verdict most: wide bars are the net's, narrow ones are those given the sum.
# Below are the digits that are taken for others, and what the net, the sum and both together tell.

alone, given = clf.predict_net_proba(X_test), clf.predict_symbols_proba(X_test, y_test)
most_changed = int(abs(given - alone).sum(axis=(1, 2)).argmax())
fig, axes = plt.subplots(2, 2, figsize=(11, 8.5), layout="constrained")
EvidenceDisplay.from_estimator(clf, ax=axes[0, 0])
PosteriorDisplay.from_estimator(clf, X_test, y_test, index=most_changed, ax=axes[0, 1])
display = SymbolConfusionDisplay.from_estimator(clf, X_test, digits[600:], ax=axes[1, 0])
names = ["first digit", "second digit"]
InformationDisplay.from_estimator(clf, X_test, y_test, symbol_names=names, ax=axes[1, 1])
plt.show()

matrix = display.confusion_matrix
print(f"digits right  {matrix.trace() / matrix.sum():.3f}")

# %%
# What we learnt
# --------------
# The log-evidence rises until it rests, and hardly anything is missing in the end: the net tells
# the digits, and the sum tells the rest. Had the bars stayed grey, labels would leave symbols open.
# A few known symbols would then help more than further labels.
