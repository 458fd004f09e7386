"""Floor 4: nets that predict symbols; the only folder that imports skorch."""

from sknesy.nets._base import SymbolNet
from sknesy.nets._skorch import SkorchNet, SymbolLoss
from sknesy.nets.modules import MLP, ConvNet, LeNet, default_module

__all__ = [
    "MLP",
    "ConvNet",
    "LeNet",
    "SkorchNet",
    "SymbolLoss",
    "SymbolNet",
    "default_module",
]
