"""Several people label each sample, each with errors of their own."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy._validation import check_labels, check_number, check_option, in_order
from sknesy.exceptions import InconsistentLabelError
from sknesy.likelihoods._base import LabelReader, Likelihood, Observed, State, Statistics
from sknesy.likelihoods._columns import as_table, check_one_output
from sknesy.likelihoods._matrices import check_same_labels, flip, normalise, tie
from sknesy.numerics.runs import find_rows, find_starts

__all__ = ["AnnotatorLikelihood", "AnnotatorObserved"]


@dataclass(frozen=True, eq=False, repr=False)
class AnnotatorObserved(Observed):
    """Labels that people gave, one after the other, sample by sample.

    Attributes
    ----------
    names : list of hashable
        The labels; after `bind` all of the knowledge, sorted.
    n_annotators : int
        Number of people.
    kind : ndarray of shape (n_samples,), int64
        Equal numbers for samples that are labelled alike.
    n_given : Tensor of shape (n_samples,), int64
        How many people labelled each sample.
    annotator : Tensor of shape (n_given.sum(),), int64
        Who gave each label.
    code : Tensor of shape (n_given.sum(),), int64
        Position of each label in `names`.
    rank : Tensor of shape (n_output_states,), int64, or None
        Position of each output state in `names`; None before `bind`.
    """

    names: list[Hashable]
    n_annotators: int
    kind: npt.NDArray[np.int64]
    n_given: Tensor
    annotator: Tensor
    code: Tensor
    rank: Tensor | None = None
    _starts: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_starts", find_starts(self.n_given))

    @property
    def labels(self) -> list[Hashable]:
        """Labels that people gave."""
        return self.names

    def __len__(self) -> int:
        return len(self.n_given)

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        """Equal numbers for samples that are labelled alike, int64 of shape (n_samples,)."""
        return self.kind

    @property
    def is_known(self) -> npt.NDArray[np.bool_]:
        """Mask of the samples that somebody labelled, (n_samples,)."""
        known: npt.NDArray[np.bool_] = (self.n_given > 0).cpu().numpy()
        return known

    def bind(self, output_states: Sequence[Sequence[Hashable]]) -> "AnnotatorObserved":
        """Return the same, with labels as positions among all of the knowledge."""
        names = in_order(output_states[0])
        place = {name: k for k, name in enumerate(names)}
        check_labels(self.names, names)
        position = torch.tensor([place[name] for name in self.names], dtype=torch.int64)
        rank = torch.tensor([place[name] for name in output_states[0]])
        return replace(self, names=names, code=position[self.code], rank=rank)

    def select(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the labels of some samples, one after the other.

        Parameters
        ----------
        index : Tensor of shape (n_batch,), int64
            The samples.

        Returns
        -------
        place, annotator, code : Tensors of shape (n_labels,), int64
            Place of the sample in the batch, who gave the label, and the label.
        """
        place = torch.arange(len(index), device=index.device)
        where = find_rows(self._starts, self.n_given, index)
        return place.repeat_interleave(self.n_given[index]), self.annotator[where], self.code[where]

    def agreement(self, predicted: Any) -> npt.NDArray[np.float64]:
        """Return the share of people who agree with each prediction, NaN without any label."""
        place = {name: k for k, name in enumerate(self.names)}
        codes = np.array([place.get(label, -1) for label in predicted.entries.values])
        n_given, code = self.n_given.numpy(), self.code.numpy()
        agrees = code == codes[predicted.entries.index].repeat(n_given)
        sample = np.arange(len(self)).repeat(n_given)
        total = np.bincount(sample, weights=agrees, minlength=len(self))
        share: npt.NDArray[np.float64] = np.where(
            n_given > 0, total / np.maximum(n_given, 1), np.nan
        )
        return share

    def describe(self, i: int) -> str:
        """Return who gave which label."""
        _, annotator, code = self.select(torch.tensor([i]))
        said = zip(annotator.tolist(), code.tolist(), strict=True)
        return ", ".join(f"{self.names[k]!r} by annotator {p}" for p, k in said) or "nothing"

    def to(self, device: torch.device | str) -> "AnnotatorObserved":
        """Return it with its tensors on a device."""
        moved = {name: getattr(self, name) for name in ("n_given", "annotator", "code", "rank")}
        moved = {name: value.to(device) for name, value in moved.items() if value is not None}
        return replace(self, **moved)


