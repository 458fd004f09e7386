"""
Digits can be learnt from sums that were measured badly
=======================================================

A scale shows the weight of a parcel, give or take. We know the parcel is the sum of its parts, and
each part is of one of a few kinds. Here the parts are images of digits, and the scale that shows
the sum of two errs by two units: 11 may come out as 8.7 or 14.1.
"""

# %%
# Data
# ----
# A pair of images a row, and a number that is near the sum. Images occur in several pairs.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sknesy import EMNeSyRegressor
from sknesy.knowledge import SymbolSum
from sknesy.metrics import symbol_accuracy

images, digits = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
order = rng.permutation(len(images))
train, test = order[:1200], order[1200:1796].reshape(-1, 2)
pairs = np.concatenate([rng.permutation(train) for _ in range(7)]).reshape(-1, 2)
X = images[pairs] / 16
y = digits[pairs].sum(axis=1) + rng.normal(0, 2, size=len(pairs))
print(f"{len(X)} pairs; true sums {digits[pairs[:4]].sum(axis=1)}, observed {y[:4].round(1)}")

# %%
# Knowledge
# ---------
# The symbols are numbers, and what is observed is near their sum.

knowledge = SymbolSum(2)

# %%
# Fit
# ---
# The regressor learns the net, and how badly the scale measures. It never sees a true sum.

reg = EMNeSyRegressor(
    knowledge, learning_rate=5e-3, max_iter=15, batch_size=64, random_state=0
).fit(X, y)

# %%
# Look
# ----
# ``predict`` is the expected sum, and its standard deviation that of one more measurement.

X_test, total = images[test] / 16, digits[test].sum(axis=1)
mean, std = reg.predict(X_test, return_std=True)
found = symbol_accuracy(digits[test], reg.predict_symbols(X_test))
sigma = reg.likelihood_.sigma_
print(f"noise learned      {sigma:.2f}")
print(f"digits right       {found:.3f}")
print(f"error of the scale {2:.2f}, of the net {np.sqrt(np.mean((mean - total) ** 2)):.2f}")

error = reg.predict(X) - y
grid = np.linspace(-8, 8, 200)
bell = np.exp(-0.5 * (grid / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
left.scatter(digits[pairs].sum(axis=1)[:600], y[:600], s=8, color="0.6", label="scale")
left.scatter(total, mean, s=8, color="#D55E00", label="net, new images")
left.plot([0, 18], [0, 18], color="black", linewidth=0.8)
left.set(xlabel="true sum", ylabel="sum as measured, or as read")
left.legend()
right.hist(error, bins=50, density=True, color="0.8")
right.plot(grid, bell, color="#D55E00")
right.set(xlabel="what the net reads, minus what the scale showed", yticks=[])
right.set_title(f"noise as learned: {sigma:.2f} (truly 2)", fontsize="medium")
plt.show()

# %%
# What we learnt
# --------------
# Noise of single measurements averages out over many, so the net reads new sums better than the
# scale. The noise comes out a bit too small: part of it has been learnt by heart. Few samples and
# much noise make that worse; then hold some out (``validation_fraction``).
