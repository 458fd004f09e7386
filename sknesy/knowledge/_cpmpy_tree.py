"""Translator of CPMpy's expressions to clauses and constraints, by the names of their nodes.

Only the public form of expressions is used: name, arguments, bounds, and the decomposition that
each global constraint offers. CPMpy's own encodings are not, as they do not keep counts.
"""

import operator
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from numbers import Integral
from typing import Any

import numpy as np

from sknesy.exceptions import InvalidKnowledgeError, UnsupportedKnowledgeError
from sknesy.knowledge._constraint import Constraint
from sknesy.knowledge._constraints import LinearConstraint
from sknesy.knowledge._diagram_constraint import DiagramConstraint
from sknesy.knowledge._distinct import DistinctConstraint
from sknesy.knowledge._encoding import FALSE, TRUE, Encoder, Fold, Leaf, Number
from sknesy.numerics.tries import unroll_rows

__all__ = ["Translator", "is_variable"]

_MAX_VALUES = 1_000
_COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


# A sum of ints is less than b if it is at most b - 1.
_WITHOUT_STRICT = {
    "==": ("==", 0),
    "<": ("<=", -1),
    "<=": ("<=", 0),
    ">": (">=", 1),
    ">=": (">=", 0),
}


def is_variable(expression: Any) -> bool:
    """Tell whether an expression is a variable of CPMpy, and not the negation of one."""
    return hasattr(expression, "lb") and not _is_negated(expression)


