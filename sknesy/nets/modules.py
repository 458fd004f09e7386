"""Small torch modules that predict one symbol from its features, or all symbols of a sample.

Each takes ``symbol_shape`` and ``n_states`` first, and ``n_symbols``: `EMNeSyClassifier` fills
parameters of these names in, for these modules and for any other.
"""

from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from sknesy._validation import check_number, is_integer

__all__ = ["MLP", "ConvNet", "LeNet", "as_shape", "check_widths", "choose_module"]

_MIN_IMAGE_SIDE = 5
_MIN_LENET_SIDE = 16


class MLP(nn.Module):
    """A multi-layer perceptron with one hidden layer.

    Parameters
    ----------
    symbol_shape : tuple of int
        Shape of the features of one symbol, or of a sample; they are flattened.
    n_states : int
        Number of states.
    hidden : int, default=64
        Width of the hidden layer.
    n_symbols : int, default=1
        Number of symbols that are predicted from the features.
    """

    def __init__(
        self, symbol_shape: tuple[int, ...], n_states: int, hidden: int = 64, n_symbols: int = 1
    ) -> None:
        super().__init__()
        check_widths(n_states, hidden, n_symbols)
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(prod(as_shape(symbol_shape)), hidden),
            nn.ReLU(),
            nn.Linear(hidden, n_symbols * n_states),
        )

    def forward(self, X: Tensor) -> Tensor:
        """Compute logits (n, n_symbols * n_states) from features of shape (n, *symbol_shape)."""
        logits: Tensor = self.layers(X if X.ndim > 1 else X[:, None])  # single numbers
        return logits


class ConvNet(nn.Module):
    """A small convolutional net for images of any size.

    Parameters
    ----------
    symbol_shape : tuple of int
        Shape of an image: (height, width) or (channels, height, width).
    n_states : int
        Number of states.
    hidden : int, default=64
        Width of the dense layer.
    n_symbols : int, default=1
        Number of symbols that are predicted from an image.
    """

    def __init__(
        self, symbol_shape: tuple[int, ...], n_states: int, hidden: int = 64, n_symbols: int = 1
    ) -> None:
        super().__init__()
        check_widths(n_states, hidden, n_symbols)
        shape = _as_image(symbol_shape)
        features = nn.Sequential(
            nn.Conv2d(shape[0], 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.image_shape = shape
        self.layers = nn.Sequential(
            features,
            nn.Linear(32 * (shape[1] // 2) * (shape[2] // 2), hidden),
            nn.ReLU(),
            nn.Linear(hidden, n_symbols * n_states),
        )

    def forward(self, X: Tensor) -> Tensor:
        """Compute logits (n, n_symbols * n_states) from images of shape (n, *symbol_shape)."""
        logits: Tensor = self.layers(X.reshape(-1, *self.image_shape))
        return logits


class LeNet(nn.Module):
    """LeNet without dropout, as used by the literature on MNIST addition.

    Conv(6, 5x5) - MaxPool2 - ReLU - Conv(16, 5x5) - MaxPool2 - ReLU - 120 - 84 - n_states.

    Parameters
    ----------
    symbol_shape : tuple of int
        Shape of an image: (height, width) or (channels, height, width), at least 16 x 16.
    n_states : int
        Number of states.
    n_symbols : int, default=1
        Number of symbols that are predicted from an image.
    """

    def __init__(self, symbol_shape: tuple[int, ...], n_states: int, n_symbols: int = 1) -> None:
        super().__init__()
        check_widths(n_states, n_symbols=n_symbols)
        self.image_shape = _as_image(symbol_shape)
        if min(self.image_shape[1:]) < _MIN_LENET_SIDE:
            raise ValueError(
                f"symbol_shape must be that of images of at least {_MIN_LENET_SIDE} x "
                f"{_MIN_LENET_SIDE} for LeNet, got {symbol_shape!r}. Use ConvNet."
            )
        features = nn.Sequential(
            nn.Conv2d(self.image_shape[0], 6, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(6, 16, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
        )
        with torch.no_grad():
            n_features = features(torch.zeros(1, *self.image_shape)).shape[1]
        self.layers = nn.Sequential(
            features,
            nn.Linear(n_features, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, n_symbols * n_states),
        )

    def forward(self, X: Tensor) -> Tensor:
        """Compute logits (n, n_symbols * n_states) from images of shape (n, *symbol_shape)."""
        logits: Tensor = self.layers(X.reshape(-1, *self.image_shape))
        return logits


def choose_module(symbol_shape: tuple[int, ...]) -> type[nn.Module]:
    """Return the class that suits features: `ConvNet` for images, else `MLP`."""
    symbol_shape = as_shape(symbol_shape)
    is_image = len(symbol_shape) in (2, 3) and min(symbol_shape[-2:]) >= _MIN_IMAGE_SIDE
    return ConvNet if is_image else MLP


def _as_image(symbol_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return a shape as (channels, height, width)."""
    symbol_shape = as_shape(symbol_shape)
    if len(symbol_shape) == 2:
        return (1, *symbol_shape)
    if len(symbol_shape) == 3:
        return symbol_shape
    raise ValueError(
        f"symbol_shape must be (height, width) or (channels, height, width) for a net of images, "
        f"got {symbol_shape}. Pass `symbol_shape` to the estimator, or use MLP."
    )


def as_shape(symbol_shape: Any) -> tuple[int, ...]:
    """Return a shape as a tuple, after a check."""
    is_shape = isinstance(symbol_shape, list | tuple)
    if not is_shape or any(not is_integer(side) or side < 1 for side in symbol_shape):
        raise TypeError(
            f"symbol_shape must be a tuple of ints of at least 1, got {symbol_shape!r}. Pass for "
            "example (28, 28)."
        )
    return tuple(map(int, symbol_shape))


def check_widths(n_states: int, hidden: int = 1, n_symbols: int = 1) -> None:
    """Check the numbers of states, of hidden units and of symbols."""
    check_number(n_states, "n_states", int, 1, example=10)
    check_number(hidden, "hidden", int, 1, example=64)
    check_number(n_symbols, "n_symbols", int, 1, example=5)
