"""skorch's callbacks and splits: they work, or are refused before training with the cure."""

import pickle
import signal
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, make_scorer
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    LoadInitState,
    LRScheduler,
    TrainEndCheckpoint,
)
from skorch.dataset import ValidSplit
from skorch.helper import predefined_split
from small_nets import Dropping, Hearing, build, data, one_hot, parameters, train

from sknesy.exceptions import InvalidNetError
from sknesy.nets import MLP, as_neural_net

X, TARGETS, WEIGHT = data(), one_hot(), torch.ones(24, dtype=torch.float64)


def with_callbacks(*callbacks, module=MLP, seed=0, **parameters):
    return build(
        as_neural_net(module).set_params(callbacks=list(callbacks), **parameters), seed=seed
    )


@pytest.mark.parametrize(
    "callback",
    [
        Checkpoint(load_best=True),
        EarlyStopping(monitor="valid_loss"),
        EarlyStopping(monitor="held_out"),
        LRScheduler("ReduceLROnPlateau", monitor="valid_loss"),
    ],
)
def test_what_monitors_held_out_data_is_refused_where_there_are_none(
    callback, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    score = EpochScoring(lambda net, X, y: 0.0, name="held_out")
    with pytest.raises(
        InvalidNetError, match=rf"{type(callback).__name__} must monitor.*{callback.monitor}.*Pass"
    ):
        train(with_callbacks(score, callback), X, TARGETS)
    assert not list(tmp_path.iterdir())


def test_a_monitor_without_a_use_needs_no_data():
    train(with_callbacks(LRScheduler("StepLR", monitor="valid_loss", step_size=1)), X, TARGETS)


class Failing(Callback):
    """Fails at some event of training, and again at its end."""

    def __init__(self, event, error):
        self.event = event
        self.error = error

    def on_train_end(self, net, **kwargs):
        raise FileNotFoundError("nothing to tidy up")

    def on_epoch_end(self, net, **kwargs):
        if self.event == "epoch":
            raise self.error

    def on_batch_end(self, net, **kwargs):
        if self.event == "batch":
            raise self.error


@pytest.mark.parametrize("event", ["epoch", "batch"])
@pytest.mark.parametrize("error", [ZeroDivisionError("the cause"), MemoryError("the cause")])
def test_an_error_in_training_is_not_replaced_by_one_of_tidying_up(event, error):
    with pytest.raises(type(error), match="the cause"):
        train(with_callbacks(Failing(event, error)), X, TARGETS)


def test_an_error_of_tidying_up_alone_is_raised():
    with pytest.raises(FileNotFoundError, match="nothing to tidy up"):
        train(with_callbacks(Failing("never", None)), X, TARGETS)


class Acting(Callback):
    """Does something at the end of each epoch."""

    def __init__(self, act):
        self.act = act

    def on_epoch_end(self, net, **kwargs):
        self.act()


def stop():
    raise KeyboardInterrupt


def stop_after_tidying_up():
    try:
        raise KeyboardInterrupt("enough")
    finally:
        len("tidy")


def press_ctrl_c():
    signal.raise_signal(signal.SIGINT)


def press_ctrl_c_and_tidy_up():
    try:
        sorted([2, 1], key=lambda _: signal.raise_signal(signal.SIGINT))
    except KeyboardInterrupt:
        len("tidy")
        raise


def one_m_step(act):
    net = with_callbacks(Acting(act))
    with net.training(X, WEIGHT, None) as session:
        return session.m_step(lambda log_prob, index, _: TARGETS[index])


@pytest.mark.parametrize("wish", [stop, stop_after_tidying_up])
def test_a_callback_stops_training_by_a_keyboard_interrupt(wish):
    assert one_m_step(wish)


def interrupt(number, frame):
    raise KeyboardInterrupt


class Shell:
    """Handles signals by a method, as notebooks do."""

    def interrupt(self, number, frame):
        interrupt_deeper()


def interrupt_deeper():
    raise KeyboardInterrupt


@pytest.mark.parametrize("handler", [signal.default_int_handler, interrupt, Shell().interrupt])
@pytest.mark.parametrize("press", [press_ctrl_c, press_ctrl_c_and_tidy_up])
def test_ctrl_c_while_a_callback_runs_is_no_wish_of_the_callback(press, handler):
    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            one_m_step(press)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_net_pickles_in_training_and_the_copy_predicts_and_trains():
    pickles = []

    class Pickling(Callback):
        def on_batch_end(self, net, **kwargs):
            net = pickle.loads(pickle.dumps(net.module_)), pickle.dumps(net.criterion_)
            pickles.append(net)

    net = with_callbacks(Pickling(), module=Dropping)
    train(net, X, TARGETS)
    module, criterion = pickles[-1]
    inputs = X.flatten(0, 1)
    assert torch.equal(module.eval()(inputs), net.inner.module_.eval()(inputs))
    assert pickle.loads(criterion).samples is None
    before = torch.get_rng_state()
    module.train()(inputs)  # draws from the global generator: nothing is lent to it any more
    assert not torch.equal(torch.get_rng_state(), before)


def test_checkpoints_of_the_whole_net_load_again(tmp_path):
    checkpoint = Checkpoint(
        monitor="train_loss_best", f_pickle="net.pkl", dirname=str(tmp_path), load_best=True
    )
    net = with_callbacks(checkpoint, module=Dropping)
    train(net, X, TARGETS, n_passes=3)
    copy = pickle.loads((tmp_path / "net.pkl").read_bytes())
    inputs = X.flatten(0, 1)
    assert torch.equal(copy.module_.eval()(inputs), net.inner.module_.eval()(inputs))


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (
            predefined_split(torch.utils.data.TensorDataset(X)),
            "hold out some, not all, of the samples.*ValidSplit",
        ),
        (ValidSplit(30), "n_splits=30.*Pass skorch.dataset.ValidSplit"),
        (ValidSplit(5, stratified=True), "raised: Stratified.*or None to hold nothing out"),
    ],
)
def test_a_split_that_cannot_be_used_is_refused_before_training(split, message):
    begun = []
    net = with_callbacks(train_split=split)
    with (
        pytest.raises(InvalidNetError, match=f"train_split must.*{message}"),
        net.training(X, WEIGHT, None),
    ):
        begun.append(True)
    assert not begun


