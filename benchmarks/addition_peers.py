"""MNIST addition by other packages, in the same run: ABLkit, DeepLog (pydeeplog), DeepProbLog.

Install them beside sknesy, in an environment of their own (DeepLog asks for Python 3.12). What is
not installed is left out. All train the same LeNet by Adam at 1e-3 on mini-batches of 64 images for
one epoch, on one thread, and are read by the digits that their net sees in the test images. Each
system sees as many sums as it can take in a few minutes, so times are to be compared a sum.
"""

import contextlib
import importlib.util
import io
import logging
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks._shared import net_proba, standardise
from benchmarks.long_addition import Recipe, fit, make_data, see, supervise
from sknesy.nets import LeNet

__all__ = ["run"]

_BATCH = 64  # images

# N -> training sums of each system; all of the images where none is given
_SUMS = {
    "supervised loop": {1: 30_000, 2: 15_000},
    "sknesy": {1: 30_000, 2: 15_000},
    "ABLkit": {1: 30_000, 2: 1_000},
    "DeepLog": {1: 30_000},
    "DeepProbLog": {1: 1_000, 2: 100},
}


def run(mnist, seed=0):
    """Print CPU seconds, milliseconds a sum and digit accuracy of each system that is installed."""
    x_train, y_train, x_test, y_test = standardise(*mnist)
    print(f"{'':18}{'N':>3}{'sums':>8}{'CPU s':>9}{'ms a sum':>10}{'ratio':>9}{'digits':>9}")
    _train_supervised(make_data(x_train[:640], y_train[:640], 1), seed)  # what is paid once
    floor = {}  # seconds a sum of the supervised loop
    for name, sizes in _SUMS.items():
        train, package = _SYSTEMS[name]
        if package is not None and importlib.util.find_spec(package) is None:
            print(f"{name:18} is not installed")
            continue
        for n_digits, n_sums in sizes.items():
            data = make_data(x_train, y_train, n_digits)
            for part in ("X", "digits", "rows"):
                setattr(data, part, getattr(data, part)[:n_sums])
            torch.manual_seed(seed)
            start = time.process_time()
            predict = train(data, seed)
            seconds = time.process_time() - start
            each = seconds / len(data.X)
            ratio = each / floor.setdefault(n_digits, each)
            right = np.mean(predict(x_test) == y_test)
            print(
                f"{name:18}{n_digits:3}{len(data.X):8}{seconds:9.1f}{1e3 * each:10.2f}"
                f"{ratio:9.2f}{right:9.3f}",
                flush=True,
            )


def _train_supervised(data, seed):
    net, _ = supervise(data, Recipe(images_a_batch=_BATCH), seed)
    return lambda images: net_proba(net, images).argmax(1)


def _train_sknesy(data, seed):
    clf, _ = fit(data, Recipe(images_a_batch=_BATCH), seed)
    return lambda images: see(clf, images)


def _totals(data):
    """Return the sums as ints."""
    return [int("".join(map(str, row))) for row in data.rows]


def _train_ablkit(data, seed):
    from ablkit.bridge import SimpleBridge
    from ablkit.data.evaluation import ReasoningMetric
    from ablkit.learning import ABLModel, BasicNN
    from ablkit.reasoning import KBBase, Reasoner

    class Addition(KBBase):
        def logic_forward(self, digits):
            half = len(digits) // 2
            numbers = (digits[:half], digits[half:])
            return sum(int("".join(map(str, number))) for number in numbers)

    net = LeNet((28, 28), 10)
    learner = BasicNN(
        _AddChannel(net),
        nn.CrossEntropyLoss(),
        torch.optim.Adam(net.parameters(), lr=1e-3),
        batch_size=_BATCH,
        num_epochs=1,
    )
    knowledge = Addition(pseudo_label_list=list(range(10)))
    metrics = [ReasoningMetric(kb=knowledge, prefix="sums")]
    bridge = SimpleBridge(ABLModel(learner), Reasoner(knowledge), metrics)
    images, totals = [list(torch.from_numpy(row)) for row in data.X], _totals(data)
    one = (images[:1], None, totals[:1])  # it insists on judging something when it has trained
    with _silence():
        bridge.train(
            (images, None, totals), val_data=one, loops=1, segment_size=_BATCH // data.X.shape[1]
        )
    return lambda images: net_proba(net, images).argmax(1)


