"""
Two nets learn digits and operators from nothing but the values of formulas
===========================================================================

A formula has symbols of two kinds, and a sign is no digit. One net for all symbols would have to
find that out; here each kind has a net of its own, and both learn from the same values.
"""

# %%
# Data
# ----
# Formulas of one or three symbols, each an image of 8 x 8 pixels. The digits are real ones, written
# by hand; the operators are drawn. A label is the value of a formula: "7", "12" or "2/3".

import matplotlib.pyplot as plt
import numpy as np

from sknesy import EMNeSyClassifier
from sknesy.datasets import make_handwritten_formula
from sknesy.layouts import Columns, Part
from sknesy.nets import ConvNet

X, y, symbols, value = make_handwritten_formula(1300, max_length=3, random_state=0)
X_train, X_test, y_train, y_test = X[:1000], X[1000:], y[:1000], y[1000:]
print(f"{len(X_train)} formulas, {sum(map(len, X_train))} symbols, {len(set(y_train))} values")

# %%
# Knowledge
# ---------
# ``value`` computes the value of a formula of any length. It knows 14 symbols.

print(value.states)

# %%
# Kinds of symbols
# ----------------
# Positions tell the kinds: digits stand first, third, fifth, and operators between them. Each part
# names its symbols, what they can be, and its net. A formula of one symbol has no operator.

layout = Columns(
    [
        Part("digit", symbols=slice(0, None, 2), states=value.states[:10], net=ConvNet),
        Part("operator", symbols=slice(1, None, 2), states=value.states[10:], net=ConvNet),
    ]
)

# %%
# Fit
# ---
# What is in a part has a name, as in a pipeline of scikit-learn: the net for four operators may be
# smaller than that for ten digits. A grid search would try these names.

clf = EMNeSyClassifier(value, layout=layout, max_iter=20, random_state=0)
clf.set_params(
    layout__digit__net__lr=3e-3,
    layout__operator__net__lr=3e-3,
    layout__operator__net__module__hidden=16,
)
clf.fit(X_train, y_train)

# %%
# Look
# ----
# Both nets are there by name. No image was ever labelled.

found = clf.predict_symbols(X_test)
truth = [np.array(value.states)[states] for states in symbols[1000:]]
for name, turns in [("digit", slice(0, None, 2)), ("operator", slice(1, None, 2))]:
    pairs = zip(found, truth, strict=True)
    right = np.concatenate([a[turns] == b[turns] for a, b in pairs])
    weights = sum(weight.numel() for weight in clf.net_[name].module_.parameters())
    print(f"{name + 's right':16} {right.mean():.3f}   by a net of {weights:,} weights")
is_read = np.array([(a == b).all() for a, b in zip(found, truth, strict=True)])
print(f"{'formulas read':16} {is_read.mean():.3f}")

# %%
# The picture shows new formulas, and how the two nets read them: digits in blue, operators in
# orange.

longer = [i for i in range(len(X_test)) if len(X_test[i]) == 3][:15]
fig, axes = plt.subplots(5, 3, figsize=(7.5, 7.0), layout="constrained")
for axis, i in zip(axes.flat, longer, strict=True):
    axis.imshow(np.hstack(X_test[i]), cmap="gray_r")
    axis.axis("off")
    for k, name in enumerate(found[i]):
        shown = name.translate({ord("*"): "×", ord("/"): "÷", ord("-"): "−"})
        axis.text(8 * k + 3.5, -1.2, shown, ha="center", color=["#0072B2", "#D55E00"][k % 2])
fig.suptitle("Read by two nets that saw values only")
plt.show()

# %%
# What we learnt
# --------------
# One posterior teaches both nets: what the digits are sure of tells which operator it was, and the
# other way round. Kinds cannot be mixed up any more, and each net has the size its task needs.
