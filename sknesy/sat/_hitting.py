"""Smallest sets that meet each of several sets."""

from collections.abc import Iterable, Sequence

from sknesy.exceptions import TimeLimitError
from sknesy.sat._deadline import Deadline
from sknesy.sat._maxsat import best_assignments

__all__ = ["smallest_hitting_set"]


def smallest_hitting_set(sets: Iterable[Sequence[int]], deadline: Deadline) -> list[int]:
    """Find a smallest set of elements, which are ints, with at least one of each set.

    It is MaxSAT: each element would rather stay out. Raises TimeLimitError where the time ends
    before a set is proven to be smallest.

    Examples
    --------
    >>> from sknesy.sat import NEVER
    >>> smallest_hitting_set([{0, 1}, {1, 2}, {3}], NEVER)
    [1, 3]
    """
    needed: list[frozenset[int]] = []
    for wanted in sorted({frozenset(s) for s in sets}, key=lambda s: (len(s), sorted(s))):
        if not any(kept <= wanted for kept in needed):
            needed.append(wanted)
    elements = sorted(set().union(*needed))
    if not elements:
        return []
    number = {element: i for i, element in enumerate(elements, start=1)}
    found = best_assignments(
        [[number[element] for element in sorted(wanted)] for wanted in needed],
        [(-i, i) for i in number.values()],
        [[0.0, -1.0]] * len(elements),
        time_limit=max(deadline.left, 0.0),
    )
    if not found.is_optimal:
        raise TimeLimitError(
            f"{deadline.doing} took longer than {deadline.seconds:g} s. Raise `time_limit`."
        )
    return [element for element, is_in in zip(elements, found.states[0], strict=True) if is_in]
