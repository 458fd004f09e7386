"""Rules on top of any classifier of scikit-learn."""

from numbers import Real
from typing import Any, ClassVar

import numpy as np
import sklearn
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    _fit_context,
    clone,
)
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch, check_consistent_length, get_tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metadata_routing import UNUSED, MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from sknesy._arrays import as_weight
from sknesy._documentation import Documented
from sknesy._validation import join_columns
from sknesy.estimators._auto import open_auto
from sknesy.estimators._beyond_features import BeyondFeaturesMixin
from sknesy.estimators._columns_by_name import (
    classes_of_columns,
    name_classes,
    read_model_proba,
    sort_classes,
)
from sknesy.estimators._fit_state import VersionedPickle
from sknesy.estimators._wrapped import (
    as_rows,
    as_target,
    check_has_proba,
    check_states,
    check_target,
    count_axes,
    first_sample,
    has_parts,
    without_rules,
)
from sknesy.inference import Conditioner, InferenceEngine, true_state
from sknesy.knowledge import Knowledge

__all__ = ["ConstrainedClassifier"]


class ConstrainedClassifier(
    Documented,
    BeyondFeaturesMixin,
    VersionedPickle,
    MetaEstimatorMixin,
    ClassifierMixin,
    BaseEstimator,
):
    """Classifier whose predictions obey knowledge, around any classifier with probabilities.

    The classifier gives p(s = v | x) of each symbol s, on its own. Predictions are made from the
    posterior of worlds under the rules,

        p(w | x, rules)  =  prod_s p(s = w_s | x) [w obeys the rules]  /  p(rules | x)

    so the states predicted for a sample are possible together, and probabilities take account of
    each other. The classifier is not changed: it learns without the rules.

    Parameters
    ----------
    estimator : estimator
        The classifier, with `predict_proba`. It is cloned and fitted, unless it is a
        `sklearn.frozen.FrozenEstimator`, which stays as it was fitted before.

        - A classifier of several labels or outputs sees whole samples, and has one column of y for
          each symbol: a forest, MLPClassifier, MultiOutputClassifier, ClassifierChain.
        - A classifier of one label sees one part at a time, see `parts`.
    knowledge : Knowledge or None, default=None
        The rules, over one symbol for each column of y, in this order. The states of a symbol are
        the classes in y, by name. The rules hold where the label is
        ``knowledge.label_if_satisfied``; where that is None, worlds are possible that the knowledge
        does not rule out. None is no rules: predictions of the classifier, symbol by symbol.
    inference : InferenceEngine or "auto", default="auto"
        Engine that computes the posterior; "auto" takes the one that suits the knowledge, see
        `AutoEngine`.
    decision : {"marginals", "world"}, default="marginals"
        Way to predict. "marginals" takes the possible world of which most symbols are right on
        average, "world" the most probable world, which is most often right as a whole. Both obey
        the rules.
    smoothing : float, default=1e-6
        Share of the uniform distribution that is mixed into the probabilities of each symbol, from
        0 to 1. Many classifiers, forests and neighbours among them, give the probability 0 to
        what their data did not show. Where such zeros rule out all worlds that obey the rules,
        nothing could be predicted: with smoothing, as few of them as possible are overruled.
    parts : bool or "auto", default="auto"
        Whether X has the shape (n_samples, n_symbols, n_features), and the classifier sees one part
        at a time, of shape (n_features,), with the state of that symbol as its label. "auto": where
        X has three axes or more, the second as long as there are symbols.

    Attributes
    ----------
    estimator_ : estimator
        The fitted classifier.
    classes_ : ndarray of shape (n_states,) or (n_symbols, 2), or list of ndarrays (n_states,)
        The states, sorted by name, where y is one column. Else those of each symbol: an array
        where all have the states False and True, otherwise a list.
    knowledge_ : Knowledge
        The rules that are used.
    n_features_in_ : int
        Number of features, where the classifier tells it and sees whole samples.

    See Also
    --------
    sknesy.inference.condition : The same for probabilities, whatever made them.
    EMNeSyClassifier : Learns under the rules.

    Notes
    -----
    Conditioning is right where the classifier is calibrated, and its errors of single symbols are
    independent of each other, given x. It helps most where rules say more than the classifier has
    learned, such as "exactly one". Classifiers that average whole rows of y, such as forests, obey
    rules of the kind "a implies b" without help; to condition on these counts one piece of evidence
    several times.

    Examples
    --------
    Digits have the labels "even", "below five" and "four". Each four is both of the others:

    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sknesy import ConstrainedClassifier
    >>> from sknesy.knowledge import ClauseKnowledge
    >>> X, digit = load_digits(return_X_y=True)
    >>> Y = np.stack([digit % 2 == 0, digit < 5, digit == 4], axis=1).astype(int)
    >>> forest = RandomForestClassifier(10, random_state=0).fit(X[:900], Y[:900])
    >>> rules = ClauseKnowledge([[-3, 1], [-3, 2]], symbols=[[1], [2], [3]])
    >>> clf = ConstrainedClassifier(FrozenEstimator(forest), rules).fit(X[:900], Y[:900])
    >>> bool((clf.predict(X)[:, 2] <= clf.predict(X)[:, :2].min(axis=1)).all())
    True
    >>> clf.predict_proba(X[900:]).shape
    (897, 3)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": "no_validation",
        "knowledge": [Knowledge, None],
        "inference": [StrOptions({"auto"}), InferenceEngine],
        "decision": [StrOptions({"marginals", "world"})],
        "smoothing": [Interval(Real, 0, 1, closed="both")],
        "parts": ["boolean", StrOptions({"auto"})],
    }

    # `set_fit_request` of the classifier decides on weights; this estimator hands them on.
    __metadata_request__fit: ClassVar[dict[str, Any]] = {"sample_weight": UNUSED}

    def __init__(
        self,
        estimator,
        knowledge=None,
        *,
        inference="auto",
        decision="marginals",
        smoothing=1e-6,
        parts="auto",
    ):
        self.estimator = estimator
        self.knowledge = knowledge
        self.inference = inference
        self.decision = decision
        self.smoothing = smoothing
        self.parts = parts

    def set_params(self, **params: Any) -> "ConstrainedClassifier":
        """Set parameters, also those of the classifier and the engine.

        Parameters
        ----------
        **params
            Parameters by name; ``inference__*`` reach inside also where `inference` is "auto".

        Returns
        -------
        ConstrainedClassifier
            This estimator.
        """
        open_auto(self, params)
        return super().set_params(**params)

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X=None, y=None, sample_weight=None, **params):
        """Fit the classifier, unless it is frozen, and compile the rules.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_symbols, n_features)
            Samples, as the classifier takes them; or the parts of samples. None does, where the
            classifier is frozen.
        y : array-like of shape (n_samples, n_symbols) or (n_samples,)
            The state of each symbol; one column for knowledge of one symbol. None does, where the
            classifier is frozen.
        sample_weight : array-like of shape (n_samples,), optional
            Weights, which are handed to the classifier; for each part that of its sample. They
            have no effect on a frozen one.
        **params
            Further parameters of the classifier's `fit`. With metadata routing, those that it
            requests.

        Returns
        -------
        ConstrainedClassifier
            This estimator.

        Raises
        ------
        TypeError
            When the classifier gives no probabilities.
        ValueError
            When y or the classifier does not fit the symbols of the knowledge, by number or name.
        InvalidKnowledgeError
            When no world obeys the rules.
        """
        check_has_proba(self.estimator)
        is_frozen = isinstance(self.estimator, FrozenEstimator)
        if y is None and not is_frozen:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None. Only a "
                "FrozenEstimator needs none."
            )
        target = None if y is None else as_target(y)
        n_symbols = self._count_symbols(X, target)
        is_parts = has_parts(X, n_symbols, self.parts)
        check_target(target, n_symbols, is_parts)
        if sample_weight is not None and target is not None:
            as_weight(sample_weight, len(target))  # checked; the classifier gets it as it is
        rules = None
        if self.knowledge is not None:  # what is wrong with it is found before the fit
            rules = self._compile(self.knowledge, n_symbols)
            check_states(target, rules.symbol_states)

        estimator = clone(self.estimator)
        if is_frozen:
            check_is_fitted(estimator)
        else:
            routed = self._route_fit(sample_weight, params, n_symbols if is_parts else None)
            shown = (as_rows(X), target.ravel()) if is_parts else (X, y)
            estimator = estimator.fit(*shown, **routed)
        known = classes_of_columns(estimator, n_symbols, is_parts)
        rules = rules or self._compile(without_rules(known, n_symbols), n_symbols)
        states = rules.symbol_states
        if X is not None:  # a trial, which finds what does not fit the knowledge
            read_model_proba(estimator, first_sample(X), states, is_parts)

        self.estimator_, self.knowledge_, self._conditioner = estimator, rules.knowledge, rules
        self._is_single = n_symbols == 1 and not is_parts
        self._is_parts = None if X is None else is_parts  # None: the shape of X tells
        # Names of the states as y has them, and their order in `classes_`.
        if known is None:
            known = [np.zeros(1, dtype=np.int64) if target is None else target] * n_symbols
        self._names = list(map(name_classes, states, known))
        self._order = list(map(sort_classes, self._names))
        classes = [names[order] for names, order in zip(self._names, self._order, strict=True)]
        if all(true_state(names) is not None for names in states):
            classes = np.stack(classes)  # scikit-learn takes it for those of a multi-label problem
        self.classes_ = classes[0] if self._is_single else classes
        for name in ("n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)
            if hasattr(estimator, name) and not is_parts:
                setattr(self, name, getattr(estimator, name))
        return self

    def predict(self, X):
        """Predict the states of all symbols of each sample: together they obey the rules.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_symbols, n_features)
            Samples, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_symbols) or (n_samples,)
            Names of states, as y has them; without an axis of symbols where y is one column.

        Raises
        ------
        InconsistentLabelError
            When the classifier gives the probability 0 to all worlds that obey the rules, which
            can be without `smoothing` only.
        """
        worlds = self._decide(self._look(X))
        columns = [names[worlds[:, s]] for s, names in enumerate(self._names)]
        return columns[0] if self._is_single else join_columns(columns)

    def predict_proba(self, X):
        """Compute the probability of each state, given that the rules hold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_symbols, n_features)
            Samples, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_symbols), or list of ndarrays of shape (n_samples, n_states)
            Where all symbols have the states False and True, p(True | x, rules) of each. Else a
            list with an array for each symbol, whose columns are in the order of `classes_`; one
            array where y is one column.

        Raises
        ------
        InconsistentLabelError
            When the classifier gives the probability 0 to all worlds that obey the rules.
        """
        marginals = self._posterior(self._look(X)).symbol_marginals
        true = [true_state(states) for states in self._conditioner.symbol_states]
        if not self._is_single and None not in true:
            return marginals[:, np.arange(len(true)), true]
        proba = [marginals[:, s, order] for s, order in enumerate(self._order)]
        return proba[0] if self._is_single else proba

    def score(self, X, y, sample_weight=None):
        """Compute the share of samples of which all symbols are predicted right.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_symbols, n_features)
            Samples, as in `fit`.
        y : array-like of shape (n_samples, n_symbols) or (n_samples,)
            The true states.
        sample_weight : array-like of shape (n_samples,), optional
            Weights.

        Returns
        -------
        float
            The share, from 0 to 1: the accuracy of scikit-learn's multi-label classifiers.
        """
        predicted, target = self.predict(X), as_target(y)
        if self._is_single:
            target = target.ravel()
        check_consistent_length(predicted, target, sample_weight)
        if predicted.shape != target.shape:
            raise ValueError(
                f"y must have the shape {predicted.shape}, a column for each symbol, got "
                f"{target.shape}. Pass the true states of all symbols."
            )
        is_right = (predicted == target).reshape(len(target), -1).all(axis=1)
        weight = as_weight(sample_weight, len(target))
        return float(np.average(is_right, weights=weight))

    def get_metadata_routing(self):
        """Return the parameters that go to `fit` of the classifier, and to `score` of this one.

        Returns
        -------
        MetadataRouter
            The routing, for scikit-learn.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=self).add_self_request(self)
        return router.add(estimator=self.estimator, method_mapping=mapping)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if hasattr(self.estimator, "__sklearn_tags__"):
            inner = get_tags(self.estimator)
            tags.input_tags = inner.input_tags
            tags.target_tags = inner.target_tags
            tags.classifier_tags = inner.classifier_tags or tags.classifier_tags
        return tags

    def _count_symbols(self, X, target):
        """Return the number of symbols: of the knowledge, or as many as there are columns."""
        if self.knowledge is not None and not self.knowledge.is_family:
            return self.knowledge.n_symbols
        if target is not None:
            return target.shape[1] if target.ndim == 2 else 1
        if self.parts is not False and count_axes(X) > 2:
            return np.shape(X)[1]
        classes = getattr(self.estimator, "classes_", None)
        if isinstance(classes, list):
            return len(classes)
        if self.knowledge is None:
            return 1
        raise ValueError(
            f"y must be given where knowledge is about any number of symbols, got "
            f"{self.knowledge!r} and a classifier that does not tell how many there are. Pass "
            "samples to fit, or set n_symbols of the knowledge."
        )

    def _compile(self, knowledge, n_symbols):
        """Make knowledge ready for samples of which only the features are known."""
        conditioner = Conditioner(knowledge, self.inference, n_symbols)
        conditioner.compile()
        return conditioner

    def _route_fit(self, sample_weight, params, n_parts):
        """Return the parameters for the classifier's `fit`."""
        if sample_weight is not None:
            params = {**params, "sample_weight": sample_weight}
        if sklearn.get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", **params).estimator.fit
        else:
            if sample_weight is not None and not has_fit_parameter(self.estimator, "sample_weight"):
                raise ValueError(
                    f"estimator must take weights where sample_weight is given, but fit of "
                    f"{type(self.estimator).__name__} has no sample_weight. Leave it out."
                )
            routed = Bunch(**params)
        if n_parts is not None and routed.get("sample_weight") is not None:
            routed = {**routed, "sample_weight": np.repeat(routed["sample_weight"], n_parts)}
        return routed

    def _look(self, X):
        """Return the classifier's probabilities, (n_samples, n_symbols, n_states)."""
        check_is_fitted(self, "estimator_")
        states = self._conditioner.symbol_states
        parts = self.parts if self._is_parts is None else self._is_parts
        return read_model_proba(self.estimator_, X, states, has_parts(X, len(states), parts))
