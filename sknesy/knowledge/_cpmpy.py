"""Constraint models of CPMpy as clauses and constraints."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from sknesy import sat
from sknesy._validation import check_number, join_names
from sknesy.exceptions import InvalidKnowledgeError, TimeLimitError
from sknesy.knowledge._clauses import ClauseKnowledge
from sknesy.knowledge._cpmpy_tree import Translator, is_variable
from sknesy.knowledge._encoding import Number

__all__ = ["from_cpmpy"]

# Whether variables are determined is worth an error, not a long wait: engines check outputs again.
_CHECK_BUDGET = 5.0


def from_cpmpy(
    model: Any,
    symbols: Any,
    outputs: Any = None,
    *,
    auxiliaries: Any = (),
    max_clauses: int = 1_000_000,
    names: Iterable[Hashable] | None = None,
) -> ClauseKnowledge:
    """Read knowledge from a constraint model of CPMpy.

    The worlds are the values of `symbols` for which all constraints of the model hold, with some
    value of each auxiliary variable. States are named by the values of the variables: integers,
    or False and True.

    Parameters
    ----------
    model : cpmpy.Model
        The constraints: ``AllDifferent``, ``Table`` and other global constraints, sums and
        comparisons, logic. It may have no objective.
    symbols : variable, or (nested) array-like of variables
        The variables that a net predicts, in this order; arrays are read row by row.
    outputs : variable, expression, or array-like of these, optional
        What the label observes; the symbols must determine it. Expressions such as ``x + y`` need
        no variable. With None, the label is whether the constraints hold: True or False.
    auxiliaries : variable, or (nested) array-like of variables, optional
        Variables of the model of which *some* value is enough. All other variables that are
        neither symbols nor outputs must be determined by the symbols.
    max_clauses : int, default=1_000_000
        The largest number of clauses.
    names : pair of hashable, optional
        The labels without outputs: where the constraints do not hold, and where they do; by
        default False and True.

    Returns
    -------
    ClauseKnowledge
        The knowledge, which holds plain ints and pickles; no object of CPMpy is kept.

    Raises
    ------
    ImportError
        When CPMpy is not installed: ``pip install "sknesy[cp]"``.
    InvalidKnowledgeError
        When the model has an objective or cannot hold, when a variable has too many values or is
        not determined by the symbols.
    UnsupportedKnowledgeError
        When the model has a kind of constraint that cannot be turned into clauses.
    TooWideError
        When there are more than `max_clauses` clauses.

    Notes
    -----
    Every variable has one proposition for each of its values. ``AllDifferent``, bounds on sums and
    tables of symbols and outputs stay what they are: a `DistinctConstraint`, a `LinearConstraint`,
    and rows. A decision diagram counts them. All else becomes clauses, such as what an ``Or``
    joins. Sums and tables within it become decision diagrams, each node of which is an auxiliary
    proposition with both directions of its definition, so the symbols determine them and counts
    are right. Such a sum costs as many clauses as it has values on the way, times the values of
    its terms. Weights such as 1, 10, 100 on both sides of a comparison cost few.

    An undefined value (``x // 0``, an array beyond its end) makes the comparison around it False,
    as in CPMpy. In an output it rules the world out.

    Examples
    --------
    Three numbers that are different; the label is the largest:

    >>> import cpmpy as cp
    >>> x = cp.intvar(1, 3, shape=3)
    >>> largest = from_cpmpy(cp.Model(cp.AllDifferent(x[:2])), symbols=x, outputs=cp.max(x))
    >>> largest.symbol_states
    ((1, 2, 3), (1, 2, 3), (1, 2, 3))
    >>> largest.conclude([[0, 1, 0], [0, 0, 2]])
    array([2, None], dtype=object)
    """
    try:
        import cpmpy
        from cpmpy.transformations.get_variables import get_variables
    except ImportError as error:
        raise ImportError(
            'from_cpmpy needs CPMpy, which is not installed. Run pip install "sknesy[cp]".'
        ) from error
    if not isinstance(model, cpmpy.Model):
        raise TypeError(
            f"model must be a cpmpy.Model, got {type(model).__name__}. Pass cpmpy.Model(...) with "
            "the constraints."
        )
    if model.has_objective():
        raise InvalidKnowledgeError(
            f"model must have constraints only, but it has the objective {model.objective_}. "
            "Remove it: a world is possible or not, and how probable it is, is for the net to say."
        )
    symbol_list = _as_variables(symbols, "symbols")
    output_list = [] if outputs is None else _flatten(outputs)
    auxiliary_list = _as_variables(auxiliaries, "auxiliaries")
    if not symbol_list:
        raise ValueError("symbols must hold at least one variable, got none. Pass an intvar.")
    if outputs is not None and not output_list:
        raise ValueError(
            "outputs must hold at least one variable or expression, got none. Pass outputs=None "
            "for the label that says whether the constraints hold."
        )
    _check_roles(symbol_list, output_list, auxiliary_list, get_variables)
    used = {v.name: v for v in get_variables([model.constraints, output_list])}
    _check_used(symbol_list, "symbols", used)
    _check_used(auxiliary_list, "auxiliaries", used)

    check_number(max_clauses, "max_clauses", int, 1, example=1_000_000)
    tree = Translator(max_clauses)
    for i, variable in enumerate(symbol_list):
        tree.declare(variable, f"symbols[{i}]")
    # A symbol that is observed as well needs other propositions, as any expression does.
    declared = {v.name for v in symbol_list}
    is_own = []
    for i, output in enumerate(output_list):
        is_own.append(is_variable(output) and output.name not in declared)
        if is_own[i]:
            tree.declare(output, f"outputs[{i}]")
            declared.add(output.name)
    for constraint in model.constraints:
        tree.require(constraint)
        if tree.encoder.is_contradictory:
            raise InvalidKnowledgeError(
                f"The constraint {_short(constraint)} cannot hold. Check the domains of its "
                "variables."
            )
    symbol_groups = [tree.propositions(variable) for variable in symbol_list]
    named = [
        (tree.propositions(output), _values(output)) if own else _observe(tree, output, i)
        for i, (output, own) in enumerate(zip(output_list, is_own, strict=True))
    ]
    knowledge = ClauseKnowledge(
        tree.encoder.clauses,
        symbols=symbol_groups,
        outputs=None if outputs is None else [propositions for propositions, _ in named],
        symbol_states=[_values(variable) for variable in symbol_list],
        output_states=None if outputs is None else [values for _, values in named],
        constraints=tree.constraints,
        names=names,
    )
    given = {v.name for v in (*symbol_list, *auxiliary_list)}
    rest = [v for name, v in used.items() if name not in given]
    _check_determined(knowledge, tree, rest)
    return knowledge


def _flatten(items: Any) -> list[Any]:
    """Return the entries of a nested array-like, row by row."""
    if isinstance(items, np.ndarray):
        return list(items.flat)
    if isinstance(items, list | tuple):
        return [entry for item in items for entry in _flatten(item)]
    return [items]


def _as_variables(items: Any, where: str) -> list[Any]:
    entries = _flatten(items)
    for i, entry in enumerate(entries):
        if not is_variable(entry):
            raise TypeError(
                f"{where}[{i}] must be a variable of CPMpy (intvar or boolvar), got {entry!r}. "
                "For an expression, add a variable and a constraint that it equals the expression."
            )
    return entries


def _check_roles(
    symbols: Sequence[Any], outputs: Sequence[Any], auxiliaries: Sequence[Any], get_variables: Any
) -> None:
    """Raise if a symbol is given twice, or an output is no expression."""
    for i, output in enumerate(outputs):
        if not get_variables([output]):
            raise TypeError(
                f"outputs[{i}] must be a variable or an expression of CPMpy, got {output!r}. Pass "
                "for example x + y."
            )
    roles = {output.name: "outputs" for output in outputs if is_variable(output)}
    for where, variables in (("auxiliaries", auxiliaries), ("symbols", symbols)):
        for variable in variables:
            role = roles.get(variable.name)
            if role and (where, role) != ("symbols", "outputs"):  # a symbol may be observed
                raise ValueError(
                    f"{where} holds {variable}, which {role} holds already. Give it once."
                )
            roles[variable.name] = where


def _check_used(variables: Sequence[Any], where: str, used: dict[str, Any]) -> None:
    for i, variable in enumerate(variables):
        if variable.name not in used:
            raise ValueError(
                f"{where}[{i}] is {variable}, which is in no constraint of the model (its "
                f"variables: {join_names(list(used))}). Leave it out, or check that it is the "
                f"variable meant; to leave it free, add the constraint {variable} >= {variable.lb}."
            )


def _values(variable: Any) -> list[Hashable]:
    return [False, True] if variable.is_bool() else list(range(variable.lb, variable.ub + 1))


def _observe(tree: Translator, output: Any, i: int) -> tuple[list[int], list[Hashable]]:
    """Return new propositions for the values of an expression, and the values."""
    encoder = tree.encoder
    if output.is_bool():
        truth = encoder.new()
        encoder.define(truth, tree.literal(output))
        return [truth], [False, True]
    number: Number = tree.number(output)
    if len(number.values) < 2:
        raise InvalidKnowledgeError(
            f"outputs[{i}] must be able to take two values at least, but {_short(output)} has "
            f"{len(number.values)}. Check the expression."
        )
    propositions = []
    for _, literal in number.values:
        propositions.append(encoder.new())
        encoder.define(propositions[-1], literal)
    return propositions, [value for value, _ in number.values]


def _check_determined(
    knowledge: ClauseKnowledge, tree: Translator, variables: Iterable[Any]
) -> None:
    """Raise if the symbols leave variables open."""
    owner = {p: v for v in variables for p in tree.propositions(v)}
    if not owner:
        return
    clauses = [*knowledge.clauses, *sat.exactly_one(knowledge.output_variables)]
    deadline = sat.Deadline(_CHECK_BUDGET, "Testing which variables are determined")
    try:
        found = sat.undetermined(clauses, knowledge.symbol_variables, sorted(owner), deadline)
    except TimeLimitError:
        return
    names = list(dict.fromkeys(str(owner[p]) for p in found))
    if names:
        raise InvalidKnowledgeError(
            f"The symbols must determine the other variables, but they leave open "
            f"{join_names(names)}. Add constraints that define them, or make them symbols; if some "
            "value of a variable is enough, and it is no output, name it in `auxiliaries`."
        )


def _short(expression: Any) -> str:
    text = str(expression)
    return text if len(text) <= 80 else f"{text[:77]}..."
