"""The MNIST digits, from a file or from OpenML."""

import os
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

__all__ = ["load_mnist"]

_ARRAYS = ("x_train", "y_train", "x_test", "y_test")

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def load_mnist(
    path: str | os.PathLike[str] | None = None,
) -> tuple[Floats, Ints, Floats, Ints]:
    """Load the MNIST digits.

    Parameters
    ----------
    path : str or path-like, optional
        An ``.npz`` file with the arrays x_train, y_train, x_test and y_test. By default the
        environment variable SKNESY_MNIST; if that is not set, the data are fetched by
        `sklearn.datasets.fetch_openml`, which keeps a copy.

    Returns
    -------
    x_train : ndarray of shape (60000, 28, 28), float32
        Training images, in [0, 1].
    y_train : ndarray of shape (60000,), int64
        Their digits.
    x_test : ndarray of shape (10000, 28, 28), float32
        Test images.
    y_test : ndarray of shape (10000,), int64
        Their digits.

    Raises
    ------
    ValueError
        When the file is no archive of these arrays.
    """
    path = os.environ.get("SKNESY_MNIST") if path is None else path
    if path is not None:
        x_train, y_train, x_test, y_test = _read(path)
    else:
        from sklearn.datasets import fetch_openml

        images, digits = fetch_openml("mnist_784", return_X_y=True, as_frame=False)
        images = images.reshape(-1, 28, 28)
        x_train, x_test = images[:60000], images[60000:]
        y_train, y_test = digits[:60000], digits[60000:]
    return (
        x_train.astype(np.float32) / 255.0,
        y_train.astype(np.int64),
        x_test.astype(np.float32) / 255.0,
        y_test.astype(np.int64),
    )


def _read(path: Any) -> list[npt.NDArray[Any]]:
    """Read the four arrays of an archive of numpy."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be the name of a file, got {path!r}. Pass a str or a Path.")
    try:
        with np.load(path) as file:
            return [file[name] for name in _ARRAYS]
    except FileNotFoundError:
        raise
    except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise ValueError(
            f"path must be an .npz file with the arrays {', '.join(_ARRAYS)}, got {str(path)!r}: "
            f"{error}. Fetch the file again, or leave `path` out."
        ) from error
