"""Samples with several kinds of symbols, each with columns and a net of its own."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import clone
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import validate_data

from sknesy._validation import join_names
from sknesy.knowledge import END, Knowledge
from sknesy.layouts._arrays import forget_features, open_features
from sknesy.layouts._base import Layout
from sknesy.layouts._grid import GridLayout
from sknesy.layouts._indexed import refuse_indexed
from sknesy.layouts._part import Part, check_parts, find_places
from sknesy.layouts._sequences import SequenceLayout
from sknesy.layouts._stored import refuse_stored
from sknesy.likelihoods import KnownSymbols
from sknesy.nets import Parts, Place, Samples, Sequences, SymbolGroup

__all__ = ["Columns"]


class Columns(Layout):
    """Several kinds of symbols, each with columns of X and a net of its own.

    Each symbol belongs to one part. All nets learn from the same posterior, and ``net_`` holds
    them by the names of their parts. With knowledge of any number of symbols the parts take turns
    along each sequence, such as digits and operators.

    Parameters
    ----------
    parts : list of Part
        The kinds of symbols. Their parameters are those of this layout: ``digit__net__lr`` is the
        learning rate of the net of the part "digit", ``digit`` the part.

    See Also
    --------
    Part : Symbols, columns and net of one kind.

    Examples
    --------
    Two numbers and an operator between them, each kind with features of its own:

    >>> import numpy as np
    >>> from sknesy import EMNeSyClassifier
    >>> from sknesy.knowledge import FunctionKnowledge
    >>> from sknesy.layouts import Columns, Part
    >>> def value(a, sign, b):
    ...     return a + b if sign == "+" else a - b
    >>> knowledge = FunctionKnowledge(value, symbol_states=[range(3), ["+", "-"], range(3)])
    >>> layout = Columns(
    ...     [Part("number", symbols=[0, 2], columns=[0, 1]), Part("sign", symbols=[1], columns=[2])]
    ... )
    >>> rng = np.random.default_rng(0)
    >>> numbers, sign = rng.integers(3, size=(60, 2)), rng.integers(2, size=60)
    >>> X = np.column_stack([numbers, sign])
    >>> y = numbers[:, 0] + np.where(sign, -1, 1) * numbers[:, 1]
    >>> clf = EMNeSyClassifier(knowledge, layout=layout, random_state=0, tol=0.1).fit(X, y)
    >>> sorted(clf.net_), clf.predict_symbols(X[:4]).shape
    (['number', 'sign'], (4, 3))
    """

    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return parameters by name, those of the parts after their names.

        Parameters
        ----------
        deep : bool, default=True
            Whether to return the parts and their parameters, too.

        Returns
        -------
        dict of str to object
            The parameters.
        """
        params: dict[str, Any] = super().get_params(deep=False)
        if deep and isinstance(self.parts, list | tuple):
            for part in self.parts:
                if isinstance(part, Part):
                    inner = part.get_params(deep=True)
                    params |= {f"{part.name}__{name}": value for name, value in inner.items()}
                    params[part.name] = part
        return params

    def set_params(self, **params: Any) -> "Columns":
        """Set parameters, also parts by their names, and parameters of parts.

        Parameters
        ----------
        **params
            Parameters by name; ``digit=Part(...)`` replaces the part "digit".

        Returns
        -------
        Columns
            This layout.
        """
        # As in scikit-learn's Pipeline: first all parts, then single ones, then what is in them.
        if "parts" in params:
            self.parts = params.pop("parts")
        for name in [part.name for part in check_parts(self.parts)]:
            if name in params:
                new = params.pop(name)
                self.parts = [new if part.name == name else part for part in self.parts]
        super().set_params(**params)
        return self

    def read(self, X: Any, knowledge: Knowledge | None, estimator: Any, reset: bool) -> Samples:
        """Check samples, and take each part's columns."""
        refuse_stored(X, self)
        refuse_indexed(X, self)
        parts = check_parts(self.parts)
        if knowledge is None:
            raise ValueError(
                "knowledge must be given with Columns, which says which of its symbols are of one "
                "kind, got None. Pass knowledge, or leave out the layout."
            )
        if knowledge.is_family or knowledge.symbol_states[0][-1] is END:
            return self._read_sequences(parts, X, knowledge, estimator, reset)
        n_symbols, names = knowledge.n_symbols, knowledge.symbol_states
        places = find_places(parts, names, n_symbols, is_family=False)
        X = _read_whole(X, estimator, reset)
        reader = copy(estimator)  # what it records of a part's columns is not for the estimator
        forget_features(reader)
        samples = {}
        for part in parts:
            positions = places[part.name].positions(n_symbols)
            layout = part.layout or GridLayout()
            chosen = _choose(X, part, layout, positions, n_symbols)
            try:
                some: Any = _Some(len(positions))
                samples[part.name] = layout.read(chosen, some, reader, reset)
            except (TypeError, ValueError) as error:
                raise type(error)(f"Part {part.name!r}: {error}") from error
        _check_lengths(samples)
        return Parts(samples, places, n_symbols, max(map(len, names)))

    def _read_sequences(
        self, parts: list[Part], X: Any, knowledge: Knowledge, estimator: Any, reset: bool
    ) -> Parts:
        """Read sequences, and part their symbols by their positions."""
        for part in parts:
            if part.columns is not None or not isinstance(part.layout, GridLayout | None):
                raise ValueError(
                    f"columns and layout of part {part.name!r} must be left out with knowledge of "
                    "any number of symbols, where positions in a sequence tell the parts, got "
                    f"columns={part.columns!r} and layout={part.layout!r}. Set `symbols` alone."
                )
        shapes = (part.layout.symbol_shape for part in parts if part.layout is not None)
        shape = next((shape for shape in shapes if shape is not None), None)
        whole: Any = SequenceLayout(shape).read(X, knowledge, estimator, reset)
        one = knowledge.unroll(1) if knowledge.is_family else knowledge
        names = one.symbol_states[0][:-1]
        longest = int(whole.lengths.max())
        places = find_places(parts, [names], longest, is_family=True)
        samples = {name: _take(whole, place, longest) for name, place in places.items()}
        return Parts(samples, places, longest, len(names) + 1, whole.lengths)

    def groups(self, knowledge: Knowledge, samples: Any) -> tuple[SymbolGroup, ...]:
        """Put the symbols of each part into one group."""
        groups = []
        for part in self.parts:
            own, place = samples.parts[part.name], samples.places[part.name]
            positions = tuple(place.positions(samples.n_symbols))
            n_states: tuple[int, ...]
            if samples.lengths is not None:
                n_states = (len(place.states) - 1,)
            elif part.states is not None:
                n_states = (len(place.states),) * len(positions)
            else:
                n_states = tuple(knowledge.n_states[list(positions)].tolist())
            shape, is_shared = own.symbol_shape, own.is_shared
            groups.append(
                SymbolGroup(part.name, positions, n_states, shape, is_shared, own.dtype, part.net)
            )
        return tuple(groups)

    def settle(self, samples: Any) -> "Columns":
        """Return a copy whose parts have the shapes of their symbols."""
        settled: Columns = clone(self)
        for part in settled.parts:
            part.layout = (part.layout or GridLayout()).settle(samples.parts[part.name])
        return settled

    def read_parts(self, X: Any, parts: bool | str, knowledge: Knowledge) -> Samples:
        """Read single symbols of one part."""
        by_name: dict[Any, Any] = {part.name: part for part in self.parts}
        if parts not in by_name:
            raise ValueError(
                f"parts must be False or the name of a part, {join_names(by_name)}, got {parts!r}. "
                "Name the part whose symbols X holds."
            )
        name = str(parts)
        singles = by_name[name].layout.read_singles(X)
        is_family = knowledge.symbol_states[0][-1] is END
        names = [states[: len(states) - is_family] for states in knowledge.symbol_states]
        states = find_places(self.parts, names, len(names), is_family)[name].states
        n_states = len(states) - is_family
        alone = Place((0,), torch.arange(n_states))
        return Parts({name: singles}, {name: alone}, 1, n_states)

    def kinds(self, samples: Any) -> npt.NDArray[np.int64] | None:
        """Return the lengths; where parts rule out states, say that all must be checked."""
        if samples.lengths is None and any(part.states is not None for part in self.parts):
            return np.zeros(len(samples), dtype=np.int64)
        return _manner(samples).kinds(samples)

    def leave_open(self, samples: Any, index: torch.Tensor, n_states: int) -> torch.Tensor:
        """Weigh the states of each part alike, of the symbols that are there."""
        open_states = {}
        for name, part in samples.parts.items():
            width = len(samples.places[name].states)
            open_states[name] = _manner(samples).leave_open(part, index, width)
        joined: torch.Tensor = samples.join(open_states)
        return joined

    # The rest speaks of all symbols at once, as it does where there is one kind of them.

    def unroll(self, knowledge: Knowledge, samples: Samples) -> Knowledge:
        """Unroll a family to the longest sample."""
        return _manner(samples).unroll(knowledge, samples)

    def count_states(self, knowledge: Knowledge) -> tuple[int, ...]:
        """Return the number of states of each symbol, or of every one of a sequence."""
        is_family = knowledge.symbol_states[0][-1] is END
        return (SequenceLayout() if is_family else GridLayout()).count_states(knowledge)

    def name_worlds(
        self, worlds: npt.NDArray[np.int64], knowledge: Knowledge, samples: Samples
    ) -> Any:
        """Replace indices of states by their names."""
        return _manner(samples).name_worlds(worlds, knowledge, samples)

    def read_symbols(
        self, Z: Any, knowledge: Knowledge, samples: Samples, source: str = "symbols"
    ) -> KnownSymbols:
        """Read the symbols that are known."""
        return _manner(samples).read_symbols(Z, knowledge, samples, source)

    def split_marginals(self, marginals: npt.NDArray[np.float64], samples: Samples) -> Any:
        """Leave out symbols that are not there."""
        return _manner(samples).split_marginals(marginals, samples)

    def describe(self, samples: Samples, i: int) -> str:
        """Return words for a sample."""
        return _manner(samples).describe(samples, i)


