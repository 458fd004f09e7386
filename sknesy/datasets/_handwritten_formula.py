"""Formulas written as images of digits and operators, with only the value as a label."""

from dataclasses import dataclass
from fractions import Fraction
from math import inf
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state

from sknesy._validation import as_count
from sknesy.datasets._digit_images import deal_images, read_images
from sknesy.datasets._operator_images import OPERATORS, draw_operators
from sknesy.knowledge import StepKnowledge

__all__ = ["FormulaStep", "make_handwritten_formula"]

State = tuple[Fraction, Fraction, str]  # total, term, operator that waits
Ints = npt.NDArray[np.int64]

_NAMES = (*"0123456789", *OPERATORS)
_MAX_LENGTH = 4001  # Python writes ints of up to 4300 digits
_START = (Fraction(0), Fraction(0), "+")


@dataclass(frozen=True)
class FormulaStep:
    """Step that reads a symbol of a formula, and computes as far as precedence allows.

    A state is ``(total, term, pending)``: the sum of all terms that are finished, the term that is
    not, and the operator that waits for its second operand, or "" after a digit. None rules out
    any symbol that does not go on with the formula, division by zero, and any symbol after
    `max_length` of them. Formulas cannot go on there, which leaves fewer states.

    Parameters
    ----------
    max_length : int or None, default=7
        The largest number of symbols; None is no limit.

    Examples
    --------
    >>> step = FormulaStep()
    >>> state = (Fraction(2), Fraction(3), "/")  # 2 + 3 /
    >>> step(state, "4", 4)
    (Fraction(2, 1), Fraction(3, 4), '')
    >>> print(step(state, "0", 4), step(state, "*", 4))
    None None
    """

    max_length: int | None = 7

    def __call__(self, state: State, symbol: str, position: int) -> State | None:
        """Return the next state."""
        total, term, pending = state
        n_left = inf if self.max_length is None else self.max_length - 1 - position
        if symbol.isdigit() == (pending == "") or n_left < (0 if symbol.isdigit() else 1):
            return None
        if not symbol.isdigit():
            return (total, term, symbol) if symbol in "*/" else (total + term, Fraction(0), symbol)
        number = Fraction(symbol)
        if pending == "/" and number == 0:
            return None
        if pending == "*":
            term *= number
        elif pending == "/":
            term /= number
        else:
            term = number if pending == "+" else -number
        return (total + term, Fraction(0), "") if n_left == 0 else (total, term, "")


def _is_complete(state: State) -> bool:
    return state[2] == ""


def _value(state: State) -> str:
    return str(state[0] + state[1])


