"""Picture of what net and labels tell of each symbol, and of what they leave missing."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import torch

from sknesy.em import Information
from sknesy.inspection._axes import fade, find_width, open_axes
from sknesy.inspection._look import look, reach
from sknesy.nets import Sequences
from sknesy.plotting import COLOURS, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["InformationDisplay"]

Shares = npt.NDArray[np.float64]  # one a symbol

_MOST_NAMED = 30  # symbols with a name of their own


class InformationDisplay:
    r"""Picture of the information about each symbol: told by the net, by y, and missing.

    Make one by `from_estimator`. With the mean frequencies of a symbol's states,
    :math:`\bar q = \frac{1}{n} \sum_i q_i`, its entropy :math:`H(\bar q)`, in nats, is what there
    is to know of it. With the net's probabilities :math:`p_i` of sample i and the posterior
    :math:`q_i`, given y,

    .. math:: 1 = \underbrace{1 - \frac{\sum_i H(p_i)}{n H(\bar q)}}_{\text{net}}
              + \underbrace{\frac{\sum_i H(p_i) - \sum_i H(q_i)}{n H(\bar q)}}_{\text{y}}
              + \underbrace{\frac{\sum_i H(q_i)}{n H(\bar q)}}_{\text{missing}}.

    The missing share is between 0 and 1, and so is what net and y tell together, Theil's
    uncertainty coefficient [1]_. Each share of these two alone may be negative: that of the net,
    where it spreads more widely than the posteriors do; that of y, where labels surprise the net.

    A mark shows what y would tell alone, of a net that knows nothing but :math:`\bar q`. Labels
    that tell little alone may still be enough to learn from, as a net joins what many samples
    say. They slow EM down: near a maximum it converges at the rate of the fraction of missing
    information about its parameters [2]_ [3]_, to which this share of the symbols is akin.

    Parameters
    ----------
    by_net, by_y, missing : ndarray of shape (n_symbols,)
        The three shares, with the sum 1; NaN where a symbol has the same state in all samples.
    by_y_alone : ndarray of shape (n_symbols,)
        Share that y would tell alone.
    entropy : ndarray of shape (n_symbols,)
        Entropy of the mean frequencies, in nats.

    Attributes
    ----------
    bars_ : list of matplotlib BarContainer
        Bars of the net, of y, and of what is missing.
    marks_ : matplotlib LineCollection
        Marks of what y would tell alone.
    ax_ : matplotlib Axes
        The Axes.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    EvidenceDisplay : How training went.
    sknesy.EMNeSyClassifier : Its ``diagnostics_`` have the missing share for each iteration.

    References
    ----------
    .. [1] Theil, "On the estimation of relationships involving qualitative variables", American
       Journal of Sociology 76, 1970.
    .. [2] Dempster, Laird, Rubin, "Maximum likelihood from incomplete data via the EM algorithm",
       JRSS B 39, 1977.
    .. [3] Louis, "Finding the observed information matrix when using the EM algorithm", JRSS B 44,
       1982.

    Examples
    --------
    A sum of 2 or more tells something of two dice, and all of it where it is 2 or 12:

    >>> import numpy as np
    >>> from sknesy import EMNeSyClassifier
    >>> from sknesy.inspection import InformationDisplay
    >>> from sknesy.knowledge import SymbolSum
    >>> dice = np.stack(np.meshgrid(*[range(1, 7)] * 2), axis=-1).reshape(36, 2)
    >>> clf = EMNeSyClassifier(SymbolSum(2, range(1, 7)), max_iter=2, learning_rate=1e-9)
    >>> X, y = np.zeros((36, 2, 1)), dice.sum(axis=1)  # nothing to see
    >>> clf = clf.set_params(random_state=0, tol=10.0, n_iter_no_change=1, temperature=1).fit(X, y)
    >>> display = InformationDisplay.from_estimator(clf, X, y)
    >>> bool((abs(display.by_net) < 0.01).all()), display.missing.round(1)
    (True, array([0.7, 0.7]))
    """

    def __init__(
        self, by_net: Shares, by_y: Shares, missing: Shares, *, by_y_alone: Shares, entropy: Shares
    ) -> None:
        self.by_net = by_net
        self.by_y = by_y
        self.missing = missing
        self.by_y_alone = by_y_alone
        self.entropy = entropy

    def plot(self, *, ax: "Axes | None" = None, symbol_names: Sequence[str] | None = None) -> Self:
        """Draw a bar for each symbol.

        Shares below 0 are drawn as none, so that a bar ends at what net and y tell together.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        symbol_names : sequence of str or None, default=None
            Names of the symbols; None numbers them.

        Returns
        -------
        InformationDisplay
            This display.

        Raises
        ------
        ValueError
            When `symbol_names` has not a name for each symbol.
        """
        n_symbols = len(self.missing)
        if symbol_names is None:
            symbol_names = [f"symbol {s}" for s in range(n_symbols)]
        elif isinstance(symbol_names, str) or len(symbol_names) != n_symbols:
            raise ValueError(
                f"symbol_names must hold {n_symbols} names, one for each symbol, got "
                f"{symbol_names!r}."
            )
        height = float(np.clip(1.5 + 0.3 * n_symbols, 2.0, 9.0))
        ax = open_axes(self, ax, (6.4, height))
        told = np.nan_to_num(1 - self.missing)
        by_net = np.clip(np.nan_to_num(self.by_net), 0.0, told)
        edges = [np.zeros(n_symbols), by_net, told, np.where(np.isnan(self.missing), 0.0, 1.0)]
        place = np.arange(n_symbols)
        names = ("told by the net", "told by y besides", "missing")
        colours = (COLOURS[0], COLOURS[1], "#e4e4e4")
        self.bars_ = [
            ax.barh(
                place, edges[k + 1] - edges[k], left=edges[k], height=0.72, color=colour, label=name
            )
            for k, (name, colour) in enumerate(zip(names, colours, strict=True))
        ]
        self.marks_ = ax.vlines(
            self.by_y_alone,
            place - 0.36,
            place + 0.36,
            color=INK,
            linewidth=1.6,
            label="y alone would tell",
        )
        for s in np.flatnonzero(np.isnan(self.missing)).tolist():
            ax.annotate("the same state in all samples", (0.01, s), va="center", fontsize="small")
        if n_symbols <= _MOST_NAMED:
            ax.set_yticks(place, symbol_names)
        else:
            ax.set_ylabel("Symbol")
        ax.set(xlim=(0, 1), xlabel="Share of what there is to know", ylim=(n_symbols - 0.4, -0.6))
        ax.xaxis.set_major_formatter("{x:.0%}")
        ax.legend(
            handles=[*self.bars_, self.marks_],
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=4 if find_width(ax) > 4 else 2,
            frameon=False,
            fontsize="small",
            handlelength=1.0,
            columnspacing=1.2,
        )
        fade(ax)
        ax.tick_params(axis="y", length=0)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        symbols: Any = None,
        ax: "Axes | None" = None,
        symbol_names: Sequence[str] | None = None,
    ) -> Self:
        """Measure what a fitted estimator knows of the symbols of samples, and draw it.

        Parameters
        ----------
        estimator : EMNeSyClassifier or EMNeSyRegressor, or Pipeline or search that ends with one
            A fitted estimator.
        X : array-like or list of n_samples samples
            Features, as ``posterior`` takes them.
        y : array-like
            What is observed of the samples, in the form that y had in ``fit``.
        symbols : array-like of shape (n_samples, n_symbols), or list of arrays, optional
            Symbols that are known besides; they count as told by y.
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        symbol_names : sequence of str or None, default=None
            Names of the symbols; None numbers them. All symbols of sequences count as one.

        Returns
        -------
        InformationDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            When the estimator is not fitted.
        InconsistentLabelError
            When no world agrees with what is known of a sample.

        Notes
        -----
        It takes two E-steps. Of an engine that draws, entropies are estimated from the
        frequencies of its draws, and come out too low by about ``(n_states - 1) / (2 n_draws)``.
        """
        estimator, X = reach(estimator, X, f"{cls.__name__}.from_estimator")
        looked = look(estimator, X, y, symbols)
        seen, index = looked.seen, torch.arange(len(looked.seen.samples))
        by_net, by_both, alone = (Information(seen.samples, _ones(seen)) for _ in range(3))
        by_net.record(torch.from_numpy(estimator._net_proba(seen.samples)), index)
        by_both.record(torch.from_numpy(looked.posterior.symbol_marginals), index)
        flat = _know_frequencies(seen, by_both)
        alone.record(estimator._condition(flat).symbol_marginals.cpu(), index)

        entropy = by_both.entropy_of_frequencies().numpy()
        missing = by_both.missing().numpy()
        whole = np.where(np.isnan(missing), np.nan, entropy)
        told_by_net = 1 - by_net.mean_entropy().numpy() / whole
        display = cls(
            told_by_net,
            1 - told_by_net - missing,
            missing,
            by_y_alone=1 - alone.mean_entropy().numpy() / whole,
            entropy=entropy,
        )
        if symbol_names is None and isinstance(seen.samples, Sequences):
            symbol_names = ["all symbols"]
        return display.plot(ax=ax, symbol_names=symbol_names)


def _ones(seen: Any) -> torch.Tensor:
    return torch.ones(len(seen.samples), dtype=torch.float64)


def _know_frequencies(seen: Any, information: Information) -> Any:
    """Return the same samples, seen by nets that know nothing but the frequencies of states."""
    frequencies = information.frequencies().clamp(min=0.0)
    views = []
    for view in seen.views:
        log_prob = frequencies.to(view.log_prob.device).log()
        if log_prob.shape[-1] < view.log_prob.shape[-1]:  # the end of sequences
            log_prob = torch.nn.functional.pad(log_prob, (0, 1))
        # What cannot be still cannot: padding, symbols past the end, and states known to be wrong.
        log_prob = log_prob.expand_as(view.log_prob).masked_fill(
            view.log_prob == -torch.inf, -torch.inf
        )
        views.append(replace(view, log_prob=log_prob.log_softmax(dim=-1)))
    return replace(seen, views=tuple(views))
