"""A transformer of scikit-learn's, applied to the features of each symbol."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils import Tags, check_array, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from sknesy._arrays import check_unmasked, open_array
from sknesy._documentation import Documented
from sknesy.layouts import IndexedImages, as_symbols, find_image_shape
from sknesy.nets.modules import as_shape

__all__ = ["EachSymbol"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class _Symbols:
    """Features of all symbols, a row each, and how they lay in X.

    Attributes
    ----------
    rows : ndarray of shape (n_rows, n_features)
        The features of one symbol a row.
    shape : tuple of int
        Their shape in X.
    lengths : list of int or None
        Symbols of each bag; None where X is an array.
    is_flat : bool
        Whether the symbols of a sample lie flat.
    axes : tuple of int
        The axes of an array that come before those of a symbol.
    indexed : IndexedImages or None
        What X is where its symbols are images that recur: `rows` are these.
    """

    rows: npt.NDArray[Any]
    shape: Shape
    lengths: list[int] | None
    is_flat: bool
    axes: Shape = ()
    indexed: IndexedImages | None = None

    def restore(self, rows: npt.NDArray[Any], shape: Shape) -> Any:
        """Lay out rows, a symbol of this shape each, as X was; they are not copied."""
        if self.indexed is not None:
            return IndexedImages(rows.reshape(-1, *shape), self.indexed.index)
        if self.lengths is None:
            return rows.reshape(self.axes + ((-1,) if self.is_flat else shape))
        bags = np.split(rows.reshape(-1, *shape), np.cumsum(self.lengths)[:-1])
        return [bag.ravel() for bag in bags] if self.is_flat else bags


def _has_inverse(self: "EachSymbol") -> bool:
    """Tell whether the transformer has an inverse."""
    return hasattr(getattr(self, "transformer_", self.transformer), "inverse_transform")


class EachSymbol(Documented, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]  # scikit-learn is untyped
    """Transformer of the features of each symbol, by any transformer of scikit-learn's.

    scikit-learn's transformers take rows of features. The symbols of all samples become the rows of
    one array, whichever sample they belong to, and come back as they lay: bags as a list of
    arrays, an array as an array, flat samples flat. Of `IndexedImages` each image is a row, once.

    Parameters
    ----------
    transformer : transformer
        What is fitted on the symbols, such as ``StandardScaler()``. It is cloned, and learns
        without y: labels are of samples, and symbols have none.
    symbol_shape : tuple of int or None, default=None
        Shape of the features of one symbol, where samples lie flat. None reads it off X; a sample
        of a 2-D X is then one symbol.

    Attributes
    ----------
    transformer_ : transformer
        The fitted transformer.
    symbol_shape_ : tuple of int
        Shape of the features of one symbol.
    output_shape_ : tuple of int
        Shape of the transformed features of one symbol: `symbol_shape_` where there are as many
        features, else ``(n_features_out,)``.
    n_features_in_ : int
        Number of columns of a 2-D X; not set for other forms.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns of X, if it had any.

    See Also
    --------
    sknesy.preprocessing.bags_from_groups : Make bags of rows.

    Notes
    -----
    Bags are concatenated once, and the bags that come back are views of one array. An array is
    reshaped without a copy. Missing values, strings and kin are the transformer's affair.

    Examples
    --------
    Features of a bag's instances are standardised over all instances of all bags:

    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> X = [np.array([[0.0], [2.0]]), np.array([[4.0], [2.0], [2.0]])]
    >>> [bag.ravel().round(1).tolist() for bag in EachSymbol(StandardScaler()).fit_transform(X)]
    [[-1.6, 0.0], [1.6, 0.0, 0.0]]

    In a pipeline, parameters of the transformer can be searched over:

    >>> from sklearn.pipeline import make_pipeline
    >>> from sknesy import EMNeSyClassifier
    >>> from sknesy.knowledge import AnyOf
    >>> pipe = make_pipeline(EachSymbol(StandardScaler()), EMNeSyClassifier(AnyOf(), tol=0.1))
    >>> pipe = pipe.set_params(eachsymbol__transformer__with_mean=False)
    >>> pipe.fit(X, [False, True]).predict(X).shape
    (2,)
    """

    def __init__(self, transformer: Any, symbol_shape: Shape | None = None) -> None:
        self.transformer = transformer
        self.symbol_shape = symbol_shape

    def fit(self, X: Any, y: Any = None) -> "EachSymbol":
        """Fit the transformer on the symbols of all samples.

        Parameters
        ----------
        X : list of array-like of shape (length, *symbol_shape), array-like or IndexedImages
            Bags, in a list or an array of objects; or an array of shape
            (n_samples, n_symbols, *symbol_shape) or (n_samples, n_features).
        y : object, optional
            Not used.

        Returns
        -------
        EachSymbol
            This transformer.

        Raises
        ------
        ValueError
            When a bag is empty, or symbols differ in shape.
        TypeError
            When `transformer` is none, or needs y.
        """
        self.fit_transform(X)  # the shape of what comes out is known then
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit the transformer, and transform the symbols it is fitted on.

        Parameters
        ----------
        X : list of array-like of shape (length, *symbol_shape), or array-like
            Samples, as in `fit`.
        y : object, optional
            Not used.

        Returns
        -------
        list of ndarray of shape (length, *output_shape), or ndarray
            Samples in the form of X.
        """
        _check_transformer(self.transformer)
        transformer = clone(self.transformer)
        shape = None if self.symbol_shape is None else as_shape(self.symbol_shape)
        symbols = self._read(X, shape, reset=True)
        if hasattr(transformer, "fit_transform"):
            rows = _apply(transformer.fit_transform, symbols.rows)
        else:
            rows = _apply(transformer.fit(symbols.rows).transform, symbols.rows)
        is_same = rows.shape == symbols.rows.shape
        self.output_shape_ = symbols.shape if is_same else rows.shape[1:]
        self.symbol_shape_, self.transformer_ = symbols.shape, transformer
        return symbols.restore(rows, self.output_shape_)

    def transform(self, X: Any) -> Any:
        """Transform the symbols of samples.

        Parameters
        ----------
        X : list of array-like of shape (length, *symbol_shape), or array-like
            Samples, of symbols as in `fit`; in the same form or another.

        Returns
        -------
        list of ndarray of shape (length, *output_shape), or ndarray
            Samples in the form of X.
        """
        check_is_fitted(self, "transformer_")
        symbols = self._read(X, self.symbol_shape_, reset=False)
        rows = _apply(self.transformer_.transform, symbols.rows)
        return symbols.restore(rows, self.output_shape_)

    @available_if(_has_inverse)  # type: ignore[untyped-decorator]  # scikit-learn is untyped
    def inverse_transform(self, X: Any) -> Any:
        """Transform symbols back.

        Parameters
        ----------
        X : list of array-like of shape (length, *output_shape), or array-like
            Samples as `transform` returns them.

        Returns
        -------
        list of ndarray of shape (length, *symbol_shape), or ndarray
            Samples in the form of X.
        """
        check_is_fitted(self, "transformer_")
        symbols = _read(X, self.output_shape_, self.symbol_shape is not None)
        rows = _apply(self.transformer_.inverse_transform, symbols.rows)
        return symbols.restore(rows, self.symbol_shape_)

    def _read(self, X: Any, shape: Shape | None, reset: bool) -> _Symbols:
        """Read symbols; the columns of a 2-D X are those of `fit`."""
        X, has_shape = _open(X), self.symbol_shape is not None
        is_indexed = isinstance(X, IndexedImages)
        if getattr(X, "ndim", 2) == 2 and not is_indexed and not _are_bags(X, has_shape):
            X = validate_data(self, X, reset=reset, dtype=None, ensure_all_finite=False)
        elif reset:  # no fixed number of columns, as in SequenceLayout
            for name in ("n_features_in_", "feature_names_in_"):
                if hasattr(self, name):
                    delattr(self, name)
        return _read(X, shape, has_shape)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        if hasattr(self.transformer, "__sklearn_tags__"):
            inner = get_tags(self.transformer)
            tags.input_tags = replace(inner.input_tags, sparse=False)
            tags.transformer_tags = inner.transformer_tags
        tags.input_tags.three_d_array = True
        return tags


