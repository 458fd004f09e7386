"""Scores of held-out samples, for scikit-learn's searches and cross-validation."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.utils import _safe_indexing, check_consistent_length
from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.validation import _num_samples

from sknesy._arrays import as_weight
from sknesy._validation import as_array, is_missing
from sknesy.estimators import final
from sknesy.likelihoods import read_cell, read_rows

__all__ = ["LogEvidenceScorer", "SymbolScorer", "find_known", "log_evidence_score", "symbol_score"]

Floats = npt.NDArray[np.float64]

_DEAD = -1e6  # nats: what a row of log-evidence -inf counts as
_METADATA = ("symbols", "sample_weight")


class _Scorer(ABC):
    """Callable to which scikit-learn routes metadata; `requests` says which, and by which name."""

    _name: ClassVar[str]

    def __init__(self, requests: dict[str, bool | str | None] | None = None) -> None:
        self.requests = requests or {}

    def __call__(
        self, estimator: Any, X: Any, y: Any, symbols: Any = None, sample_weight: Any = None
    ) -> float:
        """Score samples by what the fitted estimator behind `estimator` says of them."""
        clf, X = final(estimator, X)
        check_consistent_length(X, y, symbols)
        weight = as_weight(sample_weight, _num_samples(X))
        if not weight.all():  # whatever is said of samples of weight 0
            kept = np.flatnonzero(weight)
            X, y, symbols = (v if v is None else _safe_indexing(v, kept) for v in (X, y, symbols))
            weight = weight[kept]
        totals, counts = self._score(clf, X, y, symbols)
        return float(weight @ totals / (weight @ counts))

    @abstractmethod
    def _score(self, clf: Any, X: Any, y: Any, symbols: Any) -> tuple[Floats, Floats]:
        """Return the sum of what is scored in each sample, and how many there are in it."""

    def set_score_request(self, **requests: bool | str | None) -> "_Scorer":
        """Return a scorer that asks for metadata, such as ``symbols=True``."""
        unknown = next((name for name in requests if name not in _METADATA), None)
        if unknown is not None:
            raise TypeError(
                f"set_score_request must be given some of {_METADATA}, got {unknown!r}. Leave it "
                "out."
            )
        if not sklearn.get_config()["enable_metadata_routing"]:
            raise RuntimeError(
                "set_score_request must be called with metadata routing enabled, got it disabled. "
                "Call sklearn.set_config(enable_metadata_routing=True) before."
            )
        return type(self)({**self.requests, **requests})  # the one that all share stays as it is

    def get_metadata_routing(self) -> MetadataRequest:
        """Return what is asked for, in scikit-learn's terms."""
        request = MetadataRequest(owner=self)
        for name in _METADATA:
            request.score.add_request(param=name, alias=self.requests.get(name))
        return request

    def _accept_sample_weight(self) -> bool:
        """Tell searches which do not route metadata that weights are taken."""
        return True

    def __repr__(self) -> str:
        asked = ", ".join(f"{name}={alias!r}" for name, alias in self.requests.items())
        return f"{self._name}.set_score_request({asked})" if asked else self._name


class LogEvidenceScorer(_Scorer):
    """Mean log-evidence of held-out samples: log p(y, known symbols | x), in nats.

    It chooses among models where no true label is known, and is higher for better ones. The
    evidence is that of ``posterior``: under the likelihood, and of the net as it is, whatever
    temperature it was trained with.

    Call it with a fitted estimator, which may be a Pipeline or a search: ``(estimator, X, y,
    symbols=None, sample_weight=None)``. Or pass it to scikit-learn as ``scoring=``. Known symbols
    reach it through metadata routing: ``log_evidence_score.set_score_request(symbols=True)``.

    Notes
    -----
    Samples of which nothing is known are left out. An impossible label raises
    InconsistentLabelError, as ``posterior`` does. A sample of log-evidence -inf counts as -1e6
    nats, so that searches can rank what they find: it is too short for its label, or engines that
    draw found no world for it. Engines that are not exact score an estimate, or a lower bound.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sknesy import EMNeSyClassifier
    >>> from sknesy.datasets import make_digit_sum
    >>> from sknesy.model_selection import EvidenceKFold, as_evidence, log_evidence_score
    >>> X, y, _, addition = make_digit_sum(100, random_state=0)
    >>> y = as_evidence(y)
    >>> y[:50] = None  # unknown
    >>> clf = EMNeSyClassifier(addition, tol=0.5, n_iter_no_change=1, random_state=0)
    >>> grid = {"learning_rate": [1e-6, 1e-2]}
    >>> search = GridSearchCV(clf, grid, cv=EvidenceKFold(2), scoring=log_evidence_score)
    >>> search.fit(X, y).best_params_
    {'learning_rate': 0.01}
    >>> log_evidence_score(search, X, y) > -3
    True
    """

    _name = "log_evidence_score"

    def _score(self, clf: Any, X: Any, y: Any, symbols: Any) -> tuple[Floats, Floats]:
        """Return the log-evidence of each sample of which something is known."""
        log_evidence = clf.posterior(X, y, symbols).log_evidence
        is_known = find_known(clf, len(log_evidence), y, symbols)
        if not is_known.any():
            raise ValueError(
                "y or symbols must say something of at least one sample of positive weight, got "
                f"nothing for {len(is_known)} samples. Pass samples with labels."
            )
        log_evidence = np.where(log_evidence == -np.inf, _DEAD, log_evidence)
        return np.where(is_known, log_evidence, 0.0), is_known.astype(np.float64)


