"""Pieces that several benchmarks use."""

from math import prod
from statistics import NormalDist

import numpy as np
import torch
from skorch import NeuralNet
from torch import nn


def standardise(x_train, y_train, x_test, y_test):
    """Scale images to mean 0 and standard deviation 1 over the training pixels, float32."""
    mean, std = x_train.mean(), x_train.std()
    x_train, x_test = (((x - mean) / std).astype(np.float32) for x in (x_train, x_test))
    return x_train, y_train, x_test, y_test


def make_net(module, **options):
    """Make a net of skorch's, to be trained by Adam with decoupled weight decay, 0 by default."""
    options = {"optimizer": torch.optim.AdamW, "optimizer__weight_decay": 0.0, **options}
    return NeuralNet(
        module, criterion=nn.CrossEntropyLoss, train_split=None, verbose=0, lr=1e-3, **options
    )


def fast_precision():
    """Return a context of bfloat16 where the processor multiplies it; elsewhere of float32."""
    able = torch.cpu.get_capabilities()
    is_fast = bool(able.get("amx_bf16") or able.get("avx512_bf16"))
    return torch.autocast("cpu", torch.bfloat16, enabled=is_fast)


class DropNet(nn.Sequential):
    """A linear net, or one with a hidden layer, that drops inputs and hidden units in training."""

    def __init__(self, symbol_shape, n_states, hidden=0, dropout=0.0, input_dropout=0.0, bias=0.0):
        n_features = prod(symbol_shape)
        layers = [nn.Linear(n_features, hidden), nn.ReLU(), nn.Dropout(dropout)] if hidden else []
        super().__init__(
            nn.Flatten(),
            nn.Dropout(input_dropout),
            *layers,
            nn.Linear(hidden or n_features, n_states),
        )
        with torch.no_grad():
            self[-1].bias += torch.tensor(bias)  # what is likely at the start


class JointMLP(nn.Sequential):
    """Two hidden layers with dropout, and a logit for each of the Boolean symbols of a sample."""

    def __init__(self, symbol_shape, n_symbols, hidden=500, dropout=0.5):
        layers, width = [], symbol_shape[0]
        for _ in range(2):
            layers += [nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout)]
            width = hidden
        super().__init__(*layers, nn.Linear(width, n_symbols))


def make_joint_net(hidden, dropout, learning_rate, batch_size, weight_decay=1e-2):
    """Make a net that predicts all Boolean symbols of a sample at once."""
    net = make_net(JointMLP, module__hidden=hidden, module__dropout=dropout)
    return net.set_params(
        lr=learning_rate, batch_size=batch_size, optimizer__weight_decay=weight_decay
    )


def all_epochs(n_epochs):
    """Make the parameters of an estimator that stops after so many epochs and not before."""
    return {"max_iter": n_epochs, "tol": 0, "n_iter_no_change": n_epochs + 1}


def net_proba(module, images):
    """Compute the class probabilities (n, n_states) of a torch module, float64."""
    module.eval()
    with torch.no_grad():
        logits = torch.cat([module(part) for part in torch.from_numpy(images).split(500)])
    return torch.softmax(logits.double(), dim=1).numpy()


def wilson(share, n, level=0.95):
    """Compute Wilson's interval of a share of n."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    return middle - half, middle + half


def interval(shares, n_sums):
    """Compute the mean over permutations of the test images, and half of a 95 % interval.

    Permutations share their images, so that the mean over them is no surer than one test set of
    all sums that the images make: the interval is that of one permutation (Wilson's, symmetrised).
    """
    mean = float(np.mean(shares))
    return mean, 1.96 * (max(mean * (1 - mean), 0.25 / n_sums) / n_sums) ** 0.5
