"""Pictures of the noise of labels that a likelihood has learned."""

from collections.abc import Hashable, Sequence
from functools import singledispatch
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from sknesy._validation import in_order
from sknesy.inspection._axes import divide, fade, open_axes, set_ticks, shorten, write_values
from sknesy.inspection._look import reach
from sknesy.likelihoods import (
    AnnotatorLikelihood,
    ConfusionLikelihood,
    GaussianLikelihood,
    Likelihood,
)
from sknesy.plotting import COLOURS, FAINT, GREY, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["NoiseDisplay"]

Floats = npt.NDArray[np.float64]

_MOST_MATRICES = 12  # people, each with a matrix
_MOST_WRITTEN = 12  # labels whose probabilities are written into a matrix


class NoiseDisplay:
    """Picture of what a likelihood has learned of the noise in y.

    Make one by `from_estimator`. It shows

    - of `ConfusionLikelihood` the probability of each observed label, given the true one;
    - of `AnnotatorLikelihood` the same for each person. For more than twelve people it shows how
      often each is right: of two labels one against the other, of more from the worst to the best
      person, with a line from the label on which they are least often right to the best one;
    - of `GaussianLikelihood` how likely y is around neighbouring values of the label.

    Parameters
    ----------
    confusion : ndarray of shape (n_labels, n_labels) or (n_annotators, n_labels, n_labels), or None
        Probabilities of the observed label (column), given the true one (row).
    sigma : float or None
        Standard deviation of Gaussian noise, in the units of y.
    labels : sequence of hashable
        The labels, in the order of the matrices; the values of y without noise for `sigma`.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The Axes, one for each matrix.
    figure_ : matplotlib Figure
        The figure.

    Examples
    --------
    >>> import numpy as np
    >>> from sknesy import EMNeSyClassifier
    >>> from sknesy.inspection import NoiseDisplay
    >>> from sknesy.likelihoods import AnnotatorLikelihood
    >>> rng = np.random.default_rng(0)
    >>> kind, guess = rng.integers(3, size=(150, 1)), rng.integers(3, size=(150, 4))
    >>> y = np.where(rng.random((150, 4)) < [0.1, 0.1, 0.3, 0.6], guess, kind)
    >>> clf = EMNeSyClassifier(likelihood=AnnotatorLikelihood(), random_state=0).fit(None, y)
    >>> display = NoiseDisplay.from_estimator(clf)
    >>> display.confusion.shape, len(display.axes_)
    ((4, 3, 3), 4)
    """

    def __init__(
        self,
        confusion: Floats | None = None,
        *,
        sigma: float | None = None,
        labels: Sequence[Hashable],
    ) -> None:
        self.confusion = confusion
        self.sigma = sigma
        self.labels = labels

    def plot(
        self,
        *,
        ax: "Axes | None" = None,
        annotators: Sequence[int] | None = None,
        cmap: Any = "Blues",
        include_values: bool | None = None,
    ) -> Self:
        """Draw the noise.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure. Matrices of several people divide it.
        annotators : sequence of int or None, default=None
            People whose matrices are drawn. None draws all matrices of up to twelve people, and
            one picture of how often they are right for more.
        cmap : str or matplotlib Colormap, default="Blues"
            Colours of matrices.
        include_values : bool or None, default=None
            Whether probabilities are written into matrices; None writes them for up to 12 labels.

        Returns
        -------
        NoiseDisplay
            This display.

        Raises
        ------
        ValueError
            When `annotators` names none of the people, or there is no noise.
        """
        if self.confusion is None:
            if self.sigma is None:
                raise ValueError(
                    "confusion or sigma must be given, got None for both. Pass one, or use "
                    "from_estimator."
                )
            axes = [self._plot_density(ax, self.sigma)]
        elif self.confusion.ndim == 2:
            axes = [self._plot_matrix(ax, self.confusion, cmap, include_values)]
        else:
            people = self._choose_people(self.confusion, annotators)
            if annotators is None and len(people) > _MOST_MATRICES:
                axes = [self._plot_accuracy(ax, self.confusion)]
            else:
                axes = self._plot_people(ax, self.confusion, people, cmap, include_values)
        self.axes_ = np.array(axes, dtype=object)
        self.figure_ = axes[0].figure
        return self

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: "Axes | None" = None, **plot_kw: Any) -> Self:
        """Draw the noise that a fitted estimator has learned.

        Parameters
        ----------
        estimator : EMNeSyClassifier or EMNeSyRegressor, or Pipeline or search that ends with one
            A fitted estimator, with a likelihood that learns noise.
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        **plot_kw
            Further keywords of `plot`.

        Returns
        -------
        NoiseDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            When the estimator is not fitted.
        TypeError
            When its likelihood knows no noise.
        """
        estimator, _ = reach(estimator, None, f"{cls.__name__}.from_estimator")
        noise = read_noise(estimator.likelihood_)
        labels = in_order(estimator.compiled_.output_states[0])
        return cls(**noise, labels=labels).plot(ax=ax, **plot_kw)

    def _choose_people(self, confusion: Floats, annotators: Sequence[int] | None) -> list[int]:
        n_people = len(confusion)
        if annotators is None:
            return list(range(n_people))
        people = np.ravel(np.asarray(annotators))
        if people.dtype.kind not in "iu" or not ((people >= 0) & (people < n_people)).all():
            raise ValueError(
                f"annotators must hold columns of y in 0 ... {n_people - 1}, got {annotators!r}. "
                "Pass a list such as [0, 1]."
            )
        chosen: list[int] = people.tolist()
        return chosen

    def _plot_matrix(
        self,
        ax: "Axes | None",
        matrix: Floats,
        cmap: Any,
        include_values: bool | None,
        size: int | None = None,
    ) -> "Axes":
        n_labels = len(self.labels)
        side = float(np.clip(1.6 + 0.4 * n_labels, 3.2, 9.0))
        ax = open_axes(self, ax, (side, side))
        image = ax.imshow(matrix, cmap=cmap, vmin=0, vmax=1)
        if include_values or (include_values is None and n_labels <= _MOST_WRITTEN):
            size = size or (10 if n_labels <= 6 else 8)
            write_values(ax, matrix, image, _write_share, fontsize=size)
        set_ticks(ax.xaxis, self.labels)
        set_ticks(ax.yaxis, self.labels)
        ax.tick_params(length=0)
        ax.set_xlabel("Observed label")
        ax.set_ylabel("True label")
        return ax

    def _plot_people(
        self,
        ax: "Axes | None",
        confusion: Floats,
        people: list[int],
        cmap: Any,
        include_values: bool | None,
    ) -> "list[Axes]":
        """Draw a matrix for each person, with names of labels at the outer ones alone."""
        n_columns = min(len(people), 4 if len(people) > 6 else 3)
        n_rows = -(-len(people) // n_columns)
        side = float(np.clip(1.0 + 0.22 * len(self.labels), 1.7, 4.0))
        size = (0.9 + side * n_columns, 0.7 + (side + 0.25) * n_rows)
        cells = divide(self, ax, size, n_rows, n_columns).ravel()
        if include_values is None:
            include_values = len(self.labels) <= 6
        for k, (cell, person) in enumerate(zip(cells, people, strict=False)):
            self._plot_matrix(cell, confusion[person], cmap, include_values, size=7)
            right = np.diagonal(confusion[person]).mean()
            cell.set_title(f"annotator {person}: {right:.0%} right", fontsize="small")
            cell.tick_params(labelsize="small")
            if k % n_columns:
                cell.set(ylabel="", yticks=[])
            if k + n_columns < len(people):
                cell.set(xlabel="", xticks=[])
        for cell in cells[len(people) :]:
            cell.set_axis_off()
        return list(cells[: len(people)])

    def _plot_accuracy(self, ax: "Axes | None", confusion: Floats) -> "Axes":
        """Draw how often each of many people is right."""
        right = np.diagonal(confusion, axis1=1, axis2=2)  # (n_annotators, n_labels)
        n_people, n_labels = right.shape
        if n_labels == 2:
            ax = open_axes(self, ax, (4.6, 4.6))
            ax.axline((0, 1), (1, 0), color=GREY, linewidth=1, linestyle=":")
            ax.annotate(
                "as a coin says",
                (0.2, 0.8),
                rotation=-45,
                ha="center",
                va="bottom",
                color=GREY,
                fontsize="small",
                rotation_mode="anchor",
            )
            ax.scatter(right[:, 0], right[:, 1], s=28, color=COLOURS[0], alpha=0.6, linewidths=0)
            names = map(shorten, self.labels)
            first, second = (f"Share right where the label is {name}" for name in names)
            ax.set(xlabel=first, ylabel=second, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect=1)
        else:
            ax = open_axes(self, ax, (6.4, 4.0))
            order = np.argsort(right.mean(axis=1), kind="stable")
            sorted_right = right[order]
            place = np.arange(n_people)
            low, high = sorted_right.min(axis=1), sorted_right.max(axis=1)
            width = float(np.clip(250 / n_people, 0.6, 3.0))
            ax.vlines(place, low, high, color=FAINT, linewidth=width)
            ax.scatter(
                place, sorted_right.mean(axis=1), s=4 * width + 6, color=COLOURS[0], zorder=3
            )
            ax.axhline(1 / n_labels, color=GREY, linewidth=1, linestyle=":")
            ax.annotate(
                "by chance",
                (1.0, 1 / n_labels),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="bottom",
                color=GREY,
                fontsize="small",
            )
            ax.set(xlabel=f"{n_people} annotators, the worst first", ylim=(-0.02, 1.02))
            ax.set(ylabel="Share right: mean over labels, least to most", xticks=[])
        fade(ax)
        return ax

    def _plot_density(self, ax: "Axes | None", sigma: float) -> "Axes":
        """Draw the density of y around three neighbouring values, the middle one emphasised."""
        ax = open_axes(self, ax, (5.4, 3.4))
        values = np.unique(np.asarray(self.labels, dtype=np.float64))
        gaps = np.diff(values)
        gap = float(gaps.min()) if len(gaps) else 0.0
        reach_ = max(3.5 * sigma, 1.6 * gap)
        x = np.linspace(-reach_, reach_, 401)
        for centre in (-gap, gap) if gap else ():
            ax.plot(x, _density(x - centre, sigma), color=FAINT, linewidth=1.5)
        density = _density(x, sigma)
        ax.plot(x, density, color=COLOURS[0], linewidth=2)
        is_near = np.abs(x) <= sigma
        ax.fill_between(x[is_near], density[is_near], color=COLOURS[0], alpha=0.15, linewidth=0)
        ax.annotate(f"σ = {sigma:.3g}", (0, 0.5 * density.max()), ha="center", color=INK)
        told = f"; grey: the nearest values, {gap:g} away" if gap else ""
        ax.set(xlabel=f"y minus the value of the label{told}", ylabel="Density")
        ax.set_ylim(0, 1.08 * density.max())
        fade(ax)
        return ax


@singledispatch
def read_noise(likelihood: Likelihood) -> dict[str, Any]:
    """Return what a fitted likelihood has learned, as parameters of a `NoiseDisplay`."""
    raise TypeError(
        "estimator must have a likelihood that knows noise (ConfusionLikelihood, "
        f"AnnotatorLikelihood or GaussianLikelihood), got {likelihood!r}. Fit with one of these."
    )


@read_noise.register(ConfusionLikelihood)
@read_noise.register(AnnotatorLikelihood)
def _read_confusion(likelihood: Any) -> dict[str, Any]:
    """Return the matrix, or one a person."""
    return {"confusion": np.asarray(likelihood.confusion_)}


@read_noise.register
def _read_sigma(likelihood: GaussianLikelihood) -> dict[str, Any]:
    """Return the standard deviation."""
    return {"sigma": float(likelihood.sigma_)}


def _write_share(value: float) -> str:
    """Write a probability short: .93, 1, and nothing where it rounds to 0."""
    if round(value, 2) == 0:
        return ""
    return "1" if round(value, 2) == 1 else f"{value:.2f}".lstrip("0")


def _density(x: Floats, sigma: float) -> Floats:
    """Compute the density of Gaussian noise, of the shape of x, in units of 1 / x."""
    density: Floats = np.exp(-0.5 * (x / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    return density
