"""Knowledge in words: the arguments of the call that makes it, short."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from sknesy._validation import join_names

__all__ = ["count_symbols", "write_function", "write_names", "write_variables"]

_MOST = 3  # variables of unlike states, written one by one
_LONGEST = 6  # names of states, written one by one


def write_names(names: Sequence[Hashable]) -> str:
    """Return names of states as Python has them: a range, or a list; of many its ends."""
    first = names[0] if names else None
    if type(first) is int and len(names) > 2:
        end = first + len(names)
        if list(names) == list(range(first, end)) and not any(type(n) is bool for n in names):
            return f"range({first}, {end})" if first else f"range({end})"
    if len(names) > _LONGEST:
        return f"[{join_names(names[:2])}, ..., {names[-1]!r}]"
    return f"[{join_names(names)}]"


def write_variables(states: Sequence[Sequence[Hashable]]) -> str:
    """Return the names of the states of each variable; once, where all have the same."""
    if len(states) > 1 and len({*map(tuple, states)}) == 1:
        return f"[{write_names(states[0])}] * {len(states)}"
    written = [write_names(names) for names in states]
    if len(written) > _MOST:
        written = [*written[: _MOST - 1], "...", written[-1]]
    return f"[{', '.join(written)}]"


def write_function(function: Callable[..., Any]) -> str:
    """Return the name of a function, or the repr of a callable without one."""
    return str(getattr(function, "__name__", None) or repr(function))


def count_symbols(n_states: Sequence[int]) -> str:
    """Return in words how many symbols there are, and of how many states."""
    sizes = sorted(set(n_states))
    states = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    return (
        f"{len(n_states)} symbol{'s' * (len(n_states) != 1)} of {states} "
        f"state{'s' * (sizes != [1])}"
    )
