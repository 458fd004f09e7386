"""Knowledge as clauses."""

import itertools
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pysat.card import CardEnc, EncType
from pysat.formula import CNF, WCNF, And, Atom, CNFPlus, Formula
from sklearn.base import clone

from sknesy.exceptions import (
    DimacsError,
    InconsistentLabelError,
    InvalidKnowledgeError,
    UndeterminedPropositionWarning,
)
from sknesy.inference import (
    BeliefPropagationEngine,
    CircuitEngine,
    DiagramEngine,
    EnumerationEngine,
    ModeEngine,
    SamplingEngine,
)
from sknesy.knowledge import ClauseKnowledge, LinearConstraint, read_dimacs, write_dimacs

CLAUSES = [[1, 2], [-1, -2], [2, 3]]
BOOLEANS = [[1], [2], [3]]
WORLDS = list(itertools.product([0, 1], repeat=3))


@pytest.fixture
def context():
    """pysat's formulas live in a global context; leave none behind."""
    yield
    Formula.cleanup()


def test_forms_of_the_same_clauses_are_equal_knowledge(tmp_path):
    plain = ClauseKnowledge(CLAUSES, BOOLEANS)
    assert ClauseKnowledge(CNF(from_clauses=CLAUSES), BOOLEANS) == plain
    plain.to_dimacs(tmp_path / "a.cnf")
    assert ClauseKnowledge(tmp_path / "a.cnf", BOOLEANS) == plain
    assert ClauseKnowledge(str(tmp_path / "a.cnf"), BOOLEANS) == plain


def test_knowledge_is_its_own_clone_pickles_and_hashes():
    knowledge = ClauseKnowledge(CLAUSES, BOOLEANS)
    assert clone(knowledge) is knowledge
    again = pickle.loads(pickle.dumps(knowledge))
    assert again == knowledge
    assert hash(again) == hash(knowledge)


def test_later_change_of_the_callers_lists_does_not_reach_the_knowledge():
    clauses = [list(c) for c in CLAUSES]
    knowledge = ClauseKnowledge(clauses, BOOLEANS)
    clauses[0].append(3)
    assert knowledge == ClauseKnowledge(CLAUSES, BOOLEANS)


@pytest.mark.usefixtures("context")
def test_formula_concludes_as_its_truth_table():
    a, b, c = Atom("a"), Atom("b"), Atom("c")
    knowledge = ClauseKnowledge((a & ~b) | (b ^ c), symbols=[[a], [b], [c]])
    expected = [bool((x and not y) or (y != z)) for x, y, z in WORLDS]
    assert knowledge.conclude(WORLDS).tolist() == expected


def test_a_symbol_of_several_states_is_in_exactly_one():
    # no clause at all: what holds is that each symbol has one state
    knowledge = ClauseKnowledge([[-1, -4]], symbols=[[1, 2, 3], [4, 5]])
    assert knowledge.n_states.tolist() == [3, 2]
    assert knowledge.conclude([[0, 0], [2, 0]]).tolist() == [False, True]


def test_several_outputs_make_a_tuple():
    # proposition 3 is 1 and 2; propositions 4, 5 tell whether 1 holds
    clauses = [[-3, 1], [-3, 2], [3, -1, -2], [-1, 5], [1, 4]]
    knowledge = ClauseKnowledge(
        clauses, [[1], [2]], outputs=[[3], [4, 5]], output_states=[["no", "yes"], ["off", "on"]]
    )
    assert knowledge.conclude([[1, 1], [1, 0], [0, 1]]).tolist() == [
        ("yes", "on"),
        ("no", "on"),
        ("no", "off"),
    ]


def test_auxiliaries_are_what_is_neither_symbol_nor_output():
    cnf = CardEnc.atmost([1, 2, 3, 4], bound=2, encoding=EncType.seqcounter)
    knowledge = ClauseKnowledge(cnf, [[1], [2], [3], [4]])
    assert min(knowledge.auxiliaries) == 5
    assert knowledge.conclude([[1, 1, 1, 0], [1, 1, 0, 0]]).tolist() == [False, True]


