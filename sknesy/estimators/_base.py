"""Base of the estimators: from data, net and knowledge to a fit."""

from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator, _fit_context, clone
from sklearn.utils import _safe_indexing, check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from sknesy._arrays import as_weight
from sknesy._documentation import Documented
from sknesy._logging import show
from sknesy._validation import in_order
from sknesy.em import (
    EMCallback,
    MaxTime,
    hold_out,
    tabulate,
    weigh_starts,
)
from sknesy.estimators._auto import open_auto
from sknesy.estimators._class_weight import weigh_classes
from sknesy.estimators._fit_state import FitState, VersionedPickle, copy_bare
from sknesy.estimators._objective import assume, check_target
from sknesy.estimators._online import OnlineMixin
from sknesy.estimators._params import ParamsMixin
from sknesy.estimators._possible import warn_of_no_information
from sknesy.estimators._set_up import make_e_step
from sknesy.estimators._sklearn_callbacks import CallbackSupportMixin, watch_fit, with_callbacks
from sknesy.estimators._subject import describe_fit
from sknesy.estimators._target import make_target
from sknesy.estimators._training import TrainingMixin
from sknesy.estimators._visual_block import make_visual_block
from sknesy.inference import AutoEngine, InferenceEngine
from sknesy.knowledge import IdentityKnowledge, Knowledge
from sknesy.layouts import Layout, choose_layout, find_labels, without_features
from sknesy.likelihoods import ExactLikelihood, Likelihood
from sknesy.nets import LARGEST_RATE, open_net
from sknesy.transforms import Annealing, PosteriorTransform, StatePrior, StepSize, Temperature

__all__ = ["BaseEMNeSy"]

_ANNEALED = 10.0  # iterations of temperature="auto", at most: see `python -m benchmarks starts`
_COOLING = 0.7  # of all iterations, where the temperature weighs entropy
_N_SEEDS = np.iinfo(np.int32).max


