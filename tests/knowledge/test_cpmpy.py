"""Constraint models of CPMpy, held against CPMpy's own value of their expressions."""

import builtins
import itertools
import pickle

import cpmpy as cp
import levels
import pytest
from cpmpy.exceptions import IncompleteFunctionError
from cpmpy.expressions.utils import argval
from pysat.solvers import Solver

from sknesy import sat
from sknesy.compilation import Limits, compile_levels
from sknesy.exceptions import InvalidKnowledgeError, TooWideError, UnsupportedKnowledgeError
from sknesy.inference import EnumerationEngine
from sknesy.knowledge import (
    DiagramConstraint,
    DistinctConstraint,
    LinearConstraint,
    from_cpmpy,
)


def sudoku(size, box):
    grid = cp.intvar(1, size, shape=(size, size), name="cell")
    starts = range(0, size, box)
    boxes = [grid[i : i + box, j : j + box] for i in starts for j in starts]
    return grid, cp.Model([cp.AllDifferent(part) for part in (*grid, *grid.T, *boxes)])


def by_definition(model, symbols, output=None):
    """The label of each world, by setting the variables and asking CPMpy for values."""
    labels = []
    domains = [(False, True) if v.is_bool() else range(v.lb, v.ub + 1) for v in symbols]
    for world in itertools.product(*domains):
        for variable, value in zip(symbols, world, strict=True):
            variable._value = value
        holds = all(argval(constraint) for constraint in model.constraints)
        if output is None:
            labels.append(holds)
            continue
        try:
            labels.append(output.value() if holds else None)
        except IncompleteFunctionError:
            labels.append(None)
    return labels


def worlds_of(knowledge):
    return list(itertools.product(*map(range, knowledge.n_states)))


def labelled_worlds(knowledge):
    worlds = worlds_of(knowledge)
    return zip(worlds, knowledge.conclude(worlds), strict=True)


def open_auxiliaries(knowledge):
    clauses = [*knowledge.clauses, *sat.exactly_one(knowledge.output_variables)]
    return sat.undetermined(clauses, knowledge.symbol_variables, knowledge.auxiliaries)


ROWS = [(0, 1, 2), (2, 1, 0), (-1, -1, 2), (7, 0, 0)]


def parts():
    """Constraints on four numbers -1 ... 2, in plain Python, and what they are read as."""
    x = cp.intvar(-1, 2, shape=4)
    return {
        "shifted": (
            x,
            cp.AllDifferent([x[i] + i for i in range(4)]),
            lambda *v: len({v[i] + i for i in range(4)}) == 4,
            DistinctConstraint,
        ),
        "sum": (
            x,
            2 * x[0] - cp.sum(x[1:]) > 2,
            lambda a, *v: 2 * a - sum(v) > 2,
            LinearConstraint,
        ),
        "equation": (
            x,
            x[0] - x[1] == x[2] + 3 * x[3],
            lambda a, b, c, d: a - b == c + 3 * d,
            LinearConstraint,
        ),
        "table": (
            x,
            cp.Table([x[2], x[0], x[3]], ROWS),
            lambda a, b, c, d: (c, a, d) in ROWS,
            DiagramConstraint,
        ),
    }


@pytest.mark.parametrize("name", parts())
def test_parts_that_stay_what_they_are_hold_as_in_python(name):
    x, constraint, holds, kind = parts()[name]
    # A free variable is in some constraint.
    knowledge = from_cpmpy(cp.Model(constraint, [v >= -1 for v in x]), symbols=x)
    assert not knowledge.given_clauses
    assert [type(part) for part in knowledge.constraints] == [kind]
    worlds = [(*w, int(holds(*(v - 1 for v in w)))) for w in worlds_of(knowledge)]
    assert len({w[-1] for w in worlds}) == 2
    assert [int(label) for label in knowledge.conclude([w[:-1] for w in worlds])] == [
        w[-1] for w in worlds
    ]
    assert levels.worlds_of(compile_levels(knowledge, limits=Limits())) == sorted(worlds)


def test_a_sum_may_define_an_output():
    x, total = cp.intvar(0, 2, shape=3), cp.intvar(0, 4)
    knowledge = from_cpmpy(cp.Model(total == cp.sum(x)), symbols=x, outputs=total)
    assert isinstance(knowledge.constraints[0], LinearConstraint)
    expected = [(*w, sum(w)) for w in worlds_of(knowledge) if sum(w) <= 4]
    assert levels.worlds_of(compile_levels(knowledge, limits=Limits())) == sorted(expected)


