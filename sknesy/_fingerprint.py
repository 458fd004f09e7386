"""Fingerprints of values: equal where what they say is equal, in every process of one Python.

joblib hashes functions by name, so that one whose lines have changed stays what it was, and what
pickles write depends on the order of sets. Here a function of the user's own is what it does: its
bytecode, its constants, and the values that it closes over or looks up. One of an installed package
is its name.
"""

import hashlib
import marshal
import sys
import sysconfig
import types
from collections.abc import Iterable, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator

__all__ = ["fingerprint", "holds_code"]

_AT_ONCE = 1 << 24  # bytes of an array that are hashed at a time: a memory map is never read whole
_PLAIN = {type(None), bool, int, float, complex, str, bytes}
_METHODS = (types.FunctionType, staticmethod, classmethod, property)
_DESCRIPTORS = (types.MemberDescriptorType, types.GetSetDescriptorType)
_IDLE = {"n_jobs", "verbose"}  # parameters of any object, by which no result changes


def fingerprint(value: Any) -> str:
    """Compute the fingerprint of a value, 32 hexadecimal digits.

    Arrays, tensors and tables are their numbers, types and shapes; sets and mappings have no order;
    estimators are their parameters, but for ``n_jobs`` and ``verbose``; any other object is what it
    would pickle.

    Parameters
    ----------
    value : object
        The value.

    Returns
    -------
    str
        The fingerprint.

    Raises
    ------
    TypeError
        When something in it does not pickle, as an open file does not.
    """
    return _Digest({}).of(value)


def holds_code(value: Any) -> bool:
    """Tell whether functions or classes of the user's own are in a value.

    Their fingerprints change with the version of Python.
    """
    code: dict[int, str] = {}
    _Digest(code).add(value)
    return bool(code)


