"""Neurosymbolic learning in scikit-learn: nets that learn from weak labels and knowledge."""

from sknesy.estimators import ConstrainedClassifier, EMNeSyClassifier, EMNeSyRegressor, final

__all__ = [
    "ConstrainedClassifier",
    "EMNeSyClassifier",
    "EMNeSyRegressor",
    "final",
    "__version__",
]

__version__ = "0.1.0.dev0"
