"""
Counts of what is in a bag teach to read each item
==================================================

A precinct publishes how many voted for whom, a shop how many of each product were in a parcel.
Nobody says which is which. Here a bag holds images of digits, and its label counts them: two
zeros, no one, three twos, and so on.
"""

# %%
# Data
# ----
# A bag of nine images has ten counts, a column for each digit. All bags together hold 900 images.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from sknesy import EMNeSyClassifier
from sknesy.knowledge import ClassCounts

images, digits = load_digits(return_X_y=True)
images = images / 16
order = np.random.default_rng(0).permutation(len(images))
train, test = order[:900], order[900:]


def make_bags(size):
    """Return images (n_bags, size, 64) and how many of each digit (n_bags, 10)."""
    bags = train.reshape(-1, size)
    return images[bags], (digits[bags][:, None] == np.arange(10)[:, None]).sum(axis=2)


X, y = make_bags(9)
print(f"{len(X)} bags of {X.shape[1]} images; the first is labelled {y[0]}")

# %%
# Knowledge
# ---------
# ``ClassCounts`` concludes the counts from the digits. There are a billion ways to name the nine
# digits of a bag. The engine that "auto" takes needs one pass over the counts still to come.

knowledge = ClassCounts(range(10))

# %%
# Fit
# ---
# All fits see the same 900 images; only the bags grow. For comparison, logistic regression gives
# each image the proportions of its bag as a soft label.

sizes, exact, averaged = [1, 3, 9], [], []
for size in sizes:
    X, y = make_bags(size)
    clf = EMNeSyClassifier(
        knowledge, learning_rate=5e-3, max_iter=12, batch_size=max(6, 64 // size), random_state=0
    )
    clf.fit(X, y)
    found = clf.predict_net_proba(images[test], parts=True).argmax(axis=1)
    exact.append(np.mean(found == digits[test]))

    share = (y / size).repeat(size, axis=0)  # (images, digits)
    image, digit = share.nonzero()
    soft = LogisticRegression(max_iter=60).fit(images[train[image]], digit, share[image, digit])
    averaged.append(soft.score(images[test], digits[test]))

# %%
# Look
# ----
# This is the accuracy on single images that belong to no bag.

for row in zip(sizes, exact, averaged, strict=True):
    print("bags of {:2}: counts {:.3f}, proportions as soft labels {:.3f}".format(*row))

fig, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
axis.plot(sizes, exact, "o-", color="#08519c")
axis.plot(sizes, averaged, "s--", color="0.55")
axis.annotate("exact counts", (3, exact[1]), (0, 8), textcoords="offset points", color="#08519c")
axis.annotate("soft labels", (3, averaged[1]), (6, 6), textcoords="offset points", color="0.4")
axis.set(xticks=sizes, xlabel="images in a bag", ylabel="accuracy on single images")
axis.set_title("900 images throughout; a bag of one is an ordinary label", fontsize="medium")
axis.grid(alpha=0.3)
plt.show()

# %%
# What we learnt
# --------------
# Counts of small bags are worth nearly as much as labels of each image. They are worth less where
# bags grow, as every bag then looks like the average bag. Costs grow with the product of counts.
