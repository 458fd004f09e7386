"""Knowledge that the label is the symbol: ordinary classification as a special case."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sknesy._validation import as_names, as_objects, as_worlds
from sknesy.knowledge._base import Knowledge
from sknesy.knowledge._written import write_names

__all__ = ["IdentityKnowledge"]


@dataclass(frozen=True, repr=False)
class IdentityKnowledge(Knowledge):
    """Knowledge of one symbol, which is the label itself.

    With it, EM is plain supervised training: the posterior of the symbol puts all its mass on the
    label. It is what ``EMNeSyClassifier(knowledge=None)`` uses, with the classes found in y.

    Parameters
    ----------
    states : iterable of hashable
        The labels.

    Examples
    --------
    >>> IdentityKnowledge(["cat", "dog"]).conclude([[1], [0]])
    array(['dog', 'cat'], dtype=object)
    """

    states: tuple[Hashable, ...]

    def __init__(self, states: Iterable[Hashable]) -> None:
        object.__setattr__(self, "states", as_names(states, "states", are_labels=True))

    @property
    def symbol_states(self) -> tuple[tuple[Hashable, ...], ...]:
        """Labels, as the states of the one symbol."""
        return (self.states,)

    @property
    def output_states(self) -> tuple[tuple[Hashable, ...], ...]:
        """Labels, as the states of the one output."""
        return (self.states,)

    @property
    def label_if_satisfied(self) -> None:
        """None: the label is a symbol, and no rule."""

    def _arguments(self) -> list[str]:
        return [write_names(self.states)]

    def conclude(self, worlds: npt.ArrayLike) -> npt.NDArray[np.object_]:
        """Give the label of each world: the state of its symbol."""
        labels = as_objects(self.states)
        return labels[as_worlds(worlds, self.n_states)[:, 0]]
