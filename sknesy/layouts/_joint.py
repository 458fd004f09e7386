"""Samples that a net sees as a whole, to predict all their symbols."""

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from sknesy.knowledge import Knowledge
from sknesy.layouts._arrays import NUMBERS, as_tensor, open_features, read_mapping, widen
from sknesy.layouts._base import Layout
from sknesy.layouts._indexed import refuse_indexed
from sknesy.layouts._sequences import JointSequenceLayout
from sknesy.layouts._stored import check_inputs, is_stored, open_dataset, open_mapped, share
from sknesy.nets import Joint, Samples, StoredJoint

__all__ = ["JointLayout"]


class JointLayout(Layout):
    """One x for all symbols: a net sees the whole sample and predicts each of its symbols.

    X is of shape (n_samples, *symbol_shape), such as features, an image or a map; or a mapping of
    names to such arrays, which the net's ``forward`` takes by keyword. The net gives logits of
    shape (n_samples, n_symbols, n_states), or flat; where all symbols have two states it may give
    (n_samples, n_symbols), the logits of the second state. Symbols of fewer states than others have
    logits that are ignored. A memory-mapped array and a data set of torch are read by the
    mini-batch, as by `GridLayout`.

    With a family of knowledge, of any number of symbols, `fit` uses a `JointSequenceLayout`.

    Parameters
    ----------
    symbol_shape : tuple of int or None, default=None
        Shape of the features of one sample, where X is flat, as in a pipeline with a scaler. None
        reads it off X.

    Examples
    --------
    Two tags of each sample, of which the first implies the second:

    >>> import numpy as np
    >>> from sknesy import EMNeSyClassifier
    >>> from sknesy.knowledge import ClauseKnowledge
    >>> from sknesy.layouts import JointLayout
    >>> rules = ClauseKnowledge([[-1, 2]], [[1], [2]])
    >>> X = np.random.default_rng(0).normal(size=(20, 3))
    >>> clf = EMNeSyClassifier(rules, layout=JointLayout(), random_state=0, tol=0.1)
    >>> tags = X[:, :2] > [[1.0, 0.0]]
    >>> tags[:, 1] |= tags[:, 0]
    >>> clf = clf.fit(X, [True] * 20, symbols=tags)
    >>> clf.predict_symbols_proba(X).shape
    (20, 2, 2)
    """

    def suit(self, knowledge: Knowledge | None) -> Layout:
        """Return itself; for a family a `JointSequenceLayout`."""
        is_family = knowledge is not None and knowledge.is_family
        return JointSequenceLayout(self.symbol_shape) if is_family else self

    def read(self, X: Any, knowledge: Knowledge | None, estimator: Any, reset: bool) -> Samples:
        """Check samples; nothing is copied but where numbers become float32."""
        n_symbols = 1 if knowledge is None else knowledge.n_symbols
        shape = self.symbol_shape
        refuse_indexed(X, self)
        if is_stored(X):
            return self._open(X, n_symbols, estimator, reset)
        if isinstance(X, Mapping) or isinstance(shape, Mapping):
            return Joint(read_mapping(X, shape, (), estimator), n_symbols)
        X = widen(open_features(X))
        if shape is not None:
            check_features(X, tuple(shape))
        X = validate_data(estimator, X, dtype=NUMBERS, allow_nd=True, reset=reset)
        if shape is not None:  # what was a list has a shape now
            check_features(X, tuple(shape))
        return Joint(as_tensor(X if shape is None else X.reshape(len(X), *shape)), n_symbols)

    def _open(self, X: Any, n_symbols: int, estimator: Any, reset: bool) -> Samples:
        """Check samples that stay where they are."""
        shape = self.symbol_shape
        if not isinstance(X, np.ndarray):
            source = open_dataset(X, estimator, reset)
            if isinstance(source.shape, dict) or isinstance(shape, Mapping):
                return StoredJoint(source.reshaped(check_inputs(source.shape, shape)), n_symbols)
            if shape is not None:
                check_features(np.broadcast_to(0, (len(source), *source.shape)), tuple(shape))
            return StoredJoint(source.reshaped(shape or source.shape), n_symbols)
        if isinstance(shape, Mapping):
            return Joint(read_mapping(X, shape, (), estimator), n_symbols)  # says why not
        if shape is not None:
            check_features(X, tuple(shape))
        X = open_mapped(X, estimator, reset)
        return StoredJoint(
            share(X, (len(X), *(X.shape[1:] if shape is None else shape))), n_symbols
        )

    def read_parts(self, X: Any, parts: bool | str, knowledge: Knowledge) -> Samples:
        """Raise: a sample has no parts with features of their own."""
        return self.read_singles(X)

    def read_singles(self, X: Any) -> Samples:
        """Raise: a symbol has no features of its own."""
        raise ValueError(
            "parts must be False for JointLayout, whose net sees whole samples, got single "
            "symbols. Pass whole samples."
        )


def check_features(X: Any, shape: tuple[int, ...]) -> None:
    """Check that samples, shaped or flat, have features of a shape."""
    given = tuple(getattr(X, "shape", ()))
    if len(given) < 2 or given[1:] in (shape, (prod(shape),)):
        return  # scikit-learn speaks of those of one dimension
    raise ValueError(
        f"X must be of shape (n_samples, {', '.join(map(str, shape))}), or flat with {prod(shape)} "
        f"features, got {given}. Check X and `symbol_shape`."
    )
