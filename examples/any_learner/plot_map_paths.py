"""
A way read off a map becomes a path
===================================

A net sees a map and says of each of 24 roads whether the shortest way takes it: broken lines. With
the knowledge of what a path is it draws paths, and more are right if it is trained for just that.
"""

# %%
# Data
# ----
# Sixteen towns on a 4x4 grid. A road is a pixel between two towns; the darker, the longer. The
# shortest way from the first town to the last is told of 600 maps, road by road.

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from sknesy import EMNeSyClassifier
from sknesy.knowledge import StepKnowledge
from sknesy.layouts import JointLayout

ROADS = [(v, v + 1) for v in range(16) if v % 4 < 3] + [(v, v + 4) for v in range(12)]
A, B = np.array(ROADS).T


def make_maps(n, seed):
    rng = np.random.default_rng(seed)
    length = rng.uniform(0.1, 1.0, size=(n, len(ROADS)))
    maps, ways = np.zeros((n, 7, 7)), np.zeros((n, len(ROADS)), dtype=int)
    maps[:, A // 4 + B // 4, A % 4 + B % 4] = length + rng.normal(0, 0.03, length.shape)
    for i in range(n):
        graph = csr_array((length[i], (A, B)), shape=(16, 16))
        _, before = dijkstra(graph, directed=False, indices=0, return_predecessors=True)
        town = 15
        while town:
            ways[i, ROADS.index(tuple(sorted((town, int(before[town])))))] = 1
            town = int(before[town])
    return maps, ways


(X, Y), (X_new, Y_new) = make_maps(600, seed=0), make_maps(500, seed=1)

# %%
# Knowledge
# ---------
# All ways from the first town to the last, and a machine that reads one of them, road by road.


def list_ways(town, taken, seen):
    if town == 15:
        return [tuple(i in taken for i in range(len(ROADS)))]
    nearby = [(i, sum(road) - town) for i, road in enumerate(ROADS) if town in road]
    further = [(i, v) for i, v in nearby if v not in seen]
    return [way for i, v in further for way in list_ways(v, [*taken, i], [*seen, v])]


def read(so_far, is_taken, position):
    return (*so_far, is_taken) if (*so_far, is_taken) in BEGUN else None


WAYS = list_ways(0, [], [0])
BEGUN = {way[:i] for way in WAYS for i in range(len(ROADS) + 1)}
paths = StepKnowledge(read, [False, True], len(ROADS), initial=(), final=lambda row: True)

# %%
# Fit
# ---
# One input, many symbols: a joint layout; y has a column for each of these. The evidence trains the
# net road by road; the conditional objective given that the way is a path.

drawn, flat = {}, X_new.reshape(500, -1)
clf = EMNeSyClassifier(paths, target="symbols", layout=JointLayout(), decision="world")
clf.set_params(learning_rate=3e-3, max_iter=30, random_state=0)
for objective in ("evidence", "conditional"):
    clf.set_params(objective=objective).fit(X.reshape(600, -1), Y)
    drawn[f"{objective}, net alone"] = clf.predict_net_proba(flat)[:, :, 1] > 0.5
    drawn[f"{objective}, as a path"] = clf.predict(flat)

right = {name: (found == Y_new).all(axis=1) for name, found in drawn.items()}
for name, found in drawn.items():
    is_path = [tuple(row) in WAYS for row in found.astype(bool).tolist()]
    print(f"{name:24} {right[name].mean():.2f} right, {np.mean(is_path):.2f} paths")

# %%
# Look
# ----
shown = np.flatnonzero(right["conditional, as a path"] & ~right["evidence, as a path"])[0]
fig, axes = plt.subplots(1, 5, figsize=(11, 2.5), layout="constrained")
for ax, (name, found) in zip(axes, [("shortest", Y_new), *drawn.items()], strict=True):
    ax.imshow(X_new[shown], cmap="Greys", vmin=0, vmax=1.3)
    for a, b in np.array(ROADS)[found[shown] == 1]:
        ax.plot([a % 4 * 2, b % 4 * 2], [a // 4 * 2, b // 4 * 2], lw=4, color="tab:red")
    ax.set(title=name, xticks=[], yticks=[])
plt.show()

# %%
# Rules turn what a net says into a path. Trained given the rules, a net says less by itself, and
# more together with them.
