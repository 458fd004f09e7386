"""X that is never held whole: memory-mapped arrays and data sets of torch."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from learners import blobs
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.naive_bayes import GaussianNB
from skorch import NeuralNet
from skorch.helper import SliceDataset
from torch import nn
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset

from sknesy import EMNeSyClassifier
from sknesy.datasets import make_digit_sum
from sknesy.knowledge import AnyOf, SymbolSum
from sknesy.layouts import GridLayout, JointLayout
from sknesy.nets import MLP

ROOT = Path(__file__).parents[2]
X, Y, _, ADDITION = make_digit_sum(150, random_state=0)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Pairs(Dataset):
    """Samples with their labels, which remembers how many it handed out together."""

    def __init__(self, X, y=Y, mark=lambda x: x):
        self.X, self.y, self.mark = X, y, mark
        self.sizes = []

    def __len__(self):
        return len(self.X)

    def __getitems__(self, numbers):
        self.sizes.append(len(numbers))
        return [(self.mark(self.X[i]), self.y[i]) for i in numbers]

    def __getitem__(self, i):
        return self.__getitems__([i])[0]


def make(**parameters):
    common = {"max_iter": 3, "tol": 0, "random_state": 0, "net": MLP}
    return EMNeSyClassifier(ADDITION, **common | parameters)


def mapped(folder, array):
    """The array, read-only on disk."""
    np.save(folder / "X.npy", array)
    return np.load(folder / "X.npy", mmap_mode="r")


def assert_same(one, other, X_one, X_other):
    assert one.lower_bounds_ == other.lower_bounds_
    np.testing.assert_array_equal(one.predict_proba(X_one), other.predict_proba(X_other))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8", "int64"])
@pytest.mark.parametrize("shape", [X.shape, (len(X), -1)])
def test_a_file_is_fitted_as_an_array_is(dtype, shape, tmp_path):
    array = (X * 8).round().astype(dtype).reshape(shape)
    on_disk = mapped(tmp_path, array)
    sides = None if len(shape) > 2 else (8, 8)
    fits = [make(symbol_shape=sides, validation_fraction=0.2).fit(Z, Y) for Z in (array, on_disk)]
    assert_same(*fits, array, on_disk)
    assert fits[0].n_features_in_ == fits[1].n_features_in_ == array.shape[1]
    assert_same(*fits, array[:7], on_disk[:7])


def test_a_file_for_a_net_of_whole_samples_is_fitted_as_an_array_is(tmp_path):
    on_disk = mapped(tmp_path, X)
    weight = np.arange(len(X)) % 3
    fits = [make(layout=JointLayout()).fit(Z, Y, weight) for Z in (X, on_disk)]
    assert_same(*fits, X, on_disk)


def test_a_file_is_a_table_to_a_learner(tmp_path):
    on_disk = mapped(tmp_path, X)
    fits = [make(net=GaussianNB()).fit(Z, Y) for Z in (X, on_disk)]
    assert_same(*fits, X, on_disk)


@pytest.mark.slow
def test_files_larger_than_memory_are_fitted(tmp_path):
    for dtype in ("float32", "float64"):
        # Zeros that take no room on disk.
        np.lib.format.open_memmap(tmp_path / f"{dtype}.npy", "w+", dtype, shape=(6000, 2, 2560))
    command = [sys.executable, str(ROOT / "tests" / "mapped_fit.py"), str(tmp_path), "60000000"]
    # What is freed goes back to the system at once. By default glibc keeps blocks below small ones
    # that outlive them, 0 to 140 MB of them, differently from run to run.
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.splitlines()) == 4


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_numbers_of_a_file_are_checked(broken, tmp_path):
    array = X.copy()
    array[-1, -1, -1, -1] = broken
    with pytest.raises(ValueError, match="Input X contains (NaN|infinity)"):
        make().fit(mapped(tmp_path, array), Y)


@pytest.mark.parametrize("layout", [GridLayout(), JointLayout()])
def test_a_data_set_is_fitted_as_an_array_is(layout):
    pairs = Pairs(X)
    from_array = make(layout=layout).fit(X, Y)
    from_pairs = make(layout=layout).fit(pairs)
    assert_same(from_array, from_pairs, X, pairs)
    assert from_pairs.n_features_in_ == from_array.n_features_in_


def test_a_data_set_is_never_asked_for_all_at_once():
    many = np.tile(X, (10, 1, 1, 1))
    pairs = Pairs(many, np.tile(Y, 10))
    make(max_iter=1).fit(pairs, pairs.y, None).predict(pairs)
    assert max(pairs.sizes) <= 128
    assert sum(pairs.sizes) < 2.1 * len(many)  # an iteration, a prediction, and trials


def test_labels_come_from_y_if_it_is_given():
    pairs = Pairs(X, np.zeros_like(Y))
    assert make().fit(pairs, Y).lower_bounds_ == make().fit(X, Y).lower_bounds_


def locked(x):
    """An array that must not be written to, as a file that is mapped gives."""
    x = x.copy()
    x.flags.writeable = False
    return x


@pytest.mark.parametrize("mark", [torch.from_numpy, lambda x: torch.from_numpy(x).double(), locked])
def test_samples_may_be_tensors_or_arrays(mark):
    assert make().fit(Pairs(X, mark=mark)).lower_bounds_ == make().fit(X, Y).lower_bounds_


def test_several_inputs_are_mappings():
    class Sum(nn.Module):
        def __init__(self, n_states):
            super().__init__()
            self.last = nn.Linear(64, n_states)

        def forward(self, left, right):
            return self.last((left + right).flatten(1))

    def halve(x):
        return {"left": x, "right": x / 2}

    arrays = halve(X)
    pairs = Pairs(X, mark=halve)
    assert_same(make(net=Sum).fit(arrays, Y), make(net=Sum).fit(pairs), arrays, pairs)


def test_tensor_data_sets_and_their_parts_are_data_sets():
    data = TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    part = Subset(data, range(100))
    assert_same(make().fit(part), make().fit(X[:100], Y[:100]), part, X[:100])


@pytest.mark.slow
def test_a_search_over_slices_of_a_data_set_reads_mini_batches_alone():
    pairs = Pairs(X)
    grid = {"learning_rate": [0.001, 0.01]}
    searches = [GridSearchCV(make(), grid, cv=KFold(2)) for _ in range(2)]
    of_array, of_slices = (
        search.fit(Z, Y) for search, Z in zip(searches, (X, SliceDataset(pairs)), strict=True)
    )
    for k in range(2):
        name = f"split{k}_test_score"
        np.testing.assert_array_equal(of_slices.cv_results_[name], of_array.cv_results_[name])
    assert max(pairs.sizes) == 1  # one by one, as skorch's slices are asked


@pytest.mark.slow
def test_processes_of_the_loader_read_the_samples():
    net = NeuralNet(MLP, None, lr=0.001, optimizer=torch.optim.Adam, batch_size=32)
    net.set_params(iterator_train__num_workers=1, train_split=None, verbose=0)
    fitted = make(net=net).fit(Pairs(X))
    alone = make(net=net.set_params(iterator_train__num_workers=0)).fit(X, Y)
    assert fitted.lower_bounds_ == alone.lower_bounds_


def test_partial_fit_takes_a_data_set():
    pairs = Pairs(X)
    fits = [make().partial_fit(X, Y), make().partial_fit(pairs, None)]
    assert_same(*fits, X, pairs)


@pytest.mark.parametrize("dtype", ["int64", "float64"])
def test_integers_of_a_file_are_looked_up(dtype, tmp_path):
    class Tokens(nn.Module):
        def __init__(self, n_states):
            super().__init__()
            self.table = nn.Embedding(20, n_states)

        def forward(self, X):
            return self.table(X).mean(1)

    tokens = np.random.default_rng(0).integers(20, size=(60, 2, 3))
    y = tokens[:, :, 0].sum(1) % 3
    knowledge = SymbolSum(2, range(2))
    clf = EMNeSyClassifier(knowledge, net=Tokens, random_state=0, max_iter=2)
    if dtype == "float64":
        with pytest.raises(ValueError, match="forward pass raised"):
            clf.fit(mapped(tmp_path, tokens.astype(dtype)), y)
        return
    assert clf.fit(mapped(tmp_path, tokens), y).lower_bounds_ == clf.fit(tokens, y).lower_bounds_
    tokens[33, 1, 2] = 20
    with pytest.raises(ValueError, match="holds .* to 20"):
        clf.fit(mapped(tmp_path, tokens), y)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(X, Y, strict=True))


def gap(x):
    return np.where(np.arange(64).reshape(8, 8) == 3, np.nan, x)


@pytest.mark.parametrize(
    ("X", "y", "error", "message"),
    [
        (Stream(), None, TypeError, "with a length .* got the stream Stream.*partial_fit"),
        (Stream(), Y, TypeError, "with a length .* got the stream Stream.*partial_fit"),
        (Pairs(X[:0]), Y[:0], ValueError, "X must hold samples, got a data set without any"),
        (TensorDataset(torch.from_numpy(X)), None, ValueError, "y must be given .* hand out"),
        (Pairs([*X[:9], X[0][:1]], Y[:10]), None, ValueError, "do not stack.*Convert and pad"),
        (Pairs(X, mark=str), None, TypeError, "hands out tensors or arrays, got X of tuple"),
        (Pairs(X, mark=gap), None, ValueError, "got NaN or infinity in sample 0 .*Fill the gaps"),
        (Pairs(X, mark=lambda x: {"a": x[:1]}), None, ValueError, "one entry of the first axis"),
        (Pairs(X[:, :1]), None, ValueError, "shape .*one entry of axis 1 for each symbol"),
    ],
)
def test_data_sets_that_do_not_fit_are_refused(X, y, error, message):
    with pytest.raises(error, match=message):
        make().fit(X, y)


def test_sequences_are_no_data_sets():
    bags, y, _ = blobs()
    with pytest.raises(TypeError, match="must hold arrays for SequenceLayout.*the data set Pairs"):
        EMNeSyClassifier(AnyOf()).fit(Pairs(bags, y > 0), y > 0)
