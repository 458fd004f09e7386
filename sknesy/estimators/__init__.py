"""Estimators with scikit-learn's contract."""

from sknesy.estimators._classifier import EMNeSyClassifier
from sknesy.estimators._final import final

__all__ = ["EMNeSyClassifier", "final"]
