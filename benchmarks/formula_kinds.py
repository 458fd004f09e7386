"""Handwritten formulas of real images, by two nets: one for digits, one for operators.

The formulas are those of the HWF benchmark (Li et al. 2020), 10,000 for training and 2,000 for
testing, of 1, 3, 5 or 7 symbols; the images are those of the data set bhmsds. Digits and operators
take turns, so that the position of a symbol tells its kind. Only values are observed.

Beside the two nets learnt from values stand one net for all 13 symbols, learnt from values, too,
and the two nets trained on the true symbols of the same formulas, with the same mini-batches,
epochs and schedule. The recipe is that of `benchmarks.formulas` with half of its epochs, for the
sake of time; nothing was chosen by accuracy.
"""

import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from skorch.callbacks import LRScheduler
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmarks._shared import all_epochs, make_net, net_proba
from benchmarks.formulas import Recipe, SymbolNet, only_values, score
from benchmarks.long_addition import Average
from sknesy import EMNeSyClassifier
from sknesy.datasets import make_handwritten_formula
from sknesy.inference import DiagramEngine
from sknesy.knowledge import StepKnowledge
from sknesy.layouts import Columns, Part

__all__ = ["run"]

TURNS = {"digit": slice(0, None, 2), "operator": slice(1, None, 2)}


def load(folder):
    """Return X, y and the true symbols of training and of testing, and the knowledge."""
    data = np.load(Path(folder) / "handwritten_formulas.npz")
    pixels = data["images"][~data["image_is_test"]]
    images = ((data["images"] - pixels.mean()) / pixels.std()).astype(np.float32)

    def read(part):
        lengths = data[f"{part}_length"]
        fractions = zip(data[f"{part}_numerator"], data[f"{part}_denominator"], strict=True)
        return (
            [images[row[:n]] for row, n in zip(data[f"{part}_image"], lengths, strict=True)],
            np.array([str(Fraction(int(over), int(under))) for over, under in fractions]),
            [row[:n].astype(int) for row, n in zip(data[f"{part}_symbol"], lengths, strict=True)],
        )

    made = make_handwritten_formula(1)[-1]  # the same knowledge, of digits from 0
    value = StepKnowledge(
        made.step,
        states=data["symbols"].tolist(),
        initial=made.initial,
        final=made.final,
        accept=made.accept,
    )
    return read("train"), read("test"), value


def states_of(knowledge):
    """Return the names of the states of each kind."""
    names = knowledge.states
    digits = [name for name in names if name.isdigit()]
    return {"digit": digits, "operator": [name for name in names if name not in digits]}


