"""The EM loop: bounds rise, noise is learned, convergence, schedules, callbacks."""

import math
import pickle

import numpy as np
import pytest
import torch
from counting import CountingNet
from flips import FlipLikelihood

from sknesy.em import (
    Callbacks,
    Convergence,
    EMCallback,
    EStep,
    MaxTime,
    Run,
    StopTraining,
    choose_starts,
    run_em,
    train_in_turn,
    weigh_starts,
)
from sknesy.exceptions import DivergenceError
from sknesy.inference import EnumerationEngine
from sknesy.knowledge import FunctionKnowledge
from sknesy.likelihoods import ExactLikelihood, read_entries
from sknesy.nets import Grid
from sknesy.transforms import Annealing, Temperature

KNOWLEDGE = FunctionKnowledge(lambda a, b: a + b, [range(4)] * 2)


class Reader:
    def read(self, y):
        return read_entries(y, np.ndarray.tolist)


def make_data(seed, n=200, flipped=0.0):
    """Make pairs of features, and sums of symbols that depend on them, some replaced."""
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet(np.full(4, 0.3), size=6)
    X = rng.integers(6, size=(n, 2))
    y = np.array([[rng.choice(4, p=truth[x]) for x in row] for row in X]).sum(1)
    is_flipped = rng.random(n) < flipped
    y[is_flipped] = (y[is_flipped] + rng.integers(1, 7, is_flipped.sum())) % 7
    return X, y, rng.uniform(0.1, 3.0, n)


def run(
    seed,
    schedule="epoch",
    max_iter=60,
    tol=0.0,
    n=200,
    weighted=False,
    transforms=(),
    likelihood=None,
    flipped=0.0,
    callbacks=(),
):
    """Run EM on made-up pairs; return the run, and the bound after its last M-step."""
    X, y, weights = make_data(seed, n, flipped)
    engine, likelihood = EnumerationEngine(), likelihood or ExactLikelihood()
    compiled = engine.compile(KNOWLEDGE)
    observed = likelihood.read(y, Reader()).bind(compiled.output_states)
    weight = torch.from_numpy(weights if weighted else np.ones(n))
    samples = Grid(torch.from_numpy(X))
    e_step = EStep(engine, compiled, likelihood, observed, weight, tuple(transforms))
    start = Run(
        CountingNet(6, 4, seed),
        Convergence(tol, n_iter_no_change=3),
        noise=likelihood.start(observed, seed),
        memories=[t.start(n, [4, 4]) for t in transforms],
    )
    with start.net.training(samples, weight, None):
        run_em(
            start,
            samples,
            e_step,
            schedule=schedule,
            m_steps=1,
            max_iter=max_iter,
            callbacks=Callbacks(callbacks),
        )
    log_likelihood = likelihood.log_likelihood(observed, torch.arange(n), start.noise)
    final = engine.infer(compiled, start.net.log_prob(samples), log_likelihood).log_evidence
    return start, (weight @ final / weight.sum()).item()


