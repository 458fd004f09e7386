"""How the label is observed."""

from sknesy.likelihoods._base import Likelihood
from sknesy.likelihoods._exact import ExactLikelihood

__all__ = ["ExactLikelihood", "Likelihood"]
