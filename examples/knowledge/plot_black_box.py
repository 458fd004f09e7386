"""
Knowledge can be a black box
============================

Here knowledge is a function that is only ever called: nobody takes it apart, lists its worlds or
differentiates it. It adds two numbers of three digits, but it could be a simulator or a planner.
Worlds are drawn from the net, and judged by how far their label is from the one observed.
"""

# %%
# Data
# ----
# Each row of ``X`` is six images of digits, and ``y`` is the sum of the two numbers they write.

import matplotlib.pyplot as plt
import numpy as np

from sknesy import EMNeSyClassifier
from sknesy.datasets import make_digit_sum
from sknesy.inference import SamplingEngine
from sknesy.knowledge import FunctionKnowledge
from sknesy.metrics import symbol_accuracy

X, y, digits, _ = make_digit_sum(n_digits=3, random_state=0)
print(f"{len(X)} sums, such as {y[:4].tolist()}; a million worlds each")

# %%
# Knowledge
# ---------
# With ``batched=True`` the function gets many worlds at once, a row of six digits for each.


def add(worlds):
    return worlds @ np.array([100, 10, 1, 100, 10, 1])


knowledge = FunctionKnowledge(add, states=range(10), n_symbols=6, batched=True)

# %%
# Fit
# ---
# Of 200 worlds drawn from an untrained net hardly one has the right sum. So a world whose sum is
# off by d counts ``exp(-d / tolerance)``, with the smallest tolerance that leaves a tenth of the
# draws to count. Where the sum is nearly right, the leading digits are: enough to begin with.

engine = SamplingEngine(n_draws=200, distance="absolute")
clf = EMNeSyClassifier(
    knowledge, inference=engine, max_iter=20, batch_size=8, random_state=0, decision="world"
)
clf.fit(X, y)
print(f"digits right  {symbol_accuracy(digits, clf.predict_symbols(X)):.3f}")

# %%
# Look
# ----
# As the net learns, more of its draws come near, and less must be tolerated. In the end most draws
# have exactly the right sum, and nothing is approximated but by their number.

tolerance = [told["tolerance"] for told in clf.diagnostics_]
size = [told["effective_sample_size"] for told in clf.diagnostics_]
iteration = np.arange(1, clf.n_iter_ + 1)

fig, (above, below) = plt.subplots(2, sharex=True, figsize=(7, 5), layout="constrained")
above.plot(iteration, tolerance, color="#08519c")
above.set(ylabel="mean tolerance", ylim=(0, None), title="How far a sum may be off")
below.plot(iteration, size, color="#a63603")
below.axhline(200, color="grey", linewidth=0.8, linestyle="--")
below.text(1, 195, "all draws", va="top", color="grey")
below.set(
    xlabel="iteration", ylabel="effective sample size", ylim=(0, 210), title="How many draws count"
)
plt.show()

# %%
# What we learnt
# --------------
# A function that can only be called is enough, if it is known how far two labels are apart.
# ``diagnostics_`` says how far the answers can be trusted: the tolerance, the effective sample
# size, and the share of samples for which no draw agreed.
