"""`EMNeSyClassifier`: scikit-learn's contract of classifiers around EM."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import _safe_indexing, check_consistent_length
from sklearn.utils.metaestimators import available_if

from sknesy._arrays import as_weight
from sknesy.estimators._base import BaseEMNeSy
from sknesy.estimators._labels import has_several_outputs, make_label_space
from sknesy.estimators._prediction import PredictionMixin
from sknesy.knowledge import Knowledge

__all__ = ["EMNeSyClassifier"]


def _has_two_labels(estimator) -> bool:
    """Tell whether a label is one of two, as far as it is known."""
    if estimator.target == "symbols" or has_several_outputs(estimator.knowledge):
        return False
    return len(getattr(estimator, "classes_", range(2))) == 2


class EMNeSyClassifier(PredictionMixin, ClassifierMixin, BaseEMNeSy):
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
    target : {"label", "symbols"}, default="label"
        What y holds. "label" is what the symbols mean together. "symbols" are the symbols
        themselves, one a column, as in multi-label classification: the label is that the rules
        hold. Predictions are then rows of symbols that obey the rules.
    objective : {"evidence", "conditional"}, default="evidence"
        What training maximises. "evidence" is log p(y | x), which also rewards a net for obeying
        the knowledge. "conditional" is log p(y | x) - log p(assumed | x), where predictions assume
        that the label is one of `classes_`, or that the rules hold. The net is then trained for
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
        ``set_params(net__lr=..., net__module__hidden=...)`` works in all cases. A classifier of
        scikit-learn is fitted anew in each iteration, to inputs weighted by the posterior of their
        states; `sknesy.nets.Learner` has options for it.
    inference : "auto" or InferenceEngine, default="auto"
        The engine of the E-step. ``set_params(inference__max_worlds=...)`` works in both cases.
    likelihood : Likelihood or None, default=None
        How y is observed. None is `sknesy.likelihoods.ExactLikelihood`: each row is the label, a
        set of candidates, or unknown. Others take tables of candidates or weights, wrong labels,
        people.
    labels : array-like of shape (n_labels,) or None, default=None
        The labels that codes stand for. If given, y holds codes, positions in `labels`, and so do
        `classes_` and predictions. scikit-learn's meta-estimators that encode y before they call
        `fit` need it, such as VotingClassifier: pass the sorted labels of all the data. A y that
        cannot be codes is read as labels.
    class_weight : dict, "balanced" or None, default=None
        Weights of classes, which multiply the weights of the rows that have exactly one label; rows
        that are unknown or sets keep theirs. A dict has classes as keys; those it lacks have the
        weight 1. "balanced" is ``n_rows / (n_classes * n_rows_of_the_class)``, over such rows.
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
        half of `max_iter`, but at most ten iterations; it is 1 for plain classification, where y
        holds symbols, with `warm_start` and for a net that comes trained. With the criterion
        "expected_distance" of `SamplingEngine`, T weighs entropy, and "auto" is as told there. Else
        one T for all iterations; a sequence for the first ones, with 1 after it; or a function of
        the number of the iteration, from 1, such as `sknesy.transforms.Annealing`. While T moves,
        `lower_bounds_` are those of the flattened net.
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
    decision : {"marginals", "world"}, default="marginals"
        How `predict` decides. "marginals" gives each output its most probable state; of several
        outputs these need not be possible together. "world" gives the outputs of the most probable
        world, always possible together. Each costs one pass of inference; that for the world takes
        several times as long, as it runs level by level in log space. With ``target="symbols"``
        both give rows that obey the rules: "marginals" the row with the largest expected number
        of right symbols, at the cost of both passes, and "world" the most probable row.
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
    classes_ : ndarray of shape (n_classes,), or list of ndarrays
        The labels that some row of y allows, sorted, in the knowledge's own values; all labels of
        the knowledge, if some row is unknown or labels may be wrong. Codes, if `labels` is given.
        If the knowledge has several outputs: for each the names of its states, seen or not.
        With ``target="symbols"`` the states of each symbol: of Boolean ones an array of shape
        (n_symbols, 2), else a list; of sequences one array of the states of all symbols.
    labels_ : ndarray of shape (n_classes,)
        The labels that the codes in `classes_` stand for; only with `labels`.
    knowledge_ : Knowledge
        The knowledge used; with ``knowledge=None`` an `IdentityKnowledge` of the classes, with a
        family that of sequences as long as the longest in `fit`.
    engine_ : InferenceEngine
        The engine used.
    compiled_ : Compiled
        The knowledge as compiled by the engine for the labels in `classes_`.
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
    sknesy.knowledge.FunctionKnowledge : Knowledge as a Python function.
    sknesy.knowledge.ClauseKnowledge : Knowledge as clauses.

    Notes
    -----
    A label is any hashable that the knowledge can conclude: an int, a bool, a string, a fraction,
    and, with one output, a tuple. Without knowledge, y is what scikit-learn takes for
    classification.

    With one output, predictions of labels are over `classes_`: ``predict_proba`` is
    p(y | X, y is one of them). With several, y has a column for each, or is what the knowledge
    splits into them (`sknesy.knowledge.DigitAddition` splits a sum into digits); predictions are
    over all labels, and come in the form that y had.

    Sequences may be longer when predicting than in `fit`: the knowledge is then compiled again,
    once for each length that is longer than all before. The net sees symbols one by one, and only
    those that are there.

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
    >>> clf = EMNeSyClassifier(addition, learning_rate=0.003, tol=0.05, n_iter_no_change=2)
    >>> clf = clf.set_params(random_state=0).fit(X, y)
    >>> bool((clf.predict_symbols(X) == digits).mean() > 0.9)
    True
    """

    def partial_fit(self, X, y, classes=None, sample_weight=None, symbols=None):
        """Make one pass over some samples, and go on from what was learned before (online EM).

        Parameters
        ----------
        X : array-like or list of arrays
            Features of these samples, as in `fit`. Bags may be longer than before.
        y : array-like
            What is observed of them, as in `fit`.
        classes : array-like of shape (n_classes,), optional
            All labels that any call may hold. Without knowledge the first call needs it. With
            knowledge None means all of its labels; to name fewer is quicker for an engine that
            lists worlds. In later calls it may be left out. None with ``target="symbols"``.
        sample_weight : array-like of shape (n_samples,), optional
            Weights, at least 0. Their mean counts as 1 in each call.
        symbols : array-like of shape (n_samples, n_symbols), or list of arrays, optional
            Symbols that are known, as in `fit`.

        Returns
        -------
        EMNeSyClassifier
            This estimator.

        Raises
        ------
        InconsistentLabelError
            When no world gives one of the labels, or the known symbols contradict it.
        ValueError
            When `classes` is missing, or y holds a label that is none of them; when a transform
            averages posteriors of single samples over iterations, as `step_size` does.

        Notes
        -----
        The first call makes net, engine and labels; parameters of theirs that change later need a
        `fit`. After a `fit` it goes on from there, and the classes are those that `fit` saw. The
        temperature "auto" is 1; others go by the number of the call. The noise of a likelihood is
        set from averages s of its expected counts, ``s <- (1 - g) s + g s_new`` with g = t^-0.6 in
        the t-th iteration [1]_. `n_init`, `n_starts_kept`, `max_iter` and `validation_fraction`
        are for `fit`. ``n_iter_`` and ``lower_bounds_`` count the calls, behind the iterations of a
        `fit`. All starts that a `fit` kept go on, and are weighed by the bounds of the last call.
        An error or an interrupt leaves the estimator as it was.

        References
        ----------
        .. [1] Cappe, Moulines, "On-line expectation-maximization algorithm for latent data models",
           2009.

        Examples
        --------
        >>> from sknesy import EMNeSyClassifier
        >>> from sknesy.datasets import make_digit_sum
        >>> X, y, digits, addition = make_digit_sum(300, random_state=0)
        >>> clf = EMNeSyClassifier(addition, learning_rate=0.003, random_state=0)
        >>> for start in range(0, 300, 100):
        ...     clf = clf.partial_fit(X[start : start + 100], y[start : start + 100])
        >>> clf.n_iter_
        3
        """
        return self._partial_fit(X, y, classes, sample_weight, symbols)

    def predict(self, X):
        """Predict the label of each sample, or its symbols; see `target` and `decision`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_symbols, *symbol_shape) or (n_samples, n_features)
            Features; with knowledge of any number of symbols a list of sequences, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,), (n_samples, n_outputs) or (n_samples, n_symbols)
            Labels, in the form that y had in `fit`. With ``target="symbols"`` names of states, as
            bools or ints where y had these; of sequences a list of arrays of shape (length,).
        """
        seen = self._look(X)
        return self._fit_state.target.predict(self, seen)

    def predict_proba(self, X):
        """Compute the probability of each label, or of each state of each output.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_symbols, *symbol_shape) or (n_samples, n_features)
            Features; with knowledge of any number of symbols a list of sequences, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or list of n_outputs such arrays, float64
            p(y | X, y in `classes_`), in the order of `classes_`; rows sum to 1. With several
            outputs p(y_o | X) for each, as scikit-learn's classifiers of several outputs do. With
            ``target="symbols"`` p(True | X, the rules hold) of shape (n_samples, n_symbols) for
            Boolean symbols, else an array of shape (n_samples, n_states) for each symbol; of
            sequences such an array for each sample.
        """
        seen = self._look(X)
        return self._fit_state.target.proba(self, seen, self._infer(seen))

    def predict_log_proba(self, X):
        """Compute the log-probability of each label.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_symbols, *symbol_shape) or (n_samples, n_features)
            Features; with knowledge of any number of symbols a list of sequences, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or list of them, float64
            Natural logarithm of `predict_proba`; -inf where a probability underflows to 0.
        """
        proba = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return list(map(np.log, proba)) if isinstance(proba, list) else np.log(proba)

    @available_if(_has_two_labels)
    def decision_function(self, X):
        """Compute the log-odds of the second of two labels.

        They have all digits where `predict_proba` is 0 or 1, and order samples where it does not.
        For a threshold other than 0 there are scikit-learn's `FixedThresholdClassifier`, and
        `TunedThresholdClassifierCV`, which finds one. It exists for two labels only.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_symbols, *symbol_shape) or (n_samples, n_features)
            Features; with knowledge of any number of symbols a list of sequences, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,), float64
            log p(y = classes_[1] | X) - log p(y = classes_[0] | X), in nats; inf or -inf where one
            of them is impossible.

        Notes
        -----
        Takes an E-step for each of the labels.
        """
        return self._log_odds(self._look(X))

    def score(self, X, y, sample_weight=None):
        """Compute how far predicted labels agree with what was observed.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_symbols, *symbol_shape) or (n_samples, n_features)
            Features; with knowledge of any number of symbols a list of sequences, as in `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Observed labels or symbols, in the form that y had in `fit`; or true labels, in one
            column.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples. Samples of weight 0 are left out, whatever y says of them.

        Returns
        -------
        float
            Between 0 and 1: the weighted mean agreement. Where labels are exact, it is the share of
            samples whose label is right, all outputs of it; of a set, any member is right. With
            ``target="symbols"`` it is the share of samples whose known symbols are all right. Rows
            of which nothing is known are left out.

        See Also
        --------
        sknesy.metrics.output_accuracy : The accuracy of each output.
        """
        if y is None:
            raise ValueError("y must hold the observed labels, got None. Pass them.")
        seen = self._look(X)
        target = self._fit_state.target
        predicted = target.predict(self, seen)
        check_consistent_length(predicted, y)
        weight = as_weight(sample_weight, len(predicted))
        kept = np.flatnonzero(weight)
        agreement = target.agreement(
            self, seen.samples[kept], _safe_indexing(y, kept), _safe_indexing(predicted, kept)
        )
        is_known = ~np.isnan(agreement)
        if not is_known.any():
            raise ValueError(
                "y must say something of at least one sample of positive weight, got labels that "
                f"are all unknown for {len(kept)} samples. Pass samples with labels."
            )
        return float(np.average(agreement[is_known], weights=weight[kept][is_known]))

    def _make_label_space(self, y):
        """Choose how labels are read, and in which form they are predicted."""
        return make_label_space(self.knowledge, self.labels, y)

    def _keep(self, state, layout, knowledge, e_step, samples):
        """Set the attributes of a fitted classifier."""
        super()._keep(state, layout, knowledge, e_step, samples)
        self.classes_ = state.target.classes(state.labels, knowledge)
        vars(self).pop("labels_", None)  # of a fit before
        if self.labels is not None:
            self.labels_ = state.labels.label_array

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if self.target == "symbols":
            tags.target_tags.multi_output, tags.target_tags.single_output = True, False
            tags.classifier_tags.multi_label = True
        elif isinstance(self.knowledge, Knowledge):
            tags.target_tags.multi_output = has_several_outputs(self.knowledge)
        return tags
