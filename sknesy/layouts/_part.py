"""A kind of symbols: where they stand in a sample and in X, and the net that predicts them."""

from collections.abc import Hashable, Iterable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator

from sknesy._documentation import Documented
from sknesy._validation import as_names, join_names
from sknesy.layouts._base import Layout
from sknesy.layouts._grid import GridLayout
from sknesy.layouts._joint import JointLayout
from sknesy.nets import Place, open_net

__all__ = ["Part", "check_parts", "find_places"]


class Part(Documented, BaseEstimator):
    """Symbols of one kind, for the layout `Columns`.

    Parameters
    ----------
    name : str
        Name of the part. Its parameters are those of `Columns` after it and two underscores.
    symbols : int, list of int, or slice
        Positions of the symbols in a sample. With knowledge of any number of symbols a slice that
        starts from the front, such as ``slice(0, None, 2)`` for each second one.
    columns : object, default=None
        What of X the net sees. Of a data frame names of columns, or a list, slice or mask; of a
        flat X ints, a slice or a mask; of an X of shape (n_samples, n_symbols, *shape) positions
        along axis 1; of a mapping a key, or a list of keys. None: of a shaped X the positions of
        the symbols themselves, else all of X; a part with a `JointLayout` sees all of X.
    net : object, default=None
        The net, as the parameter `net` of an estimator; None for the estimator's.
    layout : GridLayout, JointLayout or None, default=None
        How the columns are laid out. `GridLayout`, which None is, has one symbol after the other,
        and the net sees them one at a time; with `JointLayout` the net sees all columns, and
        predicts all symbols of the part.
    states : list of hashable or None, default=None
        Names of the states that the symbols can have, of those that the knowledge gives them; None
        for all. The net predicts these alone.

    See Also
    --------
    Columns : The layout of several parts.

    Examples
    --------
    >>> from sknesy.nets import MLP
    >>> part = Part("digit", symbols=[0, 2], net=MLP)
    >>> part.set_params(net__lr=0.01).net.lr
    0.01
    """

    def __init__(
        self,
        name: str,
        symbols: Any,
        columns: Any = None,
        net: Any = None,
        layout: Layout | None = None,
        states: Sequence[Hashable] | None = None,
    ) -> None:
        self.name = name
        self.symbols = symbols
        self.columns = columns
        self.net = net
        self.layout = layout
        self.states = states

    def set_params(self, **params: Any) -> "Part":
        """Set parameters, also those of the net and the layout.

        Parameters
        ----------
        **params
            Parameters by name; ``net__*`` reaches inside, also where `net` is a module class.

        Returns
        -------
        Part
            This part.
        """
        of_net = next((name for name in params if name.startswith("net__")), None)
        if of_net and params.get("net", self.net) is None:
            raise ValueError(
                f"net of part {self.name!r} must be given where {of_net} is set, got None, which "
                "is the estimator's. Set the part's `net` before, or the parameters of the "
                "estimator's."
            )
        open_net(params, self.net)
        is_of_layout = any(name.startswith("layout__") for name in params)
        if is_of_layout and params.get("layout", self.layout) is None:
            params["layout"] = GridLayout()
        super().set_params(**params)
        return self


def check_parts(parts: Any) -> list[Part]:
    """Check parts and their names, apart from any data."""
    if not isinstance(parts, list | tuple) or not parts:
        raise TypeError(
            f"parts must be a list of Part objects, at least one, got {parts!r}. Pass for example "
            "[Part('digit', symbols=[0, 2]), Part('sign', symbols=[1])]."
        )
    seen: set[str] = set()
    for part in parts:
        if not isinstance(part, Part):
            raise TypeError(
                f"parts must hold Part objects, got {part!r} ({type(part).__name__}). Pass for "
                "example Part('digit', symbols=[0, 2])."
            )
        name, layout = part.name, part.layout
        if not isinstance(name, str) or not name or "__" in name or name == "parts":
            raise ValueError(
                "The name of a part must be a string without double underscores, and not 'parts', "
                f"got {name!r}: it stands in the names of parameters. Rename the part."
            )
        if name in seen:
            raise ValueError(
                f"The names of parts must differ, got {name!r} twice. Rename one of them, or put "
                "all its symbols into one part."
            )
        seen.add(name)
        if layout is not None and not isinstance(layout, GridLayout | JointLayout):
            raise TypeError(
                f"layout of part {name!r} must be a GridLayout, a JointLayout or None, got "
                f"{layout!r}. Leave it out where the net sees one symbol at a time."
            )
    return list(parts)


