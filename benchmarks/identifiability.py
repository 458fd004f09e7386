"""Whether labels tell the symbols: answers of `check_identifiability`, and what they take.

Each row is a question: knowledge, worlds or labels that occur, and which symbols share a map.
Seconds are those of the processor, and those on the wall, of one call with the default limit of ten
seconds.
"""

import time
from functools import partial

from benchmarks.shortcuts import TASKS
from sknesy.datasets import make_visual_sudoku
from sknesy.inspection import check_identifiability
from sknesy.knowledge import (
    Count,
    DigitAddition,
    FunctionKnowledge,
    Parity,
    SymbolSum,
)

__all__ = ["run"]


def _last_digit(a, b):
    return (a + b) % 10


def _is_even(a, b):
    return (a + b) % 2 == 0


def _add(*digits):
    return sum(digits)


def _is_kandinsky(*figure):
    """Shapes all alike or all different, and two objects of one colour."""
    return len(set(figure[:3])) != 2 and len(set(figure[3:])) == 2


def _questions():
    """Yield a name, knowledge and the arguments of each question."""
    both = [("one map", {}), ("by symbol", {"shared": False})]
    for n in (1, 2, 3, 4, 30, 100):
        for how, options in both if n < 100 else both[:1]:
            yield f"sum of {n} digits, {how}", SymbolSum(n), options
    for n in (2, 10, 50):
        for how, options in both if n < 50 else both[:1]:
            yield f"sum of two numbers of {n} digits, {how}", DigitAddition(n), options
    for name, knowledge in [
        ("parity of 2 bits", Parity(2)),
        ("parity of 3 bits", Parity(3)),
        ("last digit of a sum", FunctionKnowledge(_last_digit, states=range(10), n_symbols=2)),
        ("parity of a sum", FunctionKnowledge(_is_even, states=range(10), n_symbols=2)),
        ("count of 20", Count().unroll(20)),
    ]:
        for how, options in both:
            yield f"{name}, {how}", knowledge, options
    for task in TASKS:
        knowledge = SymbolSum(2, states=range(task.n_digits))
        for how, options in both:
            asked = {**options, "worlds": task.seen, "max_maps": 2000}
            yield f"MNIST-{task.name}, {how}", knowledge, asked
    figures = FunctionKnowledge(_is_kandinsky, [range(3)] * 6)
    kinds = {"shared": [[0, 1, 2], [3, 4, 5]]}
    yield "Kandinsky, by kind", figures, kinds
    yield "Kandinsky, by kind, true ones alone", figures, {**kinds, "labels": [True]}
    for size in (4, 9):
        sudoku = make_visual_sudoku(2, size=size, random_state=0)[3]
        yield f"{size}x{size} sudoku, one map", sudoku, {}
        yield f"{size}x{size} sudoku, one map, valid ones alone", sudoku, {"labels": [True]}
        if size == 4:
            yield "4x4 sudoku, by symbol", sudoku, {"shared": False}
            yield (
                "4x4 sudoku, by symbol, valid ones alone",
                sudoku,
                {
                    "shared": False,
                    "labels": [True],
                },
            )
    black_box = partial(FunctionKnowledge, states=range(10), n_symbols=20)
    yield "sum of 20 digits by a black box", black_box(_add), {}
    yield "largest of 20 digits by a black box", black_box(max), {}


def run():
    """Print a line for each question."""
    print(
        f"{'question':50}{'answer':>10}{'maps':>7}{'perm.':>7}{'all':>5}{'known':>7}{'CPU':>8}{'wall':>8}"
    )
    for name, knowledge, options in _questions():
        cpu, wall = time.process_time(), time.perf_counter()
        found = check_identifiability(knowledge, **options)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        known = "-" if found.known_states is None else len(found.known_states)
        print(
            f"{name:50}{found.is_identified!s:>10}{len(found.maps):7}{len(found.symmetries):7}"
            f"{'yes' if found.is_complete else 'no':>5}{known:>7}{cpu:8.2f}{wall:8.2f}",
            flush=True,
        )
