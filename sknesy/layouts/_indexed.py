"""Samples whose symbols are images that recur, each stored once."""

from collections.abc import Iterable, Mapping
from copy import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sknesy._arrays import check_unmasked, open_array
from sknesy._validation import as_objects, join_names
from sknesy.layouts._arrays import as_numbers, as_tensor, warn_of_rounding
from sknesy.layouts._stored import check_finite, is_stored, share
from sknesy.nets import Grid, Indexed, Sequences, Source

__all__ = ["IndexedImages", "look_up_grid", "look_up_sequences", "refuse_indexed"]


class IndexedImages:
    """Samples whose symbols are images that recur; each image is stored once.

    Stands for the array ``images[index]`` as the X of an estimator, without its memory. Whatever
    picks samples, such as a split, a fold or ``X[rows]``, picks rows of the index and shares the
    images. A net sees each image of a mini-batch once, and learns from all symbols it stands for.

    Parameters
    ----------
    images : array-like of shape (n_images, *symbol_shape)
        Features of one symbol each: images, or rows of any features. A memory-mapped array stays on
        disk. Others are converted here, once: integers stay as they are, all else becomes float32.
    index : array-like of shape (n_samples, n_symbols), or list of array-like of shape (length,)
        Numbers of the images of each sample, integers from 0 to n_images - 1. A list of arrays of
        unlike lengths holds bags, for knowledge of any number of symbols.

    Attributes
    ----------
    images : ndarray of shape (n_images, *symbol_shape)
        The images; all that are picked from these samples hold the same array.
    index : ndarray of shape (n_samples, n_symbols), or of objects of shape (n_samples,)
        The numbers. Bags are arrays of shape (length,).
    shape : tuple of int
        Shape of the array that this stands for; (n_samples,) for bags.

    Raises
    ------
    ValueError
        When an image holds NaN or infinity, or a number is not that of an image.
    TypeError
        When the index does not hold integers.

    See Also
    --------
    sknesy.layouts.GridLayout : Reads samples of equally many symbols.
    sknesy.layouts.SequenceLayout : Reads bags.
    sknesy.preprocessing.EachSymbol : Transforms each image once.

    Notes
    -----
    ``np.asarray(X)`` makes the whole array, and ``X[0]`` the images of one sample. A net must see
    one symbol at a time: `JointLayout` and `Columns` take the array. Layers that look at a whole
    mini-batch, as batch norm does, see each image once.

    Examples
    --------
    Sums of digits, of which each image is in several sums:

    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sknesy import EMNeSyClassifier
    >>> from sknesy.knowledge import SymbolSum
    >>> images, digits = load_digits(return_X_y=True)
    >>> index = np.random.default_rng(0).integers(len(images), size=(200, 4))
    >>> X, y = IndexedImages(images, index), digits[index].sum(axis=1)
    >>> X
    IndexedImages(200 samples of 4 of 1797 images of shape (64,))
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> X_train.images is X_test.images is X.images
    True
    >>> clf = EMNeSyClassifier(SymbolSum(4, range(10)), tol=0.1, random_state=0)
    >>> clf.fit(X_train, y_train).predict_symbols(X_test).shape
    (50, 4)
    """

    def __init__(self, images: Any, index: Any) -> None:
        self.images = _read_images(images)
        self.index = _read_index(index, len(self.images))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array that this stands for; (n_samples,) for bags."""
        own = self.images.shape[1:] if self.index.ndim == 2 else ()
        return (*self.index.shape, *own)

    @property
    def ndim(self) -> int:
        """Number of axes of the array that this stands for."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the images."""
        dtype: np.dtype[Any] = self.images.dtype
        return dtype

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: Any) -> Any:
        """Return some of the samples, by a slice, their numbers or a mask.

        A single number gives the images of one sample, an array of shape (length, *symbol_shape).
        """
        if isinstance(rows, tuple):
            if len(rows) != 2 or rows[1] is not Ellipsis:  # scikit-learn asks for X[rows, ...]
                raise IndexError(
                    f"IndexedImages must be indexed by samples alone, got {len(rows)} indices. "
                    "Index np.asarray(X), or X.images and X.index."
                )
            rows = rows[0]
        index = self.index[rows]
        if isinstance(rows, slice) or np.ndim(rows):
            return self._with(self.images, index)
        return self.images[index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return the whole array that this stands for; of bags, an array of arrays."""
        if copy is False:
            raise ValueError("copy must not be False, as the array is made of the images anew.")
        if self.index.ndim == 2:
            whole = np.asarray(self.images[self.index])
            return whole if dtype is None else whole.astype(dtype, copy=False)
        return _as_bags(np.asarray(self.images[numbers]) for numbers in self.index)

    def __repr__(self) -> str:
        """Return how many samples there are, and of what."""
        each = self.index.shape[1] if self.index.ndim == 2 else "any number"
        return (
            f"IndexedImages({len(self)} samples of {each} of {len(self.images)} images of shape "
            f"{self.images.shape[1:]})"
        )

    def compact(self) -> "IndexedImages":
        """Return the same samples with no other images than those that they hold.

        Returns
        -------
        IndexedImages
            The samples, with images and an index of their own, such as for a file.
        """
        flat, n_images = self._flat(), len(self.images)
        is_there = np.zeros(n_images, dtype=bool)
        is_there[flat] = True
        place = (np.cumsum(is_there) - 1)[flat]
        if self.index.ndim == 2:
            return self._with(self.images[is_there], place.reshape(self.index.shape))
        lengths = [len(numbers) for numbers in self.index]
        bags = np.split(place, np.cumsum(lengths)[:-1])
        return self._with(self.images[is_there], _as_bags(bags))

    def _flat(self) -> npt.NDArray[np.int64]:
        """Return the numbers of the images of all symbols, one sample after the other."""
        if self.index.ndim == 2:
            return self.index.ravel()
        return np.concatenate([np.empty(0, dtype=np.int64), *self.index])

    def _with(self, images: Any, index: Any) -> "IndexedImages":
        """Return samples of images and numbers that are checked already."""
        other = copy(self)
        other.images, other.index = images, index
        return other


def look_up_grid(X: IndexedImages, shape: tuple[int, ...]) -> Indexed:
    """Return samples of equally many symbols, whose images have this shape."""
    return Indexed(_share(X, shape), Grid(as_tensor(X.index)))


def look_up_sequences(X: IndexedImages, shape: tuple[int, ...]) -> Indexed:
    """Return samples of differing numbers of symbols, whose images have this shape."""
    lengths = torch.tensor([len(numbers) for numbers in X.index])
    numbers = Sequences(as_tensor(X._flat()), lengths, int(lengths.max()))
    return Indexed(_share(X, shape), numbers)


def refuse_indexed(X: Any, layout: Any) -> None:
    """Raise for indexed images, where a net does not see them one by one."""
    if isinstance(X, IndexedImages):
        raise TypeError(
            f"X must hold arrays for {layout!r}, got IndexedImages, which GridLayout and "
            "SequenceLayout read. Pass np.asarray(X), the array that they stand for."
        )


def _share(X: IndexedImages, shape: tuple[int, ...]) -> Source:
    return share(X.images, (len(X.images), *shape))


def _read_images(images: Any) -> npt.NDArray[Any]:
    """Check images; those in a file stay there, others are converted once and for all."""
    if is_stored(images):
        if not isinstance(images, np.ndarray):
            raise TypeError(
                f"images must be an array, got the data set {type(images).__name__}. Pass the "
                "images as an array, which may be memory-mapped."
            )
        warn_of_rounding(images)
        check_finite(images, "images")
        return images
    if isinstance(images, Mapping):
        raise TypeError(
            f"images must be one array, got a mapping with the keys {join_names(images) or 'none'}."
            " Join the features of each image in one array."
        )
    try:
        return as_numbers(images, "images")
    except ValueError as error:
        if "images" in str(error):
            raise
        raise ValueError(
            f"images must hold the numbers of at least one image: {error} Pass an array of shape "
            "(n_images, *symbol_shape)."
        ) from error


def _read_index(index: Any, n_images: int) -> npt.NDArray[Any]:
    """Check numbers of images, and return them as an array, of bags as one of arrays."""
    check_unmasked(index, "index")
    index = open_array(index, "index")
    rows = index if hasattr(index, "__len__") else []
    if not len(rows):
        raise ValueError(
            f"index must hold a row for each sample, at least one, got {index!r}. Pass an array of "
            "shape (n_samples, n_symbols), or a list of arrays."
        )
    are_bags = isinstance(rows, list | tuple) or getattr(rows, "dtype", 0) == "O"
    lengths = {np.size(open_array(row, "index")) for row in rows} if are_bags else {0}
    if len(lengths) == 1:
        array = np.asarray([np.asarray(row) for row in rows] if are_bags else rows)
        if array.ndim != 2:
            raise ValueError(
                "index must be of shape (n_samples, n_symbols), or a list of arrays of shape "
                f"(length,), got {array.shape}. Index by index[:, None] where each sample is of "
                "one image."
            )
        return _check_numbers(array, "index", n_images)
    return _as_bags(
        [_check_numbers(np.asarray(row), f"index[{i}]", n_images) for i, row in enumerate(rows)]
    )


def _check_numbers(numbers: npt.NDArray[Any], name: str, n_images: int) -> npt.NDArray[np.int64]:
    """Check that an array holds numbers of images."""
    if name != "index" and numbers.ndim != 1:
        raise ValueError(
            f"{name} must be of shape (length,), the images of one sample, got {numbers.shape}. "
            "Pass a list of such arrays."
        )
    if numbers.size and numbers.dtype.kind not in "iu":
        raise TypeError(
            f"{name} must hold integers, the numbers of images, got {numbers.dtype}. Convert it by "
            "astype(int); bags of unlike sizes are a list of arrays."
        )
    if not numbers.size:
        raise ValueError(
            f"{name} must hold at least one image of each sample, got the shape {numbers.shape}. "
            "Leave such samples out."
        )
    low, high = numbers.min(), numbers.max()
    if low < 0 or high >= n_images:
        raise ValueError(
            f"{name} must hold numbers from 0 to {n_images - 1}, as there are {n_images} images, "
            f"got {low if low < 0 else high}. Count images from 0; bags of unlike sizes are a list "
            "of arrays without padding."
        )
    return numbers.astype(np.int64, copy=False)


def _as_bags(bags: Iterable[npt.NDArray[np.int64]]) -> npt.NDArray[Any]:
    """Return arrays of unlike lengths as an array of them."""
    return as_objects(list(bags))
