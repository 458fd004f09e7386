"""The M-step by a scikit-learn classifier."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import repeat
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from sknesy._documentation import Documented
from sknesy.exceptions import InvalidNetError
from sknesy.nets._base import Responsibilities, SymbolNet
from sknesy.nets._groups import SymbolGroup
from sknesy.nets._indexed import Indexed
from sknesy.nets._make import make_net
from sknesy.nets._samples import Grid, Joint, Samples
from sknesy.nets._starter import StarterNet
from sknesy.nets._weighted_fit import FittedStates, check_learner, fit_soft, seed_learner

__all__ = ["Learner", "LearnerNet"]

_OPTIONS = ("learning_rate", "batch_size", "device")


class Learner(Documented, BaseEstimator):
    """A scikit-learn classifier as the `net` of an estimator, with options.

    A classifier passed as `net` is short for ``Learner(classifier)``.

    Parameters
    ----------
    estimator : scikit-learn classifier
        A classifier with `predict_proba` whose `fit` takes `sample_weight`, or a `Pipeline` that
        ends in one. It is cloned.
    starter : "mlp", None, torch module class or skorch NeuralNet, default="mlp"
        A classifier has no random weights to start from. "mlp" trains a perceptron by EM first, of
        one hidden layer on standardised features, and its posteriors are the first targets. None
        starts from the labels alone: all states are equally likely at first, and knowledge with
        symmetries, such as XOR, then teaches nothing. A net of your own serves as well, say
        `sknesy.nets.LeNet` for images.
    floor : float, default=1e-6
        Smallest probability of a state. A probability of 0, as forests predict it, would be final:
        no E-step raises it again.

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sknesy import EMNeSyClassifier
    >>> from sknesy.knowledge import AnyOf
    >>> clf = EMNeSyClassifier(AnyOf(), net=Learner(GaussianNB(), starter=None))
    >>> clf.set_params(net__estimator__var_smoothing=1e-3).net.estimator
    GaussianNB(var_smoothing=0.001)
    """

    def __init__(self, estimator: Any, *, starter: Any = "mlp", floor: float = 1e-6) -> None:
        self.estimator = estimator
        self.starter = starter
        self.floor = floor


class LearnerNet(SymbolNet):
    """A scikit-learn classifier that predicts symbols.

    Its M-step is a fit of a fresh clone to weighted rows: each input once for each state, with the
    responsibility of the state times the weight of the sample. A classifier with
    ``warm_start=True`` goes on from its last fit instead.

    Parameters
    ----------
    options : Learner
        The classifier, and how it is used.
    group : SymbolGroup
        The symbols to predict: by one classifier, or, if not `is_shared`, by one for each.
    seed : int
        Seed of the classifier's parts that have none, and of the starter.
    """

    schedules = frozenset({"epoch"})
    is_refitted = True

    def __init__(self, options: Learner, group: SymbolGroup, seed: int) -> None:
        self.group = group
        floor: Any = options.floor
        self._learner = seed_learner(options.estimator, seed)
        # Floors of probabilities have to leave room for the probabilities.
        if not isinstance(floor, Real) or not 0 < float(floor) < 0.1 / max(group.n_states):
            raise InvalidNetError(
                f"floor must be a number above 0 and below {0.1 / max(group.n_states):g}, a tenth "
                f"of 1 / n_states, got {floor!r}. Leave it out for 1e-6."
            )
        self.floor = float(floor)
        self._is_kept = True
        self._starter = _make_starter(options.starter, group, seed)
        self._fitted: list[FittedStates] = []  # of each column of symbols
        self._session: tuple[Samples, npt.NDArray[np.float64]] | None = None
        self._warned: list[warnings.WarningMessage] = []

    @property
    def is_trained(self) -> bool:
        """True, as its starter is trained before it; without one, labels come first."""
        return True

    @property
    def starter(self) -> SymbolNet | None:
        """Net to train before the first M-step; None once there was one."""
        return self._starter

    @property
    def inner(self) -> Any:
        """The fitted classifier; a list of them, one a symbol, if they share no features."""
        learners = [fitted.learner for fitted in self._fitted]
        return learners[0] if self.group.is_shared and learners else learners

    def log_prob(self, X: Tensor | Samples) -> Tensor:
        """Compute log-probabilities: of the starter, until there is a classifier.

        A `Grid` of single symbols may be of a net for more: no state is padding then.
        """
        samples = self._as_samples(X)
        if not self._fitted and self._starter is not None:
            return self._starter.log_prob(samples)
        n_states, is_single = self.group.n_states, False
        if isinstance(samples, Grid):
            is_single = samples.n_symbols == 1 < len(n_states)
        mask = np.arange(max(n_states)) < np.array(n_states)[:, None]
        mask = mask[:1] | True if is_single else mask
        said = samples.spread(torch.from_numpy(self._predict(_features(samples))))
        prob = said.numpy().reshape(-1, *mask.shape) * mask
        prob /= prob.sum(axis=-1, keepdims=True)
        with np.errstate(divide="ignore"):
            return samples.arrange(torch.from_numpy(np.log(prob)))

    @contextmanager
    def training(
        self, X: Tensor | Samples, weight: Tensor, y: Any, *, is_trial: bool = False
    ) -> Iterator["LearnerNet"]:
        """Remember the samples and their weights; warn at the end if the last fit did."""
        self._session = self._as_samples(X), weight.cpu().numpy()
        self._said: set[str] = set()
        self._is_kept = not is_trial
        try:
            yield self
            for warned in self._warned if self._is_kept else ():
                _warn(warned)
        finally:
            self._session, self._warned = None, []

    def keep(self) -> None:
        """Choose this trial: what its last fit warned of is of interest."""
        self._is_kept = True

    def m_step(self, responsibilities: Responsibilities) -> bool:
        """Fit the classifier to the responsibilities of all samples."""
        assert self._session is not None, "a session comes first"
        samples, weight = self._session
        index = torch.arange(len(samples))
        q = responsibilities(self.log_prob(samples), index, True)
        X = _features(samples)
        targets = _targets(samples, q, torch.from_numpy(weight), self.group.is_shared)
        fits = [
            fit_soft(clone(self._learner), X, target.numpy(), own.numpy(), before)
            for (target, own), before in zip(targets, self._last_fits(), strict=False)
        ]
        self._fitted = [fitted for fitted, _ in fits]
        self._starter = None
        self._note(warned for _, all_warned in fits for warned in all_warned)
        return False

    def state_dict(self) -> dict[str, Any]:
        """Return the fitted classifiers, and the starter that is needed until there are some."""
        starter = None if self._starter is None else self._starter.state_dict()
        return {"fitted": self._fitted, "starter": starter, "group": _describe(self.group)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned."""
        if state.get("group") != _describe(self.group):
            raise InvalidNetError(
                "With warm_start=True the last fit must have had a scikit-learn classifier, too, "
                f"and as many symbols, states and features, got {state.get('group')} before and "
                f"{_describe(self.group)} now. Set warm_start=False, or fit a new estimator."
            )
        self._fitted = [*state["fitted"]]
        if self._fitted:
            self._starter = None
        elif self._starter is not None and state["starter"] is not None:
            self._starter.load_state_dict(state["starter"])

    def session_state(self) -> dict[str, Any]:
        """Return `state_dict`, and what the last fit warned of."""
        return {**self.state_dict(), "warned": self._warned}

    def load_session_state(self, state: Mapping[str, Any]) -> None:
        """Load what `session_state` returned."""
        self.load_state_dict(state)
        self._warned = state["warned"]

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_session": None, "_warned": []}  # a session's own

    def _as_samples(self, X: Tensor | Samples) -> Samples:
        if isinstance(X, Samples):
            return X
        return Grid(X) if self.group.is_shared else Joint(X, len(self.group.n_states))

    def _predict(self, X: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Compute probabilities (n_inputs, n_columns, n_states); uniform before the first fit."""
        n_states = self.group.n_states
        widest = max(n_states)
        if not self._fitted:
            return np.full((len(X), 1 if self.group.is_shared else len(n_states), widest), 1.0)
        return np.stack([f.predict(X, widest, self.floor) for f in self._fitted], axis=1)

    def _note(self, caught: Iterable[warnings.WarningMessage]) -> None:
        """Record warnings, and show each once; those of convergence at the end of the session."""
        self._warned = []
        for warned in caught:
            if issubclass(warned.category, ConvergenceWarning):  # one fit of many need not
                self._warned = [warned]
            elif str(warned.message) not in self._said:
                self._said.add(str(warned.message))
                _warn(warned)

    def _last_fits(self) -> Iterable[FittedStates | None]:
        """Return the last fit of each column, if the classifier goes on from it."""
        goes_on = any(
            value is True and name.split("__")[-1] == "warm_start"
            for name, value in self._learner.get_params().items()
        )
        return self._fitted if goes_on and self._fitted else repeat(None)


@make_net.register(BaseEstimator)
def _make_learner(net: Any, group: SymbolGroup, seed: int, options: Mapping[str, Any]) -> SymbolNet:
    """Build a `LearnerNet` from a scikit-learn classifier."""
    net = net if isinstance(net, Learner) else Learner(net)
    check_learner(net.estimator)
    name = type(net.estimator).__name__
    for option in _OPTIONS:
        if options.get(option) is not None:
            raise InvalidNetError(
                f"{option} must be None where net is a scikit-learn classifier ({name}), which "
                f"has parameters of its own, got {options[option]!r}. Leave it out."
            )
    if isinstance(group.symbol_shape, Mapping):
        raise InvalidNetError(
            f"net must be a torch module where X has several inputs "
            f"({', '.join(group.symbol_shape)}), got {name}. Join them into one array for it."
        )
    if group.is_sequence:
        raise InvalidNetError(
            f"net must be a torch module where it sees whole sequences, got {name}, which takes "
            "tables. Leave `layout` out, and it predicts each symbol from its own features."
        )
    if 0 in group.symbol_shape:
        raise InvalidNetError(
            f"net must be None where X has no features, got {name}. Leave it out: the shares of "
            "the states are learned."
        )
    return LearnerNet(net, group, seed)


def _make_starter(starter: Any, group: SymbolGroup, seed: int) -> SymbolNet | None:
    if starter is None:
        return None
    if isinstance(starter, str):
        if starter != "mlp":
            raise InvalidNetError(
                f"starter must be 'mlp', None, a torch module class or a skorch NeuralNet, got "
                f"{starter!r}. Leave it out for 'mlp'."
            )
        return StarterNet(group, seed)
    return make_net(starter, group, seed, {"device": "cpu"})


def _warn(warned: warnings.WarningMessage) -> None:
    warnings.warn_explicit(warned.message, warned.category, warned.filename, warned.lineno)


def _features(samples: Samples) -> npt.NDArray[Any]:
    """Return the inputs as a table (n_inputs, n_features), without a copy where that can be."""
    inputs = samples.inputs()
    assert isinstance(inputs, Tensor), "make_net refuses several inputs"
    return inputs.flatten(1).numpy() if inputs.ndim > 1 else inputs[:, None].numpy()


def _targets(
    samples: Samples, q: Tensor, weight: Tensor, is_shared: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield targets (n_inputs, n_states) for each classifier, and weights (n_inputs,)."""
    if not is_shared:
        for column in q.unbind(1):
            yield column, weight
        return
    lengths = getattr(samples, "lengths", None)
    if lengths is None:
        target, own = q.flatten(0, 1), weight.repeat_interleave(q.shape[1])
    else:  # without the end, which is known
        target, own = q[samples.is_symbol][:, :-1], weight.repeat_interleave(lengths)  # type: ignore[attr-defined]
    if isinstance(samples, Indexed):  # what is known of an input is the mean over its symbols
        total = samples.pool(own[:, None] * target)
        own = samples.pool(own)
        target = total / own.clamp(min=torch.finfo(own.dtype).tiny)[:, None]
    yield target, own


def _describe(group: SymbolGroup) -> dict[str, Any]:
    """Return what two fits must have in common for one to go on from the other."""
    return {
        "n_states": group.n_states,
        "symbol_shape": group.symbol_shape,
        "is_shared": group.is_shared,
    }