def test_sudoku_of_size_4_has_288_worlds():
    grid, model = sudoku(4, 2)
    knowledge = from_cpmpy(model, symbols=grid)
    assert len(EnumerationEngine().compile(knowledge, [True]).form.rows) == 288
    assert knowledge.symbol_states == ((1, 2, 3, 4),) * 16
    assert not knowledge.auxiliaries


def test_at_most_3_of_7_has_64_worlds():
    x = cp.boolvar(shape=7)
    knowledge = from_cpmpy(cp.Model(cp.sum(x) <= 3), symbols=x)
    assert sum(knowledge.conclude(worlds_of(knowledge))) == 64
    # The clauses have as many models: each world determines every auxiliary proposition.
    with Solver("minisat22", bootstrap_with=knowledge.clauses) as solver:
        assert len(list(solver.enum_models())) == 64


def test_label_false_is_the_complement():
    x = cp.intvar(0, 2, shape=3)
    model = cp.Model(cp.sum(x) == 3, x[0] != x[1])
    knowledge = from_cpmpy(model, symbols=x)
    assert knowledge.conclude(worlds_of(knowledge)).tolist() == by_definition(model, x)


def constraints(x, b):
    """One constraint of each kind, over three ints in -1 ... 2 and two Booleans."""
    u, v, w = x
    p, q = b
    return {
        "equal": u == v,
        "unequal": u + v != w,
        "weighted sum": 10 * u + 3 * v - w >= 7,
        "difference": -(u - v) < w,
        "Booleans in a sum": cp.sum([p, q, u]) <= 1,
        "and": (u == 1) & p,
        "or": (u == 1) | ~p | (v > w),
        "not": ~((u == 1) & p),
        "implies": p.implies(u > v),
        "if and only if": (u > v) == q,
        "differs from": p != (u == v),
        "constant": cp.any([p, True]) & cp.all([u >= 0, True]),
        "xor": cp.Xor([p, q, u > 0]),
        "all different": cp.AllDifferent(x),
        "not all different": ~cp.AllDifferent(u + v, w, 1),
        "all equal": cp.AllEqual(x),
        "table": cp.Table(x, [[0, 1, 2], [1, 1, 1], [-1, 0, 0]]),
        "not table": ~cp.Table(x, [[0, 1, 2], [1, 1, 1], [-1, 0, 0]]),
        "negative table": cp.NegativeTable(x, [[0, 1, 2], [1, 1, 1], [-1, 0, 0]]),
        "short table": cp.ShortTable(x, [[0, "*", 2], [1, 1, "*"]]),
        "table of the undefined": cp.Table([u // v, w], [[0, 1], [2, 2]]),
        "no table of the undefined": cp.NegativeTable([u // v, w], [[0, 1], [2, 2]]),
        "different and undefined": cp.AllDifferent(u // v, w),
        "domain": cp.InDomain(u + v, [0, 3]),
        "count": cp.Count(x, 1) >= 2,
        "number of values": cp.NValue(x) == 2,
        "cardinality": cp.GlobalCardinalityCount(x, [0, 1], [u, 1]),
        "increasing": cp.IncreasingStrict(x),
        "lexicographic": cp.LexLess([u, v], [v, w]),
        "inverse": cp.Inverse([u, v], [w, 0]),
        "circuit": cp.Circuit(x),
        "regular": cp.Regular(x, [("a", 0, "a"), ("a", 1, "b"), ("b", 0, "a")], "a", ["a", "b"]),
        "precedence": cp.Precedence(x, [0, 1]),
        "cumulative": cp.Cumulative(x, [1, 2, 1], demand=[1, 1, 1], capacity=2),
        "if then else": cp.IfThenElse(p, u > v, w == 0),
        "maximum": cp.max([u, v]) == w,
        "minimum": cp.min([u, v, 1]) == w,
        "absolute": abs(u - v) == w,
        "product": u * v == w,
        "power": u**2 + v**3 > w,
        "division": u // v == w,
        "not division": ~(u // v == w),
        "remainder": (u + 4) % v == w,
        "element": cp.cpm_array([2, v, 0])[u] >= w,
        "not element": ~(cp.cpm_array([2, v, 0])[u] >= w),
        "element of two axes": cp.cpm_array([[v, 0], [1, w]])[u, v] == 1,
        "undefined entry": cp.cpm_array([u // v, 1])[w] == 1,
    }


NAMES = list(constraints(cp.intvar(-1, 2, shape=3), cp.boolvar(shape=2)))


@pytest.mark.parametrize("is_reified", [False, True], ids=["required", "reified"])
@pytest.mark.parametrize("name", NAMES)
def test_constraint_agrees_with_cpmpy(name, is_reified):
    x, b = cp.intvar(-1, 2, shape=3), cp.boolvar(shape=2)
    constraint = constraints(x, b)[name]
    if is_reified:
        constraint = constraint == (b[0] | (x[2] == 0))
    free = [v >= -1 for v in (*x, *b)]
    model = cp.Model(constraint, free)
    knowledge = from_cpmpy(model, symbols=[x, b])
    got = knowledge.conclude(worlds_of(knowledge)).tolist()
    assert got == by_definition(cp.Model(constraint), [*x, *b])
    assert not open_auxiliaries(knowledge)


@pytest.mark.parametrize(
    "expression",
    [
        lambda x: x[0] + x[1] + x[2],
        lambda x: 2 * x[0] - x[1] + 1,
        lambda x: x[0] * x[1] - x[2],
        lambda x: cp.max(x),
        lambda x: x[0] // x[1],
        lambda x: x[0] > x[1],
        lambda x: (x[0] > x[1]) & (x[1] > x[2]),
        lambda x: -x[2],
        lambda x: cp.Count(x, 1),
    ],
)
def test_output_may_be_an_expression(expression):
    x = cp.intvar(-1, 2, shape=3)
    output = expression(x)
    model = cp.Model(x[0] + x[1] >= 0, x[2] >= -1)
    knowledge = from_cpmpy(model, symbols=x, outputs=output)
    assert knowledge.conclude(worlds_of(knowledge)).tolist() == by_definition(model, x, output)
    assert not open_auxiliaries(knowledge)


def test_outputs_may_be_variables_and_several():
    a, b, total = cp.intvar(0, 3, shape=2), cp.boolvar(), cp.intvar(0, 10)
    model = cp.Model(total == cp.sum(a) + b)
    knowledge = from_cpmpy(model, symbols=[a, b], outputs=[total, a[0] > a[1]])
    assert knowledge.output_states == (tuple(range(11)), (False, True))
    assert knowledge.symbol_states == ((0, 1, 2, 3), (0, 1, 2, 3), (False, True))
    for world, label in labelled_worlds(knowledge):
        assert label == (sum(world), world[0] > world[1])


def test_symbol_may_be_observed_and_an_output_given_twice():
    x, y = cp.intvar(0, 2, shape=2), cp.boolvar()
    model = cp.Model(y == (x[0] < x[1]))
    knowledge = from_cpmpy(model, symbols=x, outputs=[x[1], y, y])
    assert knowledge.conclude([[0, 1], [2, 1]]).tolist() == [(1, True, True), (1, False, False)]


def test_both_answers_may_be_named():
    x = cp.intvar(0, 2, shape=2, name="x")
    knowledge = from_cpmpy(cp.Model(x[0] < x[1]), x, names=("no", "yes"))
    assert knowledge.conclude([[0, 1], [1, 1]]).tolist() == ["yes", "no"]


def test_large_sums_stay_small():
    """Two numbers of 10 digits and their sum: terms of like weight meet, so few sums are open."""
    a, b = cp.intvar(0, 9, shape=10), cp.intvar(0, 9, shape=10)
    s = cp.intvar(0, 9, shape=11)
    value = [sum(int(10**i) * d for i, d in enumerate(digits)) for digits in (a, b, s)]
    knowledge = from_cpmpy(cp.Model(value[0] + value[1] == value[2]), [a, b], s)
    assert len(knowledge.clauses) < 10_000
    world = [[9] * 10 + [1] + [0] * 9]
    assert knowledge.conclude(world)[0] == (0,) * 10 + (1,)


def test_auxiliary_variable_needs_some_value_only():
    """Three parts go on two machines within a time, if some assignment of them does."""
    times, machine = cp.intvar(1, 4, shape=3), cp.boolvar(shape=3)
    load = cp.sum([t * m for t, m in zip(times, machine, strict=True)])
    model = cp.Model(load <= 4, cp.sum(times) - load <= 4)
    knowledge = from_cpmpy(model, symbols=times, auxiliaries=machine)
    for world, label in labelled_worlds(knowledge):
        durations = [v + 1 for v in world]
        loads = (
            sum(d for d, m in zip(durations, chosen, strict=True) if m)
            for chosen in itertools.product([0, 1], repeat=3)
        )
        assert label == any(one <= 4 and sum(durations) - one <= 4 for one in loads)


def test_variable_that_the_symbols_determine_needs_no_mention():
    x, carry = cp.intvar(0, 3, shape=2), cp.intvar(0, 1)
    digit = cp.intvar(0, 3)
    model = cp.Model(x[0] + x[1] == 4 * carry + digit)
    knowledge = from_cpmpy(model, symbols=x, outputs=digit)
    assert knowledge.conclude([[3, 2]])[0] == 1


def test_pickles_without_cpmpy():
    grid, model = sudoku(4, 2)
    knowledge = from_cpmpy(model, grid, outputs=grid[0, 0] + grid[1, 1])
    stored = pickle.dumps(knowledge)
    assert b"cpmpy" not in stored
    assert pickle.loads(stored) == knowledge


def test_arrays_are_read_row_by_row():
    x = cp.intvar(0, 1, shape=(2, 2))
    by_array = from_cpmpy(cp.Model(x[0, 1] > x[1, 0], cp.sum(x) < 4), x)
    by_list = from_cpmpy(cp.Model(x[0, 1] > x[1, 0], cp.sum(x) < 4), [x[0, 0], *x.flat[1:]])
    assert by_array == by_list
    assert by_array.conclude([[0, 1, 0, 0], [0, 0, 1, 0]]).tolist() == [True, False]


def test_missing_cpmpy_names_the_extra(monkeypatch):
    real = builtins.__import__

    def fail(name, *args, **kwargs):
        if name.startswith("cpmpy"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(ImportError, match=r'pip install "sknesy\[cp\]"'):
        from_cpmpy(None, [])


x, y = cp.intvar(0, 3, name="x"), cp.intvar(0, 3, name="y")
fixed, huge, flag = cp.intvar(2, 2, name="f"), cp.intvar(0, 10**6, name="h"), cp.boolvar(name="b")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((x < y, [x, y]), TypeError, "cpmpy.Model, got Comparison. Pass cpmpy.Model"),
        (
            (cp.Model(x < y, minimize=x + y), [x, y]),
            InvalidKnowledgeError,
            "has the objective .*Remove it",
        ),
        ((cp.Model(x < y), [x, flag]), ValueError, "symbols.1. is b, which is in no constr.*leave"),
        ((cp.Model(x < y), [x, x]), ValueError, "symbols holds x, which symbols holds already"),
        ((cp.Model(x < y), [x, x + y]), TypeError, r"symbols.1. must be a variable.*got \(?x"),
        ((cp.Model(flag | (x < y)), [x, y, ~flag]), TypeError, "symbols.2.*got ~b.*add a variable"),
        ((cp.Model(x < y), []), ValueError, "symbols must hold at least one variable, got none"),
        ((cp.Model(x < y), [x, y], []), ValueError, "outputs must hold at least.*outputs=None"),
        ((cp.Model(x < y), [x, y], [3]), TypeError, r"outputs.0. must be .* got 3. Pass"),
        ((cp.Model(x < fixed), [x, fixed]), InvalidKnowledgeError, "symbols.1.*always 2.*Leave it"),
        ((cp.Model(x < huge), [x, huge]), InvalidKnowledgeError, "1,000 values.*h has 1,000,001"),
        ((cp.Model(x < huge), [x]), InvalidKnowledgeError, "h has 1,000,001 .*tighter bounds"),
        ((cp.Model(x < y), [x]), InvalidKnowledgeError, "leave open 'y'. .*`auxiliaries`"),
        ((cp.Model(x < y), [x], y), InvalidKnowledgeError, "leave open 'y'. .*define them"),
        ((cp.Model(x + y < 9, x > 5), [x, y]), InvalidKnowledgeError, "x. > 5|x > 5.*cannot hold"),
        ((cp.Model(x < y), [x, y], x * 0), InvalidKnowledgeError, "two values .*has 1"),
        (
            (cp.Model(cp.DirectConstraint("AddThis", (x, y))), [x, y]),
            UnsupportedKnowledgeError,
            "AddThis.*DirectConstraint.*other constraints",
        ),
    ],
)
def test_errors_name_the_value_and_the_cure(arguments, error, message):
    with pytest.raises(error, match=message):
        from_cpmpy(*arguments)


def test_limit_on_clauses_is_kept():
    z = cp.intvar(0, 99, shape=6)
    weights = [1, 101, 10_007, 100_003, 3, 7]
    with pytest.raises(TooWideError, match="max_clauses=10000 clauses. Raise `max_clauses`"):
        from_cpmpy(cp.Model(cp.sum(z * weights) % 2 == 1), z, max_clauses=10_000)