def _open(X: Any) -> Any:
    """Return a tensor as an array; a transformer may read dates, but sees no mask."""
    check_unmasked(X, "X")
    return open_array(X, "X")


def _check_transformer(transformer: Any) -> None:
    """Check that it transforms, and asks for no y."""
    is_one = all(hasattr(transformer, name) for name in ("fit", "transform", "get_params"))
    if isinstance(transformer, type) or not is_one:
        raise TypeError(
            f"transformer must be an object with fit and transform, got {transformer!r}. Pass for "
            "example StandardScaler()."
        )
    if hasattr(transformer, "__sklearn_tags__") and get_tags(transformer).target_tags.required:
        raise TypeError(
            f"transformer must learn without y, as symbols have no labels of their own, got "
            f"{transformer!r}. Pass one that needs no y, such as StandardScaler() or PCA()."
        )


def _apply(method: Callable[[npt.NDArray[Any]], Any], rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return what a method of a transformer makes of rows, as a dense array."""
    found = method(rows)
    found = found.toarray() if issparse(found) else np.asarray(found)
    if len(found) != len(rows):
        raise ValueError(
            f"transformer must return a row for each of the {len(rows)} symbols, got {len(found)} "
            f"from {method!r}. Pass one that keeps the rows."
        )
    return found


def _are_bags(X: Any, has_shape: bool) -> bool:
    """Tell whether X lists arrays; flat ones are samples where `symbol_shape` cuts them."""
    is_list = isinstance(X, list | tuple)
    if not is_list and not (getattr(X, "ndim", 0) == 1 and X.dtype == object):
        return False
    return has_shape or any(_has_rows(x) for x in X)


def _has_rows(x: Any) -> bool:
    """Tell whether a sample has two axes or more."""
    if isinstance(x, list | tuple):
        return any(isinstance(row, list | tuple) or getattr(row, "ndim", 0) for row in x[:1])
    return getattr(x, "ndim", 0) > 1


def _read(X: Any, shape: Shape | None, has_shape: bool) -> _Symbols:
    """Lay out the symbols of samples as rows."""
    if isinstance(X, IndexedImages):
        X, shape = X.compact(), find_image_shape(X, shape)
        return _Symbols(X.images.reshape(-1, prod(shape)), shape, None, False, indexed=X)
    if _are_bags(X, has_shape):
        if not len(X):
            raise ValueError("X must hold at least one sample, got none. Pass one array a sample.")
        bags: list[npt.NDArray[Any]] = []
        for i, x in enumerate(X):
            bags.append(as_symbols(x, shape, f"X[{i}]"))
            shape = bags[0].shape[1:]
        rows = np.concatenate(bags).reshape(-1, prod(bags[0].shape[1:]))
        is_flat = not _has_rows(next(iter(X)))
        return _Symbols(rows, bags[0].shape[1:], list(map(len, bags)), is_flat)
    X = check_array(X, dtype=None, allow_nd=True, ensure_all_finite=False, input_name="X")
    if shape is None:
        shape = X.shape[2:] or X.shape[1:]
    n_axes = X.ndim - len(shape)
    is_flat = X.ndim == 2 and X.shape[1] % prod(shape) == 0
    if not is_flat and (n_axes not in (1, 2) or X.shape[n_axes:] != shape):
        raise ValueError(
            f"X must hold symbols of shape {shape}, that is, have the shape (n_samples, n_symbols, "
            f"{', '.join(map(str, shape))}), got {X.shape}. Give all symbols the same shape as in "
            "fit, and check `symbol_shape`."
        )
    if not X.size:
        raise ValueError(
            f"X must hold at least one symbol with features a sample, got the shape {X.shape}. "
            "Check X."
        )
    axes = X.shape[: 1 if is_flat else n_axes]
    return _Symbols(X.reshape(-1, prod(shape)), shape, None, is_flat, axes)