class SymbolScorer(_Scorer):
    """Share of known symbols that ``predict_symbols(X)`` names right.

    Cells of `symbols` that hold one state count; gaps and sets of several do not. y is not used.

    Call it with a fitted estimator, which may be a Pipeline or a search: ``(estimator, X, y,
    symbols, sample_weight=None)``. In scikit-learn's tools symbols reach it through metadata
    routing: ``symbol_score.set_score_request(symbols=True)``.

    Examples
    --------
    >>> import numpy as np
    >>> import sklearn
    >>> from sklearn.model_selection import cross_validate
    >>> from sknesy import EMNeSyClassifier
    >>> from sknesy.knowledge import SymbolSum
    >>> from sknesy.model_selection import EvidenceKFold, symbol_score
    >>> numbers = np.random.default_rng(0).integers(3, size=(60, 2))
    >>> X, y = np.eye(3)[numbers], numbers.sum(axis=1)
    >>> Z = np.ma.masked_array(numbers, np.arange(120).reshape(60, 2) % 10 > 0)  # a tenth is known
    >>> clf = EMNeSyClassifier(SymbolSum(2, range(3)), learning_rate=0.03, tol=0.05, random_state=0)
    >>> with sklearn.config_context(enable_metadata_routing=True):
    ...     found = cross_validate(
    ...         clf.set_fit_request(symbols=True),
    ...         X,
    ...         y,
    ...         cv=EvidenceKFold(2),
    ...         scoring=symbol_score.set_score_request(symbols=True),
    ...         params={"symbols": Z},
    ...     )
    >>> found["test_score"]
    array([1., 1.])
    """

    _name = "symbol_score"

    def _score(self, clf: Any, X: Any, y: Any, symbols: Any) -> tuple[Floats, Floats]:
        """Return how many symbols are named right, and how many are known, of each sample."""
        if symbols is None:
            raise ValueError(
                "symbols must hold the symbols that are known, got None. Pass them; in "
                "scikit-learn's tools by symbol_score.set_score_request(symbols=True) and "
                "params={'symbols': ...}, with metadata routing enabled."
            )
        predicted = [row.tolist() for row in clf.predict_symbols(X)]
        rows = read_rows(symbols, list(map(len, predicted)))
        right, known = np.zeros((2, len(rows)))
        for i, (row, names) in enumerate(zip(rows, predicted, strict=True)):
            for s, (value, name) in enumerate(zip(row or (), names, strict=False)):
                cell = read_cell(value, f"symbols[{i}] of symbol {s}")
                if cell is not None and not isinstance(cell, frozenset):
                    known[i] += 1
                    right[i] += cell == name
        if not known.any():
            raise ValueError(
                "symbols must name the state of at least one symbol of a sample of positive "
                f"weight, got none in {len(rows)} samples. Pass samples with known symbols."
            )
        return right, known


def find_known(clf: Any, n_samples: int, y: Any, symbols: Any) -> npt.NDArray[np.bool_]:
    """Mark the samples of which y or symbols say something, (n_samples,)."""
    is_known = np.zeros(n_samples, dtype=bool)
    y, symbols, _ = clf._fit_state.target.look(y, symbols)
    if y is not None:
        is_known |= clf.likelihood_.read(y, clf._fit_state.labels).is_known
    if symbols is not None:
        table = as_array(symbols, "symbols")  # iterating a frame gives its columns
        rows = (np.ravel(as_array(row)) if np.iterable(row) else [row] for row in table)
        is_known |= [not all(map(is_missing, row)) for row in rows]
    return is_known


log_evidence_score = LogEvidenceScorer()
symbol_score = SymbolScorer()
