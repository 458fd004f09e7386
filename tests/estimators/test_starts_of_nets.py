"""Several starts share no side effects."""

import json
from copy import deepcopy

import pytest
import torch
from learners import blobs, make
from skorch import NeuralNet
from skorch.callbacks import Callback, Checkpoint, TrainEndCheckpoint

from sknesy.nets import MLP


def is_first(net):
    return len(net.history) == 1


class Remember(Callback):
    """Keeps the weights of the first epoch in memory."""

    def on_epoch_end(self, net, **kwargs):
        if is_first(net):
            self.weights_ = deepcopy(net.module_.state_dict())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("load_best", [False, True])
@pytest.mark.parametrize("n_init", [1, 3])
def test_files_of_callbacks_are_those_of_the_start_that_was_chosen(n_init, load_best, tmp_path):
    """Starts write first epochs in turn, the last of them last, and ends the other way round."""
    X, y, _ = blobs(n=40)
    first, end = tmp_path / "first", tmp_path / "end"
    callbacks = [
        ("first", Checkpoint(monitor=is_first, dirname=str(first), load_best=load_best)),
        ("end", TrainEndCheckpoint(dirname=str(end))),
        ("remember", Remember()),
    ]
    net = NeuralNet(MLP, criterion=None, lr=0.1, train_split=None, verbose=0, callbacks=callbacks)
    clf = make(net=net, n_init=n_init, init_iter=2, max_iter=5).fit(X, y)
    wanted = dict(clf.net_.callbacks_)["remember"].weights_
    for found in [torch.load(first / "params.pt")] + [clf.net_.module_.state_dict()] * load_best:
        assert all(torch.equal(found[name], value) for name, value in wanted.items())
    history = json.loads((end / "train_end_history.json").read_text())
    assert len(history) == (1 if load_best else 5)  # skorch loads the history as well
    names = {"params.pt", "optimizer.pt", "criterion.pt", "history.json"}
    assert {path.name for path in first.iterdir()} == names
    assert {path.name for path in end.iterdir()} == {f"train_end_{name}" for name in names}
