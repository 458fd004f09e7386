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

# %%
# Data
# ----
# We draw from the 288 sudokus of size 4, and pictures of their digits from scikit-learn's. The test
# sudokus have other pictures.

rng = np.random.default_rng(0)
digits, images = load_digits().target, load_digits().images / 16
half = rng.random(len(digits)) < 0.5


def draw(n_sudokus, is_used):
    """Draw sudokus; return pictures of their cells, and the digits."""
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
# The net reads pictures one by one. ``predict_symbols`` finds the most probable grid that keeps the
# rules. So it can also read what is hidden: let us spill coffee on six cells of each sudoku.

digits_alone = clf.predict_net_proba(X_test).argmax(axis=2) + 1
spilt = rng.permuted(np.tile(np.arange(16) < 6, (len(X_test), 1)), axis=1)
X_spilt = np.where(spilt[:, :, None, None], 0.5, X_test)
whole, found = clf.predict_symbols(X_test), clf.predict_symbols(X_spilt)
is_right = found == grids_test
print(f"digits right, one by one          {np.mean(digits_alone == grids_test):.3f}")
print(f"digits right, by whole sudokus    {symbol_accuracy(grids_test, whole):.3f}")
print(f"coffee spilt: cells still seen    {is_right[~spilt].mean():.3f}")
print(f"coffee spilt: cells not seen      {is_right[spilt].mean():.3f}")

# %%
# The first three test sudokus. Digits under the coffee follow from the rules; a wrong one is red.

fig, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
for i, axis in enumerate(axes):
    framed = np.pad(X_spilt[i], ((0, 0), (1, 1), (1, 1)))
    picture = framed.reshape(4, 4, 10, 10).swapaxes(1, 2).reshape(40, 40)
    axis.imshow(picture, cmap="gray_r", vmin=0, vmax=1, extent=(0, 4, 4, 0))
    for cell in map(int, np.flatnonzero(spilt[i])):
        axis.add_patch(plt.Rectangle((cell % 4, cell // 4), 1, 1, color="#8c5a2b"))
        style = {"color": "white" if is_right[i, cell] else "red", "fontsize": 20}
        axis.text(cell % 4 + 0.4, cell // 4 + 0.65, found[i, cell], **style)
    axis.set(xticks=[], yticks=[])
plt.show()

# %%
# What we learnt
# --------------
# Rules that hold for every sample are worth as much as labels: they teach, and they help to read
# cells that the net cannot see. `from_cpmpy` is told which variables are symbols, which observed.
