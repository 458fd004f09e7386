"""What a fitted estimator says of samples: their labels, and their symbols."""

import warnings
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sknesy.estimators._sequences import check_predictable
from sknesy.exceptions import ApproximationWarning
from sknesy.inference import Compiled, ModeEngine
from sknesy.knowledge import Knowledge
from sknesy.likelihoods import ExactLikelihood
from sknesy.metrics import exact_match
from sknesy.nets import Samples

__all__ = ["PredictionMixin"]


class PredictionMixin:
    """The methods of a fitted estimator, from log-probabilities of the net and the knowledge."""

    def predict(self, X):
        """Predict the most probable label of each sample; see `decision`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_symbols, *symbol_shape) or (n_samples, n_features)
            Features; with knowledge of any number of symbols a list of sequences, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Labels, in the form that y had in `fit`.
        """
        seen = self._look(X)
        if self.decision == "world":
            worlds, outputs = self._mode(seen)
            return self._labels.name(
                outputs, seen.compiled, lambda rows: seen.knowledge.conclude(worlds[rows])
            )
        return self._labels.most_probable(self._infer(seen).output_marginals, seen.compiled)

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
            outputs p(y_o | X) for each, as scikit-learn's classifiers of several outputs do.
        """
        seen = self._look(X)
        return self._labels.proba(self._infer(seen).output_marginals, seen.compiled)

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

    def score(self, X, y, sample_weight=None):
        """Compute the share of samples whose label is predicted right, all outputs of it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_symbols, *symbol_shape) or (n_samples, n_features)
            Features; with knowledge of any number of symbols a list of sequences, as in `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True labels.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples.

        Returns
        -------
        float
            Between 0 and 1.

        See Also
        --------
        sknesy.metrics.output_accuracy : The accuracy of each output.
        """
        return exact_match(y, self.predict(X), sample_weight=sample_weight)

    def predict_symbols(self, X):
        """Predict the symbols of each sample: its most probable world.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_symbols, *symbol_shape) or (n_samples, n_features)
            Features; with knowledge of any number of symbols a list of sequences, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_symbols), or list of ndarrays of shape (length,)
            Names of states. Together they are possible under the knowledge. A list, with an entry a
            sample, for knowledge of any number of symbols.
        """
        seen = self._look(X)
        worlds, _ = self._mode(seen)
        return self._layout.name_worlds(worlds, seen.knowledge, seen.samples)

    def predict_symbols_proba(self, X):
        """Compute the probability of each state of each symbol, the label unknown.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_symbols, *symbol_shape) or (n_samples, n_features)
            Features; with knowledge of any number of symbols a list of sequences, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_symbols, n_states), float64
            Probabilities in the order of ``knowledge_.symbol_states``; 0 for padding where symbols
            have unlike numbers of states. A list of ndarrays of shape (length, n_states), without
            the state `END`, for knowledge of any number of symbols.
        """
        seen = self._look(X)
        return self._layout.split_marginals(self._infer(seen).symbol_marginals, seen.samples)

    def posterior(self, X, y=None):
        """Compute what is known of each sample, given its label or not.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_symbols, *symbol_shape) or (n_samples, n_features)
            Features; with knowledge of any number of symbols a list of sequences, as in `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
            Labels, not necessarily seen in `fit`. None: one of `classes_`, unknown which.

        Returns
        -------
        Posterior
            With numpy arrays: ``log_evidence`` (n_samples,) is log p(y | X) in nats,
            ``symbol_marginals`` (n_samples, n_symbols, n_states) is what each symbol must be,
            ``output_marginals`` (n_samples, n_outputs, n_output_states) the probabilities of the
            output states, in the order of `classes_`; 0 for padding. Sequences are filled up to
            ``knowledge_.n_symbols``, or the longest of X, with symbols in their last state, `END`;
            where one is too short or too long for its label, its log-evidence is -inf and its
            marginals are 0.

        Raises
        ------
        InconsistentLabelError
            When no world gives one of the labels.
        """
        seen = self._look(X)
        log_prob, compiled = seen.log_prob, seen.compiled
        log_likelihood = self._candidates(seen)
        if y is not None:
            check_consistent_length(log_prob, y)
            labels, y_index = self._labels.read(y)
            compiled = self.engine_.compile(
                seen.knowledge, self._labels.wanted(labels), reuse=compiled
            ).to(log_prob.device)
            codes = ExactLikelihood().encode(labels, compiled.output_states)
            log_likelihood = ExactLikelihood().log_likelihood(
                codes[torch.from_numpy(y_index)].to(log_prob.device),
                tuple(map(len, compiled.output_states)),
            )
        posterior = self.engine_.infer(
            compiled, log_prob, log_likelihood, self._generator()
        ).numpy()
        marginals = self._labels.in_order(posterior.output_marginals, compiled)
        return replace(posterior, output_marginals=marginals)

    def _look(self, X):
        """Show X to the net, and find the knowledge of as many symbols."""
        check_is_fitted(self, "n_iter_")
        samples = self._layout.read(self, X)
        knowledge, compiled = self.knowledge_, self.compiled_
        if samples.n_symbols > knowledge.n_symbols:
            knowledge, compiled = self._compile_longer(samples.n_symbols)
        samples = samples.fill_up_to(knowledge.n_symbols)
        return _Seen(samples, self._symbol_net.log_prob(samples), knowledge, compiled)

    def _compile_longer(self, n_symbols):
        """Compile for sequences longer than those of `fit`; kept for the next time."""
        if self._longer is None or self._longer[0].n_symbols < n_symbols:
            knowledge = self._layout.knowledge.unroll(n_symbols)
            compiled = self.engine_.compile(knowledge, self._labels.wanted([]) or None)
            self._longer = knowledge, compiled.to(self._symbol_net.device)
        return self._longer

    def _candidates(self, seen):
        """The evidence under which labels are predicted."""
        row = self._labels.candidates(seen.compiled).to(seen.log_prob.device)
        return row.expand(len(seen.log_prob), -1, -1)

    def _generator(self):
        """Source of randomness for engines that draw samples: the same for each call."""
        return torch.Generator(self._symbol_net.device).manual_seed(self._seed)

    def _infer(self, seen):
        """The posterior, given that the label is one of those predicted."""
        evidence = self._candidates(seen)
        posterior = self.engine_.infer(seen.compiled, seen.log_prob, evidence, self._generator())
        if posterior.kind == "exact":
            check_predictable(posterior.log_evidence)
        else:
            _warn_of_dead(posterior.log_evidence)
        return posterior.numpy()

    def _mode(self, seen):
        """The most probable worlds and their outputs."""
        evidence = self._candidates(seen)
        try:
            found = self.engine_.mode(seen.compiled, seen.log_prob, evidence)
        except NotImplementedError:  # belief propagation has marginals only
            found = self._search_mode(seen, evidence)
        log_joint, worlds, outputs = found
        check_predictable(log_joint)
        return worlds.cpu().numpy(), outputs.cpu().numpy()

    def _search_mode(self, seen, evidence):
        """The most probable worlds, searched for by an engine made for it."""
        engine = ModeEngine()
        compiled = engine.compile(seen.knowledge, self._labels.wanted([]) or None)
        if compiled.output_states != seen.compiled.output_states:
            evidence = self._labels.candidates(compiled).expand(len(seen.log_prob), -1, -1)
        device = seen.log_prob.device
        found = engine.mode(compiled.to(device), seen.log_prob, evidence.to(device))
        # The states of outputs are named by what the estimator's own engine compiled.
        names = [
            torch.tensor([own.index(name) for name in states])
            for own, states in zip(seen.compiled.output_states, compiled.output_states, strict=True)
        ]
        outputs = [name.to(device)[found[2][:, o]] for o, name in enumerate(names)]
        return found[0], found[1], torch.stack(outputs, dim=1)


def _warn_of_dead(log_evidence):
    """Say so where an engine that is not exact found nothing."""
    n_dead = int((log_evidence == -torch.inf).sum())
    if n_dead:
        warnings.warn(
            f"No world was found for {n_dead} of {len(log_evidence)} samples of X: their "
            "probabilities are 0 and their predictions arbitrary. Raise `n_draws` or "
            "`max_tried` of the engine, or use an exact one.",
            ApproximationWarning,
            stacklevel=4,
        )


@dataclass(frozen=True)
class _Seen:
    """Samples, what the net says of them, and the knowledge of as many symbols, compiled."""

    samples: Samples
    log_prob: Tensor
    knowledge: Knowledge
    compiled: Compiled
