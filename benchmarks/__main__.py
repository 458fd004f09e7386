"""Command line of the benchmarks: ``python -m benchmarks [NAME ...] [--mnist PATH]``."""

import argparse
import warnings

import torch
from sklearn.exceptions import ConvergenceWarning

from benchmarks import (
    addition_peers,
    black_box,
    checkpoint,
    circuits,
    diagrams,
    engines,
    enumeration,
    formula_kinds,
    formulas,
    fuzz,
    hierarchies,
    hierarchies_fitted,
    identifiability,
    joint,
    learners,
    long_addition,
    messages,
    mnist_addition,
    paths,
    peers,
    recurring,
    sampling,
    scaling,
    shortcuts,
    soak,
    starts,
    stated_errors,
    structured,
    sudoku,
    sum_n,
    sums,
    weak,
    weak_data,
)
from sknesy.datasets import load_mnist

# Name -> what runs it, given MNIST and the arguments. The first three take a few minutes, the
# others from ten minutes to hours.
BENCHMARKS = {
    "enumeration": lambda mnist, args: enumeration.run(),
    "diagrams": lambda mnist, args: (diagrams.run_compile(), print(), diagrams.run_evaluate()),
    "addition": lambda mnist, args: mnist_addition.run(
        mnist(), args.sums, args.epochs, args.repeats, args.seed
    ),
    "ratio": lambda mnist, args: long_addition.run_ratio(mnist(), repeats=args.repeats),
    "race": lambda mnist, args: long_addition.run_race(mnist(), seed=args.seed),
    "accuracy": lambda mnist, args: long_addition.run_accuracy(mnist(), seed=args.seed),
    "records": lambda mnist, args: long_addition.run_records(
        mnist(), args.lengths or (15, 100, 500), args.seed
    ),
    "starts": lambda mnist, args: starts.run(mnist, args.seeds, args.quick),
    "shortcuts": lambda mnist, args: shortcuts.run(mnist(), seed=args.seed),
    "sum-n": lambda mnist, args: sum_n.run(
        mnist(), args.lengths or (4, 16, 64, 256, 1024), seed=args.seed, n_held=args.held
    ),
    "sum-n-recurring": lambda mnist, args: recurring.run(
        mnist(),
        args.lengths or (64, 256, 1024),
        seed=args.seed,
        is_loud=True,
        n_held=args.held,
    ),
    "engines": lambda mnist, args: engines.run(),
    "sampling": lambda mnist, args: sampling.run(mnist(), seed=args.seed),
    "scaling": lambda mnist, args: scaling.run(),
    "black-box": lambda mnist, args: black_box.run(mnist(), seed=args.seed),
    "sudoku": lambda mnist, args: sudoku.run(
        mnist(), weak_data.find_folder(args.data), seed=args.seed
    ),
    "messages": lambda mnist, args: messages.run(seed=args.seed),
    "stated-errors": lambda mnist, args: stated_errors.run(seed=args.seed),
    "paths": lambda mnist, args: paths.run(seeds=range(args.seed, args.seed + 3)),
    "formula-kinds": lambda mnist, args: formula_kinds.run(
        weak_data.find_folder(args.data), seeds=range(args.seed, args.seed + args.repeats)
    ),
    "formulas": lambda mnist, args: formulas.run(
        mnist, args.data and f"{args.data}/handwritten_formulas.npz", seed=args.seed
    ),
    "circuits": lambda mnist, args: circuits.run(
        args.data, range(args.seed, args.seed + args.repeats)
    ),
    "fuzz": lambda mnist, args: fuzz.run(args.cases, args.seed, args.fuzz),
    "grids": lambda mnist, args: structured.run_grids(weak_data.find_folder(args.data)),
    "soak": lambda mnist, args: soak.run(seed=args.seed),
    "sums": lambda mnist, args: sums.run(seed=args.seed),
    "sushi": lambda mnist, args: structured.run_sushi(weak_data.find_folder(args.data)),
    "hierarchies": lambda mnist, args: hierarchies.run(weak_data.find_folder(args.data)),
    "hierarchies-fitted": lambda mnist, args: hierarchies_fitted.run(
        weak_data.find_folder(args.data)
    ),
    "addition-peers": lambda mnist, args: addition_peers.run(mnist(), seed=args.seed),
    "peers": lambda mnist, args: peers.run(weak_data.find_folder(args.data), args.seeds),
    "identifiability": lambda mnist, args: identifiability.run(),
    "joint": lambda mnist, args: joint.run(repeats=args.repeats),
    "learners": lambda mnist, args: learners.run(min(args.seeds, 10), args.quick),
    "checkpoint": lambda mnist, args: checkpoint.run(seed=args.seed),
    "weak": lambda mnist, args: weak.run(mnist, args.data, args.tables, args.seed),
}


def main():
    """Print one table for each benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        default=["enumeration", "diagrams", "addition"],
        help=f"what to run: {', '.join(BENCHMARKS)} (default: the first three)",
    )
    parser.add_argument("--mnist", help="an .npz of MNIST; default: SKNESY_MNIST, else OpenML")
    parser.add_argument("--sums", type=int, default=30_000, help="training sums of `addition`")
    parser.add_argument("--epochs", type=int, default=1, help="epochs of `addition`")
    parser.add_argument(
        "--lengths",
        type=int,
        nargs="+",
        help="digits of a sum in `records`, `sum-n`, `sum-n-recurring`",
    )
    parser.add_argument(
        "--held", type=int, default=0, help="training images that `sum-n*` tests on, in their place"
    )
    parser.add_argument("--repeats", type=int, default=3, help="rounds of what is timed")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first round")
    parser.add_argument("--seeds", type=int, default=16, help="seeds of `starts`, `learners`")
    parser.add_argument("--quick", action="store_true", help="`starts`, `learners`: few seeds")
    parser.add_argument("--cases", type=int, default=10_000, help="cases of each kind of `fuzz`")
    parser.add_argument(
        "--fuzz", nargs="+", choices=fuzz.NAMES, default=fuzz.NAMES, help="kinds of `fuzz`"
    )
    parser.add_argument(
        "--data",
        help="folder of `weak`, `grids`, `sushi`, `hierarchies*`, `circuits`, `formulas`; default "
        "(not of the last two): SKNESY_WEAK_DATA",
    )
    parser.add_argument(
        "--tables", nargs="+", choices=weak.TABLES, help="tables of `weak`; default: all"
    )
    args = parser.parse_args()
    for name in args.names:
        if name not in BENCHMARKS:
            parser.error(f"no benchmark is called {name!r}; there are {', '.join(BENCHMARKS)}")

    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)  # a fixed number of epochs is measured
    loaded = []

    def mnist():
        if not loaded:
            loaded.append(load_mnist(args.mnist))
        return loaded[0]

    for i, name in enumerate(args.names):
        if i:
            print()
        BENCHMARKS[name](mnist, args)


if __name__ == "__main__":
    main()
