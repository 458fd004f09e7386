"""The public estimators, where nets, likelihoods and inference meet."""

from sknesy.estimators._classifier import EMNeSyClassifier

__all__ = ["EMNeSyClassifier"]
