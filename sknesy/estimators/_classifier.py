"""`EMNeSyClassifier`: scikit-learn's contract around nets, knowledge and inference."""

import warnings
from contextlib import ExitStack
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets

from sknesy._progress import Progress
from sknesy.e_step import Memory, StatePrior, StepSize, Temperature
from sknesy.em import Convergence, Run, choose_start, run_em
from sknesy.estimators._grid import GridLayout
from sknesy.estimators._labels import LabelRows, SingleLabel, has_several_outputs
from sknesy.estimators._layout import drop_unweighted
from sknesy.estimators._prediction import PredictionMixin
from sknesy.estimators._sequences import SequenceLayout
from sknesy.inference import AutoEngine, InferenceEngine
from sknesy.knowledge import Knowledge
from sknesy.likelihoods import ExactLikelihood
from sknesy.nets import SymbolGroup, as_neural_net, make_net

__all__ = ["EMNeSyClassifier"]


class EMNeSyClassifier(PredictionMixin, ClassifierMixin, BaseEstimator):
    """Classifier that learns a net for symbols from labels of what the symbols mean together.

    A net predicts discrete symbols from features (the digits in images); knowledge relates the
    symbols to the label (their sum), which is all that is observed. Training maximises the
    log-evidence ``sum_i w_i log p(y_i | x_i)`` by Expectation-Maximisation: the E-step computes
    the posterior of the symbols given the label, without any gradient through the knowledge; the
    M-step fits the net to it.

    Parameters
    ----------
    knowledge : Knowledge or None, default=None
        What relates symbols and label. None is ordinary classification: the label is the symbol. A
        family, such as ``sknesy.knowledge.AnyOf()``, is for sequences of differing length.
    net : None, torch module class or skorch.NeuralNet, default=None
        Predicts one symbol from its features; all symbols share it. It returns logits. None is a
        small ConvNet for images and an MLP for flat features. A module class is trained with Adam;
        if its constructor takes `symbol_shape` or `n_states`, these are filled in. A NeuralNet
        keeps its own optimiser, learning rate, batch size, device, callbacks and ``train_split``
        (skorch's default holds out a fifth of the data); its criterion and ``max_epochs`` are not
        used. (skorch's NeuralNetClassifier is refused: its scores are about labels.)
        ``set_params(net__lr=..., net__module__hidden=...)`` works in all cases.
    inference : "auto" or InferenceEngine, default="auto"
        The engine of the E-step. ``set_params(inference__max_worlds=...)`` works in both cases.
    e_step : {"batch", "epoch"}, default="batch"
        "batch" computes the posterior of each mini-batch on the forward pass of its gradient step:
        with exact inference this is stochastic gradient ascent on the log-evidence. "epoch"
        computes the posterior of all the data, then makes `m_steps` passes.
    m_steps : int, default=1
        Passes over the data for each E-step of ``e_step="epoch"``.
    n_init : int, default=1
        Starts from different random weights. Each runs for `init_iter` iterations, and the one with
        the highest log-evidence goes on. A start that falls into a permuted solution (all digits
        off by one, say) has a log-evidence many times worse.
    init_iter : int, default=5
        Iterations of each start, where there are several: so many that the log-evidence has begun
        to rise, or the choice is a matter of luck.
    temperature : float, sequence of float or callable, default=1.0
        Flattens the net's probabilities p to p^(1/T), normalised, before they are conditioned on
        the label (deterministic annealing). One T for all iterations; a sequence for the first
        ones, with 1 after it; or a function of the number of the iteration, from 1. `lower_bounds_`
        are then those of the flattened net.
    state_prior : array-like of shape (n_states,) or None, default=None
        How often each state of a symbol occurs, if that is known, for symbols that all have the
        same states: positive, with the sum 1. Posteriors are held to it on average, by tilting
        the net before it is conditioned (posterior regularisation). For knowledge that leaves
        training free to merge states, or not to use some.
    step_size : float, sequence of float or callable, default=1.0
        Weight g of the newest posterior in a running average of those of each sample,
        ``q <- (1 - g) q + g q_new``, by the rule of `temperature` (stochastic-approximation EM).
        1 takes the newest alone. For engines that estimate: less averages their noise out, and a
        sample that no draw agrees with in one iteration keeps the posterior it had.
    decision : {"marginals", "world"}, default="marginals"
        How `predict` decides. "marginals" gives each output its most probable state; of several
        outputs these need not be possible together. "world" gives the outputs of the most probable
        world, always possible together. Each costs one pass of inference; that for the world takes
        several times as long, as it runs level by level in log space.
    symbol_shape : tuple of int or None, default=None
        Shape of the features of one symbol, where X is flat. None reads it off X.
    max_iter : int, default=100
        The largest number of EM iterations; with ``e_step="batch"`` an iteration is a pass over the
        data.
    tol : float, default=1e-4
        Smallest rise of the mean log-evidence, in nats a sample, that counts as progress.
    n_iter_no_change : int, default=10
        Iterations without progress after which EM has converged.
    batch_size : int or None, default=None
        Samples in a mini-batch. None is 32; with a NeuralNet, its own.
    learning_rate : float or None, default=None
        Learning rate. None is 1e-3; with a NeuralNet, its own.
    random_state : int, RandomState instance or None, default=None
        Seed of weights, order of the samples, and dropout.
    device : str or None, default=None
        Device of net and inference; "auto" is an accelerator if torch has one here. None is "cpu";
        with a NeuralNet, its own.
    warm_start : bool, default=False
        Whether `fit` starts from the weights of the last fit, with another engine, say, or further
        data; the optimiser starts anew. Of several starts, the first does.
    verbose : int, default=0
        1 shows a progress bar with the log-evidence and the rate.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), or list of ndarrays
        The labels seen in y. If the knowledge has several outputs: for each the names of its
        states, sorted, seen or not.
    knowledge_ : Knowledge
        The knowledge used; with ``knowledge=None`` an `IdentityKnowledge` of the classes, with a
        family that of sequences as long as the longest in `fit`.
    engine_ : InferenceEngine
        The engine used.
    compiled_ : Compiled
        The knowledge as compiled by the engine for the labels in `classes_`.
    net_ : skorch.NeuralNet
        The trained net; its ``history`` has the losses of the M-step.
    symbol_shape_ : tuple of int
        Shape of the features of one symbol.
    init_lower_bounds_ : list of float
        Mean log-evidence of each start when the best of several was chosen; empty with one start.
    lower_bounds_ : list of float
        Mean log-evidence of each iteration, in nats a sample. With ``e_step="epoch"`` that of the
        net before the iteration; with "batch" the mean over the mini-batches on the way. As the
        engine computes it: an estimate if it estimates, without samples for which it found nothing.
    diagnostics_ : list of dict of str to float
        For each iteration, what the engine reported of its own accuracy, as means over the
        samples: ``effective_sample_size``, ``is_dead`` (the share of samples without a draw that
        agrees), and more. Empty dicts for exact engines.
    n_iter_ : int
        Iterations finished.
    converged_ : bool
        Whether the log-evidence stopped rising before `max_iter`.
    n_features_in_ : int
        Length of axis 1 of X; not set for sequences.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns of X, if it had any.

    See Also
    --------
    sknesy.knowledge.FunctionKnowledge : Knowledge as a Python function.
    sknesy.knowledge.ClauseKnowledge : Knowledge as clauses.

    Notes
    -----
    Labels are ints, bools or strings, as scikit-learn wants them for classification.

    With one output, predictions of labels are over `classes_`: ``predict_proba`` is
    p(y | X, y is one of them). With several, y has a column for each, or is what the knowledge
    splits into them (`sknesy.knowledge.DigitAddition` splits a sum into digits); predictions are
    over all labels, and come in the form that y had.

    Sequences may be longer when predicting than in `fit`: the knowledge is then compiled again,
    once for each length that is longer than all before. The net sees symbols one by one, and only
    those that are there.

    Interrupting `fit` (Ctrl-C) raises KeyboardInterrupt as usual, and leaves the estimator fitted
    as far as it got.

    References
    ----------
    .. [1] Seibt, De Raedt, Marra, "EM-NeSy", arXiv:2606.14463, 2026.
    .. [2] Neal, Hinton, "A view of the EM algorithm that justifies incremental, sparse, and other
       variants", 1998.

    Examples
    --------
    Learn digits from the sums of pairs:

    >>> from sknesy import EMNeSyClassifier
    >>> from sknesy.datasets import make_digit_sum
    >>> X, y, digits, addition = make_digit_sum(300, random_state=0)
    >>> X.shape, y[:3], digits[:3].tolist()
    ((300, 2, 8, 8), array([10,  8, 13]), [[2, 8], [2, 6], [6, 7]])
    >>> clf = EMNeSyClassifier(addition, tol=1e-3, random_state=0).fit(X, y)
    >>> bool((clf.predict_symbols(X) == digits).mean() > 0.9)
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "knowledge": [Knowledge, None],
        "net": "no_validation",
        "inference": [StrOptions({"auto"}), InferenceEngine],
        "e_step": [StrOptions({"batch", "epoch"})],
        "m_steps": [Interval(Integral, 1, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_iter": [Interval(Integral, 1, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither"), "array-like", callable],
        "state_prior": ["array-like", None],
        "step_size": [Interval(Real, 0, 1, closed="right"), "array-like", callable],
        "decision": [StrOptions({"marginals", "world"})],
        "symbol_shape": [tuple, list, None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), None],
        "random_state": ["random_state"],
        "device": [str, torch.device, None],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        knowledge=None,
        *,
        net=None,
        inference="auto",
        e_step="batch",
        m_steps=1,
        n_init=1,
        init_iter=5,
        temperature=1.0,
        state_prior=None,
        step_size=1.0,
        decision="marginals",
        symbol_shape=None,
        max_iter=100,
        tol=1e-4,
        n_iter_no_change=10,
        batch_size=None,
        learning_rate=None,
        random_state=None,
        device=None,
        warm_start=False,
        verbose=0,
    ):
        self.knowledge = knowledge
        self.net = net
        self.inference = inference
        self.e_step = e_step
        self.m_steps = m_steps
        self.n_init = n_init
        self.init_iter = init_iter
        self.temperature = temperature
        self.state_prior = state_prior
        self.step_size = step_size
        self.decision = decision
        self.symbol_shape = symbol_shape
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.device = device
        self.warm_start = warm_start
        self.verbose = verbose

    def set_params(self, **params: Any) -> "EMNeSyClassifier":
        """Set parameters, also those of the net and the engine.

        Parameters
        ----------
        **params
            Parameters by name; ``net__*`` and ``inference__*`` reach inside, also where `net` is
            None or a module class, or `inference` is "auto".

        Returns
        -------
        EMNeSyClassifier
            This estimator.
        """
        # What has no parameters of its own yet is replaced by an object that has.
        if any(name.startswith("net__") for name in params):
            params["net"] = as_neural_net(params.get("net", self.net))
        inference = params.get("inference", self.inference)
        is_auto = isinstance(inference, str) and inference == "auto"
        if is_auto and any(name.startswith("inference__") for name in params):
            params["inference"] = AutoEngine()
        return super().set_params(**params)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Learn the net from samples and labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_symbols, *symbol_shape) or (n_samples, n_features)
            Features, cast to float32. Flat samples hold the symbols one after the other. With
            knowledge of any number of symbols: a list or an array of objects, which are arrays of
            shape ``(length, *symbol_shape)``, of at least one symbol; or an array, if all samples
            are of one length.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels that the knowledge can conclude.
        sample_weight : array-like of shape (n_samples,), optional
            Weights, at least 0. Samples of weight 0 are left out.

        Returns
        -------
        EMNeSyClassifier
            This estimator.

        Raises
        ------
        InconsistentLabelError
            When no world gives one of the labels.
        InvalidKnowledgeError, InvalidNetError
            When knowledge or net cannot be used.
        IntractableError
            When the engine does not reach, within its limits.
        NoSignalError
            When no draw of an engine agrees with any label, in a whole iteration.
        DivergenceError
            When the loss becomes NaN or infinite.
        """
        is_family = self.knowledge is not None and self.knowledge.is_family
        layout = SequenceLayout(self.knowledge) if is_family else GridLayout(self.knowledge)
        several = has_several_outputs(self.knowledge)
        is_joined = several and np.ndim(y) == 1
        if several:
            y = self.knowledge.split_labels(y)
        X, y = layout.validate(self, X, y, multi_output=several)
        if not several:
            _check_targets(y, self.knowledge)
        X, y, weight = drop_unweighted(X, y, sample_weight)
        schedules = {
            "temperature": Temperature(self.temperature),
            "step_size": StepSize(self.step_size),
        }
        samples, knowledge = layout.lay_out(X, y, self.symbol_shape)
        space = LabelRows(knowledge, is_joined) if several else SingleLabel(y)
        unique, y_index = space.read(y)

        engine = AutoEngine() if self.inference == "auto" else clone(self.inference)
        compiled = engine.compile(knowledge, unique)
        layout.check_labels(engine, compiled, samples, unique, y_index)
        codes = ExactLikelihood().encode(unique, compiled.output_states)[torch.from_numpy(y_index)]

        options = {
            "learning_rate": self.learning_rate,
            "batch_size": self.batch_size,
            "device": self.device,
        }
        n_states, symbol_shape = layout.predicted_states(knowledge), samples.symbol_shape
        groups = (SymbolGroup(None, tuple(range(knowledge.n_symbols)), n_states, symbol_shape),)
        self._check_state_prior(n_states)
        random_state = check_random_state(self.random_state)
        nets = []
        for _ in range(self.n_init):
            seed = int(random_state.randint(np.iinfo(np.int32).max))
            nets.append(make_net(self.net, groups, seed, options))
        if self.warm_start and hasattr(self, "_symbol_net"):
            nets[0].adopt(self._symbol_net)
        self._seed = int(random_state.randint(np.iinfo(np.int32).max))

        # All checks have passed: from here on the estimator is a fitted one.
        self.classes_, self.knowledge_, self.symbol_shape_ = space.classes, knowledge, symbol_shape
        self.engine_, self.compiled_ = engine, compiled.to(nets[0].device)
        self._labels, self._layout, self._longer = space, layout, None
        self._run_em(nets, samples, y, codes.to(nets[0].device), weight, schedules)
        return self

    def _check_state_prior(self, n_states):
        """Check the frequencies of states, if there are any."""
        if self.state_prior is None:
            return
        prior = np.asarray(self.state_prior, dtype=np.float64)
        if len(set(n_states)) > 1 or prior.shape != (n_states[0],):
            raise ValueError(
                "state_prior must hold one frequency for each state, of symbols that all have the "
                f"same number of them; the symbols have {sorted(set(n_states))} states, got "
                f"{prior.size} frequencies. Pass None, or one number a state."
            )
        if not (prior > 0).all() or abs(prior.sum() - 1) > 1e-6:
            raise ValueError(
                "state_prior must hold positive numbers with the sum 1, got the least "
                f"{prior.min():g} and the sum {prior.sum():g}. Divide the counts by their sum."
            )

    def _run_em(self, nets, samples, y, codes, weight, schedules):
        # Mean 1: a mini-batch then weighs as much as its samples, not all batches alike.
        weight = torch.from_numpy(weight / weight.mean()).to(codes.device)
        likelihood, engine, compiled = ExactLikelihood(), self.engine_, self.compiled_
        n_output_states = _lengths(compiled.output_states)
        generator = torch.Generator(codes.device).manual_seed(self._seed)

        def e_step(log_prob, index):
            log_likelihood = likelihood.log_likelihood(codes[index], n_output_states)
            return engine.infer(compiled, log_prob, log_likelihood, generator)

        def run_to(run, max_iter):
            run_em(
                run,
                samples,
                e_step,
                weight,
                schedule=self.e_step,
                m_steps=self.m_steps,
                max_iter=min(max_iter, self.max_iter),
                progress=progress,
                **schedules,
            )

        self.init_lower_bounds_ = []
        runs = [Run(net, Convergence(self.tol, self.n_iter_no_change)) for net in nets]
        for run in runs:
            if not schedules["step_size"].is_constant_one:
                run.memory = Memory()
            if self.state_prior is not None:
                run.state_prior = StatePrior(np.asarray(self.state_prior, dtype=np.float64))
        best = runs[0]
        n_iter = self.max_iter + (self.n_init - 1) * min(self.init_iter, self.max_iter)
        passes = n_iter * (self.m_steps if self.e_step == "epoch" else 1)
        try:
            with (
                Progress(len(samples), passes, self.max_iter, self.verbose) as progress,
                ExitStack() as sessions,
            ):
                for run in runs:
                    session = run.net.training(samples, weight, y, is_trial=len(runs) > 1)
                    sessions.enter_context(session)
                if len(runs) > 1:
                    best = choose_start(runs, lambda run: run_to(run, self.init_iter))
                    best.net.keep()
                    self.init_lower_bounds_ = [run.lower_bound for run in runs]
                run_to(best, self.max_iter)
        except KeyboardInterrupt as interrupt:
            best = max(runs, key=lambda run: (run.n_iter, run.lower_bound))
            raise KeyboardInterrupt(
                f"fit was interrupted after {best.n_iter} of at most {self.max_iter} iterations. "
                "The estimator keeps what it learned so far, and can predict."
            ) from interrupt
        finally:
            self._symbol_net, self.net_ = best.net, best.net.inner
            self.lower_bounds_ = best.convergence.lower_bounds
            self.diagnostics_ = best.diagnostics
            self.n_iter_ = best.n_iter
            self.converged_ = best.convergence.converged
        if not self.converged_:
            warnings.warn(
                f"EM reached max_iter={self.max_iter} iterations before the log-evidence had "
                f"stopped rising by tol={self.tol:g} for n_iter_no_change="
                f"{self.n_iter_no_change} iterations. Raise `max_iter`, or `tol`.",
                ConvergenceWarning,
                stacklevel=4,  # the caller of fit, past scikit-learn's wrapper
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        if isinstance(self.knowledge, Knowledge):
            tags.target_tags.multi_output = has_several_outputs(self.knowledge)
        return tags


def _check_targets(y, knowledge):
    """Check that labels are classes. Knowledge says so, however many there are of them."""
    with warnings.catch_warnings():
        if knowledge is not None:
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        check_classification_targets(y)


def _lengths(states):
    """Number of states of each variable."""
    return tuple(map(len, states))