def test_labels_that_cannot_be_stratified_are_refused_before_training():
    net = with_callbacks(train_split=ValidSplit(3, stratified=True))
    with (
        pytest.raises(InvalidNetError, match="raised: n_splits=3.*or None to hold nothing out"),
        net.training(X, WEIGHT, np.arange(24)),
    ):
        pass


@pytest.mark.parametrize(
    "callback",
    [
        EpochScoring("accuracy"),
        EpochScoring(accuracy_score, on_train=True),
        BatchScoring(make_scorer(accuracy_score)),
        EpochScoring(None, name="own"),
    ],
)
def test_scores_of_labels_are_refused_before_training(callback):
    with pytest.raises(InvalidNetError, match=r"must have a function as scoring.*Score the estim"):
        train(with_callbacks(callback, train_split=ValidSplit(4)), X, TARGETS)


def test_scores_that_are_functions_work():
    score = EpochScoring(lambda net, X, y: float(len(y)), name="n", on_train=True)
    net = with_callbacks(score)
    train(net, X, TARGETS)
    assert net.inner.history[-1, "n"] == 24


def writing(folder):
    """Callbacks that write, in each way to say where."""
    path = str(folder / "epoch_{last_epoch[epoch]}.pt")
    alone = {"f_optimizer": None, "f_criterion": None, "f_history": None}
    return [
        (
            "best",
            Checkpoint(monitor="train_loss_best", dirname=str(folder / "best"), load_best=True),
        ),
        ("each", Checkpoint(monitor=None, f_params=path, **alone)),
        ("end", TrainEndCheckpoint(dirname=str(folder / "end"))),
    ]


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def run_starts(folder, n_starts, chosen, n_passes=(2, 2)):
    """Several starts, of which one goes on, as the estimator runs them."""
    nets = [with_callbacks(*writing(folder), seed=seed) for seed in range(n_starts)]
    with ExitStack() as sessions:
        for net in nets:
            sessions.enter_context(net.training(X, WEIGHT, None, is_trial=n_starts > 1))
        for net in nets:
            for _ in range(n_passes[0]):
                net.m_step(lambda log_prob, index, _: TARGETS[index])
        if n_starts > 1:
            assert not files(folder)
            nets[chosen].keep()
        for _ in range(n_passes[1]):
            nets[chosen].m_step(lambda log_prob, index, _: TARGETS[index])
    return nets[chosen]