class BaseEMNeSy(
    TrainingMixin,
    OnlineMixin,
    ParamsMixin,
    VersionedPickle,
    CallbackSupportMixin,
    Documented,
    BaseEstimator,
):
    """Base of estimators that learn a net for symbols by EM; `EMNeSyClassifier` documents it.

    An estimator says how labels are read and predicted by `_make_label_space`.
    """

    _default_likelihood: ClassVar[type[Likelihood]] = ExactLikelihood
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "knowledge": [Knowledge, None],
        "target": [StrOptions({"label", "symbols"})],
        "objective": [StrOptions({"evidence", "conditional"})],
        "net": "no_validation",
        "inference": [StrOptions({"auto"}), InferenceEngine],
        "likelihood": [Likelihood, None],
        "labels": ["array-like", None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "layout": [Layout, None],
        "symbol_shape": [tuple, list, None],
        "e_step": [StrOptions({"auto", "batch", "epoch"})],
        "m_steps": [Interval(Integral, 1, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_iter": [Interval(Integral, 1, None, closed="left")],
        "n_starts_kept": [Interval(Integral, 1, None, closed="left")],
        "temperature": [
            StrOptions({"auto"}),
            Interval(Real, 0, None, closed="neither"),
            "array-like",
            callable,
        ],
        "state_prior": ["array-like", None],
        "step_size": [Interval(Real, 0, 1, closed="right"), "array-like", callable],
        "transforms": [tuple, list],
        "decision": [StrOptions({"marginals", "world"})],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "learning_rate": [Interval(Real, 0, LARGEST_RATE, closed="right"), None],
        "random_state": ["random_state"],
        "device": [str, torch.device, None],
        "callbacks": [tuple, list],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        knowledge=None,
        *,
        target="label",
        objective="evidence",
        net=None,
        inference="auto",
        likelihood=None,
        labels=None,
        class_weight=None,
        layout=None,
        symbol_shape=None,
        e_step="auto",
        m_steps=1,
        n_init=1,
        init_iter=5,
        n_starts_kept=1,
        temperature="auto",
        state_prior=None,
        step_size=1.0,
        transforms=(),
        decision="marginals",
        max_iter=100,
        max_time=None,
        tol=1e-4,
        n_iter_no_change=10,
        validation_fraction=None,
        batch_size=None,
        learning_rate=None,
        random_state=None,
        device=None,
        callbacks=(),
        warm_start=False,
        verbose=0,
    ):
        self.knowledge = knowledge
        self.target = target
        self.objective = objective
        self.net = net
        self.inference = inference
        self.likelihood = likelihood
        self.labels = labels
        self.class_weight = class_weight
        self.layout = layout
        self.symbol_shape = symbol_shape
        self.e_step = e_step
        self.m_steps = m_steps
        self.n_init = n_init
        self.init_iter = init_iter
        self.n_starts_kept = n_starts_kept
        self.temperature = temperature
        self.state_prior = state_prior
        self.step_size = step_size
        self.transforms = transforms
        self.decision = decision
        self.max_iter = max_iter
        self.max_time = max_time
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.device = device
        self.callbacks = callbacks
        self.warm_start = warm_start
        self.verbose = verbose

    def set_params(self, **params: Any) -> "BaseEMNeSy":
        """Set parameters, also those of the net and the engine.

        Parameters
        ----------
        **params
            Parameters by name; ``net__*`` and ``inference__*`` reach inside, also where `net` is
            None or a module class, or `inference` is "auto".

        Returns
        -------
        BaseEMNeSy
            This estimator.
        """
        # What has no parameters of its own yet is replaced by an object that has.
        open_net(params, self.net)
        for name in ("likelihood", "layout"):
            inner = next((key for key in params if key.startswith(f"{name}__")), None)
            if inner and params.get(name, getattr(self, name)) is None:
                raise ValueError(
                    f"{name} must be an object where {inner} is set, got None, which has no "
                    f"parameters. Set `{name}` before."
                )
        open_auto(self, params)
        for key in params:
            name, _, inner = key.partition("__")
            owner = params.get(name, getattr(self, name, None))
            if inner and name in self.get_params(deep=False) and not hasattr(owner, "set_params"):
                raise ValueError(
                    f"{name} must be an object with parameters where {key} is set, got {owner!r}, "
                    f"which has none. Set `{name}` as a whole."
                )
        return super().set_params(**params)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None, symbols=None):
        """Learn the net from samples and what is known of them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_symbols, *symbol_shape) or (n_samples, n_features)
            Features, cast to float32. Flat samples hold the symbols one after the other. With
            knowledge of any number of symbols: a list or an array of objects, which are arrays of
            shape ``(length, *symbol_shape)``, of at least one symbol; or an array, if all samples
            are of one length. None for samples without features, of which y tells all: the shares
            of the states are learned in place of a net. What is not to be held in memory: a
            memory-mapped array, or a map-style data set of torch; see `GridLayout`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
            Needed, but for a data set that hands out pairs (sample, label).
            What is observed. By default each row is a label that the knowledge can conclude, as
            ``knowledge.conclude`` returns them; or None, NaN, NA or masked, if it is unknown; or a
            set of labels, one of which it is. With several outputs each column may be unknown or a
            set. See `likelihood` for other forms. With ``target="symbols"`` it is what `symbols`
            is else, and a row None says only that the rules hold.
        sample_weight : array-like of shape (n_samples,), optional
            Weights, at least 0. Samples of weight 0 are left out, whatever y says of them.
        symbols : array-like of shape (n_samples, n_symbols), or list of arrays, optional
            Symbols that are known: names of states as `predict_symbols` returns them, unknown or
            sets by the same rule. For bags a list, with an array or None for each.

        Returns
        -------
        BaseEMNeSy
            This estimator.

        Raises
        ------
        InconsistentLabelError
            When no world gives one of the labels, or the known symbols contradict it.
        ValueError
            When nothing is known of any sample.
        InvalidKnowledgeError, InvalidNetError
            When knowledge or net cannot be used.
        IntractableError
            When the engine does not reach, within its limits.
        NoSignalError
            When no draw of an engine agrees with any label, in a whole iteration.
        DivergenceError
            When the loss becomes NaN or infinite.

        Notes
        -----
        A fit that fails leaves the estimator as it was. Interrupting it (Ctrl-C) raises
        KeyboardInterrupt as usual, and leaves an estimator that is fitted as far as it got.
        """
        # A copy learns, so that a fit that fails leaves this estimator as it was.
        learner = copy_bare(self)
        try:
            with show(self.verbose):
                learner._fit(X, y, sample_weight, symbols)
        except KeyboardInterrupt:
            if vars(learner).get("_fit_state") is not vars(self).get("_fit_state"):
                self.__dict__ = vars(learner)
            raise
        self.__dict__ = vars(learner)
        return self

    @with_callbacks
    def _fit(self, X, y, sample_weight, symbols):
        callbacks = self._check_parameters()
        given = X, y, sample_weight
        subject = describe_fit(self, X, y, sample_weight, symbols)
        layout = choose_layout(self.layout, self.symbol_shape, self.knowledge, X is not None)
        X, y = without_features(X, y, symbols, layout), find_labels(X, y)
        samples, y, weight, symbols = self._read(layout, X, y, sample_weight, symbols)
        target = make_target(self.target)
        y, symbols, source = target.read(y, symbols, self.knowledge, layout, samples)
        labels = self._make_label_space(y)
        likelihood, engine = self._make_likelihood(), self._make_engine()
        observed = likelihood.read(y, labels)
        knowledge = self._choose_knowledge(layout, samples, observed)
        samples, e_step = make_e_step(
            layout,
            samples,
            weight,
            symbols,
            likelihood=likelihood,
            observed=observed,
            knowledge=knowledge,
            engine=engine,
            wanted=observed.support,
            source=source,
        )
        labels.settle(e_step.observed.support, e_step.compiled)
        e_step = self._complete(e_step, labels)

        seeds = check_random_state(self.random_state).randint(_N_SEEDS, size=self.n_init + 1)
        training = self._begin_training(seeds.tolist(), callbacks, subject)
        seeds = training.seeds
        groups = layout.groups(knowledge, samples)
        nets, before = self._make_nets(groups, seeds[:-1])
        is_fresh = before is None and not nets[0].is_trained
        check_target(e_step, self.e_step_)
        high, low = e_step.engine.annealing(e_step.compiled)
        annealing = self._choose_annealing(self.e_step_, high, low)
        e_step = e_step.to(nets[0].device, self._make_transforms(knowledge, is_fresh, annealing))
        held_out = None
        if self.validation_fraction is not None:
            samples, e_step, held_out = hold_out(
                samples, e_step, self.validation_fraction, seeds[-1]
            )
        n_states = layout.count_states(knowledge)
        runs = self._start_runs(nets, before, e_step, n_states, seeds)
        if symbols is None:
            warn_of_no_information(observed, self.knowledge)

        def leave_behind(learner, kept):
            """Set what a fit leaves behind, with these runs."""
            state = FitState(
                tuple(kept),
                weigh_starts(kept),
                e_step.transforms,
                self.knowledge,
                labels,
                likelihood,
                seeds[-1],
                labels.wanted([]) or None,
                target,
                groups,
                e_step.observed.support,
            )
            learner._keep(state, layout, knowledge, e_step, samples)
            learner.history_ = tabulate(runs, kept)
            learner._fit_state = state  # last: an interrupt before it leaves all as it was

        def snapshot(runs):
            """Return the attributes of an estimator fitted so far; training goes on with others."""
            learner = copy_bare(self)
            leave_behind(learner, [replace(run) for run in runs])
            return vars(learner)

        # All checks have passed: training begins.
        watcher = watch_fit(self, *given, snapshot)
        kept, self.init_lower_bounds_, stopped_by = self._train(
            runs,
            samples,
            e_step,
            callbacks if watcher is None else [*callbacks, watcher],
            training,
            n_kept=self.n_starts_kept,
            held_out=held_out,
        )
        for run in kept:
            if held_out is None:  # else the net is kept as it was measured
                run.net.recompute_statistics(samples)
            else:
                held_out.restore(run)
        leave_behind(self, kept)
        if watcher is not None:
            watcher.finish(runs, kept)
        if isinstance(stopped_by, KeyboardInterrupt):
            raise KeyboardInterrupt(
                f"fit was interrupted after {self.n_iter_} of at most {self.max_iter} iterations. "
                "The estimator keeps what it learned so far, and can predict."
            ) from stopped_by
        self._warn_of_no_convergence(stopped_by)
        self._warn_of_doubt()

    def _complete(self, e_step, labels):
        """Weigh the classes, and say what the objective assumes."""
        e_step = weigh_classes(e_step, labels, self.knowledge, self.class_weight)
        return assume(e_step, labels) if self.objective == "conditional" else e_step

    def _make_likelihood(self):
        return self._default_likelihood() if self.likelihood is None else clone(self.likelihood)

    def _make_engine(self):
        return AutoEngine() if self.inference == "auto" else clone(self.inference)

    def _check_parameters(self):
        """Check what scikit-learn's constraints cannot say, and return the callbacks."""
        if self.n_starts_kept > self.n_init:
            raise ValueError(
                f"n_starts_kept must be at most the number of starts, n_init={self.n_init}, got "
                f"{self.n_starts_kept}. Set n_init to {self.n_starts_kept} or more."
            )
        make_target(self.target).check(self)
        _check_members(
            "transforms",
            self.transforms,
            PosteriorTransform,
            "sknesy.transforms.PosteriorTransform",
        )
        _check_members(
            "callbacks",
            self.callbacks,
            EMCallback,
            "sknesy.em.EMCallback; a callback of skorch belongs to the net: "
            "set_params(net__callbacks=[...])",
        )
        time_limit = [] if self.max_time is None else [MaxTime(self.max_time)]
        return [*time_limit, *self.callbacks]

    def _read(self, layout, X, y, sample_weight, symbols, reset=True):
        """Read samples and weights, and leave out samples of weight 0 before y is looked at."""
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        knowledge = self.knowledge if reset else self.knowledge_
        samples = layout.read(X, knowledge, self, reset=reset)
        check_consistent_length(samples, y, symbols)
        weight = as_weight(sample_weight, len(samples))
        if not weight.any():  # scikit-learn before 1.9 lets them pass
            raise ValueError(
                "sample_weight must contain at least one non-zero number. Give the samples to "
                "learn from a positive weight."
            )
        if not weight.all():
            kept = np.flatnonzero(weight)
            samples, weight = samples[kept], weight[kept]
            y = _safe_indexing(y, kept)
            symbols = None if symbols is None else _safe_indexing(symbols, kept)
        # Mean 1: a mini-batch then weighs as much as its samples, not all batches alike.
        return samples, y, weight / weight.mean(), symbols

    def _choose_knowledge(self, layout, samples, observed):
        """Return the knowledge of as many symbols; without any, the symbol is the label."""
        if self.knowledge is not None:
            return layout.unroll(self.knowledge, samples)
        if not observed.labels:
            raise ValueError(
                f"knowledge must be given with {self.likelihood!r}, which does not tell the labels "
                "there are, got None. Pass for example IdentityKnowledge(range(10))."
            )
        return IdentityKnowledge(in_order(observed.labels))

    def _make_transforms(self, knowledge, is_fresh, annealing=1.0):
        """Make what stands around the posterior; nothing where nothing changes."""
        transforms: list[PosteriorTransform] = []
        temperature = self.temperature
        if isinstance(temperature, str):  # "auto"
            temperature = 1.0
            is_told = make_target(self.target).is_told or isinstance(knowledge, IdentityKnowledge)
            if is_fresh and not is_told:
                temperature = annealing
        if not _is_one(temperature):
            transforms.append(Temperature(temperature))
        if self.state_prior is not None:
            transforms.append(StatePrior(self.state_prior))
        if not _is_one(self.step_size):
            transforms.append(StepSize(self.step_size))
        return (*transforms, *(clone(transform) for transform in self.transforms))

    def _choose_annealing(self, schedule, high, low):
        """Return the temperatures of "auto", between two of them.

        Where the last is 1, whole iterations end with it; else it weighs entropy to the end.
        """
        if low > 1:
            return Annealing(high, _COOLING * self.max_iter, low, curve="geometric")
        n_iter = min(self.max_iter / 2, _ANNEALED)
        if schedule == "epoch":
            n_iter = int(n_iter)
        return Annealing(high, n_iter, low) if n_iter else low

    def _keep(self, state, layout, knowledge, e_step, samples):
        """Set the attributes of a fitted estimator."""
        best = state.run
        self.knowledge_ = knowledge
        self.engine_, self.compiled_ = e_step.engine, e_step.compiled
        self.likelihood_ = clone(e_step.likelihood)
        for name, value in best.noise.items():
            setattr(self.likelihood_, f"{name}_", value.cpu().numpy()[()])
        self.net_ = best.net.inner
        self.nets_ = [run.net.inner for run in state.runs]
        self.start_weights_ = state.log_weight.exp().numpy()
        self.symbol_shape_ = samples.symbol_shape
        self.layout_ = layout.settle(samples)
        self.lower_bounds_ = [*best.convergence.lower_bounds]
        self.validation_lower_bounds_ = [*best.convergence.validation_lower_bounds]
        self.diagnostics_ = [*best.diagnostics]
        self.n_iter_ = best.n_iter
        self.converged_ = all(run.convergence.converged for run in state.runs)
        # What is remembered of single samples serves no other ones.
        is_per_sample = any(transform.is_per_sample for transform in e_step.transforms)
        for run in state.runs:
            run.best = None
            if is_per_sample:
                run.memories = []

    def _sk_visual_block_(self):
        return make_visual_block(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        return tags


def _check_members(name: str, members: Any, base: type, cure: str) -> None:
    """Check that all members of a parameter are objects of a class."""
    for member in members:
        if not isinstance(member, base):
            raise TypeError(
                f"{name} must hold {base.__name__} objects, got {member!r} "
                f"({type(member).__name__}). Derive it from {cure}."
            )


def _is_one(values: Any) -> bool:
    """Tell whether a schedule is 1 in all iterations, which no function tells."""
    if callable(values):
        return False
    row = values if isinstance(values, list | tuple) else [values]
    return all(isinstance(value, Real) and value == 1 for value in row)
