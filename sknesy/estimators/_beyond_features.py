"""Predictions of symbols, given more of a sample than its features."""

__all__ = ["BeyondFeaturesMixin"]


class BeyondFeaturesMixin:
    """Methods of `ConstrainedClassifier` that take labels and known symbols beside X."""

    def predict_symbols(self, X, y=None, symbols=None):
        """Predict the states of all symbols, given what else is known of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_symbols, n_features)
            Samples, as in `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
            Labels of the knowledge, as in `sknesy.inference.condition`; without y, the rules hold.
        symbols : array-like of shape (n_samples, n_symbols), optional
            Symbols that are known: names of states, sets of them, None where unknown.

        Returns
        -------
        ndarray of shape (n_samples, n_symbols)
            Names of states, as ``knowledge_.symbol_states`` has them.

        Raises
        ------
        InconsistentLabelError
            When no world agrees with what is known of a sample.
        """
        worlds = self._decide(self._look(X), y, symbols)
        return self._conditioner.name_worlds(worlds)

    def predict_symbols_proba(self, X, y=None, symbols=None):
        """Compute the probability of each state of each symbol, given what else is known.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_symbols, n_features)
            Samples, as in `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
            Labels of the knowledge, as in `predict_symbols`.
        symbols : array-like of shape (n_samples, n_symbols), optional
            Symbols that are known, as in `predict_symbols`.

        Returns
        -------
        ndarray of shape (n_samples, n_symbols, n_states), float64
            Probabilities in the order of ``knowledge_.symbol_states``; 0 for padding where symbols
            have unlike numbers of states.
        """
        return self.posterior(X, y, symbols).symbol_marginals

    def posterior(self, X, y=None, symbols=None):
        """Compute the posterior of each sample, as `sknesy.inference.condition` does.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_symbols, n_features)
            Samples, as in `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
            Labels of the knowledge, as in `predict_symbols`.
        symbols : array-like of shape (n_samples, n_symbols), optional
            Symbols that are known, as in `predict_symbols`.

        Returns
        -------
        Posterior
            Its ``log_evidence`` is the log-probability that the classifier, symbol by symbol, gives
            to the rules: low where they overrule it.
        """
        return self._posterior(self._look(X), y, symbols)

    def _posterior(self, proba, y=None, symbols=None):
        return self._conditioner.posterior(proba, y, symbols, smoothing=self.smoothing)

    def _decide(self, proba, y=None, symbols=None):
        return self._conditioner.find_worlds(proba, y, symbols, self.decision, self.smoothing)
