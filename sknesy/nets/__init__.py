"""Nets that predict symbols; the only folder that imports skorch."""

from sknesy.nets._base import SymbolNet
from sknesy.nets._default import default_module
from sknesy.nets._groups import SymbolGroup
from sknesy.nets._indexed import Indexed
from sknesy.nets._learner import Learner, LearnerNet
from sknesy.nets._loss import SymbolLoss
from sknesy.nets._make import make_net, open_processes
from sknesy.nets._parameters import LARGEST_RATE, as_neural_net, open_net
from sknesy.nets._part_samples import Parts, Place
from sknesy.nets._parts import PartsNet, make_nets
from sknesy.nets._prior import PriorNet
from sknesy.nets._processes import Processes
from sknesy.nets._samples import Grid, Joint, Samples
from sknesy.nets._sequences import JointSequences, Sequences
from sknesy.nets._skorch import SkorchNet
from sknesy.nets._stored import Source, StoredGrid, StoredJoint, TensorSource
from sknesy.nets.modules import MLP, ConvNet, LeNet
from sknesy.nets.sequence_modules import RecurrentNet, TransformerNet

__all__ = [
    "LARGEST_RATE",
    "MLP",
    "ConvNet",
    "LeNet",
    "RecurrentNet",
    "TransformerNet",
    "Grid",
    "Indexed",
    "Learner",
    "LearnerNet",
    "Joint",
    "JointSequences",
    "Parts",
    "PartsNet",
    "Place",
    "PriorNet",
    "Processes",
    "Samples",
    "Sequences",
    "SkorchNet",
    "Source",
    "StoredGrid",
    "StoredJoint",
    "SymbolGroup",
    "SymbolLoss",
    "SymbolNet",
    "TensorSource",
    "as_neural_net",
    "default_module",
    "make_net",
    "make_nets",
    "open_net",
    "open_processes",
]
