"""Worlds concluded from by several jobs: the same labels, where a function is slow."""

import os
import time

import numpy as np
import pytest
from joblib import parallel_config

from sknesy.inference import EnumerationEngine
from sknesy.knowledge import FunctionKnowledge, conclude_in_parallel


def slow_pairs(folder, seconds=0.01):
    """Knowledge of a slow function with labels of several types, which notes its process."""

    def conclude(a, b):
        (folder / str(os.getpid())).touch()
        time.sleep(seconds)
        return None if a == b == 0 else (a, b) if a > b else a + b

    return FunctionKnowledge(conclude, states=range(12), n_symbols=2)


@pytest.mark.slow
def test_a_slow_function_is_tabulated_by_several_processes(tmp_path):
    knowledge = slow_pairs(tmp_path)
    alone = EnumerationEngine().compile(knowledge)
    assert [path.name for path in tmp_path.iterdir()] == [str(os.getpid())]
    with parallel_config("loky", n_jobs=2):
        together = EnumerationEngine().compile(knowledge)
    assert len(list(tmp_path.iterdir())) > 1
    assert together.output_states == alone.output_states
    for name in ("rows", "labels", "label_starts"):
        np.testing.assert_array_equal(getattr(together.form, name), getattr(alone.form, name))


@pytest.mark.slow
def test_other_jobs_get_nothing_to_do_where_a_function_is_quick(tmp_path):
    knowledge = slow_pairs(tmp_path, seconds=0)
    worlds = np.stack(np.unravel_index(np.arange(144), (12, 12)), axis=1)
    labels = conclude_in_parallel(knowledge, worlds, n_jobs=2)
    assert [path.name for path in tmp_path.iterdir()] == [str(os.getpid())]
    assert labels.tolist() == knowledge.conclude(worlds).tolist()


def test_no_worlds_have_no_labels():
    worlds = np.empty((0, 2), dtype=np.int64)
    assert conclude_in_parallel(FunctionKnowledge(max, [[0, 1]] * 2), worlds, 2).shape == (0,)
