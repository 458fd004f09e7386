"""
Cross-validation finds the rule behind the labels
=================================================

Knowledge is a parameter of the estimator, so a grid search can choose it. Here we have pairs of
images and a number for each pair. Is the number the sum of the two digits, their difference, or the
larger one?
"""

# %%
# Data
# ----
# The labels are the larger digits. The search is to find that out. The samples are flat: 64 pixels
# of the first image, then 64 of the second.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknesy import EMNeSyClassifier
from sknesy.datasets import make_digit_sum
from sknesy.knowledge import FunctionKnowledge
from sknesy.metrics import symbol_accuracy
from sknesy.nets import MLP

images, _, digits, _ = make_digit_sum(random_state=0)
X, y = images.reshape(len(images), -1), digits.max(axis=1)
X_train, X_test, y_train, y_test = X[:450], X[450:], y[:450], y[450:]
print(f"{X_train.shape} features, labels {y_train[:8]} ...")

# %%
# Knowledge
# ---------
# Each hypothesis is knowledge of its own. All three can give every label in ``y``, 0 to 9. One that
# cannot would raise an ``InconsistentLabelError``, and the search would score it nan.

rules = {
    "the sum": lambda a, b: a + b,
    "the difference": lambda a, b: abs(a - b),
    "the larger digit": max,
}
hypotheses = [FunctionKnowledge(rule, states=range(10), n_symbols=2) for rule in rules.values()]

# %%
# Fit
# ---
# The classifier stands in a pipeline, behind a scaler. ``symbol_shape`` says that a row holds
# images of 8 x 8 pixels. The search also tries learning rates, and widths of the net's hidden
# layer: ``net__module__hidden`` is the parameter ``hidden`` of ``MLP``.

clf = EMNeSyClassifier(net=MLP, symbol_shape=(8, 8), max_iter=10, random_state=0)
grid = {
    "emnesyclassifier__knowledge": hypotheses,
    "emnesyclassifier__net__lr": [0.001, 0.005],
    "emnesyclassifier__net__module__hidden": [8, 64],
}
search = GridSearchCV(make_pipeline(StandardScaler(), clf), grid, cv=2)
with warnings.catch_warnings():
    # Ten iterations tell good candidates from bad ones, converged or not.
    warnings.simplefilter("ignore", ConvergenceWarning)
    search.fit(X_train, y_train)

# %%
# Look
# ----
# The best candidate has been fitted again to all training data. The last step of its pipeline can
# be asked for the digits, too.

scaler, best = search.best_estimator_
digits_found = best.predict_symbols(scaler.transform(X_test))
print(f"rule found    {list(rules)[hypotheses.index(best.knowledge)]}")
print(f"labels right  {search.score(X_test, y_test):.3f}")
print(f"digits right  {symbol_accuracy(digits[450:], digits_found):.3f}")

# %%
# Each panel is a hypothesis. A wrong one gets about a third of the labels right at best.

scores = search.cv_results_["mean_test_score"].reshape(3, 2, 2)  # in the order of the grid
fig, axes = plt.subplots(1, 3, figsize=(9, 3), sharey=True, layout="constrained")
for axis, name, panel in zip(axes, rules, scores, strict=True):
    image = axis.imshow(panel, vmin=0, vmax=1, cmap="Blues")
    for (i, j), score in np.ndenumerate(panel):
        axis.text(j, i, f"{score:.2f}", ha="center", color="white" if score > 0.5 else "black")
    axis.set(title=f"label is {name}", xlabel="hidden", xticks=range(2), xticklabels=[8, 64])
axes[0].set(ylabel="learning rate", yticks=range(2), yticklabels=[0.001, 0.005])
fig.colorbar(image, ax=axes, label="share of labels right")
plt.show()

# %%
# What we learnt
# --------------
# The right rule predicts new labels, and wrong ones do not. No true digit was needed to find out.
# If you are unsure of your knowledge, state the alternatives and search.