class _Digest:
    """Digest of values, one after the other.

    Parameters
    ----------
    code : dict of int to str
        Digests of functions and classes that were met before, by their ids. Each is read once, on
        its own, or functions that call one another would be read over and over.
    within : tuple of object
        Objects that are being read, which may refer to themselves.
    is_code : bool
        Whether it is of a function or a class. What code looks up need not pickle.
    """

    def __init__(
        self, code: dict[int, str], within: tuple[Any, ...] = (), is_code: bool = False
    ) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self._code, self._within, self._is_code = code, within, is_code

    def of(self, value: Any) -> str:
        """Add a value, and return the digest."""
        self.add(value)
        return self._hash.hexdigest()

    def add(self, value: Any) -> None:
        """Add a value with its type, so that no two kinds of values read alike."""
        kind = type(value)
        if kind in _PLAIN:
            self._hash.update(_marshal(value))
        elif kind is list or kind is tuple:
            self._tag(kind.__name__, len(value))
            if set(map(type, value)) <= _PLAIN:
                self._hash.update(_marshal(value))
            else:
                self._add_all(value)
        elif isinstance(value, type | types.FunctionType):
            self._add_code(value)
        elif any(value is outer for outer in self._within):
            self._tag("within", [value is outer for outer in self._within].index(True))
        else:
            outside, self._within = self._within, (*self._within, value)
            self._add_object(value)
            self._within = outside

    def _add_object(self, value: Any) -> None:
        if isinstance(value, np.ndarray | np.generic):
            self._add_array(np.asanyarray(value))
        elif isinstance(value, torch.Tensor):
            self._tag("tensor", value.dtype, tuple(value.shape))
            plain = value.detach().cpu().resolve_conj().resolve_neg()
            plain = plain.to_dense() if plain.layout != torch.strided else plain
            self._add_array(plain.contiguous().flatten().view(torch.uint8).numpy())
        elif isinstance(value, Mapping):
            self._add_mapping(value)
        elif isinstance(value, set | frozenset):
            self._tag(type(value).__name__, *sorted(self._apart(member) for member in value))
        elif hasattr(value, "columns") and hasattr(value, "dtypes"):  # a table of pandas or polars
            self._tag("table", len(value))
            for name in value.columns:
                self._add_all((name, value[name]))
        elif hasattr(value, "dtype") and hasattr(value, "to_numpy"):  # its column
            self._tag("column", value.dtype)
            self.add(np.asarray(value))
        elif isinstance(value, types.CodeType):
            names = (value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars)
            self._add_all((value.co_code, *names, value.co_argcount, value.co_kwonlyargcount))
            self._add_all(value.co_consts)
        elif isinstance(value, types.ModuleType):
            self._tag("module", value.__name__)
        elif isinstance(value, types.MethodType | staticmethod | classmethod):
            self._add_all((type(value).__name__, value.__func__, getattr(value, "__self__", None)))
        elif isinstance(value, property):
            self._add_all(("property", value.fget, value.fset, value.fdel))
        elif isinstance(value, cached_property):
            self._add_all(("cached_property", value.func))
        elif isinstance(getattr(value, "__wrapped__", None), types.FunctionType):
            self._add_all((type(value).__name__, value.__wrapped__))  # without what a cache holds
        elif isinstance(value, BaseEstimator) or _is_of_skorch(value):
            params = value.get_params(deep=False)
            self.add(type(value))
            self.add({name: param for name, param in params.items() if name not in _IDLE})
        else:
            self._add_pickled(value)

    def _add_array(self, array: Any) -> None:
        kind = array.dtype.str if array.dtype.names is None else array.dtype.descr
        self._tag("array", kind, array.shape)
        if array.dtype.hasobject:
            self.add(array.ravel().tolist())
            return
        if isinstance(array, np.ma.MaskedArray):
            self._add_array(np.ma.getmaskarray(array))
            array = array.filled()
        rows = np.asarray(array).reshape(1) if array.ndim == 0 else np.asarray(array)
        n_rows = max(1, _AT_ONCE // max(1, rows.nbytes // max(1, len(rows))))
        for start in range(0, len(rows), n_rows):
            part = np.ascontiguousarray(rows[start : start + n_rows])
            self._hash.update(part.reshape(-1).view(np.uint8))

    def _add_mapping(self, mapping: Mapping[Any, Any]) -> None:
        self._tag("mapping", type(mapping).__name__, len(mapping))
        for key, name in sorted((self._apart(name), name) for name in mapping):
            self._tag(key)
            self.add(mapping[name])

    def _add_code(self, value: Any) -> None:
        """Add a function or a class: by its name, if it is installed, else by what it does."""
        if _is_installed(value.__module__) and "<" not in value.__qualname__:
            self._tag("installed", value.__module__, value.__qualname__)
            return
        if id(value) not in self._code:
            self._code[id(value)] = "on its way"  # it may refer to itself
            digest = _Digest(self._code, is_code=True)
            parts = _parts_of_class(value) if isinstance(value, type) else _parts_of(value)
            self._code[id(value)] = digest.of(parts)
        self._tag("code", value.__qualname__, self._code[id(value)])

    def _add_pickled(self, value: Any) -> None:
        try:
            reduced = value.__reduce_ex__(4)
        except Exception as error:
            if not self._is_code:
                raise TypeError(
                    f"{type(value).__name__} has no fingerprint, as it does not pickle: {error}"
                ) from error
            reduced = "does not pickle"
        if isinstance(reduced, str):
            self._tag("name", type(value).__name__, getattr(value, "__module__", ""), reduced)
            return
        make, args, state, items, pairs = (*reduced, *(None,) * 5)[:5]
        self._add_all((make, args, state, list(items or ()), dict(pairs or ())))

    def _apart(self, value: Any) -> str:
        """Return the digest of a value alone."""
        return _Digest(self._code, self._within, self._is_code).of(value)

    def _add_all(self, values: Iterable[Any]) -> None:
        for value in values:
            self.add(value)

    def _tag(self, *words: Any) -> None:
        self._hash.update(_marshal(("tag", *map(str, words))))


def _parts_of(function: types.FunctionType) -> list[Any]:
    """Return what a function does: its code, its defaults, and the values that it looks up."""
    closed = []
    for cell in function.__closure__ or ():
        try:
            closed.append(cell.cell_contents)
        except ValueError:  # not filled yet
            closed.append("empty")
    found = {k: v for k, v in function.__globals__.items() if k in _names_in(function.__code__)}
    return [function.__code__, function.__defaults__, function.__kwdefaults__, closed, found]


def _parts_of_class(cls: type) -> list[Any]:
    """Return the bases and the members of a class, without what Python notes down in it."""
    members = {}
    for name, value in vars(cls).items():
        is_noted = name.startswith("__") or name == "_abc_impl"
        if isinstance(value, _METHODS) or not (is_noted or isinstance(value, _DESCRIPTORS)):
            members[name] = value
    return [cls.__bases__, members]


def _names_in(code: types.CodeType) -> set[str]:
    """Return the names that code and the functions within it look up."""
    inner = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return set(code.co_names).union(*map(_names_in, inner))


def _is_of_skorch(value: Any) -> bool:
    """Tell whether it is a net or a callback of skorch, which are estimators by their methods."""
    return hasattr(value, "get_params") and hasattr(value, "initialize")


@cache
def _is_installed(module: str) -> bool:
    """Tell whether a module is of Python, of this package or of an installed one."""
    name = module.partition(".")[0]
    if name in {"sknesy", *sys.builtin_module_names, *sys.stdlib_module_names}:
        return name != "__main__"
    found = getattr(sys.modules.get(module), "__file__", None)
    paths = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    return found is not None and any(Path(found).is_relative_to(path) for path in paths)


def _marshal(value: Any) -> bytes:
    return marshal.dumps(value, 2)  # the last version that writes equal strings alike
