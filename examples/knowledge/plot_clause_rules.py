"""
Rules between parts tell what each part is
==========================================

An inspector writes down one verdict a car, and nothing about its four tyres. We have measured the
tyres, and we know the rules of the inspection. Can we learn to judge a single tyre?
"""

# %%
# Data
# ----
# A tyre is a summer tyre, a winter tyre, or worn. We measure the hardness of its rubber and its
# tread; both vary. Tyres are changed by axle, so no axle has a summer tyre beside a winter tyre.
# (The cars are made up, so that we know the truth.)

import matplotlib.pyplot as plt
import numpy as np

from sknesy import EMNeSyClassifier
from sknesy.knowledge import ClauseKnowledge
from sknesy.metrics import symbol_accuracy

n, n_train, rng = 500, 300, np.random.default_rng(0)
is_winter_axle = (rng.random((n, 1)) < 0.45) ^ (rng.random((n, 2)) < 0.15)  # front and rear
is_winter = is_winter_axle.repeat(2, axis=1)
is_worn = rng.random((n, 4)) < 0.1
tyres = np.where(is_worn, 2, is_winter)  # (cars, tyres)
hardness = rng.normal(np.where(is_winter, 57, 66), 3.5)  # in Shore A
tread = rng.normal(np.where(is_worn, 2.2, 5.8), 1.1).clip(0)  # in mm
X = np.stack([(hardness - 62) / 6, (tread - 5) / 2], axis=2)  # (cars, tyres, measurements)

# %%
# Knowledge
# ---------
# Each state of each tyre is a proposition: 1, 2, 3 for the first tyre, and so on up to 12. The
# verdicts are three more. A clause lists propositions of which one must hold; minus means "not".

p = np.arange(1, 13).reshape(4, 3)  # (tyres, states)
summer, winter, worn = p.T
FAIL, SUMMER_ONLY, ALL_YEAR = 13, 14, 15
verdict_rules = [
    *([-w, FAIL] for w in worn),  # with a worn tyre the car fails,
    [-FAIL, *worn],  # and for no other reason
    *([-ALL_YEAR, w] for w in winter),  # "all year" takes four winter tyres,
    [ALL_YEAR, *-winter],  # and they suffice; what remains is "summer only"
]
axle_rules = [[-summer[a], -winter[b]] for a, b in [(0, 1), (1, 0), (2, 3), (3, 2)]]
verdict = [FAIL, SUMMER_ONLY, ALL_YEAR]
names = [["summer", "winter", "worn"]] * 4, [["fail", "summer only", "all year"]]
all_rules = ClauseKnowledge(verdict_rules + axle_rules, p, [verdict], *names)
few_rules = ClauseKnowledge(verdict_rules, p, [verdict], *names)

y, tyres = all_rules.conclude(tyres).astype(str), all_rules.name_worlds(tyres)
for i in range(6):
    print(f"{', '.join(tyres[i])}: {y[i]}")

# %%
# Fit
# ---
# A small net looks at one tyre at a time. It learns from verdicts, with all rules or without those
# on axles. For comparison, another learns from the state of every tyre, without rules.

X_train, X_test, true = X[:n_train], X[n_train:], tyres[n_train:]
settings = {"learning_rate": 0.01, "tol": 1e-3, "random_state": 0}
clf = EMNeSyClassifier(all_rules, **settings).fit(X_train, y[:n_train])
few = EMNeSyClassifier(few_rules, **settings).fit(X_train, y[:n_train])
direct = EMNeSyClassifier(**settings).fit(X_train.reshape(-1, 2), tyres[:n_train].ravel())
found, found_few = clf.predict_symbols(X_test), few.predict_symbols(X_test)
found_direct = direct.predict(X_test.reshape(-1, 2)).reshape(-1, 4)

# %%
# Look
# ----
# This is the share of tyres judged rightly on 200 other cars. The picture shows all their tyres:
# on the left what an inspector would tell, on the right what is found, mistakes circled.

print(f"from verdicts, all rules          {symbol_accuracy(true, found):.3f}")
print(f"from verdicts, no rules on axles  {symbol_accuracy(true, found_few):.3f}")
print(f"from states of tyres, no rules    {symbol_accuracy(true, found_direct):.3f}")

panels = {"verdict on the car": y[n_train:, None].repeat(4, axis=1), "state found": found}
hardness, tread = hardness[n_train:], tread[n_train:]
colours = {"fail": "C3", "worn": "C3", "all year": "C0", "winter": "C0"}
fig, axes = plt.subplots(1, 2, figsize=(9, 5), sharey=True, layout="constrained")
for axis, (title, values) in zip(axes, panels.items(), strict=True):
    for value in np.unique(values):
        is_it, colour = values == value, colours.get(value, "C1")
        axis.scatter(hardness[is_it], tread[is_it], s=14, color=colour, label=value)
    axis.set(xlabel="hardness (Shore A)", ylabel="tread (mm)")
    axis.legend(title=title, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
is_wrong = found != true
axes[1].scatter(hardness[is_wrong], tread[is_wrong], s=60, facecolors="none", edgecolors="black")
plt.show()

# %%
# What we learnt
# --------------
# A verdict on the whole tells what its parts are, if we know how it comes about. Each state must
# matter for some verdict. More rules help, in prediction too: a tyre tells about the one beside it.
