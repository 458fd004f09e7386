"""Names of the reference have docstrings that numpydoc can read; all others have a summary."""

import dataclasses
import importlib
import inspect
import pkgutil
import re
from enum import Enum
from pathlib import Path
from typing import Protocol

import pytest
from numpydoc.validate import validate

import sknesy

# What numpydoc checks: the section order and the summary; of names in the reference also parameters
# and returns against the signature. See numpydoc.validate.ERROR_MSGS.
SUMMARY = {"GL01", "GL03", "GL06", "GL07", "GL08", "SS01", "SS03", "SS04", "SS05", "SS06"}
CHECKS = SUMMARY | {"PR01", "PR02", "PR03", "PR04", "PR05", "PR07", "PR10", "RT01", "RT03", "YD01"}


REFERENCE = Path(__file__).parents[1] / "docs" / "api.md"


def reference():
    """The qualified names that docs/api.md lists."""
    names, module = set(), ""
    for line in REFERENCE.read_text().splitlines() if REFERENCE.is_file() else ():
        if line.startswith(".. currentmodule:: "):
            module = line.split()[-1]
        elif re.fullmatch(r"   [\w.]+", line):
            owner, _, name = f"{module}.{line.strip()}".rpartition(".")
            item = getattr(importlib.import_module(owner), name)
            if inspect.isclass(item) or inspect.isfunction(item):
                names.add(f"{item.__module__}.{item.__qualname__}")
    return names


def public_names():
    for module in pkgutil.walk_packages(sknesy.__path__, "sknesy."):
        if module.name == "sknesy.__main__":
            continue
        loaded = importlib.import_module(module.name)
        for name in getattr(loaded, "__all__", []):
            item = getattr(loaded, name)
            if inspect.isclass(item) or inspect.isfunction(item):
                yield f"{item.__module__}.{item.__qualname__}"
            if inspect.isclass(item) and issubclass(item, BaseException | Warning):
                continue
            if inspect.isclass(item):
                for attribute, value in vars(item).items():
                    if not attribute.startswith("_") and inspect.isfunction(value):
                        yield f"{item.__module__}.{item.__qualname__}.{attribute}"


IN_REFERENCE = reference()


def is_in_reference(name):
    """Whether a name, or the class that a method belongs to, is in the reference."""
    return name in IN_REFERENCE or name.rpartition(".")[0] in IN_REFERENCE


def is_record(name):
    """Whether a public name is a dataclass, a named tuple, an enum or a protocol."""
    module, _, last = name.rpartition(".")
    try:
        item = getattr(importlib.import_module(module), last)
    except ModuleNotFoundError:  # a method
        return False
    bases = getattr(item, "__mro__", ())
    return dataclasses.is_dataclass(item) or bool({tuple, Enum, Protocol} & set(bases))


def overrides(name):
    """Whether a public name is a method that a base class documents."""
    module, _, attribute = name.rpartition(".")
    module, _, owner = module.rpartition(".")
    try:
        item = getattr(importlib.import_module(module), owner)
    except (ModuleNotFoundError, ValueError):  # not a method
        return False
    bases = getattr(item, "__mro__", ())[1:]  # a module has none
    return any(getattr(vars(base).get(attribute), "__doc__", None) for base in bases)


@pytest.mark.parametrize("name", sorted(set(public_names())))
def test_docstring_is_complete(name):
    checks = CHECKS if is_in_reference(name) else SUMMARY
    errors = [f"{code} {text}" for code, text in validate(name)["errors"] if code in checks]
    if name.rpartition(".")[-1] in ("forward", "to", "numpy"):
        # one line says it: shapes and what comes back
        errors = [error for error in errors if error[:4] not in ("PR01", "RT01")]
    if overrides(name):
        # parameters and result are documented once, where the method is declared
        errors = [error for error in errors if error[:4] not in ("PR01", "RT01", "YD01")]
    if is_record(name):
        # fields are documented once, as attributes
        errors = [error for error in errors if error[:4] != "PR01"]
    assert not errors


def test_the_reference_is_read():
    if not REFERENCE.is_file():
        pytest.skip("the docs are not here")
    assert {"sknesy.em.run_em", "sknesy.inference._base.Posterior"} <= IN_REFERENCE
