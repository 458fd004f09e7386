"""The main job on real data: ``python -m sknesy`` learns digits from sums of pairs.

The data are the handwritten digits of `sklearn.datasets.load_digits`. Of each pair of images only
the sum is known; the digits themselves are looked at for the evaluation alone.
"""

import argparse
import sys
import time

import numpy as np
import numpy.typing as npt
import torch

from sknesy import EMNeSyClassifier
from sknesy.datasets import make_digit_sum
from sknesy.metrics import symbol_accuracy

_SHADES = " .:-=+*#%@"


def main() -> None:
    """Learn handwritten digits from nothing but sums of pairs, and show what was learned."""
    parser = argparse.ArgumentParser(prog="python -m sknesy", description=main.__doc__)
    parser.add_argument("--samples", type=int, default=700, help="sums to learn from (up to 897)")
    parser.add_argument("--seed", type=int, default=0, help="seed of data and net")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    args = parser.parse_args()

    torch.set_num_threads(1)  # the images are so small that more threads only wait for each other
    X, y, digits, addition = make_digit_sum(random_state=args.seed)
    n = args.samples
    if not 1 <= n < len(X):
        parser.error(f"--samples must be in 1 ... {len(X) - 1}, got {n}: the rest is for the test")
    print(f"{n} pairs of handwritten digits. Of each pair only the sum is known, like here:\n")
    print(_draw(X[0]), f"   sum {y[0]}\n")

    clf = EMNeSyClassifier(
        addition, max_iter=200, tol=1e-3, random_state=args.seed, verbose=not args.quiet
    )
    start = time.perf_counter()
    clf.fit(X[:n], y[:n])
    seconds = time.perf_counter() - start
    sys.stderr.flush()

    bounds = clf.lower_bounds_
    print(f"\nLearned in {seconds:.1f} s. Log-evidence of a sum, in nats, by iteration:")
    for i in sorted({0, 1, 2, 4, 9, clf.n_iter_ - 1} & set(range(clf.n_iter_))):
        print(f"  {i + 1:4d}  {bounds[i]:8.4f}")

    found = clf.predict_symbols(X[n:])
    print(f"\nOn {len(X) - n} other pairs:")
    print(f"  sums right    {clf.score(X[n:], y[n:]):.3f}")
    print(f"  digits right  {symbol_accuracy(digits[n:], found):.3f}   (never seen in training)")

    hardest = int(np.argmin(clf.predict_proba(X[n:]).max(axis=1))) + n
    alone = clf.predict_symbols_proba(X[[hardest]])[0]
    given = clf.posterior(X[[hardest]], y[[hardest]])
    print("\nThe pair it is least sure of:\n")
    print(_draw(X[hardest]), f"   sum {y[hardest]}\n")
    print(f"  from the images alone:   {_believe(alone)}")
    print(f"  knowing the sum as well: {_believe(given.symbol_marginals[0])}")


def _draw(images: npt.NDArray[np.float64]) -> str:
    """Draw images side by side in characters."""
    shade = (images * (len(_SHADES) - 1)).round().astype(int)
    rows = ["".join(_SHADES[v] * 2 for v in row) for row in np.concatenate(shade, axis=1)]
    return "\n".join("  " + row for row in rows)


def _believe(marginals: npt.NDArray[np.float64]) -> str:
    """Return the likely states of each symbol, in words."""
    texts = []
    for p in marginals:
        likely = [v for v in np.argsort(-p) if p[v] >= 0.05][:3]
        texts.append(" or ".join(f"{v} ({p[v]:.2f})" for v in likely))
    return " and ".join(texts)


if __name__ == "__main__":
    main()
