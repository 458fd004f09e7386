"""Subject of y: the label that symbols give together, or the symbols themselves."""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import issparse

from sknesy._validation import as_array, as_column, in_order, is_missing
from sknesy.estimators._labels import LabelSpace
from sknesy.estimators._mixture import average_views
from sknesy.inference import Posterior, true_state, weigh_marginals
from sknesy.knowledge import END, Knowledge
from sknesy.layouts import Layout
from sknesy.likelihoods import ExactLikelihood, ExactObserved, has_rows
from sknesy.nets import Samples

__all__ = ["LabelTarget", "SymbolsTarget", "Target", "make_target"]


def make_target(name: str) -> "Target":
    """Make the subject of y, by the parameter `target`: "label" or "symbols"."""
    return SymbolsTarget() if name == "symbols" else LabelTarget()


class Target(ABC):
    """Subject of y: how it becomes evidence, and how predictions take its form.

    Where a method takes `fitted`, this is the fitted estimator; `seen` is what it sees of some
    samples: their log-probabilities, knowledge, and what is known of them.

    Attributes
    ----------
    is_told : bool
        Whether y tells the symbols, so that no temperature need keep them apart.
    """

    is_told: bool

    @abstractmethod
    def check(self, parameters: Any) -> None:
        """Check that no parameter of an estimator is without effect."""

    @abstractmethod
    def read(
        self, y: Any, symbols: Any, knowledge: Knowledge | None, layout: Layout, samples: Samples
    ) -> tuple[Any, Any, str]:
        """Return labels, known symbols, and the parameter these come from: for training."""

    def describe(self) -> str | None:
        """Return what `read` found out about the form of y, as text."""
        return None

    def restore(self, described: str | None, knowledge: Knowledge) -> None:  # noqa: B027
        """Find it again, from what `describe` returned and the knowledge of as many symbols."""

    @abstractmethod
    def look(self, y: Any, symbols: Any) -> tuple[Any, Any, str]:
        """Return the same for predictions, where None is what these assume, and no more."""

    @abstractmethod
    def name_classes(self, classes: Any) -> Any:
        """Return the labels that a stream may hold, where `classes` are given; None for all."""

    @abstractmethod
    def classes(self, labels: LabelSpace, knowledge: Knowledge) -> Any:
        """Return what can be predicted, in scikit-learn's form of `classes_`."""

    @abstractmethod
    def predict(self, fitted: Any, seen: Any) -> Any:
        """Predict in the form of y, by the parameter `decision`."""

    @abstractmethod
    def proba(self, fitted: Any, seen: Any, posterior: Posterior) -> Any:
        """Return the probabilities of `classes`."""

    @abstractmethod
    def agreement(
        self, fitted: Any, samples: Samples, y: Any, predicted: Any
    ) -> npt.NDArray[np.float64]:
        """Return how far predictions agree with y, (n_samples,); NaN where y says nothing."""


class LabelTarget(Target):
    """y holds labels, and `symbols` what is known of symbols beside."""

    is_told = False

    def check(self, parameters: Any) -> None:
        """Check nothing: all parameters have an effect."""

    def read(
        self, y: Any, symbols: Any, knowledge: Knowledge | None, layout: Layout, samples: Samples
    ) -> tuple[Any, Any, str]:
        """Return both as they are."""
        return y, symbols, "symbols"

    def look(self, y: Any, symbols: Any) -> tuple[Any, Any, str]:
        """Return both as they are."""
        return y, symbols, "symbols"

    def name_classes(self, classes: Any) -> Any:
        """Return those that are given."""
        return classes

    def classes(self, labels: LabelSpace, knowledge: Knowledge) -> Any:
        """Return the labels that can be predicted."""
        return labels.classes

    def predict(self, fitted: Any, seen: Any) -> Any:
        """Predict the most probable label, or that of the most probable world."""
        labels = fitted._fit_state.labels
        if fitted.decision == "marginals":
            return labels.most_probable(fitted._infer(seen).output_marginals, seen.compiled)
        worlds, outputs = fitted._mode(seen)
        return labels.name(
            outputs, seen.compiled, lambda rows: seen.knowledge.conclude(worlds[rows])
        )

    def proba(self, fitted: Any, seen: Any, posterior: Posterior) -> Any:
        """Return the probabilities of the labels."""
        return fitted._fit_state.labels.proba(posterior.output_marginals, seen.compiled)

    def agreement(
        self, fitted: Any, samples: Samples, y: Any, predicted: Any
    ) -> npt.NDArray[np.float64]:
        """Return the agreement by the likelihood, or with true labels, in one column."""
        labels, likelihood = fitted._fit_state.labels, fitted.likelihood_
        if likelihood.reads_rows and not has_rows(y):  # true labels
            likelihood = ExactLikelihood()
        observed = likelihood.read(y, labels)
        if likelihood.reads_rows:  # the knowledge names the columns
            observed = observed.bind(fitted.compiled_.output_states)
        entries = labels.read_predicted(predicted)
        return observed.agreement(ExactObserved(entries, allowed=labels.wanted([]) or None))


