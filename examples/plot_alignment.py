"""
An alignment can be learnt from what is said, without being told when
=====================================================================

A recording of speech comes with the words that were said, but not with when each sound begins and
ends. Here the recordings are films of handwritten digits: a digit is shown for a few frames, each
in another hand, then the next one. Of a film we know the number that it shows. A net learns to read
single frames, and on the way where each digit begins.
"""

# %%
# Knowledge
# ---------
# The numbers shown are those of a small telephone book. A machine reads a film frame by frame. Its
# state is what it has read so far, the beginning of a number. A frame shows the digit of the frame
# before, or the next digit of a number in the book. How many frames there are is left open.

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
    if beginning.endswith(digit):
        return beginning
    return beginning + digit if beginning + digit in beginnings else None


knowledge = StepKnowledge(
    read_frame, states=list("0123456789"), initial="", accept=lambda beginning: beginning in book
)

# %%
# Data
# ----
# Half of scikit-learn's digits are for the films to learn from, the other half for the test. Films
# differ in length: ``X`` is a list of arrays, one a film.

digits, images = load_digits().target.astype(str), load_digits().images / 16
half = rng.random(len(digits)) < 0.5


def make_films(n_films, is_used):
    """Films, the numbers they show, and the digit of each frame."""
    numbers = rng.choice(sorted(book), size=n_films)
    shown = [np.repeat(list(number), rng.integers(2, 6, size=4)) for number in numbers]
    pools = {d: np.flatnonzero(is_used & (digits == d)) for d in "0123456789"}
    return [images[[rng.choice(pools[d]) for d in film]] for film in shown], numbers, shown


X, y, _ = make_films(300, half)
X_test, y_test, shown = make_films(100, ~half)
lengths = [len(film) for film in X]
print(f"{len(X)} films of {min(lengths)} to {max(lengths)} frames; numbers {y[:4]} ...")

# %%
# Fit
# ---
# The second classifier learns so slowly that it learns nothing: it shows how it all begins.

clf = EMNeSyClassifier(knowledge, tol=0.1, n_iter_no_change=2, random_state=0).fit(X, y)
start = EMNeSyClassifier(knowledge, learning_rate=1e-9, n_iter_no_change=1, random_state=0)
start.fit(X, y)
bounds = clf.lower_bounds_
print(f"{clf.n_iter_} iterations, from {bounds[0]:.1f} to {bounds[-1]:.1f} nats a film")

# %%
# Look
# ----
# The test films are by other hands. ``predict`` reads their numbers, ``predict_symbols`` says what
# each frame shows: a list of arrays, as long as the films.

print(f"numbers right          {clf.score(X_test, y_test):.3f}")
print(f"frames right           {symbol_accuracy(shown, clf.predict_symbols(X_test)):.3f}")

# %%
# Where the number is known, ``posterior`` finds where each digit begins: the alignment. Its arrays
# are filled up to the length of the longest film.

i = int(np.argmax([len(film) for film in X_test]))
film, number, truth = X_test[i], y_test[i], shown[i].astype(int)
frames = np.arange(len(film))
fig, axes = plt.subplots(3, 1, figsize=(9, 7), height_ratios=[1, 4, 4], layout="constrained")
strip = np.hstack(np.pad(film, ((0, 0), (0, 0), (0, 1)), constant_values=0.5))
axes[0].imshow(strip, cmap="gray_r", extent=(-0.5, len(film) - 0.5, 0, 1), aspect="auto")
axes[0].set(xticks=[], yticks=[], title=f"A film of the number {number}, frame by frame")
for axis, classifier, when in zip(axes[1:], (start, clf), ("before", "after"), strict=True):
    given = classifier.posterior([film], [number]).symbol_marginals[0, : len(film), :10]
    shades = axis.imshow(given.T, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axis.plot(frames, truth, "s", mfc="none", color="#d95f02", label="the digit shown")
    axis.set(yticks=range(10), ylabel="digit", title=f"p(digit | film, number) {when} training")
axes[2].set_xlabel("frame")
axes[1].legend(loc="upper left")
fig.colorbar(shades, ax=axes[1:], aspect=40)
plt.show()

# %%
# What we learnt
# --------------
# Before training, what is known of a film is the order of its digits; any of them may last longer
# than the others. That is enough to begin with, as the digits stand at other places in other films.
# The same few lines of knowledge serve films of any length: ``StepKnowledge`` without ``n_symbols``
# is for sequences. (Models of speech and handwriting learn like this: A. Graves and others,
# "Connectionist temporal classification", 2006.)
