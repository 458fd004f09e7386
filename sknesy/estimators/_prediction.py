"""Predictions of a fitted estimator about symbols, given whatever is known."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sknesy._validation import warn
from sknesy.estimators._mixture import (
    View,
    World,
    average_views,
    choose_world,
    mix_log_prob,
    mix_posteriors,
)
from sknesy.estimators._possible import check_predictable
from sknesy.exceptions import ApproximationWarning, InconsistentLabelError
from sknesy.inference import Compiled, compile_knowledge, make_mode_engine
from sknesy.knowledge import Knowledge
from sknesy.layouts import without_features
from sknesy.likelihoods import KnownSymbols, Observed
from sknesy.nets import Samples

__all__ = ["PredictionMixin"]


class PredictionMixin:
    """Methods of a fitted estimator, from log-probabilities of the net and the knowledge."""

    def predict_symbols(self, X, y=None, symbols=None):
        """Predict the symbols of each sample: its most probable world, given what is known.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_symbols, *symbol_shape) or (n_samples, n_features)
            Features; with knowledge of any number of symbols a list of sequences, as in `fit`. None
            where there were none in `fit`.
        y : array-like, optional
            What is observed of the samples, in the form that y had in `fit`. None: one of
            the labels that are predicted, unknown which.
        symbols : array-like of shape (n_samples, n_symbols), or list of arrays, optional
            Symbols that are known, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_symbols), or list of ndarrays of shape (length,)
            Names of states. Together they are possible under the knowledge. A list, with an entry a
            sample, for knowledge of any number of symbols.

        Raises
        ------
        InconsistentLabelError
            When no world agrees with what is known of a sample.
        """
        seen = self._look(X, y, symbols)
        worlds, _ = self._mode(seen)
        return self.layout_.name_worlds(worlds, seen.knowledge, seen.samples)

    def predict_symbols_proba(self, X, y=None, symbols=None):
        """Compute the probability of each state of each symbol, given what is known.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_symbols, *symbol_shape) or (n_samples, n_features)
            Features; with knowledge of any number of symbols a list of sequences, as in `fit`. None
            where there were none in `fit`.
        y : array-like, optional
            What is observed of the samples, in the form that y had in `fit`. None: one of
            the labels that are predicted, unknown which.
        symbols : array-like of shape (n_samples, n_symbols), or list of arrays, optional
            Symbols that are known, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_symbols, n_states), float64
            Probabilities in the order of ``knowledge_.symbol_states``; 0 for padding where symbols
            have unlike numbers of states. A list of ndarrays of shape (length, n_states), without
            the state `END`, for knowledge of any number of symbols.
        """
        seen = self._look(X, y, symbols)
        return self.layout_.split_marginals(self._infer(seen).symbol_marginals, seen.samples)

    def predict_net_proba(self, X, parts=False):
        """Compute p(state | x) of each symbol by the net alone, without the knowledge.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_symbols, *symbol_shape) or (n_samples, n_features)
            Features, as in `fit`; or, if `parts`, single symbols, of shape
            (n_parts, *symbol_shape) or flat.
        parts : bool or str, default=False
            Whether each entry of X is a single symbol, such as an instance of a bag. The
            symbols must all have the same number of states. With the layout `Columns` the name of
            their part; the states are those of the part alone.

        Returns
        -------
        ndarray of shape (n_samples, n_symbols, n_states), float64
            Probabilities in the order of ``knowledge_.symbol_states``; 0 for padding where symbols
            have unlike numbers of states. A list of ndarrays of shape (length, n_states) for
            knowledge of any number of symbols. If `parts`, of shape (n_parts, n_states).

        See Also
        --------
        predict_symbols_proba : The same under the knowledge, which may rule worlds out.
        """
        check_is_fitted(self, "n_iter_")
        if not isinstance(parts, bool | np.bool_ | str):
            raise TypeError(
                f"parts must be True, False or the name of a part, got {parts!r}. Pass True where "
                "each entry of X is a single symbol."
            )
        if parts:
            singles = self.layout_.read_parts(X, parts, self.knowledge_)
            return self._net_proba(singles)[:, 0]
        X = without_features(X, None, None, self.layout_)
        samples = self.layout_.read(X, self.knowledge_, self, reset=False)
        return self.layout_.split_marginals(self._net_proba(samples), samples)

    def _net_proba(self, samples):
        """Compute p(state | x) by the nets of all starts, without the knowledge."""
        log_prob = [run.net.log_prob(samples) for run in self._fit_state.runs]
        if len(log_prob) > 1:
            log_prob = [mix_log_prob(log_prob, self._fit_state.log_weight)]
        return log_prob[0].exp().cpu().numpy()

    def posterior(self, X, y=None, symbols=None):
        """Compute what is known of each sample, given what is observed of it or not.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_symbols, *symbol_shape) or (n_samples, n_features)
            Features; with knowledge of any number of symbols a list of sequences, as in `fit`. None
            where there were none in `fit`.
        y : array-like, optional
            What is observed, in the form that y had in `fit`; labels need not be seen there. None:
            one of those that are predicted, unknown which.
        symbols : array-like of shape (n_samples, n_symbols), or list of arrays, optional
            Symbols that are known, as in `fit`.

        Returns
        -------
        Posterior
            With numpy arrays: ``log_evidence`` (n_samples,) is log p(y, symbols | X) in nats,
            ``symbol_marginals`` (n_samples, n_symbols, n_states) is what each symbol must be,
            ``output_marginals`` (n_samples, n_outputs, n_output_states) the probabilities of the
            output states, sorted by name; 0 for padding. Sequences are filled up to
            ``knowledge_.n_symbols``, or the longest of X, with symbols in their last state, `END`;
            where one is too short or too long for its label, its log-evidence is -inf and its
            marginals are 0.

        Raises
        ------
        InconsistentLabelError
            When no world gives one of the labels.
        """
        seen = self._look(X, y, symbols)
        posterior = self._condition(seen).numpy()
        marginals = self._fit_state.labels.in_order(posterior.output_marginals, seen.compiled)
        return replace(posterior, output_marginals=marginals)

    def _look(self, X, y=None, symbols=None):
        """Show X to the nets, and find the knowledge of as many symbols and what else is known."""
        check_is_fitted(self, "n_iter_")
        X = without_features(X, y, symbols, self.layout_)
        samples = self.layout_.read(X, self.knowledge_, self, reset=False)
        check_consistent_length(samples, y, symbols)
        knowledge, compiled = self.knowledge_, self.compiled_
        if samples.n_symbols > knowledge.n_symbols:
            knowledge, compiled = self._compile_longer(samples.n_symbols)
        samples = samples.fill_up_to(knowledge.n_symbols)
        state, device = self._fit_state, self._fit_state.net.device
        y, symbols, source = state.target.look(y, symbols)
        known = None
        if symbols is not None:
            known = self.layout_.read_symbols(symbols, knowledge, samples, source=source)
            known = known.to(device)
        views = []
        for run, log_weight in zip(state.runs, state.log_weight.to(device), strict=True):
            log_prob = run.net.log_prob(samples)
            if self.objective == "conditional" and len(state.runs) > 1:
                log_weight = log_weight - self._assumed(compiled, log_prob)
            log_share = log_prob.new_zeros(len(log_prob))
            if known is not None:
                everything = torch.arange(len(log_prob), device=device)
                log_prob, log_share = known.condition(log_prob, everything)
            views.append(View(log_prob, log_share, log_weight, run.noise))
        observed = None
        if y is not None:
            observed = state.likelihood.read(y, state.labels)
            support = observed.support
            wanted = None if support is None else state.labels.wanted(support)
            compiled = compile_knowledge(self.engine_, knowledge, wanted, compiled).to(device)
        return _Seen(samples, tuple(views), knowledge, compiled, observed, known)

    def _assumed(self, compiled, log_prob):
        """Compute the log-probability of what predictions assume (n,), to divide a start by it.

        The conditional objective leaves it open, so that it must not weigh the starts.
        """
        row = self._fit_state.labels.candidates(compiled).to(log_prob.device)
        evidence = row.expand(len(log_prob), -1, -1)
        found = self.engine_.infer(compiled, log_prob, evidence, self._generator()).log_evidence
        return found.masked_fill(found == -torch.inf, 0.0)

    def _compile_longer(self, n_symbols):
        """Compile for sequences longer than those of `fit`; kept for the next time."""
        if self._fit_state.longer is None or self._fit_state.longer[0].n_symbols < n_symbols:
            knowledge = self._fit_state.family.unroll(n_symbols)
            wanted = self._fit_state.labels.wanted([]) or None
            compiled = compile_knowledge(self.engine_, knowledge, wanted)
            self._fit_state.longer = knowledge, compiled.to(self._fit_state.net.device)
        return self._fit_state.longer

    def _evidence(self, seen, compiled, view):
        """Return the log-weights of the outputs: of what is observed, or of all predicted."""
        state, device = self._fit_state, view.log_prob.device
        if seen.observed is None:
            row = state.labels.candidates(compiled).to(device)
            return row.expand(len(view.log_prob), -1, -1)
        everything = torch.arange(len(view.log_prob), device=device)
        observed = seen.observed.bind(compiled.output_states).to(device)
        return state.likelihood.log_likelihood(observed, everything, view.noise)

    def _condition(self, seen, allowed=None):
        """Compute the posterior, given what is known, and output states (n, O, W) alone if given.

        That of several starts is the posterior of their mixture.
        """
        found = []
        for view in seen.views:
            evidence = self._evidence(seen, seen.compiled, view)
            if allowed is not None:
                evidence = evidence.masked_fill(~allowed, -torch.inf)
            found.append(
                self.engine_.infer(seen.compiled, view.log_prob, evidence, self._generator())
            )
        if len(found) > 1:
            return mix_posteriors(found, seen.views)
        return found[0].shift(seen.views[0].log_share)

    def _generator(self):
        """Return a source of randomness for engines that draw samples: the same for each call."""
        return torch.Generator(self._fit_state.net.device).manual_seed(self._fit_state.seed)

    def _infer(self, seen):
        """Compute the posterior, given what is known, or that the label is one of the classes."""
        posterior = self._condition(seen)
        if posterior.kind == "exact":
            seen.check(posterior.log_evidence)
        else:
            _warn_of_dead(posterior.log_evidence)
        return posterior.numpy()

    def _log_odds(self, seen):
        """Compute the log-odds of the second of two labels, (n_samples,)."""
        labels, device = self._fit_state.labels, self._fit_state.net.device
        first, second = (
            self._condition(seen, labels.alone(k, seen.compiled).to(device) == 0) for k in range(2)
        )
        log_evidence = first.log_evidence.logaddexp(second.log_evidence)
        if first.kind == second.kind == "exact":
            seen.check(log_evidence)
        else:
            _warn_of_dead(log_evidence)
        odds = second.log_evidence - first.log_evidence
        return odds.nan_to_num(0.0, posinf=torch.inf, neginf=-torch.inf).cpu().numpy()

    def _mode(self, seen):
        """Find the most probable worlds and their outputs.

        The world of a mixture is the most probable one, under all starts together, among those of
        each start and that of their average.
        """
        views = seen.views
        if len(views) == 1:
            found = self._mode_of(seen, views[0])
        else:
            worlds = [self._mode_of(seen, view) for view in (*views, average_views(views))]
            evidence = [self._evidence(seen, seen.compiled, view) for view in views]
            found = choose_world(worlds, views, evidence)
        seen.check(found.log_joint)
        return found.symbols.cpu().numpy(), found.outputs.cpu().numpy()

    def _mode_of(self, seen, view):
        """Find the most probable worlds of one view."""
        evidence = self._evidence(seen, seen.compiled, view)
        try:
            return World(*self.engine_.mode(seen.compiled, view.log_prob, evidence))
        except NotImplementedError:  # belief propagation has marginals only
            return self._search_mode(seen, view)

    def _search_mode(self, seen, view):
        """Search for the most probable worlds by an engine made for it; compiled once."""
        engine = make_mode_engine(self.engine_)
        searches = self._fit_state.searches
        n_symbols, device = seen.knowledge.n_symbols, view.log_prob.device
        labels, support = self._fit_state.labels, seen.observed and seen.observed.support
        if n_symbols not in searches:
            wanted = labels.wanted([]) or None
            searches[n_symbols] = compile_knowledge(engine, seen.knowledge, wanted).to(device)
        compiled = searches[n_symbols]
        if support:
            wanted = labels.wanted(support)
            compiled = compile_knowledge(engine, seen.knowledge, wanted, compiled).to(device)
        evidence = self._evidence(seen, compiled, view)
        log_joint, worlds, outputs = engine.mode(compiled, view.log_prob, evidence)
        # The states of outputs are named by what the estimator's own engine compiled.
        names = [
            torch.tensor([*(own.index(name) for name in states), -1], device=device)  # -1: none
            for own, states in zip(seen.compiled.output_states, compiled.output_states, strict=True)
        ]
        renamed = [name[outputs[:, o]] for o, name in enumerate(names)]
        return World(log_joint, worlds, torch.stack(renamed, dim=1))


def _warn_of_dead(log_evidence):
    """Say so where an engine that is not exact found nothing."""
    n_dead = int((log_evidence == -torch.inf).sum())
    if n_dead:
        warn(
            f"No world was found for {n_dead} of {len(log_evidence)} samples of X: their "
            "probabilities are 0 and their predictions arbitrary. Raise `n_draws` or "
            "`max_tried` of the engine, or use an exact one.",
            ApproximationWarning,
        )


@dataclass(frozen=True)
class _Seen:
    """Samples, what the nets say of them, the knowledge of as many symbols, and what is known."""

    samples: Samples
    views: tuple[View, ...]  # one a start
    knowledge: Knowledge
    compiled: Compiled
    observed: Observed | None
    known: KnownSymbols | None

    def check(self, log_evidence: Tensor) -> None:
        """Check that each sample can be what is known of it, (n_samples,)."""
        if self.observed is None and self.known is None:
            check_predictable(log_evidence)
            return
        for i in (log_evidence == -torch.inf).nonzero()[:1, 0].tolist():
            said = [] if self.observed is None else [f"y holds {self.observed.describe(i)}"]
            if self.known is not None:
                said.append(f"{self.known.source} says {self.known.describe(i) or 'nothing'}")
            raise InconsistentLabelError(
                f"{' and '.join(said)} of sample {i}, which no world agrees with, or to which the "
                "net gives the probability 0. Correct y or `symbols`."
            )