class AnnotatorLikelihood(Likelihood):
    r"""Labels from several people: Dawid & Skene's model, with a net for the true labels.

    y has a column for each person, with the labels that they gave, and None, NaN, NA or masked
    where they gave none. Given the true label i, person p says j with a probability of their own,
    independently of all others:

        log p(row | true i) = sum_p log confusion[p, i, row[p]].

    Without features, ``fit(None, y)`` learns the shares of the true labels in place of a net.

    Parameters
    ----------
    structure : {"confusion", "coin"}, default="confusion"
        What is learned of a person: "confusion" a matrix, which needs many labels of each; "coin"
        how often they are right, with all wrong labels alike.
    strength : float or None, default=None
        Weight, in labels of each person and true label, of a person who is right by `accuracy`: a
        Dirichlet prior around them. 0 is maximum likelihood. None is 1 for "confusion" and 10 for
        "coin", whose likelihood may be largest where nearly all samples have one label.
    accuracy : float, default=0.7
        How often that person is right, above 0 and below 1.

    Notes
    -----
    Learning starts from the majority vote, with shares where the vote is split: each person is
    measured against it first. With counts ``c[p, i, j]``, expected by the E-step, the M-step is
    ``(c[p, i, j] + a[i, j]) / sum_j (c[p, i, j] + a[i, j])``, in closed form; what was learned is
    ``likelihood_.confusion_``, of shape (n_annotators, n_labels, n_labels), in the sorted order of
    the labels (`classes_`). These are all labels of the knowledge, also where nobody gave them;
    without knowledge all that somebody gave. Cost: one row of a matrix for each label given.

    A row without any label is unknown. `score` takes such y, and counts for each row the share of
    its people who agree with the prediction; or true labels, in one column. Knowledge must have
    one output.

    References
    ----------
    .. [1] Dawid, Skene, "Maximum likelihood estimation of observer error-rates using the EM
       algorithm", Applied Statistics 28, 1979.
    .. [2] Raykar et al., "Learning from crowds", JMLR 11, 2010.

    Examples
    --------
    Five people label flowers; each is wrong with another share of them:

    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sknesy import EMNeSyClassifier
    >>> from sknesy.likelihoods import AnnotatorLikelihood
    >>> _, kind = load_iris(return_X_y=True)
    >>> rng = np.random.default_rng(0)
    >>> is_wrong = rng.random((150, 5)) < [0.1, 0.2, 0.4, 0.5, 0.5]
    >>> y = (kind[:, None] + is_wrong * rng.integers(1, 3, (150, 5))) % 3
    >>> clf = EMNeSyClassifier(likelihood=AnnotatorLikelihood()).fit(None, y)
    >>> bool((clf.predict_symbols(None, y)[:, 0] == kind).mean() > 0.9)
    True
    """

    reads_rows = True

    def __init__(
        self, structure: str = "confusion", *, strength: float | None = None, accuracy: float = 0.7
    ) -> None:
        self.structure = structure
        self.strength = strength
        self.accuracy = accuracy

    def read(self, y: Any, labels: LabelReader) -> AnnotatorObserved:
        """Read the labels of all people."""
        check_option(self.structure, "structure", ("confusion", "coin"))
        check_number(self.strength, "strength", float, 0.0, example=1.0, or_none="the default")
        check_number(
            self.accuracy, "accuracy", float, 0.0, 1.0, above=True, below=True, example=0.7
        )
        check_one_output(labels, self)
        table = as_table(y, "annotator", "ConfusionLikelihood() for one label a sample")
        entries = labels.read(table.ravel())
        for e, value in enumerate(entries.values):
            if isinstance(value, frozenset):
                row, column = divmod(int((entries.index == e).argmax()), table.shape[1])
                raise InconsistentLabelError(
                    f"y must hold one label in each cell, or None, got {set(value)!r} in row "
                    f"{row}, column {column}. Leave the cell open; ExactLikelihood() takes sets."
                )
        names = entries.labels
        place = {name: k for k, name in enumerate(names)}
        code_of = np.array([place.get(value, -1) for value in entries.values], dtype=np.int64)
        codes = code_of[entries.index].reshape(table.shape)
        sample, annotator = np.nonzero(codes >= 0)
        _, groups = np.unique(codes, axis=0, return_inverse=True)
        return AnnotatorObserved(
            names,
            table.shape[1],
            groups.ravel(),
            torch.from_numpy(np.bincount(sample, minlength=len(codes))),
            torch.from_numpy(annotator),
            torch.from_numpy(codes[sample, annotator]),
        )

    def start(self, observed: AnnotatorObserved, seed: int) -> State:
        """Measure each person against the majority vote."""
        has_labelled = observed.annotator.bincount(minlength=observed.n_annotators) > 0
        if not bool(has_labelled.all()):
            raise InconsistentLabelError(
                f"y must hold a label of each annotator, got none in column "
                f"{int((~has_labelled).nonzero()[0])}. Leave the column out."
            )
        everything = torch.arange(len(observed), device=observed.code.device)
        place, _, code = observed.select(everything)
        votes = torch.zeros(len(observed), len(observed.names), dtype=torch.float64)
        votes = votes.to(code.device).index_put_(
            (place, code), torch.ones_like(place, dtype=torch.float64), accumulate=True
        )
        share = votes / votes.sum(dim=1, keepdim=True).clamp(min=1.0)
        counts = self.count(
            observed, everything, share[:, None, observed.rank], torch.ones_like(share[:, 0])
        )
        prior = self._prior(len(observed.names)).to(share)
        return self.m_step({"confusion": prior.expand_as(counts["labels"])}, counts)

    def log_likelihood(self, observed: AnnotatorObserved, index: Tensor, state: State) -> Tensor:
        """Add up what all labels of a sample say of each true label."""
        confusion, rank = state["confusion"], observed.rank
        assert rank is not None, "bind comes first"
        check_same_labels(confusion, len(rank))
        if observed.n_annotators != len(confusion):
            raise InconsistentLabelError(
                f"y must have {len(confusion)} columns, one for each annotator as in fit, got "
                f"{observed.n_annotators}. Fill up with columns of None."
            )
        place, annotator, code = observed.select(index)
        terms = confusion.log()[annotator, :, code]
        total = terms.new_zeros(len(index), terms.shape[1]).index_add_(0, place, terms)
        return total[:, None, rank]

    def count(
        self, observed: AnnotatorObserved, index: Tensor, output_marginals: Tensor, weight: Tensor
    ) -> Statistics:
        """Count what each person says of each true label."""
        assert observed.rank is not None
        place, annotator, code = observed.select(index)
        true = weight[:, None] * output_marginals[:, 0, observed.rank.argsort()]
        n_labels = true.shape[1]
        counts = true.new_zeros(observed.n_annotators * n_labels, n_labels)  # (p, j), i
        counts.index_add_(0, annotator * n_labels + code, true[place])
        return {"labels": counts.view(-1, n_labels, n_labels).mT}

    def m_step(self, state: State, statistics: Mapping[str, Tensor]) -> State:
        """Return the shares of the expected counts, with those of the prior."""
        counts = statistics["labels"]
        strength = {"confusion": 1.0, "coin": 10.0}[self.structure]
        if self.strength is not None:
            strength = self.strength
        counts = counts + strength * self._prior(counts.shape[-1]).to(counts)
        if self.structure == "coin":
            counts = tie(counts)
        return {"confusion": normalise(counts, state["confusion"])}

    def _prior(self, n_labels: int) -> Tensor:
        return flip(1.0 - self.accuracy, n_labels)