@st.composite
def untidy_clauses(draw):
    """Clauses as they should be, and the same over other numbers and with more said than needed."""
    literals = st.integers(1, 5).flatmap(lambda p: st.sampled_from([p, -p]))
    tidy = draw(st.lists(st.lists(literals, min_size=1, max_size=3, unique=True), max_size=6))
    gaps = st.integers(1, 10**15)
    to = dict(
        zip(range(1, 6), draw(st.lists(gaps, min_size=5, max_size=5, unique=True)), strict=True)
    )
    to.update({-p: -x for p, x in to.items()})
    said = [[to[x] for x in draw(st.permutations(clause * 2))] for clause in tidy]
    free = draw(st.lists(gaps, max_size=1))
    said += [[to[1], x, -x] for x in free]  # always holds
    return tidy, to, draw(st.permutations(said + said[:2]))


@settings(max_examples=30, deadline=None)
@given(untidy_clauses())
def test_clauses_mean_the_same_whatever_numbers_and_repetitions_they_are_said_with(problem):
    tidy, to, said = problem
    plain = ClauseKnowledge(tidy, [[1], [2], [3]])
    for clauses in (said, CNF(from_clauses=said)):
        knowledge = ClauseKnowledge(clauses, [[to[1]], [to[2]], [to[3]]])
        assert knowledge.conclude(WORLDS).tolist() == plain.conclude(WORLDS).tolist()
        used = {abs(x) for clause in knowledge.given_clauses for x in clause}
        assert used.union(*knowledge.symbols) <= set(to.values())
        of = knowledge.dense
        numbers = {abs(x) for c in (*of.clauses, *of.symbols) for x in c}
        assert numbers == set(range(1, len(numbers) + 1))
        assert all(len({*map(abs, clause)}) == len(clause) for clause in of.clauses)
        assert len({*map(frozenset, of.clauses)}) == len(of.clauses)


def test_constraints_mean_the_same_whatever_numbers_and_repetitions_they_are_said_with():
    a, b, c = 10**9, 7, 10**14
    terms = [a, b, -c, a, c, -b], [1, 1, 1, 1, 2, 3]
    for relation, bound in itertools.product(["<=", ">=", "=="], range(-3, 6)):
        untidy = LinearConstraint(*terms, relation, bound)
        knowledge = ClauseKnowledge([], [[a], [b], [c]], constraints=[untidy])
        tidy = LinearConstraint([1, 2, 3], [2, -2, 1], relation, bound - 4)
        plain = ClauseKnowledge([], [[1], [2], [3]], constraints=[tidy])
        assert knowledge.conclude(WORLDS).tolist() == plain.conclude(WORLDS).tolist()
        assert all(abs(x) < 30 for clause in knowledge.dense.clauses for x in clause)


def test_numbers_are_shown_and_written_as_they_were_given(tmp_path):
    first, second, extra = 10**6, 5, 10**9
    knowledge = ClauseKnowledge([[first, extra, first]], [[second], [first]])
    assert knowledge.symbols == ((second,), (first,))
    assert knowledge.given_clauses == knowledge.clauses == ((first, extra),)
    assert knowledge.auxiliaries == (extra,)
    with pytest.warns(UndeterminedPropositionWarning, match="propositions 1000000000. Worlds"):
        EnumerationEngine().compile(knowledge)
    with pytest.raises(InvalidKnowledgeError, match="leave open the propositions 1000000000"):
        EnumerationEngine().compile(ClauseKnowledge([[5, 10**9]], [[5]], [[10**9]]))
    knowledge.to_dimacs(tmp_path / "a.cnf")
    assert ClauseKnowledge(tmp_path / "a.cnf", knowledge.symbols) == knowledge
    again = pickle.loads(pickle.dumps(knowledge.dense))
    assert again.given_numbers([1, 2, 3]) == [second, first, extra]


each_engine = pytest.mark.parametrize(
    "engine",
    [
        EnumerationEngine(),
        DiagramEngine(),
        CircuitEngine(),
        BeliefPropagationEngine(),
        ModeEngine(n_worlds=9),
        SamplingEngine(n_draws=200),
        SamplingEngine(n_draws=200, look_ahead=False),
    ],
    ids=lambda engine: type(engine).__name__,
)


