"""Several starts share no side effects."""

import pytest
import torch
from learners import blobs, make
from skorch import NeuralNet
from skorch.callbacks import Checkpoint, TrainEndCheckpoint

from sknesy.nets import MLP


def is_new_best(net):
    return net.history[-1, "train_loss_best"]


@pytest.mark.parametrize("n_init", [1, 3])
def test_files_of_callbacks_are_those_of_the_start_that_was_chosen(n_init, tmp_path):
    """Whatever start it is: its best weights are loaded, and stand where they were meant for."""
    X, y, _ = blobs(n=40)
    best, end = tmp_path / "best", tmp_path / "end"
    callbacks = [
        Checkpoint(monitor=is_new_best, dirname=str(best), load_best=True),
        TrainEndCheckpoint(dirname=str(end)),
    ]
    net = NeuralNet(MLP, criterion=None, lr=0.1, train_split=None, verbose=0, callbacks=callbacks)
    clf = make(net=net, n_init=n_init, init_iter=2, max_iter=5).fit(X, y)
    assert {path.name for path in best.iterdir()} == {
        *("params.pt", "optimizer.pt", "criterion.pt", "history.json")
    }
    weights = clf.net_.module_.state_dict()
    for saved in (best / "params.pt", end / "train_end_params.pt"):
        loaded = torch.load(saved)
        assert all(torch.equal(loaded[name], value) for name, value in weights.items())
