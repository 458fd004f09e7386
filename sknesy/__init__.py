"""Neurosymbolic learning in scikit-learn: nets that learn from weak labels and knowledge."""

from sknesy._show_versions import show_versions
from sknesy.estimators import ConstrainedClassifier, EMNeSyClassifier, EMNeSyRegressor, final

__all__ = [
    "ConstrainedClassifier",
    "EMNeSyClassifier",
    "EMNeSyRegressor",
    "final",
    "show_versions",
    "__version__",
]

__version__ = "0.1.0.dev0"
