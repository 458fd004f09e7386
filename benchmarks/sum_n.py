"""Sums of n digits, each given by one number only: how well the digits are learned."""

import time

import numpy as np
from skorch.callbacks import LRScheduler
from torch.optim.lr_scheduler import OneCycleLR

from benchmarks._shared import all_epochs, make_net, standardise
from sknesy import EMNeSyClassifier
from sknesy.inference import DiagramEngine
from sknesy.knowledge import SymbolSum
from sknesy.nets import LeNet

__all__ = ["run"]


def draw(images, digits, n_samples, n, rng):
    """Draw samples of n images each; all images are used before any is used again."""
    needed = n_samples * n
    order = np.concatenate([rng.permutation(len(images)) for _ in range(-(-needed // len(images)))])
    order = order[:needed].reshape(n_samples, n)
    return images[order], digits[order]


def run(mnist, lengths=(4, 16, 64), n_samples=5_000, n_epochs=None, seed=0, n_permutations=20):
    """Print accuracies for each length; the test sums are of permutations of the test images."""
    x_train, y_train, x_test, y_test = standardise(*mnist)
    print(f"sum-n: only the total of n digits is known, {n_samples:,} samples, LeNet")
    print(f"{'':8}{'epochs':>7}{'digits':>9}{'sums':>8}{'fit s':>9}")
    for n in lengths:
        rng = np.random.default_rng(seed)
        X, digits = draw(x_train, y_train, n_samples, n, rng)
        epochs = n_epochs or {4: 30, 16: 12, 64: 5, 256: 3}.get(n, 5)
        batch_size = max(1, 64 // n)
        steps = -(-n_samples // batch_size) * epochs
        schedule = LRScheduler(OneCycleLR, step_every="batch", max_lr=2e-3, total_steps=steps)
        options = {"optimizer__weight_decay": 0.1, "batch_size": batch_size}
        clf = EMNeSyClassifier(
            SymbolSum(n, range(10)),
            net=make_net(LeNet, callbacks=[schedule], **options),
            inference=DiagramEngine(),
            random_state=seed,
            **all_epochs(epochs),
        )
        start = time.perf_counter()
        clf.fit(X, digits.sum(1))
        seconds = time.perf_counter() - start
        found = clf.predict_net_proba(x_test, parts=True).argmax(1)
        right = []
        for _ in range(n_permutations):
            order = rng.permutation(len(y_test))[: len(y_test) // n * n].reshape(-1, n)
            right.append(np.mean(found[order].sum(1) == y_test[order].sum(1)))
        print(
            f"n={n:<6}{epochs:7}{np.mean(found == y_test):9.4f}{np.mean(right):8.3f}{seconds:9.0f}",
            flush=True,
        )
