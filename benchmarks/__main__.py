"""Run the benchmarks: ``python -m benchmarks [--mnist PATH]``."""

import argparse
import warnings

import torch
from sklearn.exceptions import ConvergenceWarning

from benchmarks import enumeration, mnist_addition
from sknesy.datasets import load_mnist


def main():
    """Print one table for each benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("--mnist", help="an .npz of MNIST; default: SKNESY_MNIST, else OpenML")
    parser.add_argument("--sums", type=int, default=30_000, help="training sums")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="seed of the first round")
    parser.add_argument("--seeds", type=int, default=0, help="starts for the table of accuracies")
    args = parser.parse_args()

    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)  # one epoch is what is measured
    enumeration.run()
    print()
    mnist = load_mnist(args.mnist)
    mnist_addition.run(mnist, args.sums, args.epochs, args.repeats, args.seed)
    if args.seeds:
        print()
        mnist_addition.run_seeds(mnist, args.sums, args.seeds)


if __name__ == "__main__":
    main()
