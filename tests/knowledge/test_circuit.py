"""Circuits that knowledge compilers wrote: files, checks, and what engines make of them."""

import gzip
import pickle

import numpy as np
import pytest
import torch
from weights import random_log

from sknesy.exceptions import InvalidKnowledgeError, NNFError
from sknesy.inference import AutoEngine, CircuitEngine, EnumerationEngine
from sknesy.knowledge import CircuitKnowledge, ClauseKnowledge

# (1 or 2) and (not 1 or 3), and 4 is free.
CLAUSES = [[1, 2], [-1, 3]]
C2D = "nnf 8 8 4\nL 1\nL 3\nA 2 0 1\nL -1\nL 2\nA 2 3 4\nO 1 2 2 5\nA 1 6\n"
D4 = "o 1 0\no 2 0\nt 3 0\n2 3 -1 2 0\n2 3 1 3 0\n1 2 0\n"


def write(tmp_path, text, name="a.nnf"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def expand(clauses, n):
    """A decision-DNNF in the format of c2d, one proposition after the other, nothing shared."""
    lines = []

    def add(line):
        lines.append(line)
        return len(lines) - 1

    def below(clauses, p):
        if not clauses:
            return add("A 0")
        if [] in clauses:
            return add("O 0 0")
        children = []
        for literal in (p, -p):
            rest = [[x for x in c if x != -literal] for c in clauses if literal not in c]
            child = below(rest, p + 1)
            children.append(add(f"A 2 {add(f'L {literal}')} {child}"))
        return add(f"O {p} 2 {children[0]} {children[1]}")

    below(clauses, 1)
    n_edges = sum(len(line.split()) for line in lines)
    return "\n".join([f"nnf {len(lines)} {n_edges} {n}", *lines, ""])


def test_labels_may_be_tuples(tmp_path):
    names = ((0, 0), (1, 1))
    given = CircuitKnowledge(write(tmp_path, "nnf 1 0 1\nL 1\n"), names=names)
    assert given.conclude([[0], [1]]).tolist() == list(names)


def test_what_a_disjunction_decides_may_stand_behind_what_cannot_hold(tmp_path):
    # 1 and False, or not 1 and 2: children of a conjunction have no order.
    text = "nnf 7 6 2\nO 0 0\nL 1\nA 2 0 1\nL -1\nL 2\nA 2 4 3\nO 1 2 2 5\n"
    given = CircuitKnowledge(write(tmp_path, text))
    worlds = list(np.ndindex(2, 2))
    assert given.conclude(worlds).tolist() == [False, True, False, False]
    engine = CircuitEngine()
    log_prob, label = torch.zeros(2, 2, 2).double(), torch.eye(2).double().log()[:, None]
    posterior = engine.infer(engine.compile(given), log_prob, label)
    assert posterior.log_evidence.exp().tolist() == pytest.approx([3.0, 1.0])


def test_numbers_of_propositions_may_be_large(tmp_path):
    text = "nnf 3 2 2\nL 1\nL 900000000000\nA 2 0 1\n"
    given = CircuitKnowledge(write(tmp_path, text))
    assert given.symbols == (1, 900_000_000_000)
    assert given.conclude(list(np.ndindex(2, 2))).tolist() == [False, False, False, True]


@pytest.mark.parametrize("text", [C2D, D4], ids=["c2d", "d4"])
def test_formats_say_the_same(text, tmp_path):
    given = CircuitKnowledge(write(tmp_path, text), symbols=[1, 2, 3, 4])
    clauses = ClauseKnowledge(CLAUSES, [[p] for p in range(1, 5)])
    worlds = list(np.ndindex(2, 2, 2, 2))
    assert given.conclude(worlds).tolist() == clauses.conclude(worlds).tolist()
    assert pickle.loads(pickle.dumps(given)) == given
    assert repr(given).startswith("CircuitKnowledge(")


@pytest.mark.parametrize("seed", range(4))
def test_posteriors_are_those_of_the_clauses(seed, tmp_path):
    rng = np.random.default_rng(seed)
    n = 9
    clauses = [
        ((rng.choice(n, 3, replace=False) + 1) * rng.choice([-1, 1], 3)).tolist() for _ in range(14)
    ]
    given = CircuitKnowledge(write(tmp_path, expand(clauses, n)), symbols=range(1, n + 1))
    reference = EnumerationEngine()
    expected_form = reference.compile(ClauseKnowledge(clauses, [[p] for p in range(1, n + 1)]))
    engine = CircuitEngine()
    compiled = engine.compile(given)
    arrays = random_log(rng, 6, (2,) * n), random_log(rng, 6, (2,))
    got, expected = engine.infer(compiled, *arrays), reference.infer(expected_form, *arrays)
    np.testing.assert_allclose(got.log_evidence, expected.log_evidence, rtol=1e-12)
    np.testing.assert_allclose(got.symbol_marginals, expected.symbol_marginals, atol=1e-12)
    np.testing.assert_allclose(got.output_marginals, expected.output_marginals, atol=1e-12)
    alone = engine.compile(given, [True])
    assert alone.form.n_wires < compiled.form.n_wires
    holds = torch.tensor([[[-torch.inf, 0.0]]], dtype=torch.float64).expand(6, 1, 2)
    np.testing.assert_allclose(
        engine.infer(alone, arrays[0], holds).log_evidence,
        reference.infer(expected_form, arrays[0], holds).log_evidence,
        rtol=1e-12,
    )


def test_auto_and_compressed_files(tmp_path):
    path = tmp_path / "a.nnf.gz"
    path.write_bytes(gzip.compress(C2D.encode()))
    knowledge = CircuitKnowledge(path, names=("no", "yes"))
    assert knowledge.symbols == (1, 2, 3)
    assert knowledge.label_if_satisfied == "yes"
    choice = AutoEngine().compile(knowledge, ["yes", "no"])
    assert choice.output_states == (("no", "yes"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the file must hold a circuit, but it is empty"),
        ("c\np cnf 2 1\n1 2 0\n", "line 2: a circuit must start .*ClauseKnowledge takes files"),
        ("nnf 1 0\nA 0\n", "line 1: the header must be 'nnf v e n', got 'nnf 1 0'"),
        ("nnf 2 0 1\nL 1\n", "promises 2 nodes, but the file ends after 1. Is it cut off"),
        ("nnf 1 0 1\nL one\n", "line 2: expected an int, got 'one'"),
        ("nnf 1 0 1\nA 2 0\n", "line 2: a node must be .*got 'A 2 0'"),
        ("nnf 2 1 1\nA 1 1\nL 1\n", r"line 2: children must come before node 0, got \(1,\)"),
        ("o 1 0\n1 2 3 0\n", "line 2: an edge must join nodes of earlier lines, got 1, 2"),
        ("o 1 0\nt 2 0\n1 2 3\n", "line 3: a line must be a node, .*got '1 2 3'"),
        ("o 1 0\nt 2 0\n", "one node must have no edge to it, but 2 have none"),
        ("o 1 0\na 2 0\na 3 0\n1 2 0\n2 3 0\n3 2 0\n", "must not lead in a circle"),
    ],
)
def test_malformed_files_are_named_by_line(text, message, tmp_path):
    with pytest.raises(NNFError, match=message):
        CircuitKnowledge(write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "symbols", "message"),
    [
        (
            "nnf 3 2 1\nL 1\nL -1\nA 2 0 1\n",
            None,
            "node 2 share proposition 1. Compile to a d-DNNF",
        ),
        ("nnf 3 2 2\nL 1\nL 2\nO 0 2 0 1\n", None, "node 2 has 2 .* decision-DNNF, as c2d"),
        (C2D, [1, 2], "propositions 3 are not among them"),
    ],
)
def test_circuits_that_are_no_decision_dnnf_are_refused(text, symbols, message, tmp_path):
    with pytest.raises(InvalidKnowledgeError, match=message):
        CircuitKnowledge(write(tmp_path, text), symbols)


def test_symbols_are_different_propositions(tmp_path):
    path = write(tmp_path, C2D)
    with pytest.raises(ValueError, match="different propositions.* got 1, 1"):
        CircuitKnowledge(path, [1, 1])
    with pytest.raises(TypeError, match=r"int of at least 1, got \[1\]"):
        CircuitKnowledge(path, [[1], [2], [3]])


def test_a_circuit_that_never_holds_is_named(tmp_path):
    knowledge = CircuitKnowledge(write(tmp_path, "nnf 1 0 1\nO 0 0\n"), [1])
    with pytest.raises(InvalidKnowledgeError, match="holds in none. Check the knowledge"):
        CircuitEngine().compile(knowledge)