def make_handwritten_formula(
    n_samples: int = 1000,
    *,
    max_length: int = 7,
    images: npt.ArrayLike | None = None,
    digits: npt.ArrayLike | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[npt.NDArray[Any], npt.NDArray[np.str_], npt.NDArray[Any], StepKnowledge]:
    """Make formulas of digits and operators, labelled by their value.

    A formula has 1, 3, 5, ... symbols, digits and the operators ``+ - * /`` in turns. Its value
    follows the usual precedence, and is exact: a fraction. Nothing is divided by zero. As in [1]_,
    one formula in ten has one symbol, one in ten three, two in ten five, and the others seven. By
    default the digits are those of `sklearn.datasets.load_digits`, 8 x 8 pixels, scaled to [0, 1].
    Operators are drawn in the same size as if by hand: a plus, a minus, a cross, and a line between
    two dots.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of formulas.
    max_length : int, default=7
        The largest number of symbols, odd. If it is more than seven, all lengths from seven on are
        equally frequent.
    images : array-like of shape (n_images, height, width), optional
        Images of digits to use instead. They are taken as they are; operators range from their
        smallest value, for paper, to the largest. Each is used once before any is used again.
    digits : array-like of shape (n_images,), optional
        The digits in `images`. Formulas have no others; they are equally frequent, but for zeros
        that would be divided by.
    random_state : int, RandomState instance or None, default=None
        Seed of formulas, images and operators.

    Returns
    -------
    X : ndarray of shape (n_samples,), object
        For each formula its symbols, an array of shape ``(length, height, width)``.
    y : ndarray of shape (n_samples,), str
        The values as `fractions.Fraction` writes them: "12", "-3", "7/3".
    symbols : ndarray of shape (n_samples,), object
        The true states of the symbols, for evaluation only, int64 arrays of shape ``(length,)``.
        0 ... 9 are the digits, 10 ... 13 are ``+ - * /``. Their names, which predictions have,
        are strings: ``knowledge.states``.
    knowledge : StepKnowledge
        The value, for any number of symbols up to `max_length`.

    References
    ----------
    .. [1] Li, Huang, Hong, Chen, Wu, Zhu, "Closed loop neural-symbolic learning via integrating
       neural perception, grammar parsing, and symbolic reasoning", ICML 2020.

    Examples
    --------
    >>> X, y, symbols, value = make_handwritten_formula(4, max_length=5, random_state=1)
    >>> [x.shape for x in X]
    [(3, 8, 8), (5, 8, 8), (1, 8, 8), (3, 8, 8)]
    >>> ["".join(value.states[s] for s in row) for row in symbols]
    ['0+1', '7/9/4', '5', '2-2']
    >>> y.tolist()
    ['1', '7/36', '5', '0']
    """
    n_samples = as_count(n_samples, "n_samples", "Ask for more.")
    if not isinstance(max_length, Integral):
        raise TypeError(f"max_length must be an int, got {max_length!r}. Pass for example 7.")
    if not 1 <= max_length <= _MAX_LENGTH or max_length % 2 == 0:
        nearest = min(max(1, max_length - 1 + max_length % 2), _MAX_LENGTH)
        raise ValueError(
            f"max_length must be odd, in 1 ... {_MAX_LENGTH}, got {max_length}: operators stand "
            f"between digits. Pass {nearest}."
        )
    images, digits = read_images(images, digits)
    if images.ndim != 3:
        raise ValueError(
            "images must have the shape (n_images, height, width), as operators are drawn in the "
            f"same size, got {images.shape}. Reshape the images."
        )
    rng = check_random_state(random_state)
    lengths = np.arange(1, max_length + 1, 2)
    share = np.array([1, 1, 2, *[6] * len(lengths)][: len(lengths)])
    lengths = rng.choice(lengths, size=n_samples, p=share / share.sum())
    flat = _draw_symbols(lengths, np.unique(digits), rng)
    is_digit = flat < 10
    shown = np.empty((len(flat), *images.shape[1:]), dtype=images.dtype)
    shown[is_digit] = deal_images(images, digits, flat[is_digit], rng)
    paper, ink = images.min(), images.max()
    drawn = draw_operators(flat[~is_digit] - 10, images.shape[1:], rng)
    shown[~is_digit] = paper + (ink - paper) * drawn
    step = FormulaStep(max_length)
    knowledge = StepKnowledge(
        step, states=_NAMES, initial=_START, final=_value, accept=_is_complete
    )
    symbols = _split(flat, lengths)
    y = np.array([_evaluate(row, step) for row in symbols])
    return _split(shown, lengths), y, symbols, knowledge


def _draw_symbols(lengths: Ints, digits: Ints, rng: np.random.RandomState) -> Ints:
    """Draw the states of the symbols of all formulas, one after the other."""
    ends = np.cumsum(lengths)
    is_operator = (np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)) % 2 == 1
    flat: Ints = rng.choice(digits, size=ends[-1])
    flat[is_operator] = 10 + rng.randint(len(OPERATORS), size=is_operator.sum())
    by_zero = 1 + np.flatnonzero((flat[:-1] == 10 + OPERATORS.index("/")) & (flat[1:] == 0))
    if len(by_zero):
        divisors = digits[digits > 0]
        if not len(divisors):
            raise ValueError(
                "digits must hold others than 0, by which nothing can be divided, got only 0. Pass "
                "images of other digits, too."
            )
        flat[by_zero] = rng.choice(divisors, size=len(by_zero))
    return flat


def _evaluate(row: Ints, step: FormulaStep) -> str:
    state: State | None = _START
    for position, symbol in enumerate(row.tolist()):
        assert state is not None, "formulas are drawn so that they go on"
        state = step(state, _NAMES[symbol], position)
    assert state is not None
    return _value(state)


def _split(flat: npt.NDArray[Any], lengths: Ints) -> npt.NDArray[Any]:
    """Cut into one array a sample, an array of objects also where all are of one length."""
    parts = np.empty(len(lengths), dtype=object)
    for i, part in enumerate(np.split(flat, np.cumsum(lengths)[:-1])):
        parts[i] = part
    return parts