def find_places(
    parts: Sequence[Part], names: Sequence[Sequence[Hashable]], n_symbols: int, is_family: bool
) -> dict[str, Place]:
    """Find the symbols and the states of each part, each symbol in exactly one.

    Parameters
    ----------
    parts : sequence of Part
        The parts; `check_parts` has passed.
    names : sequence of sequences of hashable
        Names of the states of each symbol, without the end of sequences.
    n_symbols : int
        Number of symbols, of the longest sample.
    is_family : bool
        Whether samples may have fewer symbols, or more.

    Returns
    -------
    dict of str to Place
        The places; those of sequences have the end as their last state.
    """
    owner: dict[int, str] = {}
    places = {}
    for part in parts:
        symbols = _read_positions(part, n_symbols, is_family)
        positions = Place(symbols, torch.empty(0)).positions(n_symbols)
        if not positions and not is_family:
            raise ValueError(
                f"symbols of part {part.name!r} must hold one of the {n_symbols} symbols, got "
                f"{part.symbols!r}. Leave the part out."
            )
        for position in positions:
            if position in owner:
                raise ValueError(
                    f"Each symbol must be in exactly one part, got symbol {position} in "
                    f"{owner[position]!r} and {part.name!r}. Leave it out of `symbols` of one."
                )
            owner[position] = part.name
        states = _read_states(part, [names[0]] if is_family else [names[i] for i in positions])
        end = [len(names[0])] if is_family else []
        places[part.name] = Place(symbols, torch.tensor([*states, *end]))
    missing = [position for position in range(n_symbols) if position not in owner]
    if missing:
        raise ValueError(
            f"Each symbol must be in exactly one part, got none for symbol {join_names(missing)} "
            f"of {n_symbols}. Add it to `symbols` of a part."
        )
    return places


def _read_positions(part: Part, n_symbols: int, is_family: bool) -> slice | tuple[int, ...]:
    """Read the positions of a part: a slice, or ints that differ."""
    symbols = part.symbols
    if isinstance(symbols, slice):
        ends = [end for end in (symbols.start, symbols.stop, symbols.step) if end is not None]
        if is_family and any(end < 0 for end in ends):
            raise ValueError(
                f"symbols of part {part.name!r} must be counted from the front where samples "
                f"differ in length, got {symbols!r}. Leave out negative numbers."
            )
        return symbols
    given = [symbols] if isinstance(symbols, Integral) else symbols
    if isinstance(given, str) or not isinstance(given, Iterable):
        given = [None]
    positions = list(given)
    if any(not isinstance(i, Integral) or isinstance(i, bool | np.bool_) for i in positions):
        raise TypeError(
            f"symbols of part {part.name!r} must be positions, ints or a slice, got {symbols!r}. "
            "Pass for example [0, 2]."
        )
    positions = [int(position) for position in positions]
    if len(set(positions)) < len(positions):
        raise ValueError(
            f"symbols of part {part.name!r} must differ, got {symbols!r}. Name each once."
        )
    outside = [i for i in positions if i < 0 or (i >= n_symbols and not is_family)]
    if outside:
        most = "" if is_family else f" to {n_symbols - 1}, as the knowledge has {n_symbols} symbols"
        raise ValueError(
            f"symbols of part {part.name!r} must be positions from 0{most}, got "
            f"{join_names(outside)}. Correct `symbols`."
        )
    return tuple(sorted(positions) if is_family else positions)


def _read_states(part: Part, names: Sequence[Sequence[Hashable]]) -> list[int]:
    """Return the states of a part as engines number them."""
    if part.states is None:
        return list(range(max(map(len, names), default=0)))
    wanted: list[Any] = [part.states]
    if not isinstance(part.states, str):
        wanted = [*as_names(part.states, f"states of part {part.name!r}")]
    found = set()
    for own in names:
        unknown = [name for name in wanted if name not in own]
        if unknown or not wanted or len(set(wanted)) < len(wanted):
            raise ValueError(
                f"states of part {part.name!r} must be different names of states of its symbols "
                f"({join_names(own)}), got {join_names(unknown or wanted) or 'none'}. Correct "
                "`states`, or leave it out."
            )
        found.add(tuple(own.index(name) for name in wanted))
    if len(found) > 1:
        raise ValueError(
            f"states of part {part.name!r} must have the same places among those of each of its "
            f"symbols, got {join_names(wanted)}. Leave `states` out, or make several parts."
        )
    return list(found.pop()) if found else []
