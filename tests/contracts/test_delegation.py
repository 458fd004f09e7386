"""What an engine promises that only chooses another: the other's answers, unchanged."""

import pickle

import pytest
import torch
from contracts.cases import compile_, evidence
from problems import SMALL_PROBLEMS
from weights import seeded

from sknesy.inference import AutoEngine


@pytest.mark.filterwarnings("ignore::sknesy.exceptions.UndeterminedPropositionWarning")
@pytest.mark.parametrize("problem", SMALL_PROBLEMS, ids=lambda p: p.name)
def test_the_choice_answers_as_the_engine_chosen(problem):
    auto = AutoEngine()
    compiled = compile_(auto, problem)
    chosen = auto.select(problem.knowledge).engine
    alone = compile_(chosen, problem)
    assert compiled.output_states == alone.output_states
    arrays = evidence(problem, alone.output_states)
    expected = chosen.infer(alone, *arrays)
    for choice in (compiled, pickle.loads(pickle.dumps(compiled)).to("cpu")):
        posterior = auto.infer(choice, *arrays)
        assert posterior.kind == expected.kind == "exact"
        assert torch.equal(posterior.log_evidence, expected.log_evidence)
        assert torch.equal(posterior.symbol_marginals, expected.symbol_marginals)
        assert torch.equal(posterior.output_marginals, expected.output_marginals)
        for got, wanted in zip(
            (*auto.mode(choice, *arrays), *auto.sample(choice, *arrays, 20, seeded(1))),
            (*chosen.mode(alone, *arrays), *chosen.sample(alone, *arrays, 20, seeded(1))),
            strict=True,
        ):
            assert torch.equal(got, wanted)
