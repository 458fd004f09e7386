"""Names of docs/api.md have full docstrings, and every summary opens with what it is about."""

import dataclasses
import importlib
import inspect
import re
from enum import Enum
from pathlib import Path
from typing import Protocol

import pytest
from numpydoc.validate import validate

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "api.md"

# What numpydoc checks: the section order, the summary, parameters and returns against the
# signature. See numpydoc.validate.ERROR_MSGS.
CHECKS = {"GL01", "GL03", "GL06", "GL07", "GL08", "SS01", "SS03", "SS04", "SS05", "SS06"}
CHECKS |= {"PR01", "PR02", "PR03", "PR04", "PR05", "PR07", "PR10", "RT01", "RT03", "YD01"}


def public_items():
    """Each class and function of the reference, and the methods that its classes define."""
    module = None
    for line in REFERENCE.read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"\.\. currentmodule:: (\S+)", line):
            module = importlib.import_module(match[1])
        elif match := re.fullmatch(r"   ([A-Za-z]\w*)", line):
            item = getattr(module, match[1])
            if not (inspect.isclass(item) or inspect.isfunction(item)):
                continue  # a constant
            yield item, item, None
            if inspect.isclass(item) and not issubclass(item, BaseException):
                for attribute, value in vars(item).items():
                    if not attribute.startswith("_") and inspect.isfunction(value):
                        yield value, item, attribute


def is_record(item):
    """Whether it is a dataclass, a named tuple, an enum or a protocol."""
    bases = getattr(item, "__mro__", ())
    return dataclasses.is_dataclass(item) or bool({tuple, Enum, Protocol} & {*bases})


def overrides(owner, attribute):
    """Whether a base class documents the method."""
    return any(getattr(vars(base).get(attribute), "__doc__", None) for base in owner.__mro__[1:])


PUBLIC = {f"{row[0].__module__}.{row[0].__qualname__}": row for row in public_items()}


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_docstring_is_complete(name):
    item, owner, attribute = PUBLIC[name]
    errors = [f"{code} {text}" for code, text in validate(name)["errors"] if code in CHECKS]
    if attribute in ("forward", "to", "numpy") or (attribute and overrides(owner, attribute)):
        # one line says it, or parameters and result are documented where it is declared
        errors = [error for error in errors if error[:4] not in ("PR01", "RT01", "YD01")]
    if is_record(item):
        # fields are documented once, as attributes
        errors = [error for error in errors if error[:4] != "PR01"]
    assert not errors


def test_the_reference_has_names_of_every_room():
    assert len(PUBLIC) > 150
