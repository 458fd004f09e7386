"""The EM loop: bounds rise, convergence, schedules."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from weights import seeded

from sknesy._progress import Progress
from sknesy.e_step import StepSize, Temperature
from sknesy.em import Convergence, Run, choose_start, run_em
from sknesy.exceptions import DivergenceError
from sknesy.inference import EnumerationEngine
from sknesy.knowledge import FunctionKnowledge
from sknesy.likelihoods import ExactLikelihood
from sknesy.nets import SymbolNet

KNOWLEDGE = FunctionKnowledge(lambda a, b: a + b, [range(4)] * 2)


class CountingNet(SymbolNet):
    """A net over discrete features with an exact M-step: p(state | feature) is a table.

    Its M-step is the weighted share of responsibilities, as in a textbook mixture model.
    """

    def __init__(self, n_features, n_states, seed):
        generator = seeded(seed)
        logits = torch.randn(n_features, n_states, generator=generator, dtype=torch.float64)
        self.table = logits.softmax(-1)

    def log_prob(self, X):
        return self.table[X].log()

    def state_dict(self):
        return {"table": self.table}

    def load_state_dict(self, state):
        self.table = state["table"]

    @contextmanager
    def training(self, X, weight, y, *, is_trial=False):
        self.X, self.weight = X, weight
        yield self

    def m_step(self, responsibilities):
        index = torch.arange(len(self.X))
        q = responsibilities(self.log_prob(self.X), index, True)
        counts = torch.zeros_like(self.table)
        counts.index_add_(0, self.X.flatten(), (self.weight[:, None, None] * q).flatten(0, 1))
        self.table = counts / counts.sum(-1, keepdim=True)
        return False


def draw(rng, n=200):
    """Pairs of discrete features, and a symbol for each, by a random table."""
    truth = rng.dirichlet(np.full(4, 0.3), size=6)
    X = rng.integers(6, size=(n, 2))
    return X, np.array([[rng.choice(4, p=truth[x]) for x in row] for row in X])


def run(
    seed, schedule="epoch", max_iter=60, tol=0.0, m_steps=1, n=200, weighted=False, temperature=1.0
):
    rng = np.random.default_rng(seed)
    X, symbols = draw(rng, n)
    engine, likelihood = EnumerationEngine(), ExactLikelihood()
    compiled = engine.compile(KNOWLEDGE)
    codes = likelihood.encode(symbols.sum(1).tolist(), compiled.output_states)
    weight = rng.uniform(0.1, 3.0, n) if weighted else np.ones(n)
    X, weight = torch.from_numpy(X), torch.from_numpy(weight)

    def e_step(log_prob, index):
        return engine.infer(compiled, log_prob, likelihood.log_likelihood(codes[index], [7]))

    net = CountingNet(6, 4, seed)
    convergence = Convergence(tol, n_iter_no_change=3)
    with net.training(X, weight, None), Progress(n, max_iter, max_iter, 0) as progress:
        run_em(
            Run(net, convergence),
            X,
            e_step,
            weight,
            schedule=schedule,
            m_steps=m_steps,
            max_iter=max_iter,
            temperature=Temperature(temperature),
            step_size=StepSize(1.0),
            progress=progress,
        )
    final = e_step(net.log_prob(X), torch.arange(n)).log_evidence
    return convergence, (weight @ final / weight.sum()).item()


@pytest.mark.parametrize("schedule", ["epoch", "batch"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_bound_never_falls_under_an_exact_m_step(seed, weighted, schedule):
    convergence, final = run(seed, schedule, weighted=weighted)
    bounds = [*convergence.lower_bounds, final]
    assert np.diff(bounds).min() >= -1e-12
    assert bounds[-1] > bounds[0] + 0.05


def test_em_stops_when_the_bound_no_longer_rises():
    convergence, _ = run(0, tol=1e-3, max_iter=1_000)
    assert convergence.converged
    n_iter = len(convergence.lower_bounds)
    assert n_iter < 1_000
    rises = np.diff(convergence.lower_bounds)
    assert (rises[-3:] <= 1e-3).all()
    assert not (np.convolve(rises[:-1] <= 1e-3, np.ones(3), "valid") == 3).any()


def test_reaching_max_iter_is_not_convergence():
    convergence, _ = run(0, max_iter=3)
    assert len(convergence.lower_bounds) == 3
    assert not convergence.converged


def test_a_net_that_asks_to_stop_ends_em():
    convergence = Convergence(tol=0.0, n_iter_no_change=3)
    convergence.record(-1.0, asked_to_stop=True)
    assert convergence.converged


def test_a_bound_that_stays_equal_converges_with_tol_zero():
    convergence = Convergence(tol=0.0, n_iter_no_change=2)
    for _ in range(3):
        convergence.record(-1.0, asked_to_stop=False)
    assert convergence.converged


@pytest.mark.parametrize("temperature", [2.0, [8.0, 4.0, 2.0], lambda n_iter: max(1.0, 9 - n_iter)])
def test_bound_rises_once_the_temperature_has_settled(temperature):
    convergence, final = run(0, tol=1e-3, max_iter=1_000, temperature=temperature)
    assert convergence.converged
    bounds = convergence.lower_bounds if temperature == 2.0 else [*convergence.lower_bounds, final]
    assert len(bounds) > 10
    if temperature != 2.0:  # a constant temperature other than 1 raises another bound
        assert np.diff(bounds[10:]).min() >= -1e-12


def test_a_moving_temperature_does_not_count_as_convergence():
    convergence = Convergence(tol=0.0, n_iter_no_change=2)
    for _ in range(5):
        convergence.record(-1.0, asked_to_stop=False, is_moving=True)
    assert not convergence.converged


def test_high_temperature_starts_from_the_uniform_posterior():
    """At T = 1e9 the net has no say: the first bound is that of uniform symbols."""
    convergence, _ = run(0, max_iter=1, temperature=[1e9])
    _, symbols = draw(np.random.default_rng(0))
    n_worlds = np.array([1, 2, 3, 4, 3, 2, 1])  # of each sum of two states 0 ... 3
    expected = np.log(n_worlds[symbols.sum(1)] / 16).mean()
    assert convergence.lower_bounds[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "temperature", [0.0, [2.0, -1.0], [float("nan")], lambda n_iter: float("inf")]
)
def test_temperatures_must_be_positive(temperature):
    with pytest.raises(ValueError, match="temperature must be a positive number"):
        Temperature(temperature)


def test_the_start_with_the_highest_bound_is_chosen_and_a_diverged_one_passed_over():
    bounds = {"a": -3.0, "b": None, "c": -1.0, "d": -2.0}
    runs = {name: Run(name, Convergence(0.0, 3)) for name in bounds}

    def run_short(start):
        start.convergence.record(0.0, asked_to_stop=False)
        if bounds[start.net] is None:
            raise DivergenceError("loss is NaN")
        start.convergence.record(bounds[start.net], asked_to_stop=False)

    assert choose_start(list(runs.values()), run_short).net == "c"
    with pytest.raises(DivergenceError):
        choose_start([runs["b"]], run_short)
