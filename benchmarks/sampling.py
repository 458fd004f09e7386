"""Guided draws: how many of them count, for nets from untrained to trained."""

import itertools
import time

import numpy as np
import torch

from benchmarks._shared import net_proba, standardise
from benchmarks.diagrams import sudoku
from sknesy.datasets import make_visual_sudoku
from sknesy.inference import SamplingEngine
from sknesy.knowledge import ClauseKnowledge
from sknesy.nets import LeNet

__all__ = ["addition_clauses", "run"]


def addition_clauses(n_digits):
    """Make clauses of two numbers of n digits and their sum, lowest first, with Boolean carries."""
    counter = itertools.count(1)

    def variable(n_states):
        return [next(counter) for _ in range(n_states)]

    symbols, outputs, clauses = [], [], []
    carry = None
    for _ in range(n_digits):
        a, b, digit, after = variable(10), variable(10), variable(10), next(counter)
        for i, j, c in itertools.product(range(10), range(10), (0, 1)):
            if carry is None and c:
                continue
            reason = [-a[i], -b[j], *([] if carry is None else [-carry if c else carry])]
            tens, ones = divmod(i + j + c, 10)
            clauses += [[*reason, digit[ones]], [*reason, after if tens else -after]]
        symbols += [a, b]
        outputs.append(digit)
        carry = after
    return ClauseKnowledge(clauses, symbols, [*outputs, [carry]])


def train(images, digits, n_steps, seed=0):
    """Train a LeNet for some steps on true digits; return images -> log-probabilities."""
    torch.manual_seed(seed)
    net = LeNet((28, 28), 10)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    images, digits = torch.from_numpy(images), torch.from_numpy(digits)
    while n_steps > 0:
        for rows in torch.randperm(len(images))[: 64 * n_steps].split(64):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(images[rows]), digits[rows]).backward()
            optimizer.step()
            n_steps -= 1

    return lambda x: torch.from_numpy(net_proba(net, x)).log()


def run(mnist, n_draws=200, n_samples=40, seed=0):
    """Print the mean effective sample size of addition, and of an empty sudoku."""
    x_train, y_train, x_test, y_test = standardise(*mnist)
    nets = {
        name: train(x_train, y_train, n_steps, seed)
        for name, n_steps in (("untrained", 0), ("half-trained", 25), ("trained", 938))
    }
    for name, net in nets.items():
        accuracy = float((net(x_test).argmax(1).numpy() == y_test).mean())
        print(f"{name:14} digit accuracy {accuracy:.3f}")
    print(f"\nAddition, {n_samples} sums, {n_draws} draws: effective sample size / draws")
    print(f"{'':8}" + "".join(f"{name:>16}" for name in nets) + f"{'ms a draw':>14}")
    for n_digits in (1, 2, 4, 8):
        knowledge = addition_clauses(n_digits)
        engine = SamplingEngine(n_draws, draw_order="natural")
        compiled = engine.compile(knowledge)
        symbols = y_test[: n_samples * 2 * n_digits].reshape(n_samples, -1)
        evidence = observe(knowledge, symbols)
        shares, seconds = [], 0.0
        for net in nets.values():
            log_prob = net(x_test[: symbols.size]).reshape(n_samples, -1, 10)
            start = time.perf_counter()
            posterior = engine.infer(compiled, log_prob, evidence)
            seconds += time.perf_counter() - start
            shares.append(float(posterior.diagnostics["effective_sample_size"].mean()) / n_draws)
        per_draw = 1e3 * seconds / (len(nets) * n_samples * n_draws)
        row = "".join(f"{share:16.3f}" for share in shares)
        print(f"N={n_digits:<6}{row}{per_draw:14.3f}", flush=True)
    for n_epochs in (1, 6):
        net = nets["trained"] if n_epochs == 1 else train(x_train, y_train, 938 * n_epochs, seed)
        accuracy = float((net(x_test).argmax(1).numpy() == y_test).mean())
        print(f"\nEmpty 9x9 sudoku, net of {n_epochs} epochs, digit accuracy {accuracy:.3f}")
        run_sudoku(net, x_test, y_test, 50)


def run_sudoku(net, images, digits, n_draws, n_samples=5):
    """Print the evidence that each order finds in an empty 9 x 9 sudoku."""
    X, _, symbols, _ = make_visual_sudoku(
        n_samples * 2, size=9, images=images, digits=digits, random_state=0
    )
    knowledge = sudoku("." * 81)
    holds = np.array(knowledge.conclude(symbols), dtype=bool)
    X = X[holds][:n_samples]
    log_prob = net(X.reshape(-1, 28, 28)).reshape(len(X), 81, 10)
    log_prob = torch.log_softmax(log_prob[..., 1:], -1)
    evidence = torch.tensor([[[-torch.inf, 0.0]]], dtype=torch.float64).expand(len(X), 1, 2)
    print(f"{len(X)} grids, {n_draws} draws, label True; means, and log-evidence of each grid")
    print(f"{'order':14}{'log-evidence':>14}{'ESS':>8}{'ms a draw':>12}")
    for order in ("natural", "constrained", "confident", "auto"):
        engine = SamplingEngine(n_draws, draw_order=order)
        compiled = engine.compile(knowledge)
        start = time.perf_counter()
        posterior = engine.infer(compiled, log_prob, evidence)
        seconds = time.perf_counter() - start
        size = posterior.diagnostics["effective_sample_size"]
        print(
            f"{order:14}{float(posterior.log_evidence.mean()):14.1f}{float(size.mean()):8.1f}"
            f"{1e3 * seconds / (len(X) * n_draws):12.2f}   "
            + " ".join(f"{v:.1f}" for v in posterior.log_evidence.tolist()),
            flush=True,
        )


def observe(knowledge, symbols):
    """Return the log-likelihood (n, n_outputs, n_states) of the labels of worlds."""
    labels = knowledge.conclude(symbols)
    widest = max(map(len, knowledge.output_states))
    evidence = torch.full((len(symbols), knowledge.n_outputs, widest), -torch.inf)
    evidence = evidence.double()
    for i, label in enumerate(labels):
        for o, name in enumerate(label):
            evidence[i, o, knowledge.output_states[o].index(name)] = 0.0
    return evidence
