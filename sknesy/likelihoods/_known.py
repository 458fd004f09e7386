"""Symbols that are known of some samples: which states of each are possible."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy._arrays import open_array
from sknesy._validation import as_array, is_missing, join_names, plain
from sknesy.exceptions import InconsistentLabelError
from sknesy.likelihoods._evidence import describe_cell, read_cell

__all__ = ["KnownSymbols", "read_known", "read_rows"]

_MAX_SAID = 8  # symbols in a message


@dataclass(frozen=True, eq=False, repr=False)
class KnownSymbols:
    """States that are left of each symbol of each sample.

    Attributes
    ----------
    code : Tensor of shape (n_samples, n_symbols), int64
        Row of `allowed` for each symbol; 0 where nothing is known.
    allowed : Tensor of shape (n_codes, n_states), bool
        The states that are possible.
    names : list of str
        What each code says, for messages.
    source : str
        Parameter that tells them, for messages.
    """

    code: Tensor
    allowed: Tensor
    names: list[str]
    source: str = "symbols"

    def __repr__(self) -> str:
        """Return of how many samples some symbol is known."""
        return f"KnownSymbols({len(self)} samples, {int(self.is_known.sum())} with known symbols)"

    def __len__(self) -> int:
        return len(self.code)

    @property
    def is_known(self) -> npt.NDArray[np.bool_]:
        """Mask of the samples of which a symbol is known, (n_samples,)."""
        known: npt.NDArray[np.bool_] = (self.code != 0).any(dim=1).cpu().numpy()
        return known

    @property
    def worlds(self) -> Tensor:
        """State of each symbol that is known, int64 (n_samples, n_symbols); -1 of the others."""
        is_single = self.allowed.sum(dim=1) == 1
        state = torch.where(is_single, self.allowed.int().argmax(dim=1), -1)
        return state[self.code]

    def condition(self, log_prob: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Compute what the net says, given the known symbols of some samples.

        Parameters
        ----------
        log_prob : Tensor of shape (n_batch, n_symbols, n_states), float64
            What the net says, in nats.
        index : Tensor of shape (n_batch,), int64
            The samples.

        Returns
        -------
        log_prob : Tensor of this shape
            Normalised over the states that are left; -inf where the net excludes all of them.
        log_share : Tensor of shape (n_batch,)
            log p(known symbols | x): what normalising takes from the log-evidence.
        """
        left = log_prob.masked_fill(~self.allowed[self.code[index]], -torch.inf)
        log_share = left.logsumexp(dim=-1)
        # Rounding must not move a symbol of which nothing is known: its share is 1.
        log_share = log_share.masked_fill(self.code[index] == 0, 0.0)
        shift = log_share.masked_fill(log_share == -torch.inf, 0.0)
        return left - shift[..., None], log_share.sum(dim=1)

    def fill_up_to(self, n_symbols: int) -> "KnownSymbols":
        """Return the same, with nothing known of symbols past those that it has."""
        missing = n_symbols - self.code.shape[1]
        return replace(self, code=torch.nn.functional.pad(self.code, (0, missing)))

    def only(self, symbols: Sequence[int]) -> "KnownSymbols":
        """Return the same of some symbols, with nothing known of the others."""
        code = torch.zeros_like(self.code)
        code[:, symbols] = self.code[:, symbols]
        return replace(self, code=code)

    def to(self, device: torch.device | str) -> "KnownSymbols":
        """Return it with its tensors on a device."""
        return replace(self, code=self.code.to(device), allowed=self.allowed.to(device))

    def describe(self, i: int) -> str:
        """Return what is known of a sample, for an error message."""
        codes = enumerate(self.code[i].tolist())
        said = [f"symbol {s} = {self.names[code]}" for s, code in codes if code]
        return ", ".join(said if len(said) <= _MAX_SAID else [*said[:_MAX_SAID], "..."])


def read_known(
    rows: Sequence[Sequence[Any] | None],
    states: Sequence[Sequence[Hashable]],
    width: int,
    source: str = "symbols",
) -> KnownSymbols:
    """Read what is known of the symbols of each sample.

    Parameters
    ----------
    rows : sequence of sequences
        For each sample its symbols: a name, a set of names, or unknown; None for a sample of which
        no symbol is known.
    states : sequence of sequences of hashable
        The names of the states of each symbol.
    width : int
        Number of states, as engines see them; a state without a name, such as the end of a
        sequence, is left open where nothing is known.
    source : str, default="symbols"
        Parameter that the rows come from, for messages.

    Returns
    -------
    KnownSymbols
        What is known.
    """
    code = np.zeros((len(rows), len(states)), dtype=np.int64)
    allowed, words = [np.ones(width, dtype=bool)], ["unknown"]
    kinds: dict[Any, int] = {}
    kind = [kinds.setdefault(tuple(names), len(kinds)) for names in states]
    found: dict[Any, int] = {}
    for i, row in enumerate(rows):
        for s, value in enumerate(() if row is None else row):
            is_plain = type(value) in (int, str, bool)
            cell = value if is_plain else read_cell(value, f"{source}[{i}] of symbol {s}")
            if cell is None:
                continue
            key = (kind[s], cell)
            if key not in found:
                members = cell if isinstance(cell, frozenset) else (cell,)
                for name in members:
                    if name not in states[s]:
                        raise InconsistentLabelError(
                            f"{source} holds {plain(name)!r} for symbol {s} of sample {i}, which "
                            f"is none of its states: {join_names(states[s])}. Pass names of "
                            "states, a set of them, or None where the symbol is unknown."
                        )
                found[key] = len(allowed)
                mask = np.zeros(width, dtype=bool)
                mask[[states[s].index(name) for name in members]] = True
                allowed.append(mask)
                words.append(describe_cell(plain(cell)))
            code[i, s] = found[key]
    return KnownSymbols(torch.from_numpy(code), torch.from_numpy(np.stack(allowed)), words, source)


def read_rows(Z: Any, lengths: Sequence[int], source: str = "symbols") -> list[Any]:
    """Return the known symbols of each sample, each row of its length, or None for a gap."""
    cure = "Pass names of states, as they are predicted, with None where a symbol is unknown."
    array = as_array(Z, source)
    is_flat = array.ndim == 1 and not any(isinstance(x, tuple | list | np.ndarray) for x in array)
    if is_flat and set(lengths) == {1}:
        array = array[:, None]
    if len(array) != len(lengths):
        raise ValueError(
            f"{source} must hold a row for each of the {len(lengths)} samples, got {len(array)}. "
            f"{cure}"
        )
    rows: list[Any] = []
    for i, (row, length) in enumerate(zip(array, lengths, strict=True)):
        row = open_array(row, f"{source}[{i}]")
        if isinstance(row, np.ndarray | list | tuple):
            values = as_array(row).tolist() if not isinstance(row, tuple) else list(row)
            if len(values) == length:
                rows.append(values)
                continue
        elif is_missing(row):
            rows.append(None)
            continue
        raise ValueError(
            f"{source}[{i}] must hold {length} symbols, one for each of its sample, or be None, "
            f"got {row!r}. {cure}"
        )
    return rows
