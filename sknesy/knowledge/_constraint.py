"""Contract of constraints: what must hold along with clauses, and is shorter than clauses."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sknesy.sat import Variable

__all__ = ["Constraint"]


class Constraint(ABC):
    """Requirement on literals that clauses can only say at length.

    `ClauseKnowledge` takes constraints along with clauses. Whoever reads clauses only, such as a
    SAT solver, is given an encoding; a decision diagram has a better way.
    """

    @property
    @abstractmethod
    def propositions(self) -> frozenset[int]:
        """Propositions that it is about."""

    @property
    @abstractmethod
    def encoding_size(self) -> int:
        """Bound on the number of clauses of `encode`, roughly."""

    @abstractmethod
    def renumber(self, to: Mapping[int, int]) -> "Constraint":
        """Return the same constraint on other literals.

        Parameters
        ----------
        to : mapping of int to int
            The literal in place of each literal, of both signs.

        Returns
        -------
        Constraint
            The constraint.
        """

    @abstractmethod
    def encode(
        self,
        variables: Sequence[Variable],
        first: int,
        where: str = "The constraint",
        check: Callable[[], Any] = lambda: None,
    ) -> list[tuple[int, ...]]:
        """Return it as clauses, with auxiliary propositions that are always determined.

        Parameters
        ----------
        variables : sequence of tuples of int
            For each variable, the literals of which exactly one is true.
        first : int
            The first number that is free for an auxiliary proposition.
        where : str
            What errors call it.
        check : callable
            Called now and then, without arguments; it may raise.

        Returns
        -------
        list of tuples of int
            The clauses. Every assignment of the literals extends to at most one model.
        """
