"""
Sudokus can be read by someone who knows the rules only
=======================================================

Here are sudokus of size 4, each digit written by hand. Nobody tells which digit a picture shows:
all that is known of a sudoku is the sum of its diagonal. A net learns to read the digits from that
and from the rules, which we state as a constraint model of CPMpy (``pip install "sknesy[cp]"``).
"""

# %%
# Knowledge
# ---------
# The symbols are the cells. All cells of a row, a column and a box are different. The output, which
# the label observes, is an expression. (Were the label only whether a sudoku is valid, digits could
# be told apart, but not named: exchanging all 1s and 2s keeps a sudoku valid.)

import cpmpy as cp
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sknesy import EMNeSyClassifier
from sknesy.knowledge import from_cpmpy
from sknesy.metrics import symbol_accuracy

cells = cp.intvar(1, 4, shape=(4, 4), name="cell")
boxes = [cells[i : i + 2, j : j + 2] for i in (0, 2) for j in (0, 2)]
rules = cp.Model([cp.AllDifferent(part) for part in (*cells, *cells.T, *boxes)])
knowledge = from_cpmpy(rules, symbols=cells, outputs=cp.sum(cells.diagonal()))
print(knowledge)

# %%
# Data
# ----
# We draw from the 288 sudokus of size 4, and for each cell from scikit-learn's pictures of its
# digit. The pictures of the test sudokus are different ones.

rng = np.random.default_rng(0)
digits, images = load_digits().target, load_digits().images / 16
half = rng.random(len(digits)) < 0.5


def draw(n_sudokus, is_used):
    """Sudokus, and pictures of their cells."""
    grids = sudokus[rng.integers(len(sudokus), size=n_sudokus)]
    pools = {d: np.flatnonzero(is_used & (digits == d)) for d in range(1, 5)}
    return images[[[rng.choice(pools[d]) for d in grid] for grid in grids]], grids


solutions = []
rules.solveAll(display=lambda: solutions.append(cells.value().ravel()))
sudokus = np.array(solutions)
X, grids = draw(300, half)
X_test, grids_test = draw(200, ~half)
y = grids[:, ::5].sum(axis=1)  # cells 0, 5, 10 and 15 are the diagonal
print(f"{len(sudokus)} sudokus; {len(X)} to learn from, of shape {X.shape[1:]}; sums {y[:6]} ...")

# %%
# Fit
# ---

clf = EMNeSyClassifier(knowledge, tol=1e-2, max_iter=40, random_state=0).fit(X, y)
print(f"{clf.n_iter_} iterations, {clf.lower_bounds_[-1]:.3f} nats a sudoku")

# %%
# Look
# ----
# The net reads pictures one by one. ``predict_symbols`` reads whole sudokus: it finds the most
# probable grid that keeps the rules. So it can also read what is hidden: let us spill coffee on six
# cells of each test sudoku.

digits_alone = clf.net_.predict_proba(X_test.reshape(-1, 8, 8).astype(np.float32)).argmax(1) + 1
spilt = rng.permuted(np.tile(np.arange(16) < 6, (len(X_test), 1)), axis=1)
X_spilt = np.where(spilt[:, :, None, None], 0.5, X_test)
whole, found = clf.predict_symbols(X_test), clf.predict_symbols(X_spilt)
is_right = found == grids_test
print(f"digits right, one by one          {np.mean(digits_alone == grids_test.ravel()):.3f}")
print(f"digits right, by whole sudokus    {symbol_accuracy(grids_test, whole):.3f}")
print(f"coffee spilt: cells still seen    {is_right[~spilt].mean():.3f}")
print(f"coffee spilt: cells not seen      {is_right[spilt].mean():.3f}")

# %%
# The first three test sudokus: above what the net sees, below what is found. Brown digits were
# under the coffee and follow from the rules; a wrong one would be crossed out.

fig, axes = plt.subplots(2, 3, figsize=(8, 5.6), layout="constrained")
for i, (above, below) in enumerate(axes.T):
    framed = np.pad(X_spilt[i], ((0, 0), (1, 1), (1, 1)))
    picture = framed.reshape(4, 4, 10, 10).swapaxes(1, 2).reshape(40, 40)
    above.imshow(picture, cmap="gray_r", vmin=0, vmax=1, extent=(0, 4, 4, 0))
    below.imshow(np.ones((4, 4)), cmap="gray", vmin=0, vmax=1, extent=(0, 4, 4, 0))
    for cell in range(16):
        row, column = divmod(cell, 4)
        if spilt[i, cell]:
            above.add_patch(plt.Rectangle((column, row), 1, 1, color="#8c5a2b"))
        style = {"color": "#8c5a2b" if spilt[i, cell] else "black", "fontsize": 20}
        below.text(column + 0.5, row + 0.5, found[i, cell], ha="center", va="center", **style)
        if not is_right[i, cell]:
            below.plot([column, column + 1], [row, row + 1], color="red")
    for axis in (above, below):
        axis.set(xticks=[], yticks=[])
        for line in (1, 2, 3):
            width = 2 if line == 2 else 0.6
            axis.axvline(line, color="black", linewidth=width)
            axis.axhline(line, color="black", linewidth=width)
axes[0, 0].set_ylabel("pictures, after the coffee")
axes[1, 0].set_ylabel("digits found")
plt.show()

# %%
# What we learnt
# --------------
# Rules that hold for every sample are worth as much as labels. They teach, here together with one
# number a sudoku, and they help to read what the net cannot see. A model of CPMpy is knowledge:
# `from_cpmpy` needs to be told which variables are the symbols, and what is observed.
