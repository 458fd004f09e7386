"""
The label of a bag tells which of its instances earned it
=========================================================

A drawer of letters holds a complaint or it does not; a tissue sample holds a sick cell or it does
not. Somebody labelled the whole, nobody the parts. Here a bag is a handful of handwritten digits,
and its label says whether there is a seven among them.
"""

# %%
# Data
# ----
# Bags hold one to eight digits, so X is a list of arrays, one a bag. Labels are True or False.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sknesy
from sknesy import EMNeSyClassifier
from sknesy.knowledge import AnyOf
from sknesy.preprocessing import EachSymbol

images, digits = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(images))
sizes = np.random.default_rng(1).integers(1, 9, size=370)
bags = np.split(order, sizes.cumsum())[:370]
X, is_seven = [images[bag] for bag in bags], [digits[bag] == 7 for bag in bags]
y = np.array([bag.any() for bag in is_seven])
X_train, X_test, y_train, y_test = X[:300], X[300:], y[:300], y[300:]
print(f"{sum(map(len, X_train))} digits in 300 bags; {y_train.sum()} bags hold a seven")

# %%
# Knowledge
# ---------
# A bag is True if any of its instances is: ``AnyOf``. There is no more to say.

knowledge = AnyOf()

# %%
# Fit
# ---
# ``EachSymbol`` shows scikit-learn's scaler the instances of all bags, one a row. For comparison,
# another classifier takes the label of the bag for that of each instance.

clf = make_pipeline(
    EachSymbol(StandardScaler()),
    EMNeSyClassifier(knowledge, learning_rate=3e-3, max_iter=15, random_state=0),
)
clf.fit(X_train, y_train)

copied = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
copied.fit(np.concatenate(X_train), y_train.repeat([*map(len, X_train)]))

# %%
# Look
# ----
# The net judges single instances, without any bag.

net, X_seen = sknesy.final(clf, X_test)
instances, truth = np.concatenate(X_seen), np.concatenate(is_seven[300:])
found = net.predict_net_proba(instances, parts=True)[:, 1]
share = copied.predict_proba(np.concatenate(X_test))[:, 1]
print(f"bags right                   {clf.score(X_test, y_test):.3f}")
print(f"instances right              {np.mean((found > 0.5) == truth):.3f}")
print(f"sevens found                 {np.mean(found[truth] > 0.5):.3f}")
print(f"instances, labels copied     {np.mean((share > 0.5) == truth):.3f}")

# %%
# The picture shows test bags that hold a seven, a row each. The number above an image is the
# probability that it is the seven.

positive = [i for i in range(len(X_test)) if y_test[i] and len(X_test[i]) > 3][:4]
fig, axes = plt.subplots(4, 8, figsize=(9, 5.2), layout="constrained")
for axis in axes.flat:
    axis.axis("off")
for row, i in zip(axes, positive, strict=True):
    chances = net.predict_net_proba(X_seen[i], parts=True)[:, 1]
    for axis, image, chance in zip(row, X_test[i], chances, strict=False):
        axis.imshow(image.reshape(8, 8), cmap="gray_r")
        axis.set_title(f"{chance:.2f}", color="#D55E00" if chance > 0.5 else "0.6")
fig.suptitle("Each row is a bag that holds a seven. Above: p(seven | image)")
plt.show()

# %%
# What we learnt
# --------------
# A True bag says "one of us", a False bag says "none of us", and both are used exactly. Copied
# labels blame the bystanders. Bags must differ in what they hold: where every
# bag holds a seven, nothing can be learnt.
