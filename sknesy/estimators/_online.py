"""One pass over some samples at a time: what `partial_fit` of the estimators shares."""

from copy import copy, deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import check_random_state

from sknesy._logging import show
from sknesy._validation import in_order, join_names
from sknesy.em import Convergence, tabulate, weigh_starts
from sknesy.estimators._fit_state import FitState, copy_bare
from sknesy.estimators._objective import check_target
from sknesy.estimators._set_up import make_e_step
from sknesy.estimators._target import make_target
from sknesy.exceptions import InvalidNetError
from sknesy.knowledge import IdentityKnowledge
from sknesy.layouts import choose_layout, find_labels
from sknesy.likelihoods import Observed

__all__ = ["OnlineMixin"]

# Online EM forgets its first counts, of a net that knew nothing: any power in (1/2, 1] converges.
_FORGETTING = 0.6


class OnlineMixin:
    """Mixin of estimators that learn from a stream; `EMNeSyClassifier.partial_fit` documents it."""

    def _partial_fit(self, X, y, classes, sample_weight, symbols):
        """Go on with one pass over some samples; an error leaves the estimator as it was."""
        self._validate_params()
        learner = copy_bare(self)
        with show(self.verbose):
            learner._go_on(X, y, classes, sample_weight, symbols)
        self.__dict__ = vars(learner)
        return self

    def _go_on(self, X, y, classes, sample_weight, symbols):
        callbacks = self._check_parameters()
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight must be a dict or None for partial_fit, which does not see how often "
                "classes occur, got 'balanced'. Pass a dict, such as that of scikit-learn's "
                "compute_class_weight."
            )
        transforms = self._make_transforms(None, is_fresh=False)
        _refuse_averages(transforms)
        state = vars(self).get("_fit_state")
        is_first = state is None
        layout = choose_layout(self.layout, self.symbol_shape, self.knowledge)
        layout, y = layout if is_first else self.layout_, find_labels(X, y)
        samples, y, weight, symbols = self._read(
            layout, X, y, sample_weight, symbols, reset=is_first
        )
        target = make_target(self.target) if is_first else copy(state.target)
        y, symbols, source = target.read(y, symbols, self.knowledge, layout, samples)
        classes = target.name_classes(classes)
        if is_first:
            labels = self._make_label_space(y)
            likelihood, engine, reuse = self._make_likelihood(), self._make_engine(), None
        else:
            labels, likelihood = copy(state.labels), state.likelihood
            knowledge, engine, reuse = self.knowledge_, self.engine_, self.compiled_.to("cpu")
        observed = likelihood.read(y, labels)
        names = self._name_classes(labels, classes, state)
        if not likelihood.reads_rows:  # else the knowledge has to name the columns first
            _refuse_others(observed, names)
        if is_first and self.knowledge is None:
            knowledge = IdentityKnowledge(in_order(names))
        elif is_first or samples.n_symbols > knowledge.n_symbols:
            knowledge, reuse = layout.unroll(self.knowledge, samples), None
        wanted = None
        if names is not None and observed.support is not None:
            wanted = list(dict.fromkeys([*names, *observed.support]))
        samples, e_step = make_e_step(
            layout,
            samples,
            weight,
            symbols,
            likelihood=likelihood,
            observed=observed,
            knowledge=knowledge,
            engine=engine,
            wanted=wanted,
            reuse=reuse,
            source=source,
        )
        _refuse_others(e_step.observed, names)
        if reuse is None and (is_first or state.classes is None):
            labels.settle(names, e_step.compiled)

        e_step = self._complete(e_step, labels)
        groups = layout.groups(knowledge, samples)
        n_states = layout.count_states(knowledge)
        if is_first:
            random_state = check_random_state(self.random_state)
            seeds = random_state.randint(np.iinfo(np.int32).max, size=2).tolist()
        else:
            seeds = []
        training = self._begin_training(seeds, callbacks)
        seeds = training.seeds
        if is_first:
            (net,), _ = self._make_nets(groups, seeds[:1])
            e_step = e_step.to(net.device, transforms)
            runs = self._start_runs([net], None, e_step, n_states, seeds)
            state = FitState(
                tuple(runs),
                weigh_starts(runs),
                transforms,
                self.knowledge,
                labels,
                likelihood,
                seeds[-1],
                names,
                target,
                groups,
                names,
            )
        else:
            e_step = e_step.to(state.net.device, transforms)
            runs = [self._continue_run(run, state, e_step, n_states) for run in state.runs]
            searches = state.searches if reuse is not None else {}
            state = replace(
                state,
                transforms=transforms,
                labels=labels,
                longer=None,
                searches=searches,
                target=target,
                groups=groups,
            )
        _refuse_refits(runs[0].net, self.net)
        check_target(e_step, self.e_step_)
        before = [deepcopy(run.net.state_dict()) for run in runs]
        try:
            kept = self._pass_once(runs, samples, e_step, callbacks, training)
        except BaseException:
            for run, weights in zip(runs, before, strict=True):
                run.net.load_state_dict(weights)
            raise
        self.init_lower_bounds_ = []
        state = replace(state, runs=tuple(kept), log_weight=weigh_starts(kept))
        self._keep(state, layout, knowledge, e_step, samples)
        self.history_ = tabulate(sorted(kept, key=lambda run: run.start), kept)
        self._fit_state = state

    def _pass_once(self, runs, samples, e_step, callbacks, training):
        """Train each start for one pass, and return them, the best first."""
        for i, run in enumerate(runs):
            n_iter = run.n_iter + 1
            _, _, stopped_by = self._train(
                [run],
                samples,
                e_step,
                callbacks,
                replace(training, max_iter=n_iter),
                step=n_iter**-_FORGETTING,
                is_trial=i > 0,  # callbacks write the files of the best alone
            )
            if isinstance(stopped_by, KeyboardInterrupt):
                raise stopped_by
        return sorted(runs, key=lambda run: run.kept_bound, reverse=True)

    def _name_classes(self, labels, classes, state):
        """Return the labels that y may hold; None for all that the knowledge has."""
        if state is not None:
            before = state.classes
            if classes is not None and before is not None:
                names = labels.read(classes).labels
                if set(names) != set(before):
                    raise ValueError(
                        f"classes must be the same as on last call to partial_fit, got {classes!r},"
                        f" was: {join_names(in_order(before))}. Leave it out."
                    )
            return before
        if classes is None:
            if self.labels is not None:
                return labels.names
            if self.knowledge is None:
                raise ValueError(
                    "classes must be passed on the first call to partial_fit without knowledge, "
                    "got None. Pass all labels there will be."
                )
            return None
        return labels.read(classes).labels

    def _continue_run(self, run, state, e_step, n_states):
        """Return a run of the last call, with lists of its own."""
        noise = e_step.likelihood.start(e_step.observed, state.seed)
        shapes, known = ({k: tuple(v.shape) for k, v in n.items()} for n in (noise, run.noise))
        if shapes != known:
            raise ValueError(
                f"y must be observed as in the calls before, of which noise of the shapes {known} "
                f"was learned, got labels that need {shapes}. Give y as many columns as before."
            )
        memories = run.memories
        if not _are_same(state.transforms, e_step.transforms) or not memories:
            memories = [t.start(len(e_step.weight), n_states) for t in e_step.transforms]
        bounds = run.convergence
        return replace(
            run,
            convergence=Convergence(
                self.tol,
                self.n_iter_no_change,
                [*bounds.lower_bounds],
                [*bounds.validation_lower_bounds],
            ),
            memories=deepcopy(memories),
            diagnostics=[*run.diagnostics],
            telemetry=[*run.telemetry],
            generator=torch.Generator(run.net.device).set_state(run.generator.get_state()),
        )


