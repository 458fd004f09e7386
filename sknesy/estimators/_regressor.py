"""`EMNeSyRegressor`: scikit-learn's contract of regressors around EM."""

from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import _safe_indexing, check_consistent_length

from sknesy._arrays import as_weight
from sknesy._validation import check_flag
from sknesy.estimators._base import BaseEMNeSy
from sknesy.estimators._labels import Values
from sknesy.estimators._prediction import PredictionMixin
from sknesy.likelihoods import GaussianLikelihood, Likelihood, read_numbers, read_values

__all__ = ["EMNeSyRegressor"]


class EMNeSyRegressor(PredictionMixin, RegressorMixin, BaseEMNeSy):
    """Regressor that learns a net for symbols from noisy numbers, which the symbols determine.

    A net predicts discrete symbols from features (the digits in images); knowledge relates the
    symbols to a number v (their sum); y is that number, observed with noise. Training maximises
    the log-evidence ``sum_i w_i log p(y_i | x_i)``, where p(y | x) is a mixture: the sum over v of
    p(v | x) p(y | v). The noise is learned with the net.

    Parameters
    ----------
    knowledge : Knowledge
        What relates symbols and number; it has one output, whose states are numbers. A family,
        such as ``sknesy.knowledge.SymbolSum()``, is for bags of differing size. (None, the
        default, is an error: without knowledge nothing says which symbols there are.)
    objective : {"evidence", "conditional"}, default="evidence"
        What training maximises. "evidence" is log p(y | x), which also rewards a net for obeying
        the knowledge. "conditional" is log p(y | x) - log p(possible | x), where the last is the
        probability of the worlds that the knowledge does not rule out. The net is then trained for
        predictions, which condition on the same. It takes two E-steps in place of one, and a net
        that takes gradients in mini-batches.
    net : None, torch module class, skorch.NeuralNet or scikit-learn classifier, default=None
        Predicts one symbol from its features; all symbols share it. It returns logits. None is a
        small ConvNet for images and an MLP for flat features. A module class is trained with Adam;
        if its constructor takes `symbol_shape` or `n_states`, these are filled in. A NeuralNet
        keeps its own optimiser, learning rate, batch size, device, callbacks and ``train_split``
        (skorch's default holds out a fifth of the data); its criterion and ``max_epochs`` are not
        used. Around a module instance it starts from the weights of that. (skorch's
        NeuralNetClassifier is refused: its scores are about labels.)
        ``set_params(net__lr=..., net__module__hidden=...)`` works in all cases.
    inference : "auto" or InferenceEngine, default="auto"
        The engine of the E-step. ``set_params(inference__max_worlds=...)`` works in both cases.
    likelihood : Likelihood or None, default=None
        How y is observed. None is `sknesy.likelihoods.GaussianLikelihood`: noise of a standard
        deviation that is learned.
    layout : Layout or None, default=None
        What X is; see `sknesy.layouts`. None is a `GridLayout`, or for families a `SequenceLayout`.
    symbol_shape : tuple of int or None, default=None
        Shape of the features of one symbol, where X is flat: short for a layout with it. None reads
        it off X.
    e_step : {"auto", "batch", "epoch"}, default="auto"
        "batch" computes the posterior of each mini-batch on the forward pass of its gradient step:
        with exact inference this is stochastic gradient ascent on the log-evidence. "epoch"
        computes the posterior of all the data, then makes `m_steps` passes. "auto" is "batch" for
        nets, and "epoch" for learners without mini-batches.
    m_steps : int, default=1
        Passes over the data for each E-step of ``e_step="epoch"``; 1 with "batch".
    n_init : int, default=1
        Starts from different random weights. Each runs for `init_iter` iterations, and the one with
        the highest log-evidence goes on. A start that falls into a permuted solution (all digits
        off by one, say) has a log-evidence many times worse.
    init_iter : int, default=5
        Iterations of each start, where there are several: so many that the log-evidence has begun
        to rise, or the choice is a matter of luck.
    n_starts_kept : int, default=1
        Starts that train to the end and predict together, at most `n_init`: those with the highest
        log-evidence. Where labels leave symbols open, each start is sure of other symbols, and the
        mixture of several says which are open. Each costs as much as a fit of its own.
    temperature : "auto", float, sequence of float or callable, default="auto"
        Flattens the net's probabilities p to p^(1/T), normalised, before they are conditioned on
        the label (deterministic annealing). "auto" lets T fall from 3 to 1, in a straight line over
        half of `max_iter`, but at most ten iterations; it is 1 for plain classification, with
        `warm_start` and for a net that comes trained. With the criterion "expected_distance" of
        `SamplingEngine`, T weighs entropy, and "auto" is as told there. Else one T for all
        iterations; a sequence for
        the first ones, with 1 after it; or a function of the number of the iteration, from 1, such
        as `sknesy.transforms.Annealing`. While T moves, `lower_bounds_` are those of the flattened
        net.
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
    transforms : tuple of PosteriorTransform, default=()
        Further changes of the E-step, behind those of `temperature`, `state_prior` and `step_size`;
        see `sknesy.transforms`.
    max_iter : int, default=100
        The largest number of EM iterations; with ``e_step="batch"`` an iteration is a pass over the
        data.
    max_time : float or None, default=None
        Seconds from the call of `fit` after which training ends, within a mini-batch; what was
        learned is kept. Compilation has a limit of its own, the engine's. None is no limit.
    tol : float, default=1e-4
        Smallest rise of the mean log-evidence, in nats a sample, that counts as progress.
    n_iter_no_change : int, default=10
        Iterations without progress after which EM has converged.
    validation_fraction : float or None, default=None
        Share of the samples that is held out by `fit`, stratified by what y says of them; rows
        of which nothing is known are trained on. `tol` and `n_iter_no_change` then watch the mean
        log-evidence of these samples, under the net as it is, never flattened. The weights and the
        noise of the iteration with the highest are kept, and of several starts those with the
        highest go on. It guards small sets from overfitting. None watches the log-evidence of the
        training samples.
    batch_size : int or None, default=None
        Samples in a mini-batch. None is 32, or that of a NeuralNet, which has its own.
    learning_rate : float or None, default=None
        Learning rate. None is 1e-3, or that of a NeuralNet, which has its own.
    random_state : int, RandomState instance or None, default=None
        Seed of weights, order of the samples, and dropout.
    device : str or None, default=None
        Device of net and inference: "auto" is an accelerator if torch has one here. None is the
        CPU, or that of a NeuralNet, which has its own. "accelerate" is what Hugging Face accelerate
        gives the process; of several, as torchrun starts them, each is passed all samples, and
        trains on its share of every mini-batch.
    callbacks : tuple of EMCallback, default=()
        Watch the iterations of EM, and may stop them; see `sknesy.em.EMCallback`. With a
        `sknesy.em.Checkpoint` a fit that was killed goes on when it is begun again. Callbacks of
        skorch belong to the net (``net__callbacks``).
    warm_start : bool, default=False
        Whether `fit` starts from the weights of the last fit, with another engine, say, or further
        data. The optimiser keeps what it remembers (momenta), if its class and the net's are the
        same; its learning rate is that set now. The noise that a likelihood of the same class has
        learned goes on, too, if its shapes are the same. With several starts, the first ones do, as
        many as the last fit kept.
    verbose : int, default=0
        1 shows a progress bar with the log-evidence, the temperature, the rate and the time left,
        and messages of the level INFO: what takes long, and what was decided. 2 shows those of the
        level DEBUG, too: the engine, and a line for each iteration. Messages are records of the
        logger "sknesy"; if the application has handlers, these show them, and stderr does not.

    Attributes
    ----------
    values_ : ndarray of shape (n_values,), float64
        The values that the knowledge can conclude, sorted: the order of the ``output_marginals``
        of `posterior`.
    knowledge_ : Knowledge
        The knowledge used; with a family that of sequences as long as the longest in `fit`.
    engine_ : InferenceEngine
        The engine used.
    compiled_ : Compiled
        The knowledge as compiled by the engine.
    likelihood_ : Likelihood
        The likelihood, with what it has learned as attributes that end in an underscore.
    layout_ : Layout
        The layout, with what was read off X.
    net_ : skorch.NeuralNet
        The trained net; its ``history`` has the losses of the M-step. Of several starts that of
        the highest log-evidence, as `lower_bounds_`, `n_iter_` and the like are. If
        `net` is a scikit-learn classifier, it is the fitted one. With the layout `Columns` they
        are here by the names of their parts.
    nets_ : list of skorch.NeuralNet
        The nets of the starts that were kept, the best first.
    start_weights_ : ndarray of shape (n_starts_kept,), float64
        Weights of these in predictions, with the sum 1: a softmax of ten times their log-evidence a
        sample, so that one which is 0.1 nats below another weighs 1 / e as much.
    e_step_ : {"batch", "epoch"}
        The E-step that was used.
    symbol_shape_ : tuple of int
        Shape of the features of one symbol, or of a sample that the net sees as a whole; of
        several inputs, or parts, by name.
    init_lower_bounds_ : list of float
        Mean log-evidence of each start when the best were chosen; empty where all are kept.
    lower_bounds_ : list of float
        Mean log-evidence of each iteration, in nats a sample. With ``e_step="epoch"`` that of the
        net before the iteration; with "batch" the mean over the mini-batches on the way. As the
        engine computes it: an estimate if it estimates, without samples for which it found nothing.
    validation_lower_bounds_ : list of float
        Mean log-evidence of the samples held out, after each iteration; empty without
        `validation_fraction`.
    diagnostics_ : list of dict of str to float, or to list of float
        For each iteration, what the engine reported of its own accuracy, as means over the
        samples: ``effective_sample_size``, ``is_dead`` (the share of samples without a draw that
        agrees), and more; nothing for exact engines. Besides, ``missing_information``: for each
        symbol, in [0, 1], the share of what there is to know that net and labels together leave
        open, mean_i H(q_i) / H(mean_i q_i), with the entropy H of the posterior q_i of sample i.
        All symbols of sequences count as one. It is NaN where the symbol has one state in all
        samples, and absent with ``objective="conditional"``, which has no posterior. While the
        temperature moves, it is that of the flattened net.
    history_ : dict of str to ndarray of shape (n_rows,)
        A table, as ``pandas.DataFrame(clf.history_)`` takes it, with a row for each iteration of
        each start, also of those that were not chosen: ``start`` (its number, from 0), ``is_kept``,
        ``n_iter``, ``lower_bound``, ``validation_lower_bound`` where samples are held out,
        ``temperature`` as the iteration began, ``seconds``, and the columns of `diagnostics_`, as
        means over symbols where these have a number each; NaN where a row has none.
    n_iter_ : int
        Iterations finished.
    converged_ : bool
        Whether the log-evidence stopped rising before `max_iter`, for all starts kept.
    n_features_in_ : int
        Length of axis 1 of X; not set for sequences.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns of X, if it had any.

    See Also
    --------
    EMNeSyClassifier : The same for labels that are observed as they are, or wrong, or sets.
    sknesy.likelihoods.GaussianLikelihood : How y is observed by default.

    Notes
    -----
    A row of y may be unknown: None, NaN, pandas' NA or masked. It teaches the net nothing, unless
    some of its symbols are known.

    Noise and symbols are told apart by what noise does not repeat: a wide noise explains any y,
    but each sample the worse. Training begins with a wide one, which falls as the net learns. Where
    the values are many and near to each other, noise of less than their distance cannot be told
    from none.

    References
    ----------
    .. [1] Seibt, De Raedt, Marra, "EM-NeSy", arXiv:2606.14463, 2026.

    Examples
    --------
    Learn digits from the sums of pairs, each measured with an error of about a half:

    >>> import numpy as np
    >>> from sknesy import EMNeSyRegressor
    >>> from sknesy.datasets import make_digit_sum
    >>> X, total, digits, addition = make_digit_sum(800, random_state=0)
    >>> y = total + np.random.default_rng(0).normal(0, 0.5, size=800)
    >>> reg = EMNeSyRegressor(addition, learning_rate=0.003, tol=0.02, n_iter_no_change=3)
    >>> reg = reg.set_params(random_state=0).fit(X, y)
    >>> bool((reg.predict_symbols(X) == digits).mean() > 0.9)
    True
    >>> mean, std = reg.predict(X, return_std=True)  # of a further measurement
    >>> mean.shape, std.shape
    ((800,), (800,))
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        name: constraint
        for name, constraint in BaseEMNeSy._parameter_constraints.items()
        if name not in ("target", "labels", "class_weight", "decision")
    }
    _default_likelihood: ClassVar[type[Likelihood]] = GaussianLikelihood

    def __init__(
        self,
        knowledge=None,
        *,
        objective="evidence",
        net=None,
        inference="auto",
        likelihood=None,
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
        super().__init__(
            knowledge,
            objective=objective,
            net=net,
            inference=inference,
            likelihood=likelihood,
            layout=layout,
            symbol_shape=symbol_shape,
            e_step=e_step,
            m_steps=m_steps,
            n_init=n_init,
            init_iter=init_iter,
            n_starts_kept=n_starts_kept,
            temperature=temperature,
            state_prior=state_prior,
            step_size=step_size,
            transforms=transforms,
            max_iter=max_iter,
            max_time=max_time,
            tol=tol,
            n_iter_no_change=n_iter_no_change,
            validation_fraction=validation_fraction,
            batch_size=batch_size,
            learning_rate=learning_rate,
            random_state=random_state,
            device=device,
            callbacks=callbacks,
            warm_start=warm_start,
            verbose=verbose,
        )

    def partial_fit(self, X, y, sample_weight=None, symbols=None):
        """Make one pass over some samples, and go on from what was learned before (online EM).

        Parameters
        ----------
        X : array-like or list of arrays
            Features of these samples, as in `fit`. Bags may be longer than before.
        y : array-like of shape (n_samples,)
            Numbers, as in `fit`.
        sample_weight : array-like of shape (n_samples,), optional
            Weights, at least 0. Their mean counts as 1 in each call.
        symbols : array-like of shape (n_samples, n_symbols), or list of arrays, optional
            Symbols that are known, as in `fit`.

        Returns
        -------
        EMNeSyRegressor
            This estimator.

        See Also
        --------
        EMNeSyClassifier.partial_fit : What goes on from call to call, and what is refused.
        """
        return self._partial_fit(X, y, None, sample_weight, symbols)

    def predict(self, X, return_std=False):
        """Predict the number of each sample: the mean of what it may be.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_symbols, *symbol_shape) or (n_samples, n_features)
            Features; with knowledge of any number of symbols a list of sequences, as in `fit`.
        return_std : bool, default=False
            Whether to return the standard deviation of y, too.

        Returns
        -------
        mean : ndarray of shape (n_samples,), float64
            The expected value, E[v | X].
        std : ndarray of shape (n_samples,), float64
            ``sqrt(Var[v | X] + sigma_**2)``, with the noise ``likelihood_.sigma_``; of a likelihood
            without one, the standard deviation of v. Only if `return_std`.
        """
        check_flag(return_std, "return_std")
        seen = self._look(X)
        probability = self._infer(seen).output_marginals[:, 0]
        values = read_values(seen.compiled.output_states)
        mean = probability @ values
        if not return_std:
            return mean
        variance = (probability * (values - mean[:, None]) ** 2).sum(axis=1)
        return mean, np.sqrt(variance + self._noise_variance())

    def _noise_variance(self):
        """Return the variance of the noise; of several starts its mean."""
        noises = [run.noise for run in self._fit_state.runs]
        sigma = [float(noise["sigma"]) for noise in noises if "sigma" in noise]
        return float(self.start_weights_ @ np.square(sigma)) if sigma else 0.0

    def score(self, X, y, sample_weight=None):
        """Compute the coefficient of determination R^2 of the predictions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_symbols, *symbol_shape) or (n_samples, n_features)
            Features; with knowledge of any number of symbols a list of sequences, as in `fit`.
        y : array-like of shape (n_samples,)
            Numbers. Samples for which y is unknown are left out.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples. Samples of weight 0 are left out, whatever y says of them.

        Returns
        -------
        float
            At most 1, and 0 for predictions of the mean of y. Noise in y keeps even the true values
            below 1.
        """
        if y is None:
            raise ValueError("y must hold the observed numbers, got None. Pass them.")
        predicted = self.predict(X)
        check_consistent_length(predicted, y)
        weight = as_weight(sample_weight, len(predicted))
        kept = np.flatnonzero(weight)
        numbers = read_numbers(_safe_indexing(y, kept))
        is_known = ~np.isnan(numbers)
        if not is_known.any():
            raise ValueError(
                "y must hold a number for at least one sample of positive weight, got none for "
                f"{len(kept)} samples. Pass samples whose y is known."
            )
        kept = kept[is_known]
        return float(r2_score(numbers[is_known], predicted[kept], sample_weight=weight[kept]))

    def _check_parameters(self):
        """Check that there is knowledge, and what all estimators check."""
        if self.knowledge is None:
            raise ValueError(
                "knowledge must relate symbols to the number in y, got None. Pass for example "
                "SymbolSum(2), or IdentityKnowledge(range(10)) where the number is the symbol."
            )
        return super()._check_parameters()

    def _make_label_space(self, y):
        """Read labels as numbers."""
        return Values(self.knowledge)

    def _keep(self, state, layout, knowledge, e_step, samples):
        """Set the attributes of a fitted regressor."""
        super()._keep(state, layout, knowledge, e_step, samples)
        self.values_ = state.labels.classes
