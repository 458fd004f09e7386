"""Estimators with scikit-learn's contract."""

from sknesy.estimators._classifier import EMNeSyClassifier
from sknesy.estimators._constrained import ConstrainedClassifier
from sknesy.estimators._final import final
from sknesy.estimators._regressor import EMNeSyRegressor

__all__ = ["ConstrainedClassifier", "EMNeSyClassifier", "EMNeSyRegressor", "final"]
