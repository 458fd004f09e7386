"""Handwritten formulas: a net learnt from nothing but the values of formulas of 1 to 7 symbols.

Formulas come from ``handwritten_formulas.npz`` in the folder ``--data``. Without one they are made:
training formulas of MNIST's training images, test formulas of its test images. Beside the net
learnt from values stands the same net trained on the true symbols of the same formulas, with the
same mini-batches, epochs and schedule: what can be expected of any method that sees values only.

Of a test formula the most probable reading is evaluated that is a formula, as `predict_symbols` has
it for knowledge of all values: so values that no training formula had can be found, too.
"""

import time
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from skorch.callbacks import LRScheduler
from torch import nn
from torch.nn import functional
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmarks._shared import all_epochs, make_net, net_proba, standardise, wilson
from benchmarks.long_addition import Average
from sknesy import EMNeSyClassifier
from sknesy.datasets import make_handwritten_formula
from sknesy.inference import DiagramEngine
from sknesy.knowledge import StepKnowledge
from sknesy.nets import Sequences

__all__ = ["run"]


@dataclass
class Recipe:
    """Settings of a training on the one-cycle schedule."""

    n_epochs: int = 16
    max_lr: float = 6e-3
    weight_decay: float = 0.03
    average: float = 0.998  # decay of an exponential mean of the weights
    batch_size: int = 20  # formulas: with many more, the messages of the diagram leave the cache
    width: int = 20


class SymbolNet(nn.Module):
    """Three convolutions on distorted images; channels last, and pooled early, for speed."""

    def __init__(self, symbol_shape, n_states, width=20):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 5),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * width, 128),
            nn.BatchNorm1d(128),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(128, n_states),
        ).to(memory_format=torch.channels_last)

    def forward(self, X):
        X = X[:, None]
        if self.training:
            X = distort(X)
        return self.layers(X.to(memory_format=torch.channels_last))


def distort(X, turn=0.12, shift=0.08, bend=0.04):
    """Turn, scale, shear, shift and bend each image by a random amount."""
    n = len(X)
    affine = torch.eye(2, 3) + (torch.rand(n, 2, 3) * 2 - 1) * torch.tensor([turn, turn, shift])
    grid = functional.affine_grid(affine, list(X.shape), align_corners=False)
    knots = torch.randn(n, 2, 5, 5) * bend
    field = functional.interpolate(knots, X.shape[2:], mode="bicubic", align_corners=True)
    grid = grid + field.permute(0, 2, 3, 1)
    return functional.grid_sample(X, grid, padding_mode="border", align_corners=False)


