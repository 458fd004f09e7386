"""Random knowledge against the oracle: every engine, on random evidence."""

import itertools
import warnings

import numpy as np
import oracle
import torch
from weights import random_log

from fuzzing.random_knowledge import PRELUDE, draw_knowledge
from sknesy.exceptions import (
    IntractableError,
    InvalidKnowledgeError,
    UndeterminedPropositionWarning,
    UnsupportedKnowledgeError,
)
from sknesy.inference import (
    AutoEngine,
    BeliefPropagationEngine,
    CircuitEngine,
    CountsEngine,
    DiagramEngine,
    EnumerationEngine,
    ModeEngine,
    SamplingEngine,
)

ENGINES = (
    AutoEngine(),
    DiagramEngine(),
    DiagramEngine(symbol_order="natural"),
    EnumerationEngine(),
    CircuitEngine(),
    CountsEngine(),
    BeliefPropagationEngine(),
    ModeEngine(n_worlds=2),
    SamplingEngine(20),
)


def draw_case(random):
    """Draw knowledge: its kind, the code that makes it, and a seed for evidence."""
    return *draw_knowledge(random), random.randrange(2**31)


def find_fault(code, seed):
    """The first claim that is not true of the knowledge of some code, in words, or None."""
    space = {}
    try:
        exec(PRELUDE + code, space)
    except InvalidKnowledgeError as error:
        # Rules that never hold are refused, in words of their own.
        return None if "cannot hold" in str(error) else f"{error!r}"
    knowledge, conclude = space["knowledge"], space["conclude"]
    states = knowledge.symbol_states
    worlds = list(itertools.product(*[range(len(names)) for names in states]))
    named = [tuple(names[v] for names, v in zip(states, world, strict=True)) for world in worlds]
    expected = [conclude(world) for world in named]
    if (fault := _compare_labels(knowledge, worlds, expected)) is not None:
        return fault
    for engine in ENGINES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndeterminedPropositionWarning)
            try:
                compiled = engine.compile(knowledge)
            except (UnsupportedKnowledgeError, IntractableError):
                continue
            except InvalidKnowledgeError:
                if any(label not in (None, (False,)) for label in expected):
                    raise  # else the rules contradict each other, and the message says so
                continue
            fault = _compare(engine, compiled, worlds, expected, seed)
        if fault is not None:
            return f"{engine!r}: {fault}"
    return None


def _compare_labels(knowledge, worlds, expected):
    """Whether `conclude` returns what it should."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndeterminedPropositionWarning)
        found = knowledge.conclude(np.array(worlds)).tolist()
    for world, label, right in zip(worlds, found, expected, strict=True):
        if right is not None and len(right) == 1:
            right = right[0]
        if label != right:
            return f"conclude({world}) is {label!r}, not {right!r}"
    return None


def _compare(engine, compiled, worlds, expected, seed):
    rng = np.random.default_rng(seed)
    counts = tuple(map(len, compiled.output_states))
    log_prob = random_log(rng, 4, compiled.n_states, scale=float(rng.choice([1.0, 10.0])))
    log_likelihood = random_log(rng, 4, counts)
    log_likelihood[0] = torch.where(log_likelihood[0] > -torch.inf, 0.0, -torch.inf)
    log_likelihood[1][torch.rand(log_likelihood[1].shape) < 0.5] = -torch.inf
    log_prob[2][torch.from_numpy(rng.random(log_prob[2].shape) < 0.2)] = -torch.inf
    index = [{name: w for w, name in enumerate(names)} for names in compiled.output_states]
    table = {}
    for world, label in zip(worlds, expected, strict=True):
        try:
            table[world] = (
                None
                if label is None
                else tuple(own[name] for own, name in zip(index, label, strict=True))
            )
        except KeyError:
            return f"compiled lacks label {label}"
    posterior = engine.infer(compiled, log_prob, log_likelihood)
    for i in range(4):
        total, symbols, outputs, (best, _) = oracle.posterior(
            compiled.n_states,
            counts,
            table.get,
            log_prob[i].exp().tolist(),
            log_likelihood[i].exp().tolist(),
        )
        found = posterior.log_evidence[i].exp().item()
        where = f"sample {i}, evidence {found!r}, true {total!r}"
        if posterior.kind == "exact":
            if not np.isclose(found, total, rtol=1e-9, atol=0):
                return where
            for name, ours, right in (
                ("symbols", posterior.symbol_marginals[i], symbols),
                ("outputs", posterior.output_marginals[i], outputs),
            ):
                for row, true in zip(ours.tolist(), right, strict=True):
                    if not np.allclose(row[: len(true)], true, rtol=1e-8, atol=1e-12):
                        return f"{where}; marginals of {name}: {row}, true {true}"
        elif posterior.kind == "lower_bound" and found > total * (1 + 1e-9):
            return where
        if (posterior.symbol_marginals[i].isnan()).any() or np.isnan(found):
            return f"{where}: NaN"
        if posterior.kind == "exact" and "mode" in engine.supports:
            log_joint, world, output = engine.mode(
                compiled, log_prob[i : i + 1], log_likelihood[i : i + 1]
            )
            if not np.isclose(log_joint.exp().item(), best, rtol=1e-9, atol=0):
                return f"sample {i}: mode {log_joint.exp().item()}, true {best}"
            if best and table[tuple(world[0].tolist())] != tuple(output[0].tolist()):
                return f"sample {i}: mode {world}, {output} is no world"
        if "sample" in engine.supports:
            draws, drawn = engine.sample(
                compiled, log_prob[i : i + 1], log_likelihood[i : i + 1], 3
            )
            for world, output in zip(draws[:, 0].tolist(), drawn[:, 0].tolist(), strict=True):
                if world[0] < 0:
                    if posterior.kind == "exact" and total:
                        return f"sample {i}: nothing drawn"
                elif table[tuple(world)] != tuple(output):
                    return f"sample {i}: drew {world}, {output}, which is no world"
    return None
