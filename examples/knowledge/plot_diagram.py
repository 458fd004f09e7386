"""
What counts is how much must be remembered
==========================================

Exact inference looks hopeless where there are many worlds: two numbers of 15 digits have 10^30. It
is not. A decision diagram shows why, and where the label comes in.
"""

# %%
# A sum
# -----
# Three dice with three sides have 27 worlds. Who adds them up must remember no more than the sum so
# far. So the diagram has one node for each sum so far, and a world is a path from start to end.

import matplotlib.pyplot as plt

from sknesy.inference import DiagramEngine
from sknesy.knowledge import DigitAddition, SymbolSum
from sknesy.plotting import plot_diagram

dice = SymbolSum(3, states=[1, 2, 3])
compiled_dice = DiagramEngine().compile(dice)
print(f"{compiled_dice.form.count()} worlds in {compiled_dice.form.n_edges} edges")

# %%
# An addition
# -----------
# Adding numbers digit by digit, we remember only the carry from one column to the next. Each digit
# of the sum is written down, and forgotten, as soon as its column is done.

addition = DigitAddition(3, base=2)
compiled_addition = DiagramEngine().compile(addition)

# %%
# Therefore the diagram grows by the same piece for each further digit, while the worlds multiply.

for n_digits in (3, 6, 12, 24):
    diagram = DiagramEngine().compile(DigitAddition(n_digits, base=2)).form
    print(f"{n_digits:2} digits: {diagram.count():21,} worlds in {diagram.n_edges:3} edges")

# %%
# Look
# ----
# Circles hold what is remembered: above the sum of the dice so far, below the carry, or the sum of
# the column so far. (Circles are empty where a digit of the sum is about to be written.) The label
# is a weight on the shaded levels. On the right the dice are known to show 5: the other edges there
# have the weight 0, and what remains flows. The wider an edge, the more probable it is.

fig = plt.figure(figsize=(9, 8), layout="constrained")
axes = fig.subplot_mosaic("AB;CC", height_ratios=[7, 5])
die_names = {"symbol_names": ["1st die", "2nd die", "3rd die"], "output_names": ["sum"]}
plot_diagram(compiled_dice, knowledge=dice, **die_names, ax=axes["A"])
plot_diagram(compiled_dice, knowledge=dice, **die_names, label=5, ax=axes["B"])
plot_diagram(
    compiled_addition,
    knowledge=addition,
    symbol_names=[f"{place}s\nof {number}" for number in "ab" for place in (4, 2, 1)],
    output_names=[f"{place}s\nof sum" for place in (8, 4, 2, 1)],
    ax=axes["C"],
)
axes["A"].set_title("the sum of three dice")
axes["B"].set_title("the same, known to be 5")
axes["C"].set_title("addition of two binary numbers, a and b, of three digits each")
plt.show()

# %%
# What we learnt
# --------------
# Exact inference costs as much as there are edges. One diagram serves every label, as labels are
# weights; a missing or a noisy label is other weights on the same edges. If your knowledge is too
# wide, ask what must be remembered, and whether another order of the symbols would need less.
