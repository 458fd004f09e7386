"""
Boosted trees learn single patients from the labels of groups
=============================================================

Tests are cheaper in groups: a sample pooled from several patients says whether any of them is ill,
not who. Gradient boosting is a good learner for tables of measurements, with units as they come. It
becomes the M-step of EM: each patient of a group that tested positive is ill with some
probability, and the trees are fitted to rows with these probabilities as weights.
"""

# %%
# Data
# ----
# Measurements of 569 tumours come with scikit-learn, on scales from .001 to 4000. Groups hold three
# of them, and a group is positive if any tumour is malignant: three of four groups are.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier

from sknesy import EMNeSyClassifier
from sknesy.knowledge import AnyOf

X, is_benign = load_breast_cancer(return_X_y=True)
is_ill = is_benign == 0
order = np.random.default_rng(0).permutation(len(X))
train, test = order[:420].reshape(-1, 3), order[420:]
groups, y = X[train], is_ill[train].any(axis=1)
print(f"{len(groups)} groups, {y.mean():.0%} positive; {is_ill[train].mean():.0%} of patients ill")

# %%
# Knowledge
# ---------
# A group is positive if any of its patients is ill.

knowledge = AnyOf()

# %%
# Fit
# ---
# Any classifier of scikit-learn that takes weights is a net. A small perceptron is trained first,
# and the trees start from what it found. For comparison, one booster takes the label of the group
# for that of each patient, and one is told who is ill.

boosting = HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=6, max_bins=32)
clf = EMNeSyClassifier(
    knowledge, net=boosting, max_iter=20, tol=1e-3, n_iter_no_change=2, random_state=0
)
clf.fit(list(groups), y)

copied = clone(boosting).fit(X[train.ravel()], y.repeat(3))
told = clone(boosting).fit(X[train.ravel()], is_ill[train.ravel()])

# %%
# Look
# ----
# On new patients, one by one.

found = {
    "label of the group, copied": copied.predict_proba(X[test])[:, 1],
    "label of the group, by EM": clf.predict_net_proba(X[test], parts=True)[:, 1],
    "told who is ill": told.predict_proba(X[test])[:, 1],
}
figure, axes = plt.subplots(1, 3, figsize=(9, 3), sharey=True, layout="constrained")
for axis, (name, proba) in zip(axes, found.items(), strict=True):
    right = np.mean((proba > 0.5) == is_ill[test])
    print(f"{name}: {right:.3f} of patients right")
    parts = [proba[~is_ill[test]], proba[is_ill[test]]]
    axis.hist(parts, bins=np.linspace(0, 1, 11), stacked=True, label=["benign", "malignant"])
    axis.set(title=f"{name}:\n{right:.0%} right", xlabel="p(ill) of a new patient")
axes[0].set_ylabel("patients")
axes[0].legend()

# %%
# What we learnt
# --------------
# Copied labels call most patients ill. The knowledge of what a positive group means brings the same
# trees close to those that were told who is ill.
