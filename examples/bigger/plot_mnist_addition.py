"""
One pass over 30 000 sums teaches LeNet to read MNIST
=====================================================

MNIST addition is the standard test of neurosymbolic learning: two images of digits, and only their
sum as a label. Here is the whole experiment, with a net of your own choice.
"""

# %%
# Data
# ----
# The images come from OpenML at the first run. Pass the path of a local ``mnist.npz`` as the first
# argument, or set the environment variable ``SKNESY_MNIST``, to stay offline. Each image is used
# once, so 60 000 images make 30 000 pairs.

import sys
import time
import warnings

import matplotlib.pyplot as plt
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import ConfusionMatrixDisplay

from sknesy import EMNeSyClassifier
from sknesy.datasets import load_mnist, make_digit_sum
from sknesy.metrics import symbol_accuracy
from sknesy.nets import LeNet

path = sys.argv[1] if len(sys.argv) > 1 else None
images_train, digits_train, images_test, digits_test = load_mnist(path)
mean, std = images_train.mean(), images_train.std()
X_train, y_train, _, addition = make_digit_sum(
    images=(images_train - mean) / std, digits=digits_train, random_state=0
)
X_test, y_test, symbols_test, _ = make_digit_sum(
    images=(images_test - mean) / std, digits=digits_test
)
print(f"{len(X_train)} pairs to learn from, {len(X_test)} for the test")

# %%
# Knowledge
# ---------
# ``make_digit_sum`` returned it: a sum of two digits. There are 100 worlds, that is pairs of
# digits, and 19 sums. A sum of 0 leaves one world. A sum of 9 leaves ten.

print(f"{addition.n_symbols} symbols with {addition.n_states} states")

# %%
# Fit
# ---
# Any torch module that returns logits will do as the net. ``LeNet`` has the constructor parameters
# ``symbol_shape`` and ``n_states``, so the classifier fills them in.

clf = EMNeSyClassifier(addition, net=LeNet, max_iter=1, random_state=0)
with warnings.catch_warnings():
    # One pass is what the literature reports. That it has not converged is no news.
    warnings.simplefilter("ignore", ConvergenceWarning)
    start = time.perf_counter()
    clf.fit(X_train, y_train)
print(f"One pass took {time.perf_counter() - start:.1f} s.")

# %%
# Look
# ----
# The net reads the test images, whose digits and sums it has never seen.

symbols_found = clf.predict_symbols(X_test)
print(f"sums right    {clf.score(X_test, y_test):.4f}")
print(f"digits right  {symbol_accuracy(symbols_test, symbols_found):.4f}")

# %%
# The confusion matrix is that of an ordinary classifier of digits: the net gives all ten digits
# their right names. Addition leaves no choice here. Only two zeros make 0, so the net knows what a
# zero looks like, then what makes 1 together with a zero, and so on.

fig, axis = plt.subplots(figsize=(6.5, 6), layout="constrained")
ConfusionMatrixDisplay.from_predictions(
    symbols_test.ravel(), symbols_found.ravel(), ax=axis, cmap="Blues", colorbar=False
)
axis.set(
    xlabel="digit found",
    ylabel="true digit, never seen in training",
    title=f"{symbols_test.size} test images, after one pass over sums",
)
plt.show()

# %%
# What we learnt
# --------------
# Sums are enough to learn digits. The E-step is exact and cheap: it goes through the few worlds
# that a sum leaves, and needs no gradient through the addition.