def fit(X, y, knowledge, recipe, seed):
    """Train on the values; return the fitted estimator and the seconds that `fit` took."""
    steps = -(-len(X) // recipe.batch_size) * recipe.n_epochs
    schedule = {"max_lr": recipe.max_lr, "total_steps": steps}
    callbacks = [
        LRScheduler(OneCycleLR, step_every="batch", **schedule),
        Average(recipe.average),
    ]
    net = make_net(
        SymbolNet,
        module__width=recipe.width,
        optimizer__weight_decay=recipe.weight_decay,
        optimizer__fused=True,
        batch_size=recipe.batch_size,
        callbacks=callbacks,
    )
    clf = EMNeSyClassifier(
        only_values(set(y.tolist()), knowledge),
        net=net,
        inference=DiagramEngine(),
        random_state=seed,
        **all_epochs(recipe.n_epochs),
    )
    start = time.process_time()
    clf.fit(X, y)
    return clf, time.process_time() - start


def only_values(values, knowledge):
    """Restrict knowledge to formulas of some values: a smaller diagram, equal posteriors."""

    def accept(state):
        return knowledge.accept(state) and knowledge.final[0](state) in values

    return StepKnowledge(
        knowledge.step,
        states=knowledge.states,
        initial=knowledge.initial,
        final=knowledge.final,
        accept=accept,
    )


def supervise(X, symbols, n_states, recipe, seed):
    """Train on the true symbols, by hand; return the net and the seconds."""
    torch.manual_seed(seed)
    start = time.process_time()
    X = [torch.from_numpy(x) for x in X]
    symbols = [torch.from_numpy(row) for row in symbols]
    net = SymbolNet((28, 28), n_states, width=recipe.width)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=recipe.weight_decay, fused=True)
    steps = -(-len(X) // recipe.batch_size) * recipe.n_epochs
    schedule = OneCycleLR(optimizer, recipe.max_lr, steps)
    averaging = get_ema_multi_avg_fn(recipe.average)
    mean = AveragedModel(net, multi_avg_fn=averaging, use_buffers=True)
    loss = nn.CrossEntropyLoss()
    for _ in range(recipe.n_epochs):
        for rows in torch.randperm(len(X)).split(recipe.batch_size):
            optimizer.zero_grad()
            inputs = torch.cat([X[i] for i in rows])
            loss(net(inputs), torch.cat([symbols[i] for i in rows])).backward()
            optimizer.step()
            schedule.step()
            mean.update_parameters(net)
    net.load_state_dict(mean.module.state_dict())
    return net, time.process_time() - start


def score(proba, X, y, symbols, knowledge):
    """Return the accuracy of values, of all symbols, of digits and of operators."""
    lengths = torch.tensor([len(x) for x in X])
    images = torch.from_numpy(np.concatenate(X))
    samples = Sequences(images, lengths, int(lengths.max()))
    log_prob = samples.arrange(torch.from_numpy(proba).log())
    names = knowledge.states
    grammar = StepKnowledge(_read, states=names, final=_no_value, accept=_is_digit)
    engine = DiagramEngine()
    compiled = engine.compile(grammar.unroll(samples.n_symbols))
    anything = torch.zeros(len(X), 1, 1, dtype=torch.float64)
    _, worlds, _ = engine.mode(compiled, log_prob, anything)
    values = knowledge.unroll(samples.n_symbols).conclude(worlds.numpy())
    true = np.concatenate(symbols)
    is_right = worlds[samples.is_symbol].numpy() == true
    is_digit = np.array([name.isdigit() for name in names])[true]
    parts = is_right, is_right[is_digit], is_right[~is_digit]
    return np.mean(values == y), *map(np.mean, parts)


def _read(state, symbol, position):
    """Follow the class of the last symbol, which decides whether the next one may stand there."""
    if symbol.isdigit() == _is_digit(state) or (state == "/" and symbol == "0"):
        return None
    return "digit" if symbol.isdigit() else symbol


def _is_digit(state):
    return state == "digit"


def _no_value(state):
    return 0


def make_parts(mnist, n_train, n_test, seed):
    """Make formulas of MNIST's digits and drawn operators; 3,000 show each test image once."""
    x_train, d_train, x_test, d_test = standardise(*mnist)
    *train, knowledge = make_handwritten_formula(
        n_train, images=x_train, digits=d_train, random_state=seed
    )
    test = make_handwritten_formula(n_test, images=x_test, digits=d_test, random_state=seed)[:3]
    return train, test, knowledge


def load_parts(path):
    """Load the formulas of the benchmark HWF with images of handwritten symbols."""
    with np.load(path) as file:
        data = dict(file)
    seen = data["images"][~data["image_is_test"]]
    images = ((data["images"] - seen.mean()) / seen.std()).astype(np.float32)
    parts = []
    for part in ("train", "test"):
        n = data[f"{part}_length"]
        X = [images[row[:k]] for row, k in zip(data[f"{part}_image"], n, strict=True)]
        fractions = zip(data[f"{part}_numerator"], data[f"{part}_denominator"], strict=True)
        y = np.array([str(Fraction(int(a), int(b))) for a, b in fractions])
        symbols = data[f"{part}_symbol"].astype(np.int64)
        parts.append((X, y, [row[:k] for row, k in zip(symbols, n, strict=True)]))
    made = make_handwritten_formula(10, random_state=0)[3]  # what a value is
    knowledge = StepKnowledge(
        made.step,
        states=data["symbols"].tolist(),
        initial=made.initial,
        final=made.final,
        accept=made.accept,
    )
    return *parts, knowledge


def run(mnist=None, path=None, n_train=10_000, n_test=3_000, seed=0, recipe=None):
    """Print the accuracy of formulas and of symbols: of a file, in five epochs, or of made ones."""
    recipe = recipe or (Recipe(n_epochs=5) if path else Recipe())
    found = load_parts(path) if path else make_parts(mnist(), n_train, n_test, seed)
    (X, y, symbols), test, knowledge = found
    n_test = len(test[1])
    unseen = np.mean(~np.isin(test[1], y))
    print(
        f"Handwritten formulas of 1 to 7 symbols: {len(y):,} for training with "
        f"{len(np.unique(y)):,} different values, {n_test:,} for testing, {unseen:.1%} of them of "
        f"other values; seed {seed}\n{recipe}"
    )
    print(
        f"{'learnt from':14}{'formulas':>10}{'95 % interval':>20}{'symbols':>9}{'digits':>9}"
        f"{'operators':>11}{'fit s':>7}{'CPU s':>7}"
    )
    for source in ("values", "true symbols"):
        start = time.process_time()
        if source == "values":
            clf, seconds = fit(X, y, knowledge, recipe, seed)
            proba = clf.predict_net_proba(np.concatenate(test[0]), parts=True)
        else:
            net, seconds = supervise(X, symbols, len(knowledge.states), recipe, seed)
            proba = net_proba(net, np.concatenate(test[0]))
        of_cpu = time.process_time() - start
        accuracy, *shares = score(proba, *test, knowledge)
        low, high = wilson(accuracy, n_test)
        print(
            f"{source:14}{accuracy:10.4f}{f'{low:.4f} ... {high:.4f}':>20}{shares[0]:9.4f}"
            f"{shares[1]:9.4f}{shares[2]:11.4f}{seconds:7.0f}{of_cpu:7.0f}",
            flush=True,
        )
