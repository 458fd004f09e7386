"""
A few sums of long numbers teach to read digits
===============================================

Someone has added numbers of 15 digits. We have images of the digits, and the sums. Nobody tells
which digit an image shows, and an addition can be read in 10^30 ways. Yet 47 sums are enough.
"""

# %%
# Data
# ----
# The digits are scikit-learn's, of 8 x 8 pixels. Each image is used once, which gives 59 additions.

import matplotlib.pyplot as plt

from sknesy import EMNeSyClassifier
from sknesy.datasets import make_digit_sum
from sknesy.inference import AutoEngine
from sknesy.knowledge import DigitAddition
from sknesy.metrics import output_accuracy, symbol_accuracy

X, y, digits, _ = make_digit_sum(n_digits=15, random_state=0)
X_train, X_test, y_train, y_test, digits_test = X[:47], X[47:], y[:47], y[47:], digits[47:]
print(f"{X_train.shape[:2]} images to learn from; the first sum is {y_train[0]:,}")

# %%
# Knowledge
# ---------
# Addition goes digit by digit, as at school, so no more than a carry must be remembered from one
# column to the next. The engine that ``inference="auto"`` chooses makes use of that.

addition = DigitAddition(15)
engine, reason = AutoEngine().select(addition)
print(f"{type(engine).__name__}: {reason}")

# %%
# Fit
# ---
# Labels are the sums, as ints. A net could come to read all digits 5 off, 0 as 5 and 5 as 0: the
# digits of a sum would be the same, and only carries would differ. So the net's probabilities are
# flattened at first, by a temperature that falls from 3 to 1, which keeps it from deciding early.

clf = EMNeSyClassifier(addition, batch_size=2, learning_rate=2e-3, tol=0.01, random_state=0)
clf.fit(X_train, y_train)
print(f"{clf.n_iter_} iterations, at last {clf.lower_bounds_[-1]:.2f} nats a sum")

# %%
# Look
# ----
# These additions are new to the classifier. A sum counts as right only if all its digits are. Where
# the sum is known too, ``posterior`` combines it with the images.

sums_found = clf.predict(X_test)  # ints again
sum_digits, sum_digits_found = addition.split_labels(y_test), addition.split_labels(sums_found)
alone = clf.predict_symbols_proba(X_test)
given = clf.posterior(X_test, y_test).symbol_marginals
print(f"sums right                   {clf.score(X_test, y_test):.3f}")
print(f"digits of sums right         {output_accuracy(sum_digits, sum_digits_found).mean():.3f}")
print(f"digits right                 {symbol_accuracy(digits_test, alone.argmax(axis=2)):.3f}")
print(f"digits right, given the sum  {symbol_accuracy(digits_test, given.argmax(axis=2)):.3f}")

# %%
# The picture shows the test addition whose sum surprises the classifier most, mistakes in orange.
# One misread digit is enough for a wrong sum, and the true sum puts it right.

i = clf.posterior(X_test, y_test).log_evidence.argmin()
fig, paper = plt.subplots(figsize=(9, 4), layout="constrained")


def write(digits_found, digits_true, height):
    """Write a number on the paper, its last digit in column 15."""
    first = 16 - len(digits_found)
    for column, (found, true) in enumerate(zip(digits_found, digits_true, strict=True), first):
        style = {"color": "black"} if found == true else {"color": "#D55E00", "weight": "bold"}
        paper.text(column, height, found, ha="center", va="center", size="x-large", **style)


for height, number in [(5, slice(0, 15)), (3, slice(15, 30))]:
    for column, image in enumerate(X_test[i, number], 1):
        extent = (column - 0.45, column + 0.45, height - 0.45, height + 0.45)
        paper.imshow(image, cmap="gray_r", extent=extent)
    write(alone[i, number].argmax(axis=1), digits_test[i, number], height - 0.75)
write(sum_digits_found[i], sum_digits[i], 1)
write(sum_digits[i], sum_digits[i], 0.2)
paper.axhline(1.6, color="black")
rows = {5: "a", 4.25: "read as", 3: "b", 2.25: "read as", 1: "sum found", 0.2: "true sum"}
paper.set(xlim=(-0.6, 15.6), ylim=(-0.2, 5.6), xticks=[], yticks=list(rows))
paper.set_yticklabels(rows.values())
paper.tick_params(left=False)
paper.spines[:].set_visible(False)
plt.show()

# %%
# What we learnt
# --------------
# Exact inference reaches through 10^30 worlds, so few labels teach much: each digit of a sum says
# something about the two above it. A classifier that is almost right becomes right where the sum is
# known: it labels its own data.