@each_engine
def test_engines_know_the_names_of_both_answers(engine):
    knowledge = ClauseKnowledge([[1, 2]], [[1], [2]], names=("pos", "neg"))
    assert knowledge.conclude([[0, 0], [0, 1]]).tolist() == ["pos", "neg"]
    log_prob = torch.tensor([[[0.5, 0.5], [0.2, 0.8]]], dtype=torch.float64).log()
    for label, expected in (("pos", 0.1), ("neg", 0.9)):
        compiled = engine.compile(knowledge, [label])
        (states,) = compiled.output_states
        weights = [0.0 if name == label else -torch.inf for name in states]
        observed = torch.tensor([[weights]], dtype=torch.float64)
        posterior = engine.infer(compiled, log_prob, observed, torch.Generator().manual_seed(0))
        assert posterior.log_evidence.exp().item() == pytest.approx(expected, rel=0.1)
    with pytest.raises(InconsistentLabelError, match="y holds False"):
        engine.compile(knowledge, [False, True])


@each_engine
def test_engines_see_no_repetitions_and_no_gaps(engine):
    """Engines drew from [[1, 1]] as if it could not hold, or kept an entry for each number."""
    compiled = engine.compile(ClauseKnowledge([[-(10**9), 4, 4], [4, 4]], [[10**9], [4]]))
    log_prob = torch.tensor([[[0.5, 0.5], [0.2, 0.8]]], dtype=torch.float64).log()
    holds = torch.tensor([[[-torch.inf, 0.0]]], dtype=torch.float64)
    posterior = engine.infer(compiled, log_prob, holds, torch.Generator().manual_seed(0))
    assert posterior.log_evidence.exp().item() == pytest.approx(0.8)


def test_contradictions_give_every_world_the_label_false_or_none():
    contradiction = [[1], [-1]]
    assert ClauseKnowledge(contradiction, [[1], [2]]).conclude([[0, 1]]).tolist() == [False]
    knowledge = ClauseKnowledge(contradiction, [[1], [2]], outputs=[[3]])
    assert knowledge.conclude([[0, 1], [1, 1]]).tolist() == [None, None]


def test_open_output_is_named():
    knowledge = ClauseKnowledge([[1, 2, 3]], [[1], [2]], outputs=[[3]])
    with pytest.raises(InvalidKnowledgeError, match=r"outputs\[0\] must be determined"):
        knowledge.conclude([[1, 0]])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"clauses": 5}, TypeError, "clauses must be a list of lists of ints.* got 5"),
        ({"clauses": [1, 2]}, TypeError, r"clauses\[0\] must be a list of ints, got 1.*: \[3\]"),
        ({"clauses": [[1, 0]]}, ValueError, r"clauses\[0\] must hold ints other than 0, .*got 0"),
        ({"clauses": [["a"]]}, ValueError, "got 'a'.*Number"),
        ({"clauses": [[1], []]}, InvalidKnowledgeError, r"clauses\[1\] is empty.*Remove"),
        ({"symbols": []}, ValueError, "at least one symbol, got none"),
        ({"symbols": [1, 2]}, TypeError, r"symbols\[0\] must be a list of propositions.* got 1"),
        ({"symbols": [[]]}, ValueError, r"symbols\[0\] must hold at least one proposition"),
        ({"symbols": [[-1]]}, ValueError, r"symbols\[0\] must hold propositions.* got -1"),
        (
            {"symbols": [[1, 2], [3, 2]]},
            InvalidKnowledgeError,
            r"symbols\[0\]\[1\] and symbols\[1\]\[1\] share proposition 2.*differently",
        ),
        (
            {"symbols": [[1], [2]], "outputs": [[1]]},
            InvalidKnowledgeError,
            r"symbols\[0\]\[0\] and outputs\[0\]\[0\] share proposition 1",
        ),
        ({"symbol_states": [["a", "b"]]}, ValueError, "3 variables, got 1"),
        (
            {"symbol_states": [["a", "b", "c"]] * 3},
            ValueError,
            r"symbol_states\[0\] must hold 2 names, got 3",
        ),
        ({"output_states": [["a", "b"]]}, ValueError, "outputs=None.*names=\\('no', 'yes'\\)"),
        ({"names": ["a"]}, ValueError, "names must be a pair of labels.* got \\['a'\\]"),
        (
            {"symbols": [[1], [2]], "outputs": [[3]], "names": ["a", "b"]},
            ValueError,
            r"names is for knowledge without outputs, got \['a', 'b'\].*Pass `output_states`",
        ),
    ],
)
def test_wrong_arguments_are_named(arguments, error, message):
    arguments = {"clauses": CLAUSES, "symbols": BOOLEANS, **arguments}
    with pytest.raises(error, match=message):
        ClauseKnowledge(**arguments)


