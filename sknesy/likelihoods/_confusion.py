"""The observed label is the true one, or another by a matrix that is learned."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from sknesy._validation import check_flag, check_number, check_option, in_order
from sknesy.likelihoods._base import LabelReader, Likelihood, State, Statistics
from sknesy.likelihoods._columns import check_one_output
from sknesy.likelihoods._exact import ExactObserved
from sknesy.likelihoods._matrices import (
    check_same_labels,
    expected_flips,
    flip,
    normalise,
    read_confusion,
    tie,
)

__all__ = ["ConfusionLikelihood", "NoisyObserved"]


@dataclass(frozen=True, eq=False, repr=False)
class NoisyObserved(ExactObserved):
    """Labels and sets that may be wrong.

    Attributes
    ----------
    rank : Tensor of shape (n_states,), int64, or None
        Place of each output state among the sorted labels; None before `bind`.
    """

    is_certain: bool = False
    rank: Tensor | None = None

    def bind(self, output_states: Sequence[Sequence[Hashable]]) -> "NoisyObserved":
        """Return the same, with the labels that each entry allows in sorted order."""
        bound = super().bind(output_states)
        assert bound.mask is not None
        place = {name: k for k, name in enumerate(in_order(output_states[0]))}
        rank = torch.tensor([place[name] for name in output_states[0]])
        return replace(self, mask=bound.mask[..., rank.argsort()], row=bound.row, rank=rank)

    def to(self, device: torch.device | str) -> "NoisyObserved":
        """Return it with its tensors on a device."""
        moved = super().to(device)
        assert isinstance(moved, NoisyObserved)
        return moved if self.rank is None else replace(moved, rank=self.rank.to(device))


class ConfusionLikelihood(Likelihood):
    r"""Labels that are wrong now and then: p(observed j | true i) is a matrix, known or learned.

    y has the forms that `ExactLikelihood` reads: labels, sets of labels, gaps. A set says that the
    observed label, not the true one, is a member:

        log p(set | true i) = log sum_{j in set} confusion[i, j].

    Parameters
    ----------
    confusion : None, float or array-like of shape (n_labels, n_labels), default=None
        Where learning starts, or the noise itself with ``learn=False``. A float in [0, 1) is the
        share of labels that are flipped, to each other label alike. A matrix has a row for each
        true label, in sorted order, which sums to 1. None starts as if half of the labels were
        drawn at random: ``(identity + 1 / n_labels) / 2``.
    learn : bool, default=True
        Whether the matrix is learned along with the net. False keeps a noise that is known.
    structure : {"full", "uniform"}, default="full"
        "full" learns the matrix; "uniform" one rate of flips, which needs fewer data.
    strength : float, default=1.0
        Weight of the start in what is learned, in observations of each true label: a Dirichlet
        prior around it. 0 is maximum likelihood.

    Notes
    -----
    With counts ``c[i, j]``, expected by the E-step, the M-step is
    ``confusion[i, j] = (c[i, j] + strength * start[i, j]) / (c[i] + strength)``, in closed form.
    What was learned is ``likelihood_.confusion_`` after `fit`, in the sorted order of the labels
    (`classes_`). It holds all labels of the knowledge; without knowledge all that y names.

    The matrix is known up to a permutation of the true labels, unless the knowledge breaks it; a
    start that favours the diagonal chooses. It had better be of more noise than there is: a net
    that has to explain wrong labels itself stays unsure, and the rates too low. A net that is
    trained for long learns wrong labels by heart, and one that can say anything of the label, as in
    plain classification, may explain the noise in place of the matrix. Knowledge must have one
    output. `predict` and `score` speak of the true label, ``posterior(X, y)`` of what y says of it.

    References
    ----------
    .. [1] Dawid, Skene, "Maximum likelihood estimation of observer error-rates using the EM
       algorithm", Applied Statistics 28, 1979.
    .. [2] Patrini et al., "Making deep neural networks robust to label noise: a loss correction
       approach", CVPR 2017.

    Examples
    --------
    Two dice, of whose totals four in ten were drawn at random:

    >>> import numpy as np
    >>> from sknesy import EMNeSyClassifier
    >>> from sknesy.knowledge import FunctionKnowledge
    >>> from sknesy.likelihoods import ConfusionLikelihood
    >>> rng = np.random.default_rng(0)
    >>> dice = rng.integers(1, 7, size=(600, 2))
    >>> X = np.eye(6)[dice - 1]
    >>> total = np.where(rng.random(600) < 0.4, rng.integers(2, 13, 600), dice.sum(axis=1))
    >>> both = FunctionKnowledge(lambda a, b: a + b, [range(1, 7)] * 2)
    >>> clf = EMNeSyClassifier(both, likelihood=ConfusionLikelihood(structure="uniform"))
    >>> clf = clf.set_params(learning_rate=0.03, batch_size=100, tol=0.002, random_state=0)
    >>> bool((clf.fit(X, total).predict_symbols(X) == dice).mean() > 0.95)
    True
    >>> bool(abs(1 - clf.likelihood_.confusion_[0, 0] - 0.4 * 10 / 11) < 0.1)
    True
    """

    def __init__(
        self,
        confusion: float | npt.ArrayLike | None = None,
        *,
        learn: bool = True,
        structure: str = "full",
        strength: float = 1.0,
    ) -> None:
        self.confusion = confusion
        self.learn = learn
        self.structure = structure
        self.strength = strength

    def read(self, y: Any, labels: LabelReader) -> NoisyObserved:
        """Read labels, sets and gaps."""
        check_option(self.structure, "structure", ("full", "uniform"))
        check_number(self.strength, "strength", float, 0.0, example=1.0)
        check_flag(self.learn, "learn")
        if self.confusion is None and not self.learn:
            raise ValueError(
                "confusion must be given where learn=False, got None. Pass a matrix, or the share "
                "of labels that are flipped."
            )
        if isinstance(self.confusion, Real):
            check_number(self.confusion, "confusion", float, 0.0, 1.0, below=True, example=0.2)
        check_one_output(labels, self)
        return NoisyObserved(labels.read(y))

    def start(self, observed: NoisyObserved, seed: int) -> State:
        """Start from the matrix, or the rate, that was given."""
        assert observed.mask is not None, "bind comes first"
        return {"confusion": self._first(observed.mask.shape[-1]).to(observed.mask.device)}

    def log_likelihood(self, observed: NoisyObserved, index: Tensor, state: State) -> Tensor:
        """Add up what the noise makes of each true label, over what y allows."""
        allowed, rank, confusion = observed.select(index), observed.rank, state["confusion"]
        assert rank is not None, "bind comes first"
        check_same_labels(confusion, len(rank))
        log_likelihood = (allowed.double() @ confusion.T).log()
        log_likelihood = log_likelihood.masked_fill(allowed.all(dim=-1, keepdim=True), 0.0)
        return log_likelihood[..., rank]

    def count(
        self, observed: NoisyObserved, index: Tensor, output_marginals: Tensor, weight: Tensor
    ) -> Statistics:
        """Count the true labels behind each label, and behind each set, that y holds."""
        if not self.learn:
            return {}
        assert observed.rank is not None
        allowed = observed.select(index)[:, 0]
        true = weight[:, None] * output_marginals[:, 0, observed.rank.argsort()]
        n_allowed = allowed.sum(dim=1)
        is_label, is_set = n_allowed == 1, (n_allowed > 1) & ~allowed.all(dim=1)
        counts = {"labels": true[is_label].T @ allowed[is_label].double()}
        if bool(is_set.any()):
            # What a set counts for depends on the noise: all true labels behind it are kept.
            sets, where = torch.unique(allowed[is_set], dim=0, return_inverse=True)
            behind = true.new_zeros(sets.shape).index_add_(0, where, true[is_set])
            members = [",".join(map(str, row.nonzero()[:, 0].tolist())) for row in sets]
            counts.update(zip(members, behind, strict=True))
        return counts

    def m_step(self, state: State, statistics: Mapping[str, Tensor]) -> State:
        """Return the shares of the expected counts, with those of the prior."""
        if not self.learn:
            return dict(state)
        confusion = state["confusion"]
        counts = statistics["labels"]
        sets = [name for name in statistics if name != "labels"]
        if sets:
            allowed = torch.zeros(len(sets), len(confusion), dtype=confusion.dtype)
            for s, name in enumerate(sets):
                allowed[s, list(map(int, name.split(",")))] = 1.0
            behind = torch.stack([statistics[name] for name in sets])
            counts = counts + expected_flips(confusion, allowed.to(confusion), behind)
        counts = counts + self.strength * self._first(len(confusion)).to(confusion)
        if self.structure == "uniform":
            counts = tie(counts)
        return {"confusion": normalise(counts, confusion)}

    def _first(self, n_labels: int) -> Tensor:
        """Return the matrix that learning starts from, (n_labels, n_labels)."""
        if self.confusion is None:
            return flip((1 - 1 / n_labels) / 2, n_labels)
        if isinstance(self.confusion, Real):
            return flip(float(self.confusion), n_labels)
        return read_confusion(self.confusion, n_labels)