class _AddChannel(nn.Module):
    """LeNet of images of shape (n, 28, 28), whatever stands before the last two axes."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, images):
        return self.net(images.flatten(0, -3))


def _train_deeplog(data, seed):
    from deeplog import Compiler, NetworkPredicate, SymTensor, reshape
    from deeplog.grounding.prolog import SimpleGrounder, str_to_rules
    from deeplog.systems.deepproblog import Solver, compile_to_module

    program = """
    nn(reader, [Image], Digit, [0..9]) :: digit(Image, Digit).
    addition(A, B, Sum) :- digit(A, X), digit(B, Y), is(Sum, +(X, Y)).
    ?- addition(a, b, Sum).
    """
    net = LeNet((28, 28), 10)
    reader = nn.Sequential(net, nn.Softmax(dim=1))
    predicate = partial(NetworkPredicate, module=reader)
    compiler = Compiler(atom_builders={("reader", 2, "probability"): predicate})
    result = Solver(SimpleGrounder()).get_query_result(tuple(str_to_rules(program)))
    model = reshape(
        compile_to_module(result, compiler),
        input=(SymTensor("a"), SymTensor("b")),
        output=SymTensor([f"addition(a,b,{total}) _ probability" for total in range(19)]),
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    X, y = torch.from_numpy(data.X), torch.tensor(_totals(data))
    for rows in torch.randperm(len(X)).split(_BATCH // 2):
        optimizer.zero_grad()
        found = model(X[rows, 0], X[rows, 1])
        nn.functional.nll_loss((found + 1e-9).log(), y[rows]).backward()
        optimizer.step()
    return lambda images: net_proba(net, images).argmax(1)


def _train_deepproblog(data, seed):
    from deepproblog.dataset import DataLoader, Dataset
    from deepproblog.engines import ExactEngine
    from deepproblog.model import Model
    from deepproblog.network import Network
    from deepproblog.query import Query
    from deepproblog.train import train_model
    from problog.logic import Constant, Term, list2term

    program = """
    nn(reader, [Image], Digit, [0,1,2,3,4,5,6,7,8,9]) :: digit(Image, Digit).
    number([], Value, Value).
    number([Image|Rest], So_far, Value) :-
        digit(Image, Digit), Next is Digit + 10 * So_far, number(Rest, Next, Value).
    addition(A, B, Sum) :- number(A, 0, X), number(B, 0, Y), Sum is X + Y.
    """
    images = torch.from_numpy(data.X).flatten(0, 1)
    totals, per_sum = _totals(data), data.X.shape[1]

    class Images:
        def __getitem__(self, item):
            return images[int(item[0])]

    class Additions(Dataset):
        def __len__(self):
            return len(totals)

        def to_query(self, i):
            names = [Term(f"p{k}") for k in range(per_sum)]
            values = [
                Term("tensor", Term("train", Constant(i * per_sum + k))) for k in range(per_sum)
            ]
            numbers = [list2term(part) for part in (names[: per_sum // 2], names[per_sum // 2 :])]
            query = Term("addition", *numbers, Constant(totals[i]))
            return Query(query, dict(zip(names, values, strict=True)))

    net = LeNet((28, 28), 10)
    reader = Network(nn.Sequential(net, nn.Softmax(dim=1)), "reader", batching=True)
    reader.optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "addition.pl"
        path.write_text(program)
        model = Model(str(path), [reader])
        model.set_engine(ExactEngine(model), cache=True)
        model.add_tensor_source("train", Images())
        loader = DataLoader(Additions(), _BATCH // per_sum, seed=seed)
        with _silence():
            train_model(model, loader, 1, log_iter=10**9, profile=0)
    return lambda images: net_proba(net, images).argmax(1)


@contextlib.contextmanager
def _silence():
    """Keep the progress of other packages from the table, and their logs from the folder."""
    logging.disable(logging.INFO)
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            contextlib.chdir(folder),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            yield
    finally:
        logging.disable(logging.NOTSET)


_SYSTEMS = {
    "supervised loop": (_train_supervised, None),
    "sknesy": (_train_sknesy, None),
    "ABLkit": (_train_ablkit, "ablkit"),
    "DeepLog": (_train_deeplog, "deeplog"),
    "DeepProbLog": (_train_deepproblog, "deepproblog"),
}
