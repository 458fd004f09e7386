"""A net for each kind of symbols, all trained on one posterior."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import Bunch
from torch import Tensor

from sknesy.exceptions import DivergenceError, InvalidNetError
from sknesy.nets._base import Responsibilities, SymbolNet
from sknesy.nets._groups import SymbolGroup
from sknesy.nets._make import make_net, used_options
from sknesy.nets._part_samples import Parts
from sknesy.nets._processes import ALONE, Processes
from sknesy.nets._skorch import SkorchNet
from sknesy.nets._starter import StarterNet

__all__ = ["PartsNet", "make_nets"]


class PartsNet(SymbolNet):
    """Nets of several kinds of symbols, each with weights and an optimiser of its own.

    All nets learn from the same posterior, that of their joint predictions. Where each mini-batch
    has its own E-step, a step runs within the loss of the one before: the first net predicts the
    mini-batch, within its loss the second does, and so on; the last asks for the posterior, and
    each takes its share. So each net has one forward pass, as if it were alone, and skorch's
    callbacks, histories and optimisers work as they are. The order and the size of mini-batches are
    those of the first net.

    Parameters
    ----------
    nets : dict of str to SymbolNet
        The nets, by the names of their parts.
    starter : PartsNet or None, default=None
        Nets that are trained before these, of which some start from a net of another kind.
    """

    def __init__(self, nets: Mapping[str, SymbolNet], starter: "PartsNet | None" = None) -> None:
        self.nets = dict(nets)
        self._starter = starter
        self.schedules = frozenset.intersection(*(net.schedules for net in nets.values()))
        self.is_refitted = any(net.is_refitted for net in nets.values())
        self._steppers = {k: net for k, net in nets.items() if isinstance(net, SkorchNet)}
        if len(self._steppers) < len(nets):
            self.schedules -= {"batch"}
        self._samples: Parts | None = None
        _check_alike("device", {name: net.device for name, net in nets.items()})
        for name, net in self._steppers.items():
            if net.net.train_split is not None:
                raise InvalidNetError(
                    f"train_split of the net of part {name!r} must be None, as all parts train on "
                    f"the same samples, got {net.net.train_split!r}. Pass train_split=None, and "
                    "hold samples out by the estimator's validation_fraction."
                )

    @property
    def device(self) -> str:
        """Device of all nets."""
        return next(iter(self.nets.values())).device

    @property
    def processes(self) -> Processes:
        """Processes that train the nets that step together."""
        return next((net.processes for net in self._steppers.values()), ALONE)

    @property
    def is_trained(self) -> bool:
        """True if all nets came with trained weights, or a starter is trained before."""
        return self._starter is not None or all(net.is_trained for net in self.nets.values())

    @property
    def starter(self) -> "PartsNet | None":
        """Nets to train before, until some net of these has learned something itself."""
        return self._starter

    def start_from(self, starter: SymbolNet) -> None:
        """Let nets without a starter of their own go on from those that stood in for them."""
        for name, net in self.nets.items():
            if net.starter is None and isinstance(starter, PartsNet):
                net.adopt(starter.nets[name])

    @property
    def inner(self) -> Bunch:
        """The trained objects by the names of their parts."""
        return Bunch(**{name: net.inner for name, net in self.nets.items()})

    def log_prob(self, X: Any) -> Tensor:
        """Compute log-probabilities of all symbols, each by the net of its part."""
        said = {name: self.nets[name].log_prob(part) for name, part in X.parts.items()}
        joined: Tensor = X.to(self.device).join(said)
        return joined

    @contextmanager
    def training(
        self, X: Any, weight: Tensor, y: Any, *, is_trial: bool = False
    ) -> Iterator["PartsNet"]:
        """Open a training session of each net on the data of its part."""
        with ExitStack() as sessions:
            for name, net in self.nets.items():
                session = net.training(X.parts[name], weight, y, is_trial=is_trial)
                with _naming(name):
                    sessions.enter_context(session)
            nets, name = self._steppers, "iterator_train"
            _check_alike(
                "batch_size", {k: net.find_batch_size(name, len(X)) for k, net in nets.items()}
            )
            self._samples = X.to(self.device)
            try:
                yield self
            finally:
                self._samples = None

    def m_step(self, responsibilities: Responsibilities) -> bool:
        """Make one pass over the data, of all nets at once."""
        self._starter = None
        if len(self._steppers) < len(self.nets):
            return self._pass_alone(responsibilities)
        first, wishes = next(iter(self._steppers.values())), []
        with ExitStack() as epochs:
            for net in self._steppers.values():
                wishes.append(epochs.enter_context(net.stepping()))
            for index in first.batches():
                self._step(list(self._steppers), {}, index, responsibilities)
        return any(wish for asked in wishes for wish in asked)

    def _step(
        self,
        names: list[str],
        said: dict[str, Tensor],
        index: Tensor,
        responsibilities: Responsibilities,
    ) -> Tensor:
        """Make a step of some nets, given what those before say; return the posterior."""
        assert self._samples is not None, "a session comes first"
        samples = self._samples
        if not names:
            return responsibilities(samples.join(said), index, True)
        name, *others = names
        posterior: list[Tensor] = []  # an optimiser may evaluate its loss several times

        def targets(log_prob: Tensor, index: Tensor, is_training: bool) -> Tensor:
            if not posterior:
                told = {**said, name: log_prob}
                posterior.append(self._step(others, told, index, responsibilities))
            return samples.share(name, posterior[0])

        with _naming(name):
            self._steppers[name].step(targets, index)
        return posterior[0]

    def _pass_alone(self, responsibilities: Responsibilities) -> bool:
        """Make one pass of each net by itself, on one posterior for all samples."""
        assert self._samples is not None, "a session comes first"
        samples = self._samples
        everything = torch.arange(len(samples), device=self.device)
        posterior = responsibilities(torch.empty(0), everything, True)  # it is there already
        wishes = []
        for name, net in self.nets.items():
            share = samples.share(name, posterior)

            def look_up(
                log_prob: Tensor, index: Tensor, is_training: bool, share: Tensor = share
            ) -> Tensor:
                return share[index]

            with _naming(name):
                wishes.append(net.m_step(look_up))
        return any(wishes)

    def keep(self) -> None:
        """Choose this trial: what the nets wrote is kept."""
        for net in self.nets.values():
            net.keep()

    def recompute_statistics(self, X: Any) -> None:
        """Recompute running statistics of each net, from the data of its part."""
        for name, net in self.nets.items():
            net.recompute_statistics(X.parts[name])

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each net, by name."""
        return {name: net.state_dict() for name, net in self.nets.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned."""
        self._check_names(state)
        self._starter = None
        for name, net in self.nets.items():
            net.load_state_dict(state[name])

    def weights(self) -> dict[str, Tensor]:
        """Return the weights of each net, with the name of its part before theirs."""
        return {
            f"{name}/{key}": tensor
            for name, net in self.nets.items()
            for key, tensor in net.weights().items()
        }

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Load what `weights` returned."""
        self._starter = None
        for name, net in self.nets.items():
            prefix = f"{name}/"
            own = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
            with _naming(name):
                net.load_weights(own)

    def session_state(self) -> dict[str, Any]:
        """Return the state of the session of each net, by name."""
        return {name: net.session_state() for name, net in self.nets.items()}

    def load_session_state(self, state: Mapping[str, Any]) -> None:
        """Load what `session_state` returned."""
        self._starter = None
        for name, net in self.nets.items():
            net.load_session_state(state[name])

    def adopt(self, other: SymbolNet) -> None:
        """Take over the weights of nets of the same names."""
        others = other.nets if isinstance(other, PartsNet) else {}
        self._check_names(others)
        self._starter = None
        for name, net in self.nets.items():
            with _naming(name):
                net.adopt(others[name])

    def _check_names(self, found: Mapping[str, Any]) -> None:
        if set(found) != set(self.nets):
            raise InvalidNetError(
                f"With warm_start=True the last fit must have had the parts {sorted(self.nets)}, "
                f"got {sorted(found) or 'one net for all symbols'}. Set warm_start=False, or fit a "
                "new estimator."
            )

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_samples": None}  # a session's own


def make_nets(
    net: Any, groups: Sequence[SymbolGroup], seed: int, options: Mapping[str, Any]
) -> SymbolNet:
    """Build the net of one start of training, for any number of groups of symbols.

    Parameters
    ----------
    net : object
        The parameter `net` of an estimator, for groups without one of their own.
    groups : sequence of SymbolGroup
        The groups. A single one without a name has a plain net; others are the parts of a
        `PartsNet`.
    seed : int
        Seed of all randomness.
    options : mapping of str to object
        As for `make_net`. Each reaches the nets without a value of their own; one that reaches
        none is an error.

    Returns
    -------
    SymbolNet
        A net with fresh weights.

    Raises
    ------
    InvalidNetError
        When a net, or an option, cannot be used.
    """
    if len(groups) == 1 and groups[0].name is None:
        return make_net(net, groups[0], seed, options)
    own = {str(group.name): net if group.net is None else group.net for group in groups}
    used = {name: used_options(net, options) for name, net in own.items()}
    # What no net would use, the first is given: it says what is wrong.
    unused = {k: v for k, v in options.items() if not any(k in kept for kept in used.values())}
    used[str(groups[0].name)] |= unused
    seeds = np.random.RandomState(seed).randint(np.iinfo(np.int32).max, size=len(groups))
    nets: dict[str, SymbolNet] = {}
    starters: dict[str, SymbolNet] = {}
    for group, own_seed in zip(groups, seeds.tolist(), strict=True):
        name = str(group.name)
        with _naming(name):
            nets[name] = make_net(own[name], group, own_seed, used[name])
            if (starter := nets[name].starter) is not None:
                starters[name] = starter
    if not starters:
        return PartsNet(nets)
    # All parts train together before: nets without a starter have a twin that does.
    for group, own_seed in zip(groups, seeds.tolist(), strict=True):
        name = str(group.name)
        if name not in starters:
            twin = starters[name] = make_net(own[name], group, own_seed, used[name])
            for starter in starters.values():  # they train in step
                if isinstance(starter, StarterNet) and isinstance(twin, SkorchNet):
                    starter.net.set_params(batch_size=twin.net.batch_size)
    return PartsNet(nets, PartsNet({name: starters[name] for name in nets}))


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Say of which part an error is; steps of other parts, which run within, say so first."""
    try:
        yield
    except (InvalidNetError, DivergenceError) as error:
        if str(error).startswith("Part '"):
            raise
        raise type(error)(f"Part {name!r}: {error}") from error


def _check_alike(option: str, values: Mapping[str, Any]) -> None:
    """Check that all parts have the same value of an option."""
    if len(set(values.values())) > 1:
        raise InvalidNetError(
            f"{option} must be the same for the nets of all parts, which train in step, got "
            f"{dict(values)}. Set {option} of each net, or leave it out of them and set the "
            "estimator's."
        )