class SymbolsTarget(Target):
    """y holds symbols, and the label is that the rules hold."""

    is_told = True

    def __init__(self) -> None:
        self._label: Hashable = None  # that the rules hold; None where no label says so
        self._dtype: np.dtype[Any] | None = None  # of y, if it holds bools or ints

    def check(self, parameters: Any) -> None:
        """Check that no parameter is about labels."""
        if parameters.knowledge is None:
            raise ValueError(
                "knowledge must relate the symbols in y where target='symbols', got None. Pass "
                "rules, such as AtMost(1, n_symbols=3) or ClauseKnowledge, or set target='label'."
            )
        cures = {
            "likelihood": "Leave it out: a symbol in y is right, a set, or unknown.",
            "labels": "Leave it out: the knowledge names the states of symbols.",
            "class_weight": "Pass sample_weight.",
        }
        for name, cure in cures.items():
            given = getattr(parameters, name)
            if given is not None:
                raise ValueError(
                    f"{name} must be None where target='symbols', as it is about labels, got "
                    f"{given!r}. {cure}"
                )

    def read(
        self, y: Any, symbols: Any, knowledge: Knowledge | None, layout: Layout, samples: Samples
    ) -> tuple[Any, Any, str]:
        """Return the label that the rules hold for each sample, and y as its symbols."""
        assert knowledge is not None, "check comes first"
        if symbols is not None:
            raise ValueError(
                "symbols must be None where target='symbols', as y holds the symbols, got "
                f"{type(symbols).__name__}. Leave it out, or set target='label'."
            )
        y = _as_dense(y)
        known = _list_known(y)
        if not known:
            raise ValueError(
                f"y must hold a symbol of some sample, got {len(samples)} rows that are all "
                "unknown. Pass names of states, with None where a symbol is unknown."
            )
        self._dtype = _find_dtype(y, known)
        self._label = layout.unroll(knowledge, samples).label_if_satisfied
        return [self._label] * len(samples), y, "y"

    def describe(self) -> str | None:
        """Return the type of the bools or ints in y."""
        return None if self._dtype is None else self._dtype.str

    def restore(self, described: str | None, knowledge: Knowledge) -> None:
        """Restore that type, and the label that the rules hold."""
        self._dtype = None if described is None else np.dtype(described)
        self._label = knowledge.label_if_satisfied

    def look(self, y: Any, symbols: Any) -> tuple[Any, Any, str]:
        """Return y or `symbols` as the symbols that are known, and no label."""
        if y is None:
            return None, symbols, "symbols"
        if symbols is not None:
            raise ValueError(
                "symbols must be None where target='symbols' and y is given, as both are about "
                f"symbols, got {type(symbols).__name__}. Pass one of them, with all that is known."
            )
        return None, _as_dense(y), "y"

    def name_classes(self, classes: Any) -> Any:
        """Return the label that the rules hold."""
        if classes is not None:
            raise ValueError(
                "classes must be None where target='symbols', as the knowledge names the states "
                f"of symbols, got {classes!r}. Leave it out."
            )
        return None if self._label is None else [self._label]

    def classes(self, labels: LabelSpace, knowledge: Knowledge) -> Any:
        """Return the states of each symbol, in order; of Boolean symbols as one array."""
        states = _without_end(knowledge)
        columns = [self._cast(as_column(in_order(names))) for names in states]
        if END in knowledge.symbol_states[0]:
            return columns[0]  # sequences have any number of symbols, all alike
        return np.stack(columns) if _are_boolean(states) else columns

    def predict(self, fitted: Any, seen: Any) -> Any:
        """Predict worlds that the rules allow.

        By marginals it is the one with the largest sum of marginals, the expected number of right
        symbols; else the most probable one.
        """
        if fitted.decision == "marginals":
            view = average_views(seen.views)
            marginals = torch.from_numpy(fitted._infer(seen).symbol_marginals)
            marginals = marginals.to(view.log_prob.device)
            weight = weigh_marginals(marginals, view.log_prob > -torch.inf)
            seen = replace(seen, views=(replace(view, log_prob=weight),))
        worlds, _ = fitted._mode(seen)
        named = fitted.layout_.name_worlds(worlds, seen.knowledge, seen.samples)
        return [*map(self._cast, named)] if isinstance(named, list) else self._cast(named)

    def proba(self, fitted: Any, seen: Any, posterior: Posterior) -> Any:
        """Return p(True) of Boolean symbols, else the probabilities of the states of each."""
        marginals = fitted.layout_.split_marginals(posterior.symbol_marginals, seen.samples)
        states = _without_end(seen.knowledge)
        orders = [[names.index(name) for name in in_order(names)] for names in states]
        is_boolean = _are_boolean(states)
        if isinstance(marginals, list):  # sequences
            return [rows[:, orders[0][1] if is_boolean else orders[0]] for rows in marginals]
        columns = [marginals[:, s, order] for s, order in enumerate(orders)]
        return np.stack([c[:, 1] for c in columns], axis=1) if is_boolean else columns

    def agreement(
        self, fitted: Any, samples: Samples, y: Any, predicted: Any
    ) -> npt.NDArray[np.float64]:
        """Return 1 where all symbols that y tells of a sample are right, else 0."""
        layout, knowledge = fitted.layout_, fitted.knowledge_
        if samples.n_symbols > knowledge.n_symbols:  # sequences that are longer than in `fit`
            knowledge = layout.unroll(fitted.knowledge, samples)
        samples = samples.fill_up_to(knowledge.n_symbols)
        told = layout.read_symbols(_as_dense(y), knowledge, samples, source="y")
        found = layout.read_symbols(predicted, knowledge, samples)
        is_right = (told.allowed[told.code] & found.allowed[found.code]).any(dim=2).all(dim=1)
        agreement: npt.NDArray[np.float64] = is_right.double().numpy()
        agreement[~told.is_known] = np.nan
        return agreement

    def _cast(self, names: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return names of states in the type of y, where it holds the same numbers."""
        if self._dtype is None or names.dtype.kind not in "biu":
            return names
        cast = names.astype(self._dtype)
        return cast if (cast == names).all() else names


def _as_dense(y: Any) -> Any:
    """Return a sparse matrix as an array, anything else as it is."""
    return y.toarray() if issparse(y) else y


def _list_known(y: Any) -> list[Any]:
    """Return the names in y, also those in sets; one is enough where there can be no gap."""
    array = as_array(y)
    if array.dtype.kind in "biuSU":
        return array.ravel()[:1].tolist()
    known: list[Any] = []
    for row in array.tolist():
        for cell in row if isinstance(row, list | tuple | np.ndarray) else [row]:
            if isinstance(cell, set | frozenset):
                known.extend(cell)
            elif not is_missing(cell):
                known.append(cell)
    return known


def _find_dtype(y: Any, known: list[Any]) -> np.dtype[Any] | None:
    """Return the type of the bools or ints in y; None if it holds others."""
    dtype = y.dtype if isinstance(y, np.ndarray) else as_array(y).dtype
    if dtype.kind in "biu":
        return dtype
    if all(isinstance(name, bool | np.bool_) for name in known):
        return np.dtype(bool)
    is_whole = all(isinstance(n, int | float | np.number) and n == int(n) for n in known)
    return np.dtype(np.int64) if is_whole else None


def _without_end(knowledge: Knowledge) -> list[tuple[Hashable, ...]]:
    """Return the names of the states of each symbol; `END` is none that is predicted."""
    return [tuple(name for name in names if name is not END) for names in knowledge.symbol_states]


def _are_boolean(states: list[tuple[Hashable, ...]]) -> bool:
    """Tell whether all symbols have the states False and True, or 0 and 1."""
    return all(true_state(names) is not None for names in states)
