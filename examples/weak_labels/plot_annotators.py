"""
Many people who label: images tell who is careless
==================================================

Eight people name handwritten digits. Some are careful, some guess, and nobody has checked them.
Each image is shown to three of them. A majority vote counts all voices alike. It can do better.
"""

# %%
# Data
# ----
# A column of y for each person; None where a person has not seen the image. (The people are made
# up, so that we know the truth.)

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sknesy import EMNeSyClassifier
from sknesy.likelihoods import AnnotatorLikelihood

images, digits = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
order = rng.permutation(len(images))
X, truth = images[order] / 16, digits[order]
X_train, X_test, d_train, d_test = X[:900], X[900:], truth[:900], truth[900:]

skill = np.array([0.95, 0.9, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2])  # share of right labels
has_seen = rng.random((900, 8)).argsort(axis=1) < 3
errs = rng.random((900, 8)) > skill
said = np.where(errs, rng.integers(10, size=(900, 8)), d_train[:, None])
y = np.where(has_seen, said.astype(object), None)
print(f"first image, truly {d_train[0]}: {y[0].tolist()}")

# %%
# Knowledge
# ---------
# The likelihood says how labels come about: each person errs in a way of their own (Dawid & Skene).
# "coin" learns one rate of errors a person; the default learns who takes what for what.

likelihood = AnnotatorLikelihood("coin")

# %%
# Fit
# ---
# With images, a net joins the people. Without (``X=None``), their labels alone must do.

clf = EMNeSyClassifier(likelihood=likelihood, learning_rate=3e-3, max_iter=12, random_state=0)
clf.fit(X_train, y)
blind = EMNeSyClassifier(likelihood=likelihood, random_state=0).fit(None, y)

votes = (said[:, :, None] == np.arange(10)) & has_seen[:, :, None]
majority = votes.sum(axis=1).argmax(axis=1)

# %%
# Look
# ----
# The net also reads images that nobody has labelled.

with_images = clf.predict_symbols(X_train, y)[:, 0]
without = blind.predict_symbols(None, y)[:, 0]
shares = {
    "majority vote": np.mean(majority == d_train),
    "people weighed": np.mean(without == d_train),
    "people and images": np.mean(with_images == d_train),
}
for name, share in shares.items():
    print(f"{name:18} {share:.3f} of training images right")
print(f"new images, which nobody labelled {clf.score(X_test, d_test):.3f}")

truly = np.array([np.mean((said[:, p] == d_train)[has_seen[:, p]]) for p in range(8)])
learned = clf.likelihood_.confusion_.diagonal(axis1=1, axis2=2).mean(axis=1)
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
bars = left.barh(list(shares), list(shares.values()), color=["0.75", "#9ecae1", "#08519c"])
left.bar_label(bars, fmt="%.2f", padding=-32, color="white", weight="bold")
left.invert_yaxis()
left.set(xlim=(0, 1), xlabel="training images right")
right.plot([0, 1], [0, 1], color="0.8")
right.plot(truly, learned, "o", color="#D55E00", markersize=9)
right.set(xlim=(0.2, 1), ylim=(0.2, 1), aspect="equal")
right.set(xlabel="share of right labels, a dot a person", ylabel="as learned, without the truth")
plt.show()

# %%
# What we learnt
# --------------
# Whoever disagrees with careful people, and with images that look alike, is careless, and weighs
# less from then on. Nobody must be checked. It fails where most people share the same error.
