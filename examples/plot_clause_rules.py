"""
Rules between parts tell what each part is
==========================================

An inspector writes down one verdict a car, and nothing about its four tyres. We have measured the
tyres, and we know the rules of the inspection. Can we learn to judge a single tyre?
"""

# %%
# Data
# ----
# A tyre is a summer tyre, a winter tyre, or worn. We measure its tread and the hardness of its
# rubber, and both vary. Tyres are changed by axle, so no axle has a summer and a winter tyre. (The
# cars are made up, so that we can compare with the truth.)

import matplotlib.pyplot as plt
import numpy as np

from sknesy import EMNeSyClassifier
from sknesy.knowledge import ClauseKnowledge
from sknesy.metrics import symbol_accuracy

rng = np.random.default_rng(0)
n_cars, n_train = 1300, 300
is_winter_axle = (rng.random((n_cars, 1)) < 0.45) ^ (rng.random((n_cars, 2)) < 0.15)
is_winter = np.repeat(is_winter_axle, 2, axis=1)  # front left and right, rear left and right
is_worn = rng.random((n_cars, 4)) < 0.1
tread = rng.normal(np.where(is_worn, 2.2, 5.8), 1.1).clip(0)  # in mm
hardness = rng.normal(np.where(is_winter, 57, 66), 3.5)  # in Shore A
X = np.stack([hardness, tread], axis=2)
Z = (X - X[:n_train].mean(axis=(0, 1))) / X[:n_train].std(axis=(0, 1))
STATES = np.array(["summer", "winter", "worn"])
truth = np.where(is_worn, 2, is_winter)

# %%
# Knowledge
# ---------
# Each state of each tyre is a proposition: 1, 2, 3 for the first tyre, and so on up to 12. The
# verdicts are three more. A clause lists propositions of which one must hold; minus means "not".

symbols = np.arange(1, 13).reshape(4, 3)
summer, winter, worn = symbols.T
FAIL, SUMMER_ONLY, ALL_YEAR = 13, 14, 15
verdict_rules = [
    *([-w, FAIL] for w in worn),  # with a worn tyre the car fails,
    [-FAIL, *worn],  # and for no other reason
    *([-ALL_YEAR, w] for w in winter),  # "all year" takes four winter tyres,
    [ALL_YEAR, *-winter],  # and they suffice
]
axle_rules = [[-summer[a], -winter[b]] for a, b in [(0, 1), (1, 0), (2, 3), (3, 2)]]
names = {
    "symbols": symbols,
    "outputs": [[FAIL, SUMMER_ONLY, ALL_YEAR]],
    "symbol_states": [STATES] * 4,
    "output_states": [["fail", "summer only", "all year"]],
}
y = ClauseKnowledge(verdict_rules + axle_rules, **names).conclude(truth).astype(str)
print(f"The verdict is {y[1]!r}, the tyres are {', '.join(STATES[truth[1]])}.")

# %%
# Fit
# ---
# A small net looks at one tyre at a time. We fit it with all rules, and without those on axles. For
# comparison, a third net is told the state of every tyre, and no rules.

train, test = slice(n_train), slice(n_train, None)
settings = {"learning_rate": 1e-2, "tol": 1e-3, "random_state": 0}
found = {}
for name, clauses in {"all": verdict_rules + axle_rules, "verdict": verdict_rules}.items():
    clf = EMNeSyClassifier(ClauseKnowledge(clauses, **names), **settings)
    found[f"verdicts told, {name} rules"] = clf.fit(Z[train], y[train]).predict_symbols(Z[test])
clf = EMNeSyClassifier(**settings).fit(Z[train].reshape(-1, 2), STATES[truth[train]].ravel())
found["states told, no rules"] = clf.predict(Z[test].reshape(-1, 2)).reshape(-1, 4)

# %%
# Look
# ----
# On 1000 other cars, this is the share of tyres that are judged rightly.

true = STATES[truth[test]]
for name, symbols_found in found.items():
    print(f"{name:28s} {symbol_accuracy(true, symbols_found):.3f}")

# %%
# The picture shows the tyres of 150 other cars. On the left is all that an inspector would tell. On
# the right is what the net finds with all rules, mistakes circled.

red, blue, gold = "#d62728", "#1f77b4", "#e6a817"
colours = {"fail": red, "worn": red, "all year": blue, "winter": blue}
fig, axes = plt.subplots(1, 2, figsize=(9, 4.5), sharey=True, layout="constrained")
told = {"verdict on the car": y[test, None].repeat(4, axis=1), "state found": found[FULL]}
for axis, (title, names) in zip(axes, told.items(), strict=True):
    for name in np.unique(names):
        x = X[test][:150][names[:150] == name]
        axis.scatter(*x.T, s=14, color=colours.get(name, gold), label=name)
    axis.set(title=title, xlabel="hardness (Shore A)")
    axis.legend(loc="upper left")
axes[1].scatter(*X[test][:150][(found[FULL] != true)[:150]].T, s=60, color="none", edgecolor="k")
axes[0].set_ylabel("tread (mm)")
plt.show()

# %%
# What we learnt
# --------------
# A verdict on a car tells what its tyres are, if we know the rules. Each rule counts: without those
# on axles much is lost, and with them we do better than by judging each tyre on its own.
