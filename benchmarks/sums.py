"""E-steps of sums of many digits: by frequencies, and by a decision diagram where one compiles."""

import statistics
import time
from functools import partial

import torch

from sknesy.exceptions import SknesyError
from sknesy.inference import DiagramEngine, SumEngine
from sknesy.knowledge import SymbolSum
from sknesy.likelihoods import observe

__all__ = ["run"]

SIZES = {16: 32, 64: 16, 256: 8, 1024: 4, 4096: 2}  # symbols: samples of a mini-batch
NETS = {"untrained": (0.3, 0.0), "confident": (1.5, 8.0)}  # noise of logits, lead of true digits
ENGINES = {"sum": SumEngine(), "diagram": DiagramEngine(time_limit=60.0)}
LARGEST_DIAGRAM = 256  # with more symbols, a machine has more than a million states


def imagine(n_symbols, n_samples, noise, lead, seed=0):
    """Make log-probabilities of a net, and the sums of the true digits."""
    generator = torch.Generator().manual_seed(seed)
    digits = torch.randint(10, (n_samples, n_symbols), generator=generator)
    logits = noise * torch.randn((*digits.shape, 10), generator=generator, dtype=torch.float64)
    logits += lead * torch.nn.functional.one_hot(digits, 10)
    return logits.log_softmax(-1), digits.sum(1).tolist()


def seconds(call):
    """Return CPU seconds of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def compile_all(n_symbols):
    """Return what each engine compiled, with CPU seconds; None where it does not reach."""
    compiled = {}
    for name, engine in ENGINES.items():
        start = time.process_time()
        try:
            if name == "diagram" and n_symbols > LARGEST_DIAGRAM:
                continue
            form = engine.compile(SymbolSum(n_symbols))
        except SknesyError:
            continue
        compiled[name] = form, time.process_time() - start
    return compiled


def calls_of(compiled, log_prob, totals):
    """Return what is timed, by name."""
    form, _ = compiled["sum"]
    known = observe(totals, form.output_states)
    engine = ENGINES["sum"]
    calls = {
        "E-step": partial(engine.infer, form, log_prob, known),
        "no label": partial(engine.infer, form, log_prob, torch.zeros_like(known)),
        "mode": partial(engine.mode, form, log_prob, known),
        "10 draws": partial(engine.sample, form, log_prob, known, 10),
    }
    if "diagram" in compiled:
        calls["diagram"] = partial(
            ENGINES["diagram"].infer, compiled["diagram"][0], log_prob, known
        )
    return calls


def run(rounds=9, seed=0):
    """Print CPU milliseconds a sample; what is timed takes turns, and medians of rounds count."""
    head = "digits, batch, net, compile s, E-step ms, no label, mode, 10 draws, diagram: compile s"
    print("|", (head + ", E-step ms, ratio").replace(",", " |"), "|")
    print("| --- " * 11 + "|")
    for n_symbols, n_samples in SIZES.items():
        compiled = compile_all(n_symbols)
        for net, (noise, lead) in NETS.items():
            calls = calls_of(compiled, *imagine(n_symbols, n_samples, noise, lead, seed))
            times = [{name: seconds(call) for name, call in calls.items()} for _ in range(rounds)]
            found = {
                name: 1e3 * statistics.median(row[name] for row in times) / n_samples
                for name in calls
            }
            row = [n_symbols, n_samples, net, f"{compiled['sum'][1]:.2f}"]
            row += [f"{found[name]:.3g}" for name in ("E-step", "no label", "mode", "10 draws")]
            row += ["-", "-", "-"]
            if "diagram" in found:
                ratio = found["diagram"] / found["E-step"]
                row[-3:] = [
                    f"{compiled['diagram'][1]:.2f}",
                    f"{found['diagram']:.3g}",
                    f"{ratio:.2g}",
                ]
            print("|", " | ".join(map(str, row)), "|", flush=True)