@dataclass(frozen=True)
class _Some:
    """All that layouts ask of knowledge when they read: how many symbols it has."""

    n_symbols: int
    is_family: bool = False


def _manner(samples: Any) -> Layout:
    """Return the layout that speaks of the symbols of such samples where they are of one kind."""
    return GridLayout() if samples.lengths is None else SequenceLayout()


def _read_whole(X: Any, estimator: Any, reset: bool) -> Any:
    """Check X as a whole: its number of features and their names; nothing is converted."""
    if isinstance(X, Mapping):
        forget_features(estimator)
        return X
    X = open_features(X)
    if isinstance(X, list | tuple):
        X = np.asarray(X)
    return validate_data(estimator, X, skip_check_array=True, reset=reset)


def _choose(X: Any, part: Part, layout: Layout, positions: list[int], n_symbols: int) -> Any:
    """Return what of X a part sees."""
    columns, is_grid = part.columns, isinstance(layout, GridLayout)
    if columns is None:
        if not is_grid:
            return X
        if isinstance(X, Mapping):
            return {key: _own(X[key], positions, n_symbols, f"X[{key!r}]") for key in X}
        return _own(X, positions, n_symbols, "X")
    try:
        if not isinstance(X, Mapping):
            if isinstance(columns, int | np.integer):  # axis 1 stays
                columns = [int(columns)]
            chosen = np.asarray(_safe_indexing(X, columns, axis=1))
            chosen = chosen[:, None] if chosen.ndim == 1 else chosen
        elif isinstance(columns, str):
            chosen = np.asarray(open_features(X[columns], f"X[{columns!r}]"))
        else:
            return {key: X[key] for key in columns}
    except (KeyError, IndexError, TypeError, ValueError) as error:
        there = f", which has the keys {join_names(X)}" if isinstance(X, Mapping) else ""
        raise ValueError(
            f"columns of part {part.name!r} must select from X{there}, got {columns!r}: {error}. "
            "Correct `columns`, or X."
        ) from error
    if is_grid and len(positions) == 1 and layout.symbol_shape is None and chosen.ndim > 2:
        return chosen if chosen.shape[1] == 1 else chosen[:, None]
    return chosen