@pytest.mark.parametrize("schedule", ["epoch", "batch"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_bound_never_falls_under_an_exact_m_step(seed, weighted, schedule):
    start, final = run(seed, schedule, weighted=weighted)
    bounds = [*start.convergence.lower_bounds, final]
    assert np.diff(bounds).min() >= -1e-12
    assert bounds[-1] > bounds[0] + 0.05


@pytest.mark.parametrize("schedule", ["epoch", "batch"])
@pytest.mark.parametrize("seed", range(3))
def test_bound_never_falls_while_noise_is_learned_with_the_net(seed, schedule):
    start, final = run(seed, schedule, likelihood=FlipLikelihood(0.4), weighted=True, flipped=0.2)
    assert np.diff([*start.convergence.lower_bounds, final]).min() >= -1e-12
    assert start.noise["rate"] != 0.4


def test_noise_of_one_iteration_is_the_expected_share_of_flips():
    start, _ = run(0, likelihood=FlipLikelihood(0.4), max_iter=1, flipped=0.2)
    X, y, _ = make_data(0, flipped=0.2)
    p = CountingNet(6, 4, 0).log_prob(Grid(torch.from_numpy(X))).exp().numpy()
    expected = 0.0
    for i in range(200):
        joint = np.outer(p[i, 0], p[i, 1])
        of_sum = np.array([joint[np.add.outer(range(4), range(4)) == s].sum() for s in range(7)])
        posterior = of_sum * np.where(np.arange(7) == y[i], 0.6, 0.4 / 6)
        expected += 1 - posterior[y[i]] / posterior.sum()
    np.testing.assert_allclose(start.noise["rate"], expected / 200, rtol=1e-10)


def test_em_stops_when_the_bound_no_longer_rises():
    convergence = run(0, tol=1e-3, max_iter=1_000)[0].convergence
    assert convergence.converged
    n_iter = len(convergence.lower_bounds)
    assert n_iter < 1_000
    rises = np.diff(convergence.lower_bounds)
    assert len(rises) > 3
    assert (rises[-3:] <= 1e-3).all()
    assert not (np.convolve(rises[:-1] <= 1e-3, np.ones(3), "valid") == 3).any()


def test_reaching_max_iter_is_not_convergence():
    start, _ = run(0, max_iter=3)
    assert start.n_iter == 3
    assert not start.convergence.converged


def test_a_net_that_asks_to_stop_ends_em():
    convergence = Convergence(tol=0.0, n_iter_no_change=3)
    convergence.record(-1.0, asked_to_stop=True)
    assert convergence.converged


def test_a_bound_that_stays_equal_converges_with_tol_zero():
    convergence = Convergence(tol=0.0, n_iter_no_change=2)
    for _ in range(3):
        convergence.record(-1.0, asked_to_stop=False)
    assert convergence.converged


@pytest.mark.parametrize(
    "temperature", [2.0, [8.0, 4.0, 2.0], lambda n_iter: max(1.0, 9 - n_iter), Annealing(3.0, 6.5)]
)
def test_bound_rises_once_the_temperature_has_settled(temperature):
    start, final = run(0, tol=1e-3, max_iter=1_000, transforms=[Temperature(temperature)])
    bounds = start.convergence.lower_bounds
    assert start.convergence.converged
    assert len(bounds) > 10
    if temperature != 2.0:  # a constant temperature other than 1 raises another bound
        assert np.diff([*bounds, final][10:]).min() >= -1e-12


def test_a_moving_temperature_does_not_count_as_convergence():
    convergence = Convergence(tol=0.0, n_iter_no_change=2)
    for _ in range(5):
        convergence.record(-1.0, asked_to_stop=False, is_moving=True)
    assert not convergence.converged


def test_high_temperature_starts_from_the_uniform_posterior():
    """At T = 1e9 the net has no say: the first bound is that of uniform symbols."""
    hot, _ = run(0, max_iter=1, transforms=[Temperature([1e9])])
    n_worlds = np.array([1, 2, 3, 4, 3, 2, 1])  # of each sum of two states 0 ... 3
    _, y, _ = make_data(0)
    assert hot.lower_bound == pytest.approx(np.log(n_worlds[y] / 16).mean(), abs=1e-6)


def test_the_start_with_the_highest_bound_is_chosen_and_a_diverged_one_passed_over():
    bounds = {"a": -3.0, "b": None, "c": -1.0, "d": -2.0}
    runs = {name: Run(name, Convergence(0.0, 3)) for name in bounds}

    def run_to(start, n_iter):
        start.convergence.record(0.0, asked_to_stop=False)
        if bounds[start.net] is None:
            raise DivergenceError("loss is NaN")
        start.convergence.record(bounds[start.net], asked_to_stop=False)
        return False

    (best,), is_stopped = choose_starts(list(runs.values()), run_to, 2)
    assert (best.net, is_stopped) == ("c", False)
    with pytest.raises(DivergenceError):
        choose_starts([Run("b", Convergence(0.0, 3))], run_to, 2)


@pytest.mark.parametrize(
    ("bounds", "stops", "best"),
    [
        ([-2.0, -1.0], 1, 0),  # cut short, and so hotter: its bound says nothing
        ([-1.0, -2.0], 0, 0),  # there is no other
        ([None, -2.0, -1.0], 1, 1),
    ],
)
def test_a_start_that_was_cut_short_is_chosen_only_where_there_is_no_other(bounds, stops, best):
    runs = [Run(i, Convergence(0.0, 3)) for i in range(len(bounds))]

    def run_to(start, n_iter):
        if bounds[start.net] is None:
            raise DivergenceError("loss is NaN")
        start.convergence.record(bounds[start.net], asked_to_stop=False)
        return "stopped" if start.net == stops else False

    assert choose_starts(runs, run_to, 5) == ([runs[best]], "stopped")


def test_a_start_that_has_converged_early_is_not_passed_over_for_a_worse_one():
    runs = [Run(i, Convergence(0.0, 3)) for i in range(2)]

    def run_to(start, n_iter):
        for _ in range(2 + 3 * start.net):
            start.convergence.record(-1.0 - start.net, asked_to_stop=False)
        return False

    assert choose_starts(runs, run_to, 5) == ([runs[0]], False)


def in_turn(bounds, max_iter=3, stop=None):
    """Train made-up starts in turn; return the order of their iterations and what comes back."""
    runs, order = [Run(i, Convergence(0.0, 9)) for i in range(len(bounds))], []

    def run_to(start, n_iter):
        while start.n_iter < n_iter:
            order.append(start.net)
            if bounds[start.net][start.n_iter] is None:
                raise DivergenceError("loss is NaN")
            bound = bounds[start.net][start.n_iter]
            start.convergence.record(bound, asked_to_stop=bound == 0)
            if len(order) == stop:
                return "stopped"
        return False

    kept, stopped_by = train_in_turn(runs, run_to, max_iter)
    return order, [start.net for start in kept], stopped_by


def test_starts_train_in_turn_and_come_back_best_first():
    assert in_turn([[-3, -2, -5], [-1, -1, -1]]) == ([0, 1, 0, 1, 0, 1], [1, 0], False)
    assert in_turn([[-3, -2, -1]]) == ([0, 0, 0], [0], False)


def test_a_start_that_has_converged_waits_for_the_others():
    assert in_turn([[0], [-3, -2, -1]]) == ([0, 1, 1, 1], [0, 1], False)


def test_a_start_that_diverges_is_left_out_unless_all_do():
    assert in_turn([[-1, None], [-3, -2, -1]]) == ([0, 1, 0, 1, 1], [1], False)
    with pytest.raises(DivergenceError):
        in_turn([[None], [-1, None]])


def test_starts_that_were_stopped_before_their_first_iteration_are_left_out():
    assert in_turn([[-1] * 3, [-2] * 3, [-3] * 3], stop=2) == ([0, 1], [0, 1], "stopped")
    assert in_turn([[-1] * 3, [-2] * 3, [-3] * 3], stop=4) == ([0, 1, 2, 0], [0, 1, 2], "stopped")


def test_weights_of_starts_are_equal_where_all_bounds_are_infinite():
    runs = [Run(i, Convergence(0.0, 9, [-math.inf])) for i in range(4)]
    assert weigh_starts(runs).exp().tolist() == [0.25] * 4
    runs[0].convergence.lower_bounds[:] = [-1.0]
    assert weigh_starts(runs).exp().tolist() == [1.0, 0.0, 0.0, 0.0]


class StopAfter(EMCallback):
    """Stops in the middle of an iteration, or at its end."""

    def __init__(self, n_iter, within):
        self.n_iter, self.within, self.seen = n_iter, within, []

    def on_batch_end(self, run, n_samples):
        self.seen.append((run.n_iter, n_samples, run.bound_so_far()))
        if self.within and run.n_iter == self.n_iter:
            raise StopTraining

    def on_iteration_end(self, run):
        if not self.within and run.n_iter == self.n_iter:
            raise StopTraining


@pytest.mark.parametrize("within", [True, False])
def test_a_callback_stops_training_and_what_was_finished_is_kept(within):
    callback = StopAfter(2, within)
    start, _ = run(0, "batch", callbacks=[callback])
    assert start.n_iter == len(start.diagnostics) == 2
    assert not start.convergence.converged
    assert start.n_seen == 200 * (3 if within else 2)
    bounds = [bound for _, _, bound in callback.seen]
    assert bounds[:2] == start.convergence.lower_bounds


def test_time_that_is_up_ends_training_but_not_before_a_first_step():
    start, _ = run(0, callbacks=[MaxTime(1e-9)], max_iter=50)
    assert start.n_iter == 1


def test_a_run_pickles_between_iterations_with_its_noise_and_random_numbers():
    start, _ = run(0, likelihood=FlipLikelihood(), max_iter=2)
    start.generator = torch.Generator().manual_seed(3)
    start.net = start.net.table
    torch.rand(5, generator=start.generator)
    again = pickle.loads(pickle.dumps(start))
    assert again.noise == start.noise
    assert again.convergence == start.convergence
    assert torch.equal(
        torch.rand(3, generator=again.generator), torch.rand(3, generator=start.generator)
    )
