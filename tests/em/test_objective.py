"""The conditional objective: evidence divided by that of what predictions assume."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from flips import FlipLikelihood
from weights import seeded

from sknesy.em import Convergence, EStep, Run
from sknesy.inference import DiagramEngine, EnumerationEngine, SamplingEngine
from sknesy.knowledge import FunctionKnowledge
from sknesy.likelihoods import ExactLikelihood, read_entries, read_known
from sknesy.nets import SymbolLoss
from sknesy.transforms import StepSize, Temperature

STATES = [range(2), range(3), range(3)]
N_SAMPLES = 6


def rate(a, b, c):
    """Some combinations cannot occur; of the labels, two are predicted."""
    return None if a == b == c else (a + b + c) % 3


KNOWLEDGE = FunctionKnowledge(rate, STATES)
LABELS = [0, 1, 1, {0, 1}, None, 0]
SYMBOLS = [None, (None, 1, None), None, (1, {0, 2}, None), (0, None, 2), (None, None, 0)]
ASSUMED = [0, 1]
ALL = [0, 1, 2]


class Reader:
    def read(self, y):
        return read_entries(y, np.ndarray.tolist)


def make_step(engine=None, assumed=ASSUMED, transforms=(), likelihood=None):
    """Make the E-step of six samples, of which label or symbols are known, or both."""
    engine, likelihood = engine or EnumerationEngine(), likelihood or ExactLikelihood()
    compiled = engine.compile(KNOWLEDGE)
    observed = likelihood.read(LABELS, Reader()).bind(compiled.output_states)
    known = read_known(SYMBOLS, KNOWLEDGE.symbol_states, 3)
    weight = torch.ones(N_SAMPLES, dtype=torch.float64)
    if assumed is not None:
        is_assumed = [name in assumed for name in compiled.output_states[0]]
        assumed = torch.tensor(is_assumed).double().log()[None, None]
    return EStep(engine, compiled, likelihood, observed, weight, transforms, known, assumed=assumed)


def start(e_step, seed=0):
    """Make a start of EM without a net, which an E-step does not ask."""
    return Run(
        None,
        Convergence(0.0, 1),
        noise=e_step.likelihood.start(e_step.observed, seed),
        memories=[t.start(N_SAMPLES, [2, 3, 3]) for t in e_step.transforms],
        generator=seeded(seed),
    )


def allows(cell, name):
    return cell is None or (name in cell if isinstance(cell, set) else name == cell)


def log_share(log_prob, is_meant):
    """Log-probability of the worlds that are meant, by going through all of them."""
    terms = [
        sum(log_prob[s, v] for s, v in enumerate(world))
        for world in itertools.product(*STATES)
        if is_meant(world)
    ]
    return torch.logsumexp(torch.stack(terms), dim=0)


def log_ratio(log_prob, i):
    """Return log p(y, symbols | x, the label is assumed) of a sample, by definition."""
    row = SYMBOLS[i] or (None,) * 3

    def agrees(world):
        label = rate(*world)
        return label in ASSUMED and allows(LABELS[i], label) and all(map(allows, row, world))

    return log_share(log_prob, agrees) - log_share(log_prob, lambda w: rate(*w) in ASSUMED)


def make_logits(seed):
    generator = np.random.default_rng(seed)
    return torch.tensor(generator.normal(size=(N_SAMPLES, 3, 3)) * 2, requires_grad=True)


@pytest.mark.parametrize("engine", [EnumerationEngine(), DiagramEngine()])
def test_gradient_of_the_loss_is_that_of_the_log_ratio(engine):
    e_step = make_step(engine)
    logits, index = make_logits(0), torch.arange(N_SAMPLES)
    loss = SymbolLoss([2, 3, 3])
    loss.weight = e_step.weight
    found = []

    def responsibilities(log_prob, index, is_training):
        found.append(e_step.infer(start(e_step), log_prob, index, 1.0))
        return found[-1].symbol_marginals

    loss.responsibilities = responsibilities
    (gradient,) = torch.autograd.grad(loss(logits, index), logits)

    log_prob = loss.log_prob(logits)
    expected = torch.stack([log_ratio(log_prob[i], i) for i in range(N_SAMPLES)])
    (by_enumeration,) = torch.autograd.grad(-expected.mean(), logits)
    torch.testing.assert_close(gradient, by_enumeration, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found[0].log_evidence, expected.detach(), rtol=1e-10, atol=1e-12)


def test_gradient_is_the_central_difference_of_the_log_evidence():
    e_step, index = make_step(), torch.arange(N_SAMPLES)
    loss, logits = SymbolLoss([2, 3, 3]), make_logits(1).detach()

    def infer(logits):
        return e_step.infer(start(e_step), loss.log_prob(logits), index, 1.0)

    targets, step = infer(logits).symbol_marginals, 1e-5
    for s, v in [(0, 0), (1, 2), (2, 1)]:
        moved = torch.zeros_like(logits)
        moved[:, s, v] = step
        rise = infer(logits + moved).log_evidence - infer(logits - moved).log_evidence
        torch.testing.assert_close(targets[:, s, v], rise / (2 * step), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(targets.sum(dim=2), torch.zeros(N_SAMPLES, 3).double())


def test_what_is_assumed_is_inferred_from_a_net_that_is_not_flattened():
    log_prob = SymbolLoss([2, 3, 3]).log_prob(make_logits(2).detach())
    index, flatten = torch.arange(N_SAMPLES), Temperature(2.0)
    both, given = (make_step(assumed=a, transforms=(flatten,)) for a in (ALL, None))
    found = both.infer(start(both), log_prob, index, 1.0)
    flat = given.infer(start(given), log_prob, index, 1.0)
    sharp = make_step(assumed=None).engine.infer(given.compiled, log_prob, torch.zeros(6, 1, 3))
    torch.testing.assert_close(found.log_evidence, flat.log_evidence - sharp.log_evidence)
    torch.testing.assert_close(
        found.symbol_marginals, flat.symbol_marginals - sharp.symbol_marginals
    )


def test_averages_are_those_of_the_posterior_given_y():
    index, step = torch.arange(N_SAMPLES), 0.25
    both, given = make_step(assumed=ALL, transforms=(StepSize(step),)), make_step(assumed=None)
    run = start(both)
    posteriors, differences = [], []
    for seed in (3, 4):
        log_prob = SymbolLoss([2, 3, 3]).log_prob(make_logits(seed).detach())
        found = both.infer(run, log_prob, index, 1.0 if seed == 3 else 2.0)
        posteriors.append(given.infer(start(given), log_prob, index, 1.0).symbol_marginals)
        differences.append(found.symbol_marginals)
    # The first posterior begins the average; what is assumed is that of the newest net.
    first, second = posteriors
    newest = make_step(assumed=ALL).infer(start(given), log_prob, index, 1.0).symbol_marginals
    expected = torch.lerp(first, second, step) - (second - newest)
    torch.testing.assert_close(differences[1], expected, rtol=1e-6, atol=1e-6)


def test_noise_is_counted_as_without_what_is_assumed():
    log_prob = SymbolLoss([2, 3, 3]).log_prob(make_logits(5).detach())
    index, noise = torch.arange(N_SAMPLES), FlipLikelihood(0.3)
    counts = []
    for assumed in (None, ALL):
        e_step = make_step(likelihood=noise, assumed=assumed)
        posterior = e_step.infer(start(e_step), log_prob, index, 1.0)
        counts.append(e_step.count(posterior, index))
    assert 0 < counts[0]["flips"] < counts[0]["samples"]
    assert counts[0] == counts[1]


def test_samples_without_a_world_teach_nothing():
    log_prob = torch.full((N_SAMPLES, 3, 3), -torch.inf, dtype=torch.float64)
    log_prob[:, [0, 1, 2], [0, 0, 1]] = 0.0  # the label 1
    e_step = make_step()
    found = e_step.infer(start(e_step), log_prob, torch.arange(N_SAMPLES), 1.0)
    # All but one have another label or other symbols.
    assert found.log_evidence.tolist() == [-np.inf, -np.inf, 0.0, *[-np.inf] * 3]
    assert not found.symbol_marginals.isnan().any()
    assert not found.symbol_marginals[found.log_evidence == -torch.inf].any()


def test_a_ratio_of_estimates_is_an_estimate():
    log_prob = SymbolLoss([2, 3, 3]).log_prob(make_logits(6).detach())
    e_step = make_step(SamplingEngine(n_draws=20_000))
    found = e_step.infer(start(e_step), log_prob, torch.arange(N_SAMPLES), 1.0)
    expected = [log_ratio(log_prob[i], i) for i in range(N_SAMPLES)]
    assert found.kind == "estimate"
    torch.testing.assert_close(found.log_evidence, torch.stack(expected), rtol=0, atol=0.1)


def test_a_sample_is_known_if_more_is_known_of_it_than_is_assumed():
    # {0, 1} is what is assumed, None is less.
    assert make_step().is_known.tolist() == [True, True, True, True, True, True]
    index = torch.tensor([3, 4, 2])
    assert make_step().select(index).is_known.tolist() == [True, True, True]
    only_labels = [
        replace(make_step(assumed=assumed), known=None).is_known.tolist()
        for assumed in (ASSUMED, None)
    ]
    assert only_labels == [
        [True, True, True, False, False, True],
        [True, True, True, True, False, True],
    ]