def test_native_cardinality_constraints_are_refused():
    cnf = CNFPlus()
    cnf.append([[1, 2, 3], 1], is_atmost=True)
    with pytest.raises(InvalidKnowledgeError, match="1 native at-most constraints.*Encode"):
        ClauseKnowledge(cnf, BOOLEANS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("p cnf 3 2\n1 2 0\n-1 3", "line 3: the file ends within clause.*cut off"),
        ("p cnf 3 2\n1 2 0\n", "line 2: the header promises 2 clauses, .* after 1.*cut off"),
        ("p cnf 3 1\n1 2 x 0\n", "line 2: a literal must be an int, got 'x'"),
        ("p cnf 3 1\n1 +-2 0\n", r"line 2: a literal must be an int, got '\+-2'"),
        ("p cnf 3 1\n" + "9" * 5000, r"line 2: a literal must be .* \(5000 characters\). Mend"),
        ("p cnf 3 " + "9" * 5000, "line 1: the header must be 'p cnf"),
        ("p cnf 3 1\n1 4 0\n", "line 2: literal 4, but the header promises propositions 1 ... 3"),
        ("1 2 0\n", "line 1: clauses before the header"),
        ("c nothing\n", "line 1: no header"),
        ("", "line 0: no header"),
        ("p wcnf 3 1\n", "line 1: the header must be 'p cnf.*Only plain CNF"),
        ("p cnf 3\n", "line 1: the header must be"),
        ("p cnf 1 1\np cnf 1 1\n1 0\n", "line 2: a second header"),
    ],
)
def test_malformed_dimacs_is_named_by_line(tmp_path, text, message):
    path = tmp_path / "broken.cnf"
    path.write_text(text)
    with pytest.raises(DimacsError, match=r"broken\.cnf, " + message):
        read_dimacs(path)


def test_dimacs_clause_may_run_over_lines_and_comments(tmp_path):
    path = tmp_path / "a.cnf"
    path.write_text("c hello\np cnf 3 2\n1\nc in between\n2 0 -1\n3 0\n%\n0\n")
    assert read_dimacs(path) == [[1, 2], [-1, 3]]


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz"])
def test_dimacs_survives_the_round_trip_compressed_or_not(tmp_path, suffix):
    path = tmp_path / f"a.cnf{suffix}"
    write_dimacs(path, CLAUSES)
    assert read_dimacs(path) == CLAUSES
    assert ClauseKnowledge(path, BOOLEANS) == ClauseKnowledge(CLAUSES, BOOLEANS)
    named_otherwise = path.rename(tmp_path / "formula")
    assert read_dimacs(named_otherwise) == CLAUSES
    content = named_otherwise.read_bytes()
    named_otherwise.write_bytes(content[: len(content) // 2])
    with pytest.raises(DimacsError, match=r"formula.* cut off\?"):
        read_dimacs(named_otherwise)


def test_dimacs_literals_may_have_a_plus(tmp_path):
    (tmp_path / "a.cnf").write_text("p cnf +3 1\n+1 -2 +3 0\n")
    assert read_dimacs(tmp_path / "a.cnf") == [[1, -2, 3]]


@pytest.mark.usefixtures("context")
def test_several_formulas_are_an_error_with_the_cure():
    a, b = Atom("a"), Atom("b")
    with pytest.raises(TypeError, match=r"clauses\[0\] .* got the pysat formula .*And\(first, s"):
        ClauseKnowledge([a | b, ~a], [[a], [b]])
    joined = ClauseKnowledge(And(a | b, ~a), [[a], [b]])
    assert joined.conclude([[0, 0], [0, 1], [1, 1]]).tolist() == [False, True, False]


def test_weighted_clauses_are_an_error_with_the_cure():
    weighted = WCNF()
    weighted.append([1, 2])
    with pytest.raises(InvalidKnowledgeError, match=r"the WCNF has weights.* clauses=wcnf.hard"):
        ClauseKnowledge(weighted, BOOLEANS)


def test_missing_file_is_an_ordinary_error():
    with pytest.raises(FileNotFoundError):
        ClauseKnowledge("nowhere.cnf", BOOLEANS)
