"""scikit-learn's own checks of an estimator."""

import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from sknesy import EMNeSyClassifier, EMNeSyRegressor
from sknesy.knowledge import IdentityKnowledge

# The reason that scikit-learn gives for its own AdaBoostClassifier and KMeans.
_NOT_EXACT = (
    "a weight of 2 and a sample given twice fall differently into mini-batches, and the order of "
    "the mini-batches differs"
)
EXPECTED_FAILED = {
    "check_sample_weight_equivalence_on_dense_data": _NOT_EXACT,
}


# The checks fit some hundred times. Of 20 seeds, the worst learns .93 of the classes, of which one
# check asks for .83, and an R^2 of .85, of which one asks for .5.
QUICK = {"max_iter": 20, "learning_rate": 0.01}
CLASSIFIER = EMNeSyClassifier(**QUICK)
# One symbol, the states of which are numbers: the knowledge covers y of mean 0 and deviation 1.
REGRESSOR = EMNeSyRegressor(IdentityKnowledge(np.linspace(-4, 8, 49).tolist()), **QUICK)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:y is far from the values")  # some checks have a y up to 300
@parametrize_with_checks(
    [CLASSIFIER, REGRESSOR],
    expected_failed_checks=lambda estimator: EXPECTED_FAILED,
)
def test_sklearn_checks(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "name",
    [
        "check_param_validation",
        "check_dataframe_column_names_consistency",
        "check_inplace_ensure_writeable",
    ],
)
@pytest.mark.parametrize("estimator", [CLASSIFIER, REGRESSOR], ids=["classes", "numbers"])
def test_checks_that_are_not_yielded(name, estimator):
    getattr(estimator_checks, name)(type(estimator).__name__, estimator)


def test_checks_pass_with_the_array_api_switched_on():
    if os.environ.get("SCIPY_ARRAY_API"):
        pytest.skip("this is that run")
    command = [sys.executable, "-m", "pytest", "-n0", __file__]
    command += ["-k", "array_api and not switched_on"]
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-2000:]
    assert "skipped" not in run.stdout


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    "name", ["check_methods_subset_invariance", "check_methods_sample_order_invariance"]
)
def test_predictions_do_not_depend_on_the_batch_for_any_seed(name, seed):
    class Seeded(EMNeSyClassifier):
        """The check sets random_state to its own; this one moves it."""

        def fit(self, X, y, sample_weight=None):
            self.random_state = seed
            return super().fit(X, y, sample_weight)

    np.random.seed(0)
    getattr(estimator_checks, name)("Seeded", Seeded(**QUICK))
