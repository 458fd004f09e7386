"""Seeded generators, and random weights of states, padded with -inf."""

import numpy as np
import torch

from sknesy.numerics.factor_chain import ChainPotential
from sknesy.numerics.factor_diagram import DiagramPotential
from sknesy.numerics.factor_table import TablePotential


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def random_weights(rng, n, counts, scale=1.0, dead=0.0):
    """Log-weights (n, variables, states), a share of them -inf."""
    out = np.full((n, len(counts), max(counts)), -np.inf)
    for i, count in enumerate(counts):
        out[:, i, :count] = scale * rng.standard_normal((n, count))
    if dead:
        out[rng.random(out.shape) < dead] = -np.inf
    return torch.from_numpy(out)


def random_log(rng, n, counts, scale=2.0):
    """Log-probabilities (n, variables, states)."""
    weights = random_weights(rng, n, counts, scale)
    return weights - weights.logsumexp(-1, keepdim=True)


def weights_of(diagram, seed, n=5, scale=3.0, dead=0.1):
    """Log-weights of the symbols and of the outputs of a diagram, a share of them -inf."""
    rng = np.random.default_rng(seed)
    counts = dict(zip(diagram.variables.tolist(), diagram.n_states.tolist(), strict=True))
    counts = [counts[v] for v in range(diagram.n_symbols + diagram.n_outputs)]
    parts = counts[: diagram.n_symbols], counts[diagram.n_symbols :]
    return [random_weights(rng, n, part, scale, dead) for part in parts]


def weigh_factor(factor, states):
    """Weight of a joint state of all variables under a factor, by definition."""
    own = [states[i] for i in factor.scope]
    arrays = [array[0].numpy() for array in factor.potential.arrays]
    match factor.potential:
        case TablePotential():
            return arrays[0][tuple(own)].item()
        case ChainPotential():
            product = np.ones((1, 1))
            for weights, v in zip(arrays, own, strict=True):
                product = product @ weights[:, v]
            return product.item()
        case DiagramPotential():
            node = 0
            for table, v in zip(arrays, own, strict=True):
                node = table[node, v] if node >= 0 else -1
            return float(node >= 0)