class Translator:
    """Translator of expressions to clauses, and to constraints that stay what they are.

    Sums, tables and different values are constraints where they are required as they stand, of
    variables that are declared. Within other expressions they are clauses, which say when they
    hold.
    """

    def __init__(self, max_clauses: int) -> None:
        self.encoder = Encoder(max_clauses)
        self.constraints: list[Constraint] = []
        self._owners: dict[int, int] = {}  # of the literals of declared variables: the variable
        self._variables: dict[str, Number] = {}  # CPMpy knows variables by their names

    def declare(self, variable: Any, where: str) -> None:
        """Number the values of a variable that knowledge will hold to exactly one of them."""
        if variable.lb == variable.ub:
            raise InvalidKnowledgeError(
                f"{where} must be able to take two values at least, but {variable} is always "
                f"{variable.lb}. Leave it out, or give it its whole domain and a constraint."
            )
        domain = _domain(variable)
        if variable.is_bool():
            self._variables[variable.name] = _truth(self.encoder.new())
        else:
            number = Number(tuple((value, self.encoder.new()) for value in domain))
            self._variables[variable.name] = number
        literals = (x for _, x in self._variables[variable.name].values)
        self._owners.update(dict.fromkeys(literals, len(self._owners)))

    def propositions(self, variable: Any) -> list[int]:
        """Return the propositions of a variable's values; the one of a Boolean variable."""
        literals = [x for _, x in self.number(variable).values]
        return literals[1:] if variable.is_bool() else literals

    def require(self, expression: Any) -> None:
        """Add clauses that say that an expression, or each of a nested list, holds."""
        if isinstance(expression, list | tuple | np.ndarray):
            for entry in expression:
                self.require(entry)
            return
        name = getattr(expression, "name", None)
        if name == "and":
            for argument in expression.args:
                self.require(argument)
        elif name == "or":
            self.encoder.add(*map(self.literal, expression.args))
        elif name == "->":
            condition, consequence = map(self.literal, expression.args)
            self.encoder.add(-condition, consequence)
        elif name == "alldifferent":
            self._differ([self.number(x) for x in expression.args])
        elif name in _COMPARE:
            self._compare(expression)
        elif name == "table":
            self._tabulate(expression)
        elif name in _FOLDS:
            self.encoder.require(_FOLDS[name](self, expression))
        elif _is_global(expression):
            self.require(self._decompose(expression))
        else:
            self.encoder.add(self.literal(expression))

    def literal(self, expression: Any) -> int:
        """Return a literal that is true when an expression holds."""
        if isinstance(expression, bool | np.bool_):
            return TRUE if expression else FALSE
        if is_variable(expression) and expression.is_bool():
            return self.number(expression).values[1][1]
        if _is_negated(expression):
            return -self.literal(~expression)
        name = getattr(expression, "name", None)
        if name == "boolval":
            return self.literal(expression.args[0])
        if name == "not":
            return -self.literal(expression.args[0])
        if name == "and":
            return self.encoder.conjunction(map(self.literal, expression.args))
        if name == "or":
            return self.encoder.disjunction(map(self.literal, expression.args))
        if name == "->":
            condition, consequence = map(self.literal, expression.args)
            return self.encoder.disjunction([-condition, consequence])
        if name in _COMPARE:
            return self.encoder.holds(self._comparison(expression))
        if name in _FOLDS:
            return self.encoder.holds(_FOLDS[name](self, expression))
        if _is_global(expression):
            return self.encoder.conjunction(map(self.literal, self._decompose(expression)))
        raise _unsupported(expression)

    def number(self, expression: Any) -> Number:
        """Return a number as literals, one for each of its values."""
        if isinstance(expression, bool | np.bool_ | Integral):
            return _constant(int(expression))
        if is_variable(expression):
            return self._variable(expression)
        if expression.is_bool():
            return _truth(self.literal(expression))
        name = expression.name
        if name in ("sum", "wsum", "sub", "-") or (name == "mul" and _has_constant(expression)):
            return self._sum(expression)
        if name in ("element", "nd_element"):
            return self._element(*expression.args)
        if name in _FUNCTIONS:
            return self._function(expression)
        if not _is_global(expression):
            raise _unsupported(expression)
        value, defining = expression.decompose()
        self.require(defining)
        return self.number(value)

    def _are_declared(self, numbers: Sequence[Number]) -> bool:
        """Tell whether numbers are about different variables that are declared, one each."""
        owners = [{self._owners.get(x) for _, x in number.values} for number in numbers]
        return all(len(found) == 1 and None not in found for found in owners) and len(
            set().union(*owners)
        ) == len(numbers)

    def _differ(self, numbers: list[Number]) -> None:
        """Require that numbers are defined and have different values."""
        n_values = len({value for number in numbers for value, _ in number.values})
        if n_values < len(numbers) or not self._are_declared(numbers):
            self.encoder.all_different(numbers)
            return
        for number in numbers:
            if not number.is_total:
                self.encoder.add(*(x for _, x in number.values))
        self.constraints.append(DistinctConstraint(dict(number.values) for number in numbers))

    def _compare(self, expression: Any) -> None:
        """Require a comparison of sums."""
        weights, constant = self._linear(_as_difference(expression))
        numbers = [*weights]
        # Sums of one or two numbers are few clauses, and clauses propagate.
        is_counted = expression.name in _WITHOUT_STRICT and len(numbers) > 2
        is_counted &= self._are_declared(numbers) and all(number.is_total for number in numbers)
        added = [[w * value for value, _ in number.values] for number, w in weights.items()]
        if is_counted:
            relation, bound = _WITHOUT_STRICT[expression.name]
            bound -= constant
            least, most = sum(map(min, added)), sum(map(max, added))
            low = least if relation == "<=" else bound
            high = most if relation == ">=" else bound
            if low <= most and high >= least and (low > least or high < most):
                literals = [x for number in numbers for _, x in number.values]
                scale = [w for products in added for w in products]
                self.constraints.append(LinearConstraint(literals, scale, relation, bound))
                return
        self.encoder.require(self._comparison(expression))

    def _tabulate(self, expression: Any) -> None:
        """Require that numbers are a row of a table."""
        array, table = expression.args
        numbers = [self.number(x) for x in array]
        place = [{value: v for v, (value, _) in enumerate(n.values)} for n in numbers]
        rows = {
            tuple(index[int(x)] for index, x in zip(place, row, strict=True))
            for row in table
            if all(int(x) in index for index, x in zip(place, row, strict=True))
        }
        if not rows or len(numbers) < 3 or not self._are_declared(numbers):
            self.encoder.require(_table(self, expression))
            return
        groups = [tuple(x for _, x in number.values) for number in numbers]
        tables = unroll_rows(np.array(sorted(rows), dtype=np.int64), [*map(len, groups)])
        self.constraints.append(DiagramConstraint(groups, tables))

    def _variable(self, variable: Any) -> Number:
        if variable.name not in self._variables:
            if variable.is_bool():
                number = _truth(self.encoder.new())
            else:
                number = self.encoder.variable(_domain(variable))
            self._variables[variable.name] = number
        return self._variables[variable.name]

    def _decompose(self, constraint: Any) -> list[Any]:
        """Return the parts of a global constraint, which all must hold."""
        parts, defining = constraint.decompose()
        self.require(defining)
        return list(parts)

    def _linear(self, weighted: list[tuple[Any, int]]) -> tuple[dict[Number, int], int]:
        """Return the weights of the terms of a weighted sum, and a constant."""
        weights: dict[Number, int] = {}
        constant = 0
        todo = weighted[::-1]
        while todo:
            term, weight = todo.pop()
            if isinstance(term, Integral | np.bool_):
                constant += weight * int(term)
                continue
            # A variable has no arguments, and may have any name.
            name: str | None = None if hasattr(term, "lb") else term.name
            args: Any = () if name is None else term.args
            if name == "sum":
                todo.extend((x, weight) for x in reversed(args))
            elif name == "wsum":
                todo.extend(
                    (x, weight * int(w)) for w, x in reversed(list(zip(*args, strict=True)))
                )
            elif name == "sub":
                todo.extend([(args[1], -weight), (args[0], weight)])
            elif name == "-":
                todo.append((args[0], -weight))
            elif name == "mul" and _has_constant(term):
                factor, other = args if isinstance(args[0], Integral) else reversed(args)
                todo.append((other, weight * int(factor)))
            else:
                number = self.number(term)
                value = number.constant
                if value is None:
                    weights[number] = weights.get(number, 0) + weight
                else:
                    constant += weight * value
        # An undefined term counts even with weight 0; large weights first, for narrow diagrams.
        terms = [(n, w) for n, w in weights.items() if w or not n.is_total]
        return dict(sorted(terms, key=lambda term: -abs(term[1]))), constant

    def _sum(self, expression: Any) -> Number:
        weights, constant = self._linear([(expression, 1)])
        scale = list(weights.values())
        if not scale:
            return _constant(constant)

        def step(i: int, state: int, value: int) -> int:
            return state + scale[i] * value

        return self.encoder.value(Fold(list(weights), constant, step, int))

    def _comparison(self, expression: Any) -> Fold:
        """Return a comparison as a sum that is compared with 0."""
        weights, constant = self._linear(_as_difference(expression))
        numbers, scale = list(weights), list(weights.values())
        compare = _COMPARE[expression.name]
        # The least and the greatest that the terms from i on can add.
        low, high, is_total = [0], [0], [True]
        for number, weight in zip(reversed(numbers), reversed(scale), strict=True):
            products = [weight * value for value, _ in number.values] or [0]
            low.append(low[-1] + min(products))
            high.append(high[-1] + max(products))
            is_total.append(is_total[-1] and number.is_total)
        low, high, is_total = low[::-1], high[::-1], is_total[::-1]

        def step(i: int, state: int, value: int) -> Any:
            state += scale[i] * value
            least, most = state + low[i + 1], state + high[i + 1]
            ends = {compare(least, 0), compare(most, 0)}
            if len(ends) == 2 or (least < 0 < most and expression.name in ("==", "!=")):
                return state
            (verdict,) = ends
            return state if verdict and not is_total[i + 1] else Leaf(verdict)

        name = (expression.name, constant, *scale)
        return Fold(numbers, constant, step, lambda state: compare(state, 0), name)

    def _element(self, array: Any, *indices: Any) -> Number:
        """Return the entry of an array at an index for each axis; undefined beyond the ends."""
        entries = array if isinstance(array, np.ndarray) else np.array(array, dtype=object)
        numbers = [self.number(index) for index in indices]
        values = {place: self.number(entries[place]) for place in np.ndindex(*entries.shape)}
        # As in CPMpy, an undefined entry is felt even where another one is asked for.
        partial = [number for number in values.values() if not number.is_total]
        defined = [self.encoder.disjunction(x for _, x in number.values) for number in partial]
        is_total = not partial and all(number.is_total for number in numbers)
        ways: dict[int, list[int]] = {}
        for position in product(*(number.values for number in numbers)):
            place = tuple(index for index, _ in position)
            if place not in values:
                is_total = False
                continue
            there = self.encoder.conjunction([*defined, *(x for _, x in position)])
            for value, x in values[place].values:
                ways.setdefault(value, []).append(self.encoder.conjunction([there, x]))
        found = ((value, self.encoder.disjunction(ways[value])) for value in sorted(ways))
        return Number(tuple((value, x) for value, x in found if x != FALSE), is_total)

    def _function(self, expression: Any) -> Number:
        """Return a function of one number, or one that takes its arguments pair by pair."""
        function = _FUNCTIONS[expression.name]
        numbers = [self.number(x) for x in expression.args]

        def step(i: int, state: int | None, value: int) -> Any:
            return value if i == 0 and len(numbers) > 1 else function(state, value)

        def total_step(i: int, state: int | None, value: int) -> Any:
            after = step(i, state, value)
            return Leaf(None) if after is None else after

        return self.encoder.value(Fold(numbers, None, total_step, int))