def fit(X, y, knowledge, n_nets, recipe, seed):
    """Train one net or two on the values; return the fitted estimator and the seconds of `fit`."""

    def net():
        steps = -(-len(X) // recipe.batch_size) * recipe.n_epochs
        schedule = {"max_lr": recipe.max_lr, "total_steps": steps}
        callbacks = [
            LRScheduler(OneCycleLR, step_every="batch", **schedule),
            Average(recipe.average),
        ]
        return make_net(
            SymbolNet,
            module__width=recipe.width,
            optimizer__weight_decay=recipe.weight_decay,
            optimizer__fused=True,
            batch_size=recipe.batch_size,
            callbacks=callbacks,
        )

    states = states_of(knowledge)
    parts = [Part(k, turns, net=net(), states=states[k]) for k, turns in TURNS.items()]
    clf = EMNeSyClassifier(
        only_values(set(y.tolist()), knowledge),
        inference=DiagramEngine(),
        random_state=seed,
        **({"net": net()} if n_nets == 1 else {"layout": Columns(parts)}),
        **all_epochs(recipe.n_epochs),
    )
    start = time.perf_counter()
    clf.fit(X, y)
    return clf, time.perf_counter() - start


def supervise(X, symbols, knowledge, recipe, seed):
    """Train two nets on the true symbols, by hand; return them by kind, and the seconds."""
    torch.manual_seed(seed)
    start = time.perf_counter()
    steps = -(-len(X) // recipe.batch_size) * recipe.n_epochs
    tasks = {}
    for kind, own in states_of(knowledge).items():
        number = torch.tensor([own.index(s) if s in own else -1 for s in knowledge.states])
        net = SymbolNet((28, 28), len(own), width=recipe.width)
        optimizer = torch.optim.AdamW(
            net.parameters(), weight_decay=recipe.weight_decay, fused=True
        )
        tasks[kind] = (
            net,
            optimizer,
            OneCycleLR(optimizer, recipe.max_lr, steps),
            AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(recipe.average), use_buffers=True),
            [torch.from_numpy(x[TURNS[kind]]) for x in X],
            [number[row[TURNS[kind]]] for row in symbols],
        )
    loss = nn.CrossEntropyLoss()
    for _ in range(recipe.n_epochs):
        for rows in torch.randperm(len(X)).split(recipe.batch_size):
            for net, optimizer, schedule, mean, images, states in tasks.values():
                inputs = torch.cat([images[i] for i in rows])
                if len(inputs) > 1:  # formulas of one symbol have no operator
                    optimizer.zero_grad()
                    loss(net(inputs), torch.cat([states[i] for i in rows])).backward()
                    optimizer.step()
                    schedule.step()
                    mean.update_parameters(net)
    for net, _, _, mean, *_ in tasks.values():
        net.load_state_dict(mean.module.state_dict())
    return {kind: task[0] for kind, task in tasks.items()}, time.perf_counter() - start


def tell(nets, X, knowledge):
    """Return the probabilities (n_images, 13) of the symbols of all formulas, by two nets."""
    flat = np.concatenate(X)
    proba = np.zeros((len(flat), len(knowledge.states)))
    turn = np.concatenate([np.arange(len(x)) % 2 for x in X])
    for number, (kind, own) in enumerate(states_of(knowledge).items()):
        rows = np.flatnonzero(turn == number)
        columns = [knowledge.states.index(name) for name in own]
        proba[np.ix_(rows, columns)] = net_proba(nets[kind], flat[rows])
    return proba


def run(folder, seeds=(0, 1, 2), recipe=None, sources=("two nets", "one net", "true symbols")):
    """Print the accuracy of values and of symbols for each seed, and the mean with its error."""
    recipe = recipe or Recipe(n_epochs=8)
    (X, y, symbols), test, knowledge = load(folder)
    unseen = np.mean(~np.isin(test[1], y))
    print(
        f"HWF: {len(X):,} formulas for training with {len(np.unique(y)):,} values, "
        f"{len(test[0]):,} for testing, {unseen:.1%} of them of other values\n{recipe}"
    )
    print(
        f"{'learnt from':20}{'seed':>5}{'values':>9}{'digits':>9}{'operators':>11}{'fit s':>7}"
        f"{'CPU s':>7}"
    )
    for source in sources:
        shares = []
        for seed in seeds:
            before = time.process_time()
            if source == "true symbols":
                nets, seconds = supervise(X, symbols, knowledge, recipe, seed)
                proba = tell(nets, test[0], knowledge)
            else:
                n_nets = 1 if source == "one net" else 2
                clf, seconds = fit(X, y, knowledge, n_nets, recipe, seed)
                proba = np.concatenate(clf.predict_net_proba(test[0]))
            of_cpu = time.process_time() - before
            values, _, digits, operators = score(proba, *test, knowledge)
            shares.append(values)
            print(
                f"{source:20}{seed:5}{values:9.4f}{digits:9.4f}{operators:11.4f}{seconds:7.0f}"
                f"{of_cpu:7.0f}",
                flush=True,
            )
        error = np.std(shares, ddof=1) / len(shares) ** 0.5 if len(shares) > 1 else np.nan
        print(f"{source:20}{'mean':>5}{np.mean(shares):9.4f} +- {error:.4f}", flush=True)