def _own(X: Any, positions: list[int], n_symbols: int, name: str) -> Any:
    """Return the symbols at some positions of shaped samples; flat ones as they are."""
    X = open_features(X, name)
    X = X if hasattr(X, "shape") else np.asarray(X)
    if len(X.shape) < 3:
        return X
    if X.shape[1] != n_symbols:
        raise ValueError(
            f"{name} must be of shape (n_samples, {n_symbols}, ...): one entry of axis 1 for each "
            f"symbol of the knowledge, got {tuple(X.shape)}. Pass `columns` for each part."
        )
    return X[:, positions]


def _check_lengths(samples: dict[str, Samples]) -> None:
    """Check that parts of a mapping have equally many samples."""
    lengths = {name: len(part) for name, part in samples.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"X must hold equally many samples for each part, got {lengths}. Give each array a row "
            "for each sample."
        )


def _take(whole: Sequences, place: Place, longest: int) -> Sequences:
    """Return the symbols of a part of each sequence, which has none where it is too short."""
    positions = place.positions(longest)
    is_own = torch.zeros(longest, dtype=torch.bool)
    is_own[positions] = True
    # The position in its sample of each symbol of all the data.
    position = torch.arange(longest).expand(len(whole), -1)[whole.is_symbol]
    lengths = (torch.tensor(positions) < whole.lengths[:, None]).sum(dim=1)
    return Sequences(whole.symbols[is_own[position]], lengths, len(positions))
