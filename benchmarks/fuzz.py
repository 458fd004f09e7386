"""Random calls and random knowledge: does every call end well, and is every number right?

`calls` draws calls of the public names with strange arguments, and counts how they end: they
pass, or raise an error that is documented, or one that is not. `knowledge` holds random
knowledge of every class against an oracle of plain loops, with every engine. `limits` compiles
random knowledge under random limits and measures by how much they are exceeded. `interrupts`
sends SIGINT at a random moment of a fit. A case that fails is printed as code that does it again.
Each block of cases runs in a process of its own, with a limit on memory: a crash, a hang or a
process that is killed is a failure like any other.
"""

import contextlib
import io
import multiprocessing
import resource
import signal
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[1]
BLOCK = 250  # cases of a process
_GIB = 2**30
MEMORY = 8 * _GIB  # bytes of addresses that a process may take
SECONDS = 60  # for one case


class _HangError(BaseException):
    """Raised where a case takes too long; no code of a case catches it."""


def _raise_hang(signum, frame):
    raise _HangError(f"more than {SECONDS} s")


NAMES = ("calls", "knowledge", "limits", "interrupts")


def run(n_cases, seed=0, names=NAMES):
    """Run so many cases of each kind, and print what came of them; return how many failed."""
    n_failed = 0
    for name in names:
        print(f"## {name}: {n_cases} cases, seeds {seed} ... {seed + n_cases - 1}")
        counts: Counter = Counter()
        for start in range(seed, seed + n_cases, BLOCK):
            found, failures = _run_block(name, start, min(BLOCK, seed + n_cases - start))
            counts.update(found)
            print(f"{sum(counts.values())} of {n_cases} {name}", file=sys.stderr, flush=True)
            for number, what, code in failures:
                n_failed += 1
                print(f"\n### case {number}: {what}\n{code}", flush=True)
        kinds = sorted({kind for _, kind in counts})
        print("| what | " + " | ".join(kinds) + " |")
        print("| --- |" + " --- |" * len(kinds))
        for what in [*sorted({what for what, _ in counts}), "all"]:
            row = [
                sum(n for (w, k), n in counts.items() if k == kind and what in (w, "all"))
                for kind in kinds
            ]
            print(f"| {what} | " + " | ".join(map(str, row)) + " |")
        print(flush=True)
    return n_failed


def _run_block(name, start, n_cases):
    """Run cases in processes of their own; one that dies has failed, and the others go on."""
    context = multiprocessing.get_context("spawn")
    counts: Counter = Counter()
    failures = []
    while n_cases:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(name, start, n_cases, theirs))
        process.start()
        theirs.close()
        begun = None
        try:
            while ours.poll(3 * SECONDS):
                kind, *news = ours.recv()
                if kind == "begin":
                    begun = news
                    continue
                start, n_cases, begun = start + 1, n_cases - 1, None
                counts[tuple(news[:2])] += 1
                if news[2] is not None:
                    failures.append((start - 1, *news[2:]))
        except EOFError:
            pass
        process.kill()
        process.join()
        if begun is not None:
            counts["crash or hang", "failed"] += 1
            failures.append((start, f"the process ended with {process.exitcode}", begun[0]))
            start, n_cases = start + 1, n_cases - 1
    return counts, failures


def _work(name, start, n_cases, pipe):
    """Run cases one after the other, and report each; in a process of its own."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    sys.path.insert(0, str(ROOT / "tests"))
    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGALRM, _raise_hang)
    case = {"calls": _call, "knowledge": _knowledge, "limits": _limits, "interrupts": _interrupt}[
        name
    ]
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for seed in range(start, start + n_cases):
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    news = case(Random(seed), lambda code: pipe.send(("begin", code)))
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            pipe.send(("end", *news))
    pipe.close()


def _call(random, begin):
    """Make one random call; what it is, how it ended, and what is wrong with that, as code."""
    from fuzzing.calls import PRELUDE, draw_call
    from fuzzing.documented import outcome

    target, code = draw_call(random)
    begin(PRELUDE + code)
    space = {}
    exec(PRELUDE, space)
    try:
        ended, error, flaw = outcome(code, space)
    except _HangError as hang:
        ended, error, flaw = "undocumented", hang, "it hangs"
    if ended != "undocumented":
        return target, ended, None, None
    text = f"{flaw}: {type(error).__name__}: {error}"
    return target, ended, text, PRELUDE + code


def _knowledge(random, begin):
    """Hold one piece of random knowledge against the oracle."""
    from fuzzing.against_oracle import draw_case, find_fault
    from fuzzing.random_knowledge import PRELUDE

    kind, code, seed = draw_case(random)
    begin(PRELUDE + code)
    try:
        fault = find_fault(code, seed)
    except (Exception, _HangError):
        fault = traceback.format_exc()
    if fault is None:
        return kind, "right", None, None
    again = f"from fuzzing.against_oracle import find_fault\nprint(find_fault(code, {seed}))"
    return kind, "wrong", fault, f"code = '''{PRELUDE + code}'''\n{again}"


def _limits(random, begin):
    """Compile random knowledge under random limits."""
    from fuzzing.limits import draw_limited, exceed

    kind, code = draw_limited(random)
    begin(code)
    try:
        ended, fault = exceed(code)
    except (Exception, _HangError):
        ended, fault = "wrong", traceback.format_exc()
    return kind, ended, fault, None if fault is None else code


def _interrupt(random, begin):
    """Send SIGINT at a random moment of a fit."""
    from fuzzing.interrupts import draw_fit, interrupt

    kind, code, share = draw_fit(random)
    begin(code)
    try:
        ended, fault = interrupt(code, share)
    except (Exception, _HangError):
        ended, fault = "wrong", traceback.format_exc()
    again = f"from fuzzing.interrupts import interrupt\nprint(interrupt(code, {share}))"
    return kind, ended, fault, None if fault is None else f"code = '''{code}'''\n{again}"