@pytest.mark.parametrize("chosen", [0, 2])
def test_a_start_that_is_chosen_leaves_what_it_would_leave_alone(chosen, tmp_path):
    several, alone = tmp_path / "several", tmp_path / "alone"
    several.mkdir(), alone.mkdir()
    best = run_starts(several, 3, chosen)
    net = with_callbacks(*writing(alone), seed=chosen)
    train(net, X, TARGETS, n_passes=4)
    assert torch.equal(parameters(best), parameters(net))
    assert files(several) == files(alone) != set()
    for name in files(alone):
        if Path(name).name == "params.pt":
            ours, theirs = torch.load(several / name), torch.load(alone / name)
            assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_a_start_that_got_worse_loads_its_own_best_weights(tmp_path):
    """Later passes unlearn: the best weights are those of the second pass, before the choice."""
    nets = [with_callbacks(*writing(tmp_path)[:1], seed=seed, lr=0.05) for seed in range(2)]
    opened = [net.training(X, WEIGHT, None, is_trial=True) for net in nets]
    for session in opened:
        session.__enter__()
    for net in nets:
        for _ in range(2):
            net.m_step(lambda log_prob, index, _: TARGETS[index])
    best = parameters(nets[1])
    nets[1].keep()
    for _ in range(3):  # as far as possible from what was learned
        nets[1].m_step(lambda log_prob, index, _: 50 * (1 - TARGETS[index]))
    assert not torch.equal(parameters(nets[1]), best)
    for session in reversed(opened):
        session.__exit__(None, None, None)
    assert torch.equal(parameters(nets[1]), best)


def test_starts_that_are_not_chosen_leave_nothing_and_hide_no_error(tmp_path):
    net = with_callbacks(*writing(tmp_path))
    with net.training(X, WEIGHT, None, is_trial=True):
        pass  # given up before its first checkpoint: there is nothing to load
    with (  # noqa: PT012 (the session is what is tested)
        pytest.raises(RuntimeError, match="the cause"),
        net.training(X, WEIGHT, None, is_trial=True),
    ):
        net.m_step(lambda log_prob, index, _: TARGETS[index])
        raise RuntimeError("the cause")
    assert not files(tmp_path)
    assert dict(net.inner.callbacks_)["best"].dirname == str(tmp_path / "best")


def test_states_to_start_from_are_read_from_where_they_are(tmp_path):
    saved = Checkpoint(monitor="train_loss_best", dirname=str(tmp_path))
    before = with_callbacks(saved)
    train(before, X, TARGETS)
    net = with_callbacks(LoadInitState(saved), seed=1)
    with net.training(X, WEIGHT, None, is_trial=True):
        assert torch.equal(parameters(net), parameters(before))


def test_callbacks_hear_of_the_end_once_whatever_happens():
    ends = []
    net = with_callbacks(Hearing(on_end=lambda net: ends.append("end")))
    train(net, X, TARGETS)
    with pytest.raises(RuntimeError), net.training(X, WEIGHT, None):
        raise RuntimeError
    assert ends == ["end", "end"]
