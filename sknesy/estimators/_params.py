"""Learned state of an estimator as tensors and JSON: a file that holds no code."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from sknesy._files import write_whole
from sknesy._fingerprint import fingerprint, holds_code
from sknesy.em import Convergence, EStep, Run
from sknesy.estimators._fit_state import FitState, copy_bare
from sknesy.estimators._target import make_target
from sknesy.exceptions import UnreadableFileError
from sknesy.inference import compile_knowledge
from sknesy.knowledge import IdentityKnowledge
from sknesy.layouts import choose_layout, forget_features
from sknesy.nets import SymbolGroup

__all__ = ["ParamsMixin"]

_KIND, _FORMAT = "sknesy params", "1"
_N_WORLDS = 256  # that tell knowledge of the user's own functions from other knowledge
_NO_FEATURES = (0,)


class ParamsMixin:
    """Mixin of estimators whose learned state is written to safetensors, and read from it."""

    def save_params(self, path):
        """Write what was learned to a file of safetensors, which holds no code.

        Parameters
        ----------
        path : str or path
            The file; it is written whole, or not at all.

        Raises
        ------
        InvalidNetError
            When a net is no torch module.
        TypeError
            When a label is no string, number, bool, None or tuple of these.
        ImportError
            When safetensors is not installed.

        See Also
        --------
        sknesy.em.Checkpoint : Keeps fits that are on their way.

        Notes
        -----
        The file holds the weights of all nets that predict, the noise, the weights of the starts,
        the labels, the shapes of X, `history_`, and a fingerprint of the knowledge. It has none of
        the parameters, and no state of optimisers: `load_params` needs an estimator with the same
        parameters. Where the knowledge is a function of one's own, its fingerprint is that of its
        labels of 256 worlds.

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from sknesy import EMNeSyClassifier
        >>> from sknesy.datasets import make_points
        >>> from sknesy.knowledge import SymbolSum
        >>> X, y, _, total = make_points(SymbolSum(2, range(3)), 60, random_state=0)
        >>> clf = EMNeSyClassifier(total, max_iter=2, random_state=0).fit(X, y)
        >>> with TemporaryDirectory() as folder:
        ...     clf.save_params(Path(folder) / "clf.safetensors")
        ...     other = EMNeSyClassifier(total).load_params(Path(folder) / "clf.safetensors")
        >>> bool((other.predict_proba(X) == clf.predict_proba(X)).all())
        True
        """
        check_is_fitted(self, "n_iter_")
        state = self._fit_state
        groups = [_describe_group(group) for group in state.groups]
        tensors = {"log_weight": state.log_weight}
        for i, run in enumerate(state.runs):
            tensors |= {f"{i}/net/{name}": tensor for name, tensor in run.net.weights().items()}
            tensors |= {f"{i}/noise/{name}": tensor for name, tensor in run.noise.items()}
        tensors |= {f"history/{name}": torch.from_numpy(v) for name, v in self.history_.items()}
        fit = {
            "parameters": _name_parameters(self),
            "groups": groups,
            "n_symbols": self.knowledge_.n_symbols,
            "n_features": vars(self).get("n_features_in_"),
            "feature_names": _as_list(vars(self).get("feature_names_in_")),
            "labels": _check_labels(state.support),
            # Without knowledge, the symbol is the label:
            "states": None if self.knowledge else _check_labels(self.knowledge_.symbol_states[0]),
            "form": {k: v for k, v in vars(state.labels).items() if k in _FORM},
            "target": state.target.describe(),
            "seed": state.seed,
            "init_lower_bounds": self.init_lower_bounds_,
            "runs": [_describe_run(run) for run in state.runs],
        }
        metadata = {
            "kind": _KIND,
            "format": _FORMAT,
            "sknesy": _version(),
            "knowledge": _identify(self.knowledge),
            "fit": json.dumps(fit, default=np.ndarray.tolist),
        }
        # Copies: safetensors refuses tensors that share memory, as tied weights do.
        tensors = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
        write_whole(Path(path), _safetensors().save(tensors, metadata))

    def load_params(self, path):
        """Read what `save_params` wrote; the estimator is then as if it were fitted.

        Parameters
        ----------
        path : str or path
            The file.

        Returns
        -------
        estimator
            This estimator, whatever it had learned before.

        Raises
        ------
        UnreadableFileError
            When the file is damaged or of something else, by a version with another format, or of
            other knowledge or parameters. The estimator stays as it was.
        InvalidNetError
            When the weights do not fit the net.

        Notes
        -----
        The knowledge is compiled anew. `partial_fit` and ``warm_start=True`` go on with the weights
        and a fresh optimiser.
        """
        tensors, metadata = _read(path)
        if metadata["knowledge"] != _identify(self.knowledge):
            raise UnreadableFileError(
                f"{path} was learned with other knowledge than {self.knowledge!r}. Pass the "
                "knowledge that it was learned with, or another file."
            )
        self._validate_params()
        self._check_parameters()
        learner = copy_bare(self)
        vars(learner).pop("_fit_state", None)
        learner._take_over(path, json.loads(metadata["fit"]), tensors)
        self.__dict__ = vars(learner)
        return self

    def _take_over(self, path, fit, tensors):
        """Build what a fit builds, from the description of one, and load what it learned."""
        for name, value in _name_parameters(self).items():
            if value != fit["parameters"][name]:
                raise UnreadableFileError(
                    f"{path} was learned with {name}={fit['parameters'][name]}, got {value}. Set "
                    f"{name} as it was."
                )
        groups = tuple(_make_group(described) for described in fit["groups"])
        shapes = _Shapes.of(groups)
        has_features = shapes.symbol_shape != _NO_FEATURES
        layout = choose_layout(self.layout, self.symbol_shape, self.knowledge, has_features)
        groups = _give_nets(layout, groups)
        support = _as_labels(fit["labels"])
        knowledge = self.knowledge
        if knowledge is None:
            knowledge = IdentityKnowledge(_as_labels(fit["states"]))
        elif knowledge.is_family:
            knowledge = knowledge.unroll(fit["n_symbols"])
        target, labels = make_target(self.target), self._make_label_space([])
        target.restore(fit["target"], knowledge)
        vars(labels).update(fit["form"])
        nets, _ = self._make_nets(groups, [fit["seed"]] * len(fit["runs"]))
        device = nets[0].device
        engine, likelihood = self._make_engine(), self._make_likelihood()
        compiled = compile_knowledge(engine, knowledge, support)
        labels.settle(support, compiled)
        runs = []
        for i, (net, described) in enumerate(zip(nets, fit["runs"], strict=True)):
            net.load_weights(_under(tensors, f"{i}/net/"))
            described["diagnostics"] = [_as_arrays(row) for row in described["diagnostics"]]
            bounds = Convergence(self.tol, self.n_iter_no_change, **described.pop("convergence"))
            noise = {k: v.to(device) for k, v in _under(tensors, f"{i}/noise/").items()}
            generator = torch.Generator(device).manual_seed(fit["seed"])
            runs.append(Run(net, bounds, noise=noise, generator=generator, **described))
        state = FitState(
            tuple(runs),
            tensors["log_weight"],
            (),
            self.knowledge,
            labels,
            likelihood,
            fit["seed"],
            labels.wanted([]) or None,
            target,
            groups=groups,
            support=support,
        )
        forget_features(self)
        if fit["n_features"] is not None:
            self.n_features_in_ = fit["n_features"]
        if fit["feature_names"] is not None:
            self.feature_names_in_ = np.array(fit["feature_names"], dtype=object)
        e_step = EStep(engine, compiled.to(device), likelihood, None, torch.empty(0))
        self._keep(state, layout, knowledge, e_step, shapes)
        self.init_lower_bounds_ = fit["init_lower_bounds"]
        self.history_ = {k: v.numpy() for k, v in _under(tensors, "history/").items()}
        self._fit_state = state


@dataclass
class _Shapes:
    """Shapes of the features, in place of the samples that had them."""

    symbol_shape: Any
    parts: dict[str, "_Shapes"] = field(default_factory=dict)

    @classmethod
    def of(cls, groups):
        """Read them off the groups of symbols."""
        if groups[0].name is None:
            return cls(groups[0].symbol_shape)
        parts = {group.name: cls(group.symbol_shape) for group in groups}
        return cls({name: part.symbol_shape for name, part in parts.items()}, parts)


_FORM = {"is_joined", "_holds_names"}  # in which y came, and predictions come


def _read(path):
    """Return the tensors and the metadata of a file."""
    safetensors = _safetensors()
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        tensors = safetensors.load_file(path)
    except SafetensorError as error:
        raise UnreadableFileError(
            f"{path} must be a whole file of safetensors, but it does not load: {error} Put back a "
            "copy of it, or save again."
        ) from error
    if metadata.get("kind") != _KIND:
        raise UnreadableFileError(
            f"{path} must be written by save_params, but holds other tensors. Load it into the "
            "module itself."
        )
    if metadata["format"] != _FORMAT:
        raise UnreadableFileError(
            f"{path} has the format {metadata['format']} of sknesy {metadata['sknesy']}, and this "
            f"is sknesy {_version()}, which reads format {_FORMAT}. Install that version, or save "
            "again."
        )
    return tensors, metadata


def _safetensors():
    try:
        import safetensors.torch
    except ImportError as error:
        raise ImportError(
            "save_params and load_params need safetensors, which is not installed. Run pip install "
            '"sknesy[safetensors]".'
        ) from error
    return safetensors.torch


def _version():
    from sknesy import __version__  # the package imports this module first

    return __version__


def _identify(knowledge):
    """Compute a fingerprint of knowledge: of what it holds, or of what its functions say."""
    if knowledge is None or not holds_code(knowledge):
        return fingerprint(knowledge)
    some = knowledge.unroll(3) if knowledge.is_family else knowledge
    rng = np.random.RandomState(0)
    worlds = np.stack([rng.randint(n, size=_N_WORLDS) for n in some.n_states], axis=1)
    return fingerprint([type(knowledge).__name__, some.symbol_states, some.conclude(worlds)])


def _name_parameters(estimator):
    """Return the parameters that decide what the tensors mean, by the names of their classes."""
    names = {"estimator": type(estimator).__name__, "target": estimator.target}
    for name in ("layout", "likelihood"):
        names[name] = type(getattr(estimator, name)).__name__
    names["labels"] = None if estimator.labels is None else fingerprint([*estimator.labels])
    return names


def _describe_group(group):
    return {
        "name": group.name,
        "symbols": group.symbols,
        "n_states": group.n_states,
        "symbol_shape": group.symbol_shape,
        "is_shared": group.is_shared,
        "is_sequence": group.is_sequence,
        "dtype": _map(lambda dtype: str(dtype).removeprefix("torch."), group.dtype),
    }


def _make_group(described):
    shapes = _map(tuple, described["symbol_shape"])
    dtype = _map(lambda name: getattr(torch, name), described["dtype"])
    counts = {name: tuple(described[name]) for name in ("symbols", "n_states")}
    return SymbolGroup(**{**described, **counts, "symbol_shape": shapes, "dtype": dtype})


def _give_nets(layout, groups):
    """Return the groups with the nets of their own that the layout has."""
    own = {part.name: part.net for part in getattr(layout, "parts", ())}
    return tuple(SymbolGroup(**{**vars(group), "net": own.get(group.name)}) for group in groups)


def _map(function, value):
    """Return a function of a value, or of each of several by name."""
    if isinstance(value, dict):
        return {name: function(inner) for name, inner in value.items()}
    return function(value)


def _describe_run(run):
    bounds = run.convergence
    return {
        "start": run.start,
        "n_seen": run.n_seen,
        "diagnostics": run.diagnostics,
        "telemetry": run.telemetry,
        "convergence": {
            "lower_bounds": bounds.lower_bounds,
            "validation_lower_bounds": bounds.validation_lower_bounds,
            "converged": bounds.converged,
        },
    }


def _check_labels(labels):
    """Return labels, after a check that JSON holds them."""

    def check(label):
        if isinstance(label, tuple):
            return [check(part) for part in label]
        if label is not None and type(label) not in (bool, int, float, str):
            raise TypeError(
                f"Labels must be strings, numbers, bools, None or tuples of these to be saved as "
                f"JSON, got {label!r} ({type(label).__name__}). Save the estimator by joblib.dump."
            )
        return label

    return None if labels is None else [check(label) for label in labels]


def _as_labels(labels):
    """Return what `_check_labels` returned as the labels that it was."""

    def restore(label):
        return tuple(map(restore, label)) if isinstance(label, list) else label

    return None if labels is None else [restore(label) for label in labels]


def _as_arrays(row):
    """Return a row of diagnostics, with arrays in place of lists."""
    return {name: np.array(v) if isinstance(v, list) else v for name, v in row.items()}


def _as_list(names):
    return None if names is None else [*map(str, names)]


def _under(tensors, prefix):
    """Return the tensors whose names begin so, by the rest of their names."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
