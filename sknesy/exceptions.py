"""Errors and warnings of sknesy, each with the cause in its name.

Each is a `SknesyError` and also the built-in exception that scikit-learn users expect in its
place, so ``except ValueError`` keeps working. A plain argument of a wrong type or value is an
ordinary `TypeError` or `ValueError`.
"""

__all__ = [
    "ApproximationWarning",
    "CheckpointWarning",
    "DimacsError",
    "DivergenceError",
    "InconsistentLabelError",
    "InconsistentVersionWarning",
    "IntractableError",
    "InvalidKnowledgeError",
    "InvalidNetError",
    "NNFError",
    "NoSignalError",
    "SknesyError",
    "TimeLimitError",
    "TooManyWorldsError",
    "TooWideError",
    "UndeterminedPropositionWarning",
    "UnreadableFileError",
    "UnsupportedKnowledgeError",
]


class SknesyError(Exception):
    """Base of the errors with a name of their own."""


class InvalidKnowledgeError(SknesyError, ValueError):
    """Knowledge that contradicts itself, or that cannot be evaluated."""


class DimacsError(InvalidKnowledgeError):
    """A DIMACS file that is malformed or cut off; the message gives the line."""


class NNFError(InvalidKnowledgeError):
    """A file of a circuit that is malformed or cut off; the message gives the line."""


class UnsupportedKnowledgeError(SknesyError, TypeError):
    """Knowledge without the view that an inference engine needs."""


class InconsistentLabelError(SknesyError, ValueError):
    """A label that no world of the knowledge gives."""


class IntractableError(SknesyError, RuntimeError):
    """Base of the errors that say: this engine, within these limits, does not reach."""


class TooManyWorldsError(IntractableError):
    """More worlds than ``max_worlds`` allows."""


class TooWideError(IntractableError):
    """A decision diagram wider than ``max_width``, or with more edges than ``max_edges``."""


class TimeLimitError(IntractableError):
    """Compilation took longer than ``time_limit`` allows."""


class NoSignalError(IntractableError):
    """Draws of which none agrees with any label: there is nothing to learn from."""


class InvalidNetError(SknesyError, ValueError):
    """A net that does not fit the symbols, or that cannot be built as asked."""


class DivergenceError(SknesyError, FloatingPointError):
    """Training whose loss became NaN or infinite."""


class UnreadableFileError(SknesyError, ValueError):
    """A file of something learned that is damaged, of another version, or of something else."""


class CheckpointWarning(UserWarning):
    """A checkpoint that could not be written; training goes on, and the last one stays."""


class InconsistentVersionWarning(UserWarning):
    """An estimator that another version of sknesy has pickled."""


class UndeterminedPropositionWarning(UserWarning):
    """Clauses with auxiliary propositions that the symbols leave open."""


class ApproximationWarning(UserWarning):
    """An approximate E-step that was chosen automatically, or that ended up not to be trusted."""
