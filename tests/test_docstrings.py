"""Names of docs/api.md have full docstrings, and every summary opens with what it is about."""

import ast
import dataclasses
import importlib
import inspect
import re
from enum import Enum
from pathlib import Path
from typing import Protocol

import pytest
from numpydoc.validate import validate

import sknesy

PACKAGE = Path(sknesy.__file__).parent
REFERENCE = Path(__file__).parents[1] / "docs" / "api.md"

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


# Summaries that open with these are not yet sentences.
FRAGMENTS = {"By", "From", "How", "Of", "That", "What", "Whence", "Whether", "Which", "Whose"}
# The summary of a function says what calling it does.
VERBS = set(
    """
    Add Allow Append Ask Bound Bring Build Call Change Check Choose Collect Combine Compare
    Compile Compute Conclude Connect Continue Contract Convert Copy Corrupt Count Cut Decide
    Define Delete Describe Divide Draw Drop Encode End Enumerate Estimate Evaluate Exclude
    Extend Fill Find Fit Flatten Fold Follow Give Go Group Guess Hold Imagine Insist Iterate
    Join Keep Lay Learn Leave Lend Lengthen Let List Load Look Make Mark Measure Merge Mix Move
    Multiply Name Normalise Notify Number Observe Open Order Pad Pay Place Plot Predict Prepare
    Print Project Propagate Put Raise Rank Read Recompute Record Reduce Remember Remove Renumber
    Replace Require Resample Rescale Restore Return Run Save Say Score Search Send Set Share
    Show Simplify Solve Sort Split Stand Start State Stop Store Sum Take Tell Tilt Train
    Transform Translate Try Turn Unroll Update Walk Warn Watch Weigh Wish Write Yield
    """.split()
)
# Verbs that are nouns as well may open the summary of a class, a module or a property.
NOUNS = set(
    """
    Bound Change Choice Contract Count Cut Name Number Order Place Record Score Search Share
    State Sum Tilt Wish
    """.split()
)
# In the third person, too, a class would say what it does.
DOES = set(
    """
    Adds Builds Chooses Collects Compares Computes Decides Finds Gives Holds Keeps Makes Reads
    Returns Searches Sends Solves Tells Translates Tries Turns Weighs
    """.split()
)


def summaries():
    """(file, line, whether it is a function, first word) of each docstring of the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                continue
            if docstring := ast.get_docstring(node):
                decorators = map(ast.unparse, getattr(node, "decorator_list", []))
                is_function = isinstance(node, ast.FunctionDef)
                is_function &= not any("property" in name for name in decorators)
                word = re.match(r"[\w'-]*", docstring)[0]
                line = getattr(node, "lineno", 1)
                yield path.relative_to(PACKAGE), line, is_function, word


def test_summaries_of_functions_open_with_a_verb_and_all_others_with_a_noun():
    found = list(summaries())
    assert len(found) > 800
    wrong = [
        f"{path}:{line} opens with {word}"
        for path, line, is_function, word in found
        if (word not in VERBS if is_function else word in FRAGMENTS | DOES | (VERBS - NOUNS))
    ]
    assert not wrong, "\n".join(wrong)
