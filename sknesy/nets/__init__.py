"""Nets that predict symbols; the only folder that imports skorch."""

from sknesy.nets._base import SymbolNet
from sknesy.nets._groups import SymbolGroup
from sknesy.nets._loss import SymbolLoss
from sknesy.nets._make import make_net
from sknesy.nets._parameters import as_neural_net
from sknesy.nets._prior import PriorNet
from sknesy.nets._samples import Grid, Joint, Samples, Sequences
from sknesy.nets._skorch import SkorchNet
from sknesy.nets.modules import MLP, ConvNet, LeNet, default_module

__all__ = [
    "MLP",
    "ConvNet",
    "LeNet",
    "Grid",
    "Joint",
    "PriorNet",
    "Samples",
    "Sequences",
    "SkorchNet",
    "SymbolGroup",
    "SymbolLoss",
    "SymbolNet",
    "as_neural_net",
    "default_module",
    "make_net",
]
