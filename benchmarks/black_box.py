"""MNIST addition of numbers of four digits, with knowledge that is only a Python function.

The function adds; nothing is known of it but what it returns. At the start 5 draws in 100,000 have
the right sum, so draws are weighted by how far their sum is from it.
"""

import time

import numpy as np

from benchmarks._shared import all_epochs, make_net, standardise
from sknesy import EMNeSyClassifier
from sknesy.datasets import make_digit_sum
from sknesy.inference import SamplingEngine
from sknesy.knowledge import FunctionKnowledge
from sknesy.nets import LeNet

__all__ = ["run"]

_PLACE = np.tile([1000, 100, 10, 1], 2)


def add(worlds):
    """Return the sums of two numbers of four digits, for rows of digits."""
    return worlds @ _PLACE


def run(mnist, n_draws=200, n_epochs=3, seed=0):
    """Print the digit accuracy, the diagnostics of each iteration and the time."""
    x_train, y_train, x_test, y_test = standardise(*mnist)
    X, y, _, _ = make_digit_sum(n_digits=4, images=x_train, digits=y_train)
    clf = EMNeSyClassifier(
        FunctionKnowledge(add, [range(10)] * 8, batched=True),
        net=make_net(LeNet, batch_size=8),
        inference=SamplingEngine(n_draws, distance="absolute", min_ess=0.05),
        random_state=seed,
        **all_epochs(n_epochs),
    )
    start = time.perf_counter()
    clf.fit(X, y)
    seconds = time.perf_counter() - start
    found = clf.predict_net_proba(x_test, parts=True).argmax(1)
    print(f"Addition, N=4, a black box; {len(X):,} sums, {n_draws} draws of each")
    for epoch, told in enumerate(clf.diagnostics_, start=1):
        size, tolerance = told["effective_sample_size"], told["tolerance"]
        print(f"epoch {epoch}: effective sample size {size:.0f}, tolerance {tolerance:.1f}")
    print(f"digits right {np.mean(found == y_test):.4f} after {seconds:.0f} s of fit")
