"""Reprs that a person reads: sizes in one line, and never the data."""

import numpy as np
import pytest
from counting import CountingNet
from learners import ADDITION, blobs, make

from sknesy import EMNeSyClassifier
from sknesy.inference import AutoEngine, DiagramEngine, EnumerationEngine
from sknesy.inspection import SuspectLabels
from sknesy.knowledge import AnyOf, DigitAddition, SymbolSum
from sknesy.likelihoods import AnnotatorLikelihood, ConfusionLikelihood
from sknesy.numerics.sizes import say_size

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y, _ = blobs(40)


@pytest.fixture(scope="module")
def clf():
    return make(max_iter=2, validation_fraction=0.25).fit(X, Y)


def test_a_posterior_says_its_shape_and_its_mean(clf):
    posterior = clf.posterior(X, Y)
    mean = f"{posterior.log_evidence.mean():.4g}"
    assert repr(posterior) == (
        f"Posterior(exact, 40 samples, 2 symbols of up to 3 states, mean log_evidence {mean})"
    )


@pytest.mark.parametrize("engine", [DiagramEngine(), EnumerationEngine()])
def test_what_an_engine_compiled_says_its_sizes(engine):
    compiled = engine.compile(SymbolSum(3, states=range(3)))
    written = repr(compiled)
    assert written.startswith(type(compiled).__name__)
    assert written.endswith("B))")  # bytes
    assert len(written) < 100


def test_sizes_of_a_diagram_are_those_it_has():
    compiled = DiagramEngine().compile(DigitAddition(15))
    form = compiled.form
    size = say_size(form.edges)
    assert f"{form.n_levels} levels, {form.n_nodes:,} nodes, {form.n_edges:,} edges" in repr(form)
    assert repr(form).endswith(f"{size})")
    assert size == f"{form.edges.numel() * 8 / 1000:.3g} kB"


def test_a_choice_names_its_engine():
    compiled = AutoEngine().compile(DigitAddition(15))
    assert repr(compiled).startswith("CompiledChoice(DiagramEngine, Compiled(Diagram(")
    assert AutoEngine().describe(compiled) == DiagramEngine().describe(compiled.form)


def test_samples_and_observations_say_how_many_they_are(clf):
    y = Y.astype(object)
    y[:5] = None
    seen = clf._look(X, y, symbols=[[0, None]] * 10 + [[None, None]] * 30)
    assert repr(seen.samples) == "Grid(40 samples, 2 symbols, symbol_shape=(4,))"
    assert repr(seen.observed) == "ExactObserved(40 samples, 35 known)"
    assert repr(seen.observed.entries) == f"Entries(40 samples, {len({*y})} different)"
    assert repr(seen.known) == "KnownSymbols(40 samples, 10 with known symbols)"


def test_observations_of_other_likelihoods_hold_no_data_either():
    people = np.stack([Y, Y, Y], axis=1)
    for likelihood, y in [(ConfusionLikelihood(), Y), (AnnotatorLikelihood(), people)]:
        clf = make(likelihood=likelihood, max_iter=1).fit(X, Y if y is Y else people)
        written = repr(clf._look(X, y).observed)
        assert written.endswith("Observed(40 samples, 40 known)")


def test_sequences_say_how_long_they_are():
    bags = [np.zeros((n, 3)) for n in (1, 4, 2)]
    clf = EMNeSyClassifier(AnyOf(), max_iter=1, random_state=0).fit(bags, [True, False, True])
    samples = clf._look(bags).samples
    assert repr(samples) == "Sequences(3 samples, up to 4 symbols, symbol_shape=(3,))"


def test_the_state_of_a_fit_says_how_far_it_got(clf):
    run = clf._fit_state.run
    assert repr(run) == (
        f"Run(SkorchNet(MLP), start=0, n_iter=2, lower_bound={run.lower_bound:.4g})"
    )
    assert repr(clf._fit_state) == f"FitState({run!r})"
    assert repr(run.convergence) == (
        "Convergence(tol=0.0001, n_iter_no_change=10, 2 iterations, last bound "
        f"{run.lower_bound:.4g}, converged=False)"
    )


def test_a_net_of_ones_own_says_its_class():
    assert repr(CountingNet(6, 4, 0)) == "CountingNet()"


def test_an_audit_says_which_rows_come_first():
    index = np.array([7, 3, 1, 0, 2, 5])
    audit = SuspectLabels(index, *[np.zeros(6)] * 2, *[list("abcdef")] * 2, np.zeros((6, 2)))
    assert repr(audit) == ("SuspectLabels(6 rows, the most suspicious first: 7, 3, 1, 0, 2, ...)")


def test_an_estimator_is_written_as_it_is_called():
    assert repr(EMNeSyClassifier(ADDITION, max_iter=2)) == (
        "EMNeSyClassifier(knowledge=FunctionKnowledge(add, [range(3)] * 2), max_iter=2)"
    )
