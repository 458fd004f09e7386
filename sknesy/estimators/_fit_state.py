"""State that a fit leaves behind, and its pickles."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from sknesy._validation import warn
from sknesy.em import Run
from sknesy.estimators._labels import LabelSpace
from sknesy.estimators._target import LabelTarget, Target
from sknesy.exceptions import InconsistentVersionWarning
from sknesy.inference import Compiled
from sknesy.knowledge import Knowledge
from sknesy.likelihoods import Likelihood, State
from sknesy.nets import SymbolGroup, SymbolNet
from sknesy.transforms import PosteriorTransform

__all__ = ["FitState", "VersionedPickle", "copy_bare"]


@dataclass(repr=False)
class FitState:
    """All that a fit leaves behind, beside the public attributes; it pickles."""

    runs: tuple[Run, ...]  # starts that were kept, best first; partial_fit goes on from them
    log_weight: Tensor  # (n_starts,): of the starts in predictions
    transforms: tuple[PosteriorTransform, ...]  # whose memories it has
    family: Knowledge | None  # the knowledge as the user gave it
    labels: LabelSpace
    likelihood: Likelihood
    seed: int
    classes: list[Any] | None = None  # labels that y of partial_fit may hold; None for all
    target: Target = field(default_factory=LabelTarget)
    groups: tuple[SymbolGroup, ...] = ()  # what the nets predict
    support: list[Any] | None = None  # labels that it was compiled for; None for all
    # Compiled when first needed: for sequences longer than in `fit`, and for most probable worlds.
    longer: tuple[Knowledge, Compiled] | None = None
    searches: dict[int, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return the starts that were kept."""
        return f"FitState({', '.join(map(repr, self.runs))})"

    @property
    def run(self) -> Run:
        """Best start."""
        return self.runs[0]

    @property
    def net(self) -> SymbolNet:
        """Net of the best start."""
        return self.run.net

    @property
    def noise(self) -> State:
        """Noise that the best start learned."""
        return self.run.noise

    def noise_for(self, likelihood: Likelihood, noise: State, start: int) -> State:
        """Return what a start learned, if `likelihood` has such; else the noise it begins with."""
        learned = self.runs[start].noise
        shapes, known = ({k: v.shape for k, v in n.items()} for n in (noise, learned))
        is_same = type(self.likelihood) is type(likelihood) and shapes == known
        return {k: v.to(noise[k]) for k, v in learned.items()} if is_same else noise


def copy_bare(estimator: Any) -> Any:
    """Copy an estimator with all its attributes; copy.copy leaves out what pickles do."""
    other = object.__new__(type(estimator))
    vars(other).update(vars(estimator))
    return other


class VersionedPickle:
    """Mixin for pickles that carry the version of this package."""

    def __getstate__(self) -> Any:
        from sknesy import __version__  # the package imports this module first

        return {**super().__getstate__(), "_sknesy_version": __version__}

    def __setstate__(self, state: Any) -> None:
        from sknesy import __version__

        version = state.get("_sknesy_version", "unknown")
        if version != __version__:
            warn(
                f"This {type(self).__name__} was pickled by sknesy {version} and is loaded by "
                f"sknesy {__version__}: it may break, or predict something else. Fit it again, or "
                f"install sknesy {version}.",
                InconsistentVersionWarning,
            )
        super().__setstate__({k: v for k, v in state.items() if k != "_sknesy_version"})