def _refuse_others(observed: Observed, names: Any) -> None:
    """Raise where a row has a label that is none of the classes."""
    if names is None:
        return
    positions = np.unique(observed.single).tolist()
    others = [observed.labels[k] for k in positions if k >= 0 and observed.labels[k] not in names]
    if others:
        raise ValueError(
            f"y must hold labels among the classes of the first call, got {others[0]!r} "
            f"(classes: {join_names(in_order(names))}). Pass all labels there will be as "
            "`classes` in the first call of partial_fit."
        )


def _refuse_refits(net: Any, parameter: Any) -> None:
    """Raise where each M-step forgets the samples of the calls before."""
    if net.is_refitted:
        raise InvalidNetError(
            f"net must learn by mini-batches for partial_fit, got {parameter!r}, which is fitted "
            "anew in each M-step. Call fit with all samples, or pass a torch module class."
        )


def _refuse_averages(transforms: Any) -> None:
    """Raise where something is remembered of single samples, which do not come again."""
    for transform in transforms:
        if transform.is_per_sample:
            raise ValueError(
                f"partial_fit has no transform that averages over iterations for each sample, got "
                f"{transform!r}. Set step_size=1, and leave it out of `transforms`."
            )


def _are_same(before: Any, now: Any) -> bool:
    """Tell whether transforms have the same parameters."""

    def describe(transform: Any) -> list[Any]:
        return [type(transform), *clone(transform).get_params(deep=False).values()]

    if len(before) != len(now):
        return False
    pairs = zip(map(describe, before), map(describe, now), strict=True)
    return all(
        len(old) == len(new)
        and all(o is n or np.array_equal(o, n) for o, n in zip(old, new, strict=True))
        for old, new in pairs
    )
