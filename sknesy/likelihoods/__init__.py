"""Likelihoods: probabilities of the labels in y, given the outputs of the knowledge."""

from sknesy.likelihoods._annotators import AnnotatorLikelihood
from sknesy.likelihoods._base import LabelReader, Likelihood, Observed, State, Statistics
from sknesy.likelihoods._candidates import CandidateLikelihood
from sknesy.likelihoods._confusion import ConfusionLikelihood
from sknesy.likelihoods._evidence import (
    Entries,
    as_evidence,
    describe_cell,
    has_rows,
    read_cell,
    read_entries,
)
from sknesy.likelihoods._exact import ExactLikelihood, ExactObserved
from sknesy.likelihoods._gaussian import GaussianLikelihood
from sknesy.likelihoods._known import KnownSymbols, read_known, read_rows
from sknesy.likelihoods._numbers import NumberObserved, read_numbers, read_values
from sknesy.likelihoods._soft import SoftLikelihood
from sknesy.likelihoods._weights import observe, select_states, unobserved

__all__ = [
    "Likelihood",
    "ExactLikelihood",
    "CandidateLikelihood",
    "SoftLikelihood",
    "ConfusionLikelihood",
    "AnnotatorLikelihood",
    "GaussianLikelihood",
    "Observed",
    "ExactObserved",
    "NumberObserved",
    "LabelReader",
    "Entries",
    "as_evidence",
    "describe_cell",
    "has_rows",
    "read_cell",
    "read_entries",
    "KnownSymbols",
    "read_known",
    "read_numbers",
    "read_rows",
    "read_values",
    "State",
    "Statistics",
    "observe",
    "select_states",
    "unobserved",
]