def _table(tree: Translator, expression: Any) -> Fold:
    array, table = expression.args
    numbers = [tree.number(x) for x in array]
    rows = {tuple(map(int, row)) for row in table}
    prefixes = {row[:i] for row in rows for i in range(len(row) + 1)}

    def step(i: int, state: tuple[int, ...], value: int) -> Any:
        after = (*state, value)
        return after if after in prefixes else Leaf(False)

    return Fold(numbers, (), step, lambda _: True, ("table", tuple(sorted(rows))))


def _negative_table(tree: Translator, expression: Any) -> Fold:
    array, table = expression.args
    numbers = [tree.number(x) for x in array]
    rows = {tuple(map(int, row)) for row in table}
    prefixes = {row[:i] for row in rows for i in range(len(row) + 1)}

    def step(i: int, state: tuple[int, ...] | None, value: int) -> tuple[int, ...] | None:
        after = None if state is None else (*state, value)
        return after if after in prefixes else None

    return Fold(numbers, (), step, lambda s: s is None, ("no table", tuple(sorted(rows))))


def _parity(tree: Translator, expression: Any) -> Fold:
    numbers = [tree.number(x) for x in expression.args]
    return Fold(numbers, 0, lambda i, state, value: state ^ value, bool, "xor")


# Global constraints that are cheaper as folds than as CPMpy decomposes them.
_FOLDS: dict[str | None, Callable[[Translator, Any], Fold]] = {
    "table": _table,
    "negative_table": _negative_table,
    "xor": _parity,
}


