"""
Rules between parts tell what each part is
==========================================

A garage measures the four tyres of each car. The inspector writes down one verdict a car, and
nothing about single tyres. We know the rules of the inspection. Can we learn to judge a tyre?
"""

# %%
# Data
# ----
# A tyre is a summer tyre, a winter tyre, or worn. We measure its tread and the hardness of its
# rubber; both vary a lot. Tyres are changed by axle: one axle has never both summer and winter
# tyres. (The cars are made up, so that we know the truth.)

import numpy as np

from sknesy import EMNeSyClassifier
from sknesy.knowledge import ClauseKnowledge
from sknesy.metrics import symbol_accuracy

STATES = np.array(["summer", "winter", "worn"])
rng = np.random.default_rng(0)
n_cars, n_train = 1300, 300
is_winter_car = rng.random((n_cars, 1)) < 0.45
is_winter_axle = is_winter_car ^ (rng.random((n_cars, 2)) < 0.15)
is_winter = np.repeat(is_winter_axle, 2, axis=1)  # front left and right, rear left and right
is_worn = rng.random((n_cars, 4)) < 0.1
tread = rng.normal(np.where(is_worn, 2.2, 5.8), 1.1)  # in mm
hardness = rng.normal(np.where(is_winter, 57, 66), 3.5)  # in Shore A
X = np.stack([tread, hardness], axis=2)
tyres = STATES[np.where(is_worn, 2, is_winter)]

# %%
# Knowledge
# ---------
# Each state of each tyre is a proposition: 1, 2 and 3 for the first tyre, up to 12. The verdicts are
# three more. A clause is a list of propositions of which one must hold; a minus means "not".

tyre = np.arange(1, 13).reshape(4, 3)
summer, winter, worn = tyre.T
FAIL, SUMMER_ONLY, ALL_YEAR = 13, 14, 15
by_axle = [[-summer[a], -winter[b]] for a, b in [(0, 1), (1, 0), (2, 3), (3, 2)]]
verdicts = [
    *([-w, FAIL] for w in worn),  # a worn tyre: the car fails
    [-FAIL, *worn],  # it fails for no other reason
    *([-ALL_YEAR, w] for w in winter),  # all year: every tyre is a winter tyre
    [ALL_YEAR, *-winter],  # and every such car may drive all year
]


def inspection(clauses):
    return ClauseKnowledge(
        clauses,
        symbols=tyre,
        outputs=[[FAIL, SUMMER_ONLY, ALL_YEAR]],
        symbol_states=[STATES] * 4,
        output_states=[["fail", "summer only", "all year"]],
    )


rules = inspection(by_axle + verdicts)
y = rules.conclude(np.searchsorted(STATES, tyres)).astype(str)
print(dict(zip(*np.unique(y, return_counts=True), strict=True)))

# %%
# Fit
# ---
# A small net looks at one tyre at a time. We fit it twice: with all rules, and without those on axles.

X = (X - X[:n_train].mean(axis=(0, 1))) / X[:n_train].std(axis=(0, 1))
X_train, X_test, y_train, y_test = X[:n_train], X[n_train:], y[:n_train], y[n_train:]
fit = {}
for name, clauses in {"all rules": by_axle + verdicts, "verdicts only": verdicts}.items():
    clf = EMNeSyClassifier(
        inspection(clauses), learning_rate=1e-2, tol=1e-3, max_iter=300, random_state=0
    )
    fit[name] = clf.fit(X_train, y_train)
    accuracy = symbol_accuracy(tyres[n_train:], clf.predict_symbols(X_test))
    print(f"{name:14s} verdicts right {clf.score(X_test, y_test):.3f}, tyres {accuracy:.3f}")
