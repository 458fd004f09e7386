"""
An alignment can be learnt from what is said, without being told when
=====================================================================

A recording of speech comes with its words, but not with when each sound begins. Here the recordings
are films of handwritten digits: a digit is shown for a few frames, each in another hand, then the
next one. We know the number that a film shows. A net learns to read single frames from it.
"""

# %%
# Knowledge
# ---------
# A machine reads a film frame by frame. Its state is the beginning of a number in a telephone book.
# A frame shows the digit of the frame before, or the next digit. The number of frames is left open.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sknesy import EMNeSyClassifier
from sknesy.knowledge import StepKnowledge
from sknesy.metrics import symbol_accuracy

rng = np.random.default_rng(0)
book = {"".join(map(str, rng.choice(10, size=4, replace=False))) for _ in range(50)}
beginnings = {number[:k] for number in book for k in range(5)}


def read_frame(beginning, digit, position):
    """Stay while the digit lasts; else go on, if the book has a number that goes on like this."""
    longer = beginning if beginning.endswith(digit) else beginning + digit
    return longer if longer in beginnings else None


knowledge = StepKnowledge(
    read_frame, states=list("0123456789"), initial="", accept=lambda beginning: beginning in book
)

# %%
# Data
# ----
# Films for the test show other images of digits. Films differ in length: ``X`` is a list of arrays.

digits, images = load_digits().target.astype(str), load_digits().images / 16
half = rng.random(len(digits)) < 0.5


def make_films(n_films, is_used):
    """Make films; return them, the numbers they show and the digit of each frame."""
    numbers = rng.choice(sorted(book), size=n_films)
    shown = [np.repeat(list(number), rng.integers(2, 6, size=4)) for number in numbers]
    pools = {d: np.flatnonzero(is_used & (digits == d)) for d in "0123456789"}
    return [images[[rng.choice(pools[d]) for d in film]] for film in shown], numbers, shown


X, y, _ = make_films(300, half)
X_test, y_test, shown = make_films(100, ~half)
print(f"{len(X)} films, the first of {len(X[0])} frames; numbers {y[:4]} ...")

# %%
# Fit
# ---

clf = EMNeSyClassifier(knowledge, tol=0.1, n_iter_no_change=2, random_state=0).fit(X, y)
print(f"{clf.n_iter_} iterations, at last {clf.lower_bounds_[-1]:.1f} nats a film")

# %%
# Look
# ----
# ``predict`` reads the numbers of films, ``predict_symbols`` the digits of their frames.

print(f"numbers right          {clf.score(X_test, y_test):.3f}")
print(f"frames right           {symbol_accuracy(shown, clf.predict_symbols(X_test)):.3f}")

# %%
# Where the number is known, ``posterior`` finds where each digit begins: the alignment. The net is
# sure of most frames alone; the number puts the others right.

i = int(np.argmax([len(film) for film in X_test]))
film, number = X_test[i], y_test[i]
alone = clf.predict_net_proba([film])[0]
given = clf.posterior([film], [number]).symbol_marginals[0, : len(film), :10]
fig, axes = plt.subplots(3, 1, figsize=(9, 7), height_ratios=[1, 4, 4], layout="constrained")
axes[0].imshow(np.hstack(film), cmap="gray_r", extent=(-0.5, len(film) - 0.5, 0, 1), aspect="auto")
axes[0].set(xticks=[], yticks=[], title=f"A film of the number {number}")
panels = {"p(digit | frame)": alone, "p(digit | film, number)": given}
for axis, (title, proba) in zip(axes[1:], panels.items(), strict=True):
    axis.imshow(proba.T, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axis.plot(shown[i].astype(int), "s", mfc="none", color="#d95f02", label="the digit shown")
    axis.set(yticks=range(10), xlabel="frame", ylabel="digit", title=title)
axes[1].legend(loc="upper left")
plt.show()

# %%
# What we learnt
# --------------
# The order of digits is enough to begin with, as digits stand at other places in other films. The
# same few lines serve films of any length: ``StepKnowledge`` without ``n_symbols`` is for
# sequences. (A. Graves and others, "Connectionist temporal classification", 2006.)
