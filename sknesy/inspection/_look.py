"""A look at samples: what the net says of their symbols, and what is known besides."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sknesy.estimators import final
from sknesy.estimators._base import BaseEMNeSy
from sknesy.inference import Posterior
from sknesy.knowledge import END
from sknesy.nets import Parts

__all__ = ["Look", "find_group", "look", "name_states", "reach"]


@dataclass(frozen=True, eq=False)
class Look:
    """Statements of a fitted estimator about samples.

    `seen` is what it saw, as its other methods use it. `net` and `symbols` have the probabilities
    of the states of each symbol, by the net alone and given what is known: arrays (n_samples,
    n_symbols, n_states), or lists for sequences. `posterior` is as engines see the samples.
    """

    estimator: Any
    seen: Any
    net: Any
    symbols: Any
    posterior: Posterior


def reach(estimator: Any, X: Any, caller: str) -> tuple[Any, Any]:
    """Return the fitted estimator behind a pipeline or search that is learned by EM, and its X."""
    estimator, X = final(estimator, X)
    if not isinstance(estimator, BaseEMNeSy):
        raise TypeError(
            f"estimator must be an EMNeSyClassifier or EMNeSyRegressor for {caller}, got "
            f"{type(estimator).__name__}, which learns no net by EM. Pass one of these."
        )
    return estimator, X


def look(estimator: Any, X: Any, y: Any, symbols: Any) -> Look:
    """Look at samples; an impossible label raises, as `predict_symbols_proba` does."""
    seen = estimator._look(X, y, symbols)
    split = estimator.layout_.split_marginals
    posterior = estimator._infer(seen)
    return Look(
        estimator,
        seen,
        split(estimator._net_proba(seen.samples), seen.samples),
        split(posterior.symbol_marginals, seen.samples),
        posterior,
    )


def name_states(estimator: Any, n_symbols: int) -> list[tuple[Any, ...]]:
    """Return the names of the states of each symbol that nets predict."""
    states = estimator.knowledge_.symbol_states
    if states[0][-1] is END:  # all symbols of sequences are alike
        return [states[0][:-1]] * n_symbols
    return list(states)


def find_group(estimator: Any, group: Any, samples: Any) -> list[int] | None:
    """Return the positions of a group of symbols: those of a part, or those given; None for all."""
    if group is None:
        return None
    if isinstance(group, str):
        places = samples.places if isinstance(samples, Parts) else {}
        if group not in places:
            known = ", ".join(map(repr, places)) or "none, as its symbols are of one kind"
            raise ValueError(
                f"group must name a part of the estimator's layout ({known}), got {group!r}. Pass "
                "such a name, or positions of symbols."
            )
        return places[group].positions(samples.n_symbols)
    positions = np.ravel(np.asarray(group))
    n_symbols = samples.n_symbols
    if positions.dtype.kind not in "iu" or not ((positions >= 0) & (positions < n_symbols)).all():
        raise ValueError(
            f"group must be the name of a part, or positions of symbols in 0 ... {n_symbols - 1}, "
            f"got {group!r}. Pass a list such as [0]."
        )
    return positions.tolist()
