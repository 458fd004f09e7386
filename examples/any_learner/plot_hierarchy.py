"""
A hierarchy of classes is made coherent
=======================================

A digit is closed or open, has loops, corners or curves, and is one of ten. A net that names all of
these one by one contradicts itself. Rules mend that: a class implies its parent, and has a child.
"""

# %%
# Data
# ----
# Ten digits, and above them what they look like: with loops, one or two, or open, with corners or
# with curves. All classes of 200 images are known.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score

from sknesy import EMNeSyClassifier
from sknesy.knowledge import ClauseKnowledge
from sknesy.layouts import JointLayout

PARENT = {"one loop": "loops", "two loops": "loops", "corners": "open", "curves": "open"}
for name, members in {
    "one loop": "069",
    "two loops": "8",
    "corners": "147",
    "curves": "235",
}.items():
    PARENT |= dict.fromkeys(members, name)
names = ["loops", "open", *PARENT]

images, digits = load_digits(return_X_y=True)
X, Y = images / 16, np.zeros((len(digits), len(names)), dtype=int)
for row, name in enumerate(map(str, digits)):
    while name:
        Y[row, names.index(name)] = 1
        name = PARENT.get(name)
order = np.random.default_rng(0).permutation(len(X))
train, test = order[:200], order[200:]

# %%
# Knowledge
# ---------
# Clauses over one proposition a class. A class implies its parent; a parent has a child; two
# children of one parent exclude each other, and so do the two classes at the top.

number = {name: i + 1 for i, name in enumerate(names)}
clauses = [[-number[low], number[top]] for low, top in PARENT.items()]
for top in {None, *PARENT.values()}:
    children = [number[name] for name in names if PARENT.get(name) == top]
    clauses.append(children if top is None else [-number[top], *children])
    clauses += [[-a, -b] for a in children for b in children if a < b]
rules = ClauseKnowledge(clauses, symbols=[[number[name]] for name in names])

# %%
# Fit
# ---
# All classes are known, so that the evidence trains the net without the rules; they come in when it
# predicts. The conditional objective trains it for such predictions.

proba, found = {}, {}
for objective, name in {"evidence": "under rules", "conditional": "trained for rules"}.items():
    clf = EMNeSyClassifier(rules, target="symbols", objective=objective, layout=JointLayout())
    clf.set_params(learning_rate=3e-3, max_iter=15, decision="world", random_state=0)
    clf.fit(X[train], Y[train])
    if objective == "evidence":
        proba["net alone"] = clf.predict_net_proba(X[test])[:, :, 1]
        found["net alone"] = (proba["net alone"] > 0.5).astype(int)
    proba[name], found[name] = clf.predict_proba(X[test]), clf.predict(X[test])

right = {name: (rows == Y[test]).all(axis=1) for name, rows in found.items()}
for name, rows in found.items():
    obeys = rules.conclude(rows).astype(bool)
    area = average_precision_score(Y[test], proba[name], average="micro")
    print(f"{name:18} {right[name].mean():.3f} right, {obeys.mean():.3f} obey, area {area:.3f}")

# %%
# Look
# ----
shown = np.flatnonzero(~rules.conclude(found["net alone"]).astype(bool) & right["under rules"])[0]
fig, (left, ax) = plt.subplots(1, 2, figsize=(8, 4.5), layout="constrained")
left.imshow(X[test][shown].reshape(8, 8), cmap="Greys")
left.set(title=f"a {digits[test][shown]}", xticks=[], yticks=[])
table = np.stack([rows[shown] for rows in proba.values()], axis=1)
ax.imshow(table, cmap="Blues", vmin=0, vmax=1.2, aspect="auto")
for (row, column), p in np.ndenumerate(table):
    ax.text(column, row, f"{p:.2f}", ha="center", va="center")
labels = [f"{name}\n{share.mean():.0%} right" for name, share in right.items()]
ax.set(xticks=range(3), xticklabels=labels, yticks=range(len(names)), yticklabels=names)
plt.show()

# %%
# Rules make a whole of what a net says of each class alone.