def _as_difference(comparison: Any) -> list[tuple[Any, int]]:
    """Return both sides as a weighted sum that is compared with 0."""
    left, right = comparison.args
    return [(left, 1), (right, -1)]


def _divide(x: int, y: int) -> int | None:
    """Divide ints towards zero, as CPMpy does."""
    if y == 0:
        return None
    return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)


def _remainder(x: int, y: int) -> int | None:
    quotient = _divide(x, y)
    return None if quotient is None else x - y * quotient


_FUNCTIONS: dict[str, Callable[[Any, int], int | None]] = {
    "mul": operator.mul,
    "div": _divide,
    "mod": _remainder,
    "pow": operator.pow,
    "min": min,
    "max": max,
    "abs": lambda _, x: abs(x),
}


def _constant(value: int) -> Number:
    return Number(((value, TRUE),))


def _truth(literal: int) -> Number:
    """Return a truth value as the number 0 or 1."""
    if literal in (TRUE, FALSE):
        return _constant(int(literal == TRUE))
    return Number(((0, -literal), (1, literal)))


def _domain(variable: Any) -> Iterable[int]:
    size = variable.ub - variable.lb + 1
    if size > _MAX_VALUES:
        raise InvalidKnowledgeError(
            f"Each variable may have {_MAX_VALUES:,} values at most, but {variable} has {size:,} "
            f"({variable.lb} ... {variable.ub}). Give it tighter bounds, or write the number as "
            "several digits."
        )
    return range(variable.lb, variable.ub + 1)


def _has_constant(product_: Any) -> bool:
    return any(isinstance(x, Integral) for x in product_.args)


def _is_negated(expression: Any) -> bool:
    from cpmpy.expressions.variables import NegBoolView

    return isinstance(expression, NegBoolView)


def _is_global(expression: Any) -> bool:
    return hasattr(expression, "decompose")


def _unsupported(expression: Any) -> UnsupportedKnowledgeError:
    return UnsupportedKnowledgeError(
        f"The model holds {expression!r} ({type(expression).__name__}), which cannot be turned "
        "into clauses. Say it by other constraints."
    )
