"""The M-step through skorch."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from copy import deepcopy
from typing import Any

import torch
from skorch import NeuralNet
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler, Subset

from sknesy.exceptions import InvalidNetError
from sknesy.nets._base import Responsibilities, SymbolNet
from sknesy.nets._batches import Batches, JoinedBatches, SymbolDataset, as_is, find_indices
from sknesy.nets._callbacks import TrialFiles, check_callbacks
from sknesy.nets._groups import SymbolGroup
from sknesy.nets._inputs import Inputs, cast, count, logits_of, try_dtypes
from sknesy.nets._integers import check_whole, find_extremes, refuse_integers
from sknesy.nets._loss import SymbolLoss
from sknesy.nets._parameters import (
    check_batch_sizes,
    check_device,
    check_keywords,
    check_learning_rate,
    check_parameter_groups,
)
from sknesy.nets._processes import (
    ALONE,
    Processes,
    Shares,
    SumGradients,
    check_order,
    check_sizes,
)
from sknesy.nets._random import RandomStream
from sknesy.nets._samples import Grid, Joint, Samples
from sknesy.nets._sequences import Sequences
from sknesy.nets._session import load_session, session_of
from sknesy.nets._statistics import recompute_statistics
from sknesy.nets._stepping import SteppingMixin
from sknesy.nets._trial import (
    check_output,
    describe_inputs,
    find_least,
    make_trial,
    rehearse,
)

__all__ = ["SkorchNet"]

Part = SymbolDataset | Subset[Any]  # the samples that are trained on, or held out

_COMPARED = 1000  # positions of samples to train on that processes compare


class SkorchNet(SteppingMixin, SymbolNet):
    """A skorch net that predicts symbols.

    Parameters
    ----------
    net : skorch.NeuralNet
        An unfitted net of the caller's own; it is changed. Its criterion is replaced by
        `SymbolLoss`, all else is kept. A module whose constructor takes `symbol_shape`,
        `n_states`, `is_sequence`, or `n_symbols` in a net for whole samples, is given them.
    group : SymbolGroup
        The symbols to predict. The module predicts one of them from its own features, or, if the
        group is not `is_shared`, all from the whole sample: its output is then of shape
        (n_samples, n_symbols, max(n_states)), or flat. If it `is_sequence`, see `JointSequences`.
    seed : int
        Seed of the weights, of the order of samples and of what the module draws.
    processes : Processes
        Processes that train it together: each makes its share of every mini-batch.
    """

    def __init__(
        self, net: NeuralNet, group: SymbolGroup, seed: int, processes: Processes = ALONE
    ) -> None:
        self.net = net
        self._processes = processes
        if not processes.is_first:
            net.set_params(verbose=0)
        self.group = group
        self.n_states = group.n_states
        check_device(self.device)
        self._stream = RandomStream(seed, self.device)
        self._order = torch.Generator().manual_seed(seed)
        self._whole: Any = None
        self._datasets: dict[str, Any] = {}
        self._iterators: tuple[Any, Any] = (None, None)
        self._files: TrialFiles | None = None
        self._initialize()
        self._dtypes = self._check_output()

    @property
    def device(self) -> str:
        """Device of the net."""
        return "cpu" if self.net.device is None else str(self.net.device)

    @property
    def processes(self) -> Processes:  # type: ignore[override]  # the mixin only reads it
        """Processes that train it together."""
        return self._processes

    @property
    def is_trained(self) -> bool:
        """True if the user gave a module, rather than a class of modules."""
        return isinstance(self.net.module, nn.Module)

    @property
    def inner(self) -> NeuralNet:
        """The skorch net."""
        return self.net

    def log_prob(self, X: Tensor | Samples) -> Tensor:
        """Compute log-probabilities on the net's device, without gradients.

        A `Grid` of single symbols may be of a net for more: no state is padding then.
        """
        samples = self._as_samples(X)
        check_whole(samples, self._dtypes)
        try:
            output = samples.spread(self._forward(samples))
        except IndexError as error:  # as an embedding raises it
            raise refuse_integers(samples, error) from None
        if isinstance(samples, Grid) and samples.n_symbols == 1 < len(self.n_states):
            return torch.log_softmax(output.double(), dim=-1)[:, None]
        return samples.to(self.device).arrange(self.net.criterion_.log_prob(output))

    @contextmanager
    def training(
        self, X: Tensor | Samples, weight: Tensor, y: Any, *, is_trial: bool = False
    ) -> Iterator["SkorchNet"]:
        """Open a training session, from skorch's ``on_train_begin`` to its ``on_train_end``."""
        net, samples = self.net, self._as_samples(X)
        dataset = SymbolDataset(samples, self._dtypes)
        try:
            self._prepare(dataset, weight, y)
            if is_trial or not self.processes.is_first:
                self._files = TrialFiles(net)
            net.notify("on_train_begin", X=dataset, y=y)
            try:
                with self._stream.lend_to_forward(net.module_):
                    yield self
            except BaseException:
                # Callbacks tidy up; an error of theirs must not hide the one that ended training.
                with suppress(Exception):
                    net.notify("on_train_end", X=dataset, y=y)
                raise
            # A start that was not chosen may have been given up before its first checkpoint.
            with suppress(Exception) if self._files is not None else nullcontext():
                net.notify("on_train_end", X=dataset, y=y)
        finally:
            if self._files is not None:
                self._files.close()
            net.criterion_.responsibilities = net.criterion_.samples = None
            net.criterion_.weight = self._files = self._step = None
            self._whole, self._datasets, self._iterators = None, {}, (None, None)
            net.criterion_.processes = ALONE
            net.callbacks_ = [
                (name, callback)
                for name, callback in net.callbacks_
                if not isinstance(callback, SumGradients)
            ]

    def m_step(self, responsibilities: Responsibilities) -> bool:
        """Make one pass over the data; mini-batches of a held-out part ask for targets, too."""
        net = self.net
        train, valid = self._iterators
        net.criterion_.responsibilities = responsibilities
        self._begin_epoch()
        net.run_single_epoch(train, training=True, prefix="train", step_fn=self._step)
        net.run_single_epoch(valid, training=False, prefix="valid", step_fn=net.validation_step)
        return self._end_epoch()

    def keep(self) -> None:
        """Choose this trial: files that callbacks wrote move to where they were meant for."""
        if self._files is not None and self.processes.is_first:
            self._files.keep()
            self._files = None

    def recompute_statistics(self, X: Tensor | Samples) -> None:
        """Recompute the running statistics of batch norm over mini-batches as in training."""
        samples = self._as_samples(X)
        # In an order of its own: data may be sorted, and the net's generator stays where it is.
        order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(0))
        batches = JoinedBatches(
            order.tolist(), self.find_batch_size("iterator_train", len(samples)), False
        )
        dataset = SymbolDataset(samples, self._dtypes)
        inputs = (dataset.__getitems__(batch)[0] for batch in batches)
        recompute_statistics(
            self.net.module_,
            self.net.infer,
            (x for x in inputs if count(x) >= self._least),
            samples.n_rows,
        )

    def find_batch_size(self, name: str, n_samples: int) -> int:
        """Return the number of samples in a mini-batch.

        Parameters
        ----------
        name : {"iterator_train", "iterator_valid"}
            The iterator.
        n_samples : int
            Number of all samples.

        Returns
        -------
        int
            The number of samples.
        """
        batch_size = self.net.get_params_for(name).get("batch_size", self.net.batch_size)
        return n_samples if batch_size == -1 else int(batch_size)  # torch takes no int of numpy's

    def state_dict(self) -> dict[str, Any]:
        """Return weights, the state of the optimiser, and where the random numbers stand."""
        return {
            "module": self.net.module_.state_dict(),
            "optimizer": self.net.optimizer_.state_dict(),
            "stream": self._stream.state_dict(),
            "order": self._order.get_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned."""
        self._load_weights(state["module"])
        self.net.optimizer_.load_state_dict(state["optimizer"])
        self._stream.load_state_dict(state["stream"])
        self._order.set_state(state["order"])

    def weights(self) -> dict[str, Tensor]:
        """Return the state of the module."""
        return dict(self.net.module_.state_dict())

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Load what `weights` returned."""
        self._load_weights(
            weights,
            "The net must be built like the one whose weights are loaded",
            "Set `net` and its parameters as they were.",
        )

    def session_state(self) -> dict[str, Any]:
        """Return `state_dict`, with callbacks, history and the samples that are held out."""
        indices = [
            None if part is None else find_indices(part, self._whole)
            for part in self._datasets.values()
        ]
        return {**self.state_dict(), "session": session_of(self.net), "split": indices}

    def load_session_state(self, state: Mapping[str, Any]) -> None:
        """Load what `session_state` returned."""
        self.load_state_dict(state)
        load_session(self.net, state["session"])
        if state["split"][1] is not None:  # some splits are drawn anew each time
            self._split(*(Subset(self._whole, index.tolist()) for index in state["split"]))

    def adopt(self, other: SymbolNet) -> None:
        """Take over the weights of another net, and the momenta of an optimiser of the same class.

        Learning rates and the like are those of this net; random numbers start anew.
        """
        state = other.state_dict()
        self._load_weights(state.get("module", {}))
        if isinstance(other, SkorchNet) and _remember_alike(self.net, other.net):
            groups = self.net.optimizer_.state_dict()["param_groups"]
            # A copy: optimisers change their state in place.
            momenta = deepcopy(state["optimizer"]["state"])
            self.net.optimizer_.load_state_dict({"state": momenta, "param_groups": groups})

    def _load_weights(
        self,
        weights: Mapping[str, Tensor],
        rule: str = "With warm_start=True the net must be built like that of the last fit",
        cure: str = "Set warm_start=False, or fit a new estimator.",
    ) -> None:
        try:
            self.net.module_.load_state_dict(weights)
        except RuntimeError as error:
            raise InvalidNetError(f"{rule}, but {error} {cure}") from error

    def _initialize(self) -> None:
        """Build the module, the criterion and the optimiser of the skorch net."""
        net = self.net
        group = self.group
        net.set_params(
            criterion=SymbolLoss,
            criterion__n_states=group.n_states,
            criterion__is_shared=group.is_shared,
        )
        given = net.get_params_for("module")
        if self.is_trained and given:
            raise InvalidNetError(
                f"net__module__{next(iter(given))} must not be given where the module is an "
                f"instance, {type(net.module).__name__}, whose weights it would replace by random "
                "ones. Pass the class, or change the instance."
            )
        if not self.is_trained:
            accepted = inspect.signature(net.module).parameters
            filled = {
                "symbol_shape": group.symbol_shape,
                "n_states": max(group.n_states),
                "is_sequence": group.is_sequence,
            }
            if not group.is_shared:
                filled["n_symbols"] = len(group.n_states)
            fresh = {k: v for k, v in filled.items() if k in accepted and k not in given}
            check_keywords(net.module, given, "net__module__")
            net.set_params(**{f"module__{k}": v for k, v in fresh.items()})
        if not callable(net.optimizer):
            raise InvalidNetError(
                f"net__optimizer must be a class of torch.optim, got {net.optimizer!r}. Pass for "
                "example torch.optim.Adam."
            )
        optimizer_given = [k for k in net.get_params_for("optimizer") if k != "lr"]
        check_keywords(net.optimizer, optimizer_given, "net__optimizer__")
        check_batch_sizes(net)
        check_learning_rate(net)
        try:
            with self._stream.lend():
                net.initialize()
        except (TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise InvalidNetError(
                f"The net must be buildable from its parameters, but skorch says: {error} "
                "Check the `net__` parameters, or the NeuralNet passed as `net`."
            ) from error
        check_parameter_groups(net)

    def _check_output(self) -> Any:
        """Try the net on two samples of zeros, and return the dtypes of inputs that it takes.

        Integers are features to one net, and names to another, as to an embedding: what does not
        raise is right.
        """
        group, parameters = self.group, self.net.module_.parameters()
        floating = next((p.dtype for p in parameters if p.is_floating_point()), torch.float32)
        trial = make_trial(group)
        failure: Exception | None = None
        for dtypes in try_dtypes(group.dtype, floating):
            try:
                output = self._evaluate(trial.inputs(), dtypes)
            except Exception as error:  # a trial of foreign code, before anything depends on it
                failure = failure or error
            else:
                check_output(output, count(trial.inputs()), group)
                return dtypes
        is_float = group.dtype == torch.float32
        advice = ", or pass X of an integer dtype if the net looks integers up" if is_float else ""
        raise InvalidNetError(
            f"The net must take inputs {describe_inputs(group)}, but its forward pass "
            f"raised: {failure} Change the net or `symbol_shape`{advice}."
        ) from failure

    def _prepare(self, dataset: SymbolDataset, weight: Tensor, y: Any) -> None:
        """Hold samples out, check all that training needs, and rehearse its first step."""
        net, samples = self.net, dataset.samples
        if not bool(weight.isfinite().all()) or float(weight.sum()) <= 0:
            raise ValueError(
                "sample_weight must be finite and not all 0, also divided by its mean, got "
                f"{float(weight.min())} to {float(weight.max())}. Divide it by its largest number."
            )
        try:
            train, valid = net.get_split_datasets(dataset, y)
        except (TypeError, ValueError) as error:
            raise InvalidNetError(
                f"train_split must be able to split the {len(dataset)} samples, but it raised: "
                f"{error} Pass skorch.dataset.ValidSplit(2), or None to hold nothing out."
            ) from error
        index = find_indices(train, dataset)
        if (
            index is None
            or len(index) == 0
            or (valid is not None and find_indices(valid, dataset) is None)
        ):
            raise InvalidNetError(
                "train_split must hold out some, not all, of the samples of X, got other data (as "
                "by skorch.helper.predefined_split), whose labels have no E-step, or none to train "
                "on. Pass skorch.dataset.ValidSplit(5), or score other data after `fit`."
            )
        if len({tuple(told) for told in self.processes.gather(index[:_COMPARED].tolist())}) > 1:
            raise InvalidNetError(
                f"train_split must hold out the same samples in all {self.processes.n} processes, "
                f"got others in some. Give it a random_state: {net.train_split!r}."
            )
        check_callbacks(net, valid is not None)
        self._whole = dataset
        self._split(train, valid)
        batch_size = self.find_batch_size("iterator_train", len(train))
        if isinstance(self._iterators[0], DataLoader | Batches) and len(self._iterators[0]) == 0:
            raise InvalidNetError(
                f"batch_size must leave a mini-batch to train on, got {batch_size} for "
                f"{len(train)} samples, of which drop_last drops all. Lower it, or leave out "
                "drop_last."
            )
        net.criterion_.weight = weight.to(self.device)
        net.criterion_.samples = samples.to(self.device)
        extremes = find_extremes(samples, self._dtypes)
        if len(extremes):
            self.log_prob(samples[extremes])
        index = samples.smallest_first(index)  # fewest symbols to normalise over
        if isinstance(samples, Sequences) and not samples.lengths.all():
            index = index[samples.lengths[index] > 0]
            if self.processes.n > 1:
                raise InvalidNetError(
                    f"X must hold symbols in each sample to train in {self.processes.n} processes, "
                    "got samples without any, which leave nothing to do to some process. Train in "
                    "one process, or leave these samples out."
                )
            self._least = find_least(net, dataset, index, self._stream)
        else:
            batch = dataset.__getitems__(index[: min(batch_size, 2)].tolist())
            rehearse(net, batch, self._stream)
        if self.processes.n > 1:
            net.criterion_.processes = self.processes
            net.callbacks_ = [("gradients", SumGradients(self.processes)), *net.callbacks_]

    def _split(self, train: Part, valid: Part | None) -> None:
        """Set the samples that are trained on, and those that are held out."""
        self._datasets = {"dataset_train": train, "dataset_valid": valid}
        self._iterators = (
            self._iterate(train, training=True),
            None if valid is None else self._iterate(valid, training=False),
        )

    def _as_samples(self, X: Tensor | Samples) -> Samples:
        if isinstance(X, Samples):
            return X
        return Grid(X) if self.group.is_shared else Joint(X, len(self.n_states))

    def _forward(self, samples: Samples) -> Tensor:
        """Return the module's output in evaluation mode, for all samples."""
        # Written in place: small tensors that stay between large ones that go fragment the heap.
        whole, start = None, 0
        for inputs, n in samples.batches():
            part: Tensor = self._evaluate(inputs, self._dtypes)[:n]
            if whole is None:
                whole = part.new_empty(samples.n_rows, *part.shape[1:])
            whole[start : start + n] = part
            start += n
        if whole is None:  # of sequences that are all empty
            return torch.empty(0, *self.net.criterion_.mask.shape, device=self.device)
        return whole

    def _evaluate(self, inputs: Inputs, dtypes: Any) -> Any:
        """Return the module's output in evaluation mode."""
        return logits_of(self.net.evaluation_step((cast(inputs, dtypes), None), training=False))

    def _iterate(self, dataset: Part, training: bool) -> Any:
        """Return skorch's iterator, handing out the mini-batches that the dataset makes."""
        name = "iterator_train" if training else "iterator_valid"
        iterator = getattr(self.net, name)
        n_processes = self.processes.n
        if n_processes > 1:
            check_order(self.net, name, n_processes)
            check_sizes(self.find_batch_size(name, len(dataset)), len(dataset), n_processes)
        if not (inspect.isclass(iterator) and issubclass(iterator, DataLoader)):
            return self.net.get_iterator(dataset, training=training)
        given = {"collate_fn": as_is, "generator": self._order, **self.net.get_params_for(name)}
        if "batch_sampler" not in given:
            sampler, is_shuffled = given.pop("sampler", None), given.pop("shuffle", training)
            if sampler is None and is_shuffled:
                sampler = RandomSampler(dataset, generator=given["generator"])
            drop_last, _ = given.pop("drop_last", False), given.pop("batch_size", None)
            batch_size = self.find_batch_size(name, len(dataset))
            sampler = SequentialSampler(dataset) if sampler is None else sampler
            batches = JoinedBatches(sampler, batch_size, drop_last, max(2, n_processes))
            given["batch_sampler"] = batches
            if n_processes > 1:
                given["batch_sampler"] = Shares(batches, self.processes)
        is_plain = given.keys() == {"collate_fn", "generator", "batch_sampler"}
        if iterator is DataLoader and is_plain and given["collate_fn"] is as_is:
            return Batches(dataset, given["batch_sampler"], given["generator"])
        return iterator(dataset, **given)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state["_order"] = self._order.get_state()
        state.update(_whole=None, _datasets={}, _iterators=(None, None))  # a session's own
        state.update(_files=None, _step=None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._order = torch.Generator()
        self._order.set_state(state["_order"])


def _remember_alike(one: NeuralNet, other: NeuralNet) -> bool:
    """Tell whether what the optimiser of one net remembers serves that of another."""

    def kind(net: NeuralNet) -> list[Any]:
        # Switches, and whether there is a momentum, decide what an optimiser remembers.
        groups = net.optimizer_.param_groups
        switches = [
            {k: bool(v) for k, v in group.items() if isinstance(v, bool) or k == "momentum"}
            for group in groups
        ]
        sizes = [len(group["params"]) for group in groups]
        return [type(net.module_), type(net.optimizer_), switches, sizes]

    return kind(one) == kind(other)
