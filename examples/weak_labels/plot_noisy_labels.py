"""
Labels that are often wrong still teach, and the wrong ones are found
=====================================================================

Three labels of ten are wrong: somebody wrote 4 for 3 and 5 for 4, again and again. A net that
believes its labels learns the errors. One that takes them for errors learns who is confused with
whom, and can be asked which labels to look at again.
"""

# %%
# Data
# ----
# Three of ten labels name the digit that comes after the true one.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sknesy import EMNeSyClassifier
from sknesy.inspection import find_suspect_labels
from sknesy.likelihoods import ConfusionLikelihood

images, digits = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
order = rng.permutation(len(images))
X, truth = images[order] / 16, digits[order]
X_train, X_test, d_train, d_test = X[:1200], X[1200:], truth[:1200], truth[1200:]

is_wrong = rng.random(1200) < 0.3
y = np.where(is_wrong, (d_train + 1) % 10, d_train)
print(f"{is_wrong.sum()} of {len(y)} labels are wrong")

# %%
# Knowledge
# ---------
# All we know is that labels may be wrong. ``confusion_[i, j]`` is the share of the digits i that
# are labelled j. It is learned along with the net, and starts from labels that are mostly right.

likelihood = ConfusionLikelihood()

# %%
# Fit
# ---
# Few passes: a net that is trained for long learns wrong labels by heart.

settings = {"learning_rate": 3e-3, "max_iter": 12, "random_state": 0}
clf = EMNeSyClassifier(likelihood=likelihood, **settings).fit(X_train, y)
trusting = EMNeSyClassifier(**settings).fit(X_train, y)

# %%
# Look
# ----
# ``find_suspect_labels`` judges labels by a fit that has not seen them, the most suspicious first.

suspects = find_suspect_labels(clf, X_train, y, cv=3)
found = is_wrong[suspects.index].cumsum() / is_wrong.sum()
print(f"digits right, labels believed     {trusting.score(X_test, d_test):.3f}")
print(f"digits right, errors learned      {clf.score(X_test, d_test):.3f}")
print(f"wrong labels in the first half    {found[599]:.3f}")

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
image = left.imshow(clf.likelihood_.confusion_, cmap="Blues", vmin=0, vmax=1)
left.set(xticks=range(10), yticks=range(10), xlabel="label", ylabel="true digit")
left.set_title("p(label | digit), as learned (truly .7 and .3)", fontsize="medium")
fig.colorbar(image, ax=left, shrink=0.8)
looked_at = np.arange(1, 1201) / 1200
right.plot(looked_at, found, color="#D55E00", label="the most suspicious first")
right.plot([0, 1], [0, 1], "--", color="0.6", label="in any order")
right.plot([0, is_wrong.mean(), 1], [0, 1, 1], ":", color="0.6", label="if the truth were known")
right.set(xlabel="share of labels looked at", ylabel="share of wrong labels found")
right.legend(loc="lower right")
plt.show()

# %%
# What we learnt
# --------------
# Errors with a habit mislead a net more than errors at random, and more is won by learning them. It
# has a limit: when we let four of ten labels be wrong in this way, errors were taken for truth.
