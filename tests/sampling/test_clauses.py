"""Guided draws under clauses: worlds that hold, weights that are right, and none that are lost."""

import itertools
import math
import pickle
import random
import time

import numpy as np
import pytest
import torch
from oracle import holds
from puzzles import addition, sudoku
from pysat.card import CardEnc, EncType
from weights import random_log, seeded

from sknesy import sat
from sknesy.exceptions import InconsistentLabelError
from sknesy.inference import DiagramEngine, SamplingEngine
from sknesy.knowledge import ClauseKnowledge
from sknesy.sampling._tree import PrefixTree
from sknesy.sampling._violations import Violations

N_RUNS = 80
ORDERS = ["natural", "constrained", "confident", "auto"]


def truth(n, label=True):
    """The evidence that clauses hold, or that they do not."""
    row = [-torch.inf, 0.0] if label else [0.0, -torch.inf]
    return torch.tensor([[row]], dtype=torch.float64).expand(n, 1, 2)


def sums(compiled, knowledge, worlds):
    """The evidence of the labels of some worlds."""
    counts = tuple(map(len, compiled.output_states))
    evidence = torch.full((len(worlds), len(counts), max(counts)), -torch.inf).double()
    for i, label in enumerate(knowledge.conclude(worlds)):
        for o, name in enumerate(label):
            evidence[i, o, compiled.output_states[o].index(name)] = 0.0
    return evidence


def addition_problem(n_digits, n=3, scale=1.0, base=10, seed=0, **parameters):
    """Addition with a random net, and the sums of random numbers."""
    rng = np.random.default_rng(seed)
    knowledge = addition(n_digits, base)
    engine = SamplingEngine(**parameters)
    compiled = engine.compile(knowledge)
    log_prob = random_log(rng, n, knowledge.n_states.tolist(), scale)
    worlds = rng.integers(base, size=(n, 2 * n_digits))
    return engine, compiled, log_prob, sums(compiled, knowledge, worlds)


def sudoku_problem(givens="", n=3, scale=1.0, seed=0, **parameters):
    """A small sudoku with a random net."""
    knowledge = sudoku(2, givens)
    engine = SamplingEngine(**parameters)
    log_prob = random_log(np.random.default_rng(seed), n, [4] * 16, scale)
    return engine, engine.compile(knowledge), log_prob, truth(n)


def exact(compiled, log_prob, evidence):
    engine = DiagramEngine()
    return engine.infer(engine.compile(compiled.form.knowledge), log_prob, evidence)


def assert_unbiased(engine, compiled, log_prob, evidence):
    """Evidence and marginals are within their standard errors of the exact ones."""
    expected = exact(compiled, log_prob, evidence)
    scale = expected.log_evidence.exp()
    runs = [engine.infer(compiled, log_prob, evidence, seeded(i)) for i in range(N_RUNS)]
    weight = torch.stack([run.log_evidence.exp() for run in runs]) / scale
    error = weight.std(0) / math.sqrt(N_RUNS)
    assert ((weight.mean(0) - 1).abs() <= 4 * error + 1e-12).all()
    joint = torch.stack([run.symbol_marginals for run in runs]) * weight[:, :, None, None]
    error = joint.std(0) / math.sqrt(N_RUNS)
    difference = (joint.mean(0) - expected.symbol_marginals).abs()
    # Over some hundred states; those hardly ever drawn tell no error.
    assert (difference <= 4.5 * error + 1e-3).all()


def test_draws_satisfy_the_clauses():
    givens = "1...|..3.|....|...2".replace("|", "")
    engine, compiled, log_prob, evidence = sudoku_problem(givens, n_draws=50)
    draws = compiled.form.draw(log_prob, evidence, 50, seeded())
    for world in draws.worlds.reshape(-1, 16).tolist():
        true = {x[v] for x, v in zip(compiled.form.knowledge.symbols, world, strict=True)}
        assert holds(compiled.form.knowledge.clauses, true)


def test_draws_under_a_sum_add_up_to_it():
    engine, compiled, log_prob, evidence = addition_problem(3, n_draws=30)
    draws = compiled.form.draw(log_prob, evidence, 30, seeded())
    wanted = evidence.argmax(-1)
    assert (draws.outputs == wanted).all()
    for n, world in itertools.product(range(3), draws.worlds.tolist()):
        x, y = (sum(d * 10**i for i, d in enumerate(world[n][s : s + 3])) for s in (0, 3))
        digits = [int(d) for d in wanted[n]]
        assert x + y == sum(d * 10**i for i, d in enumerate(digits))


@pytest.mark.slow
@pytest.mark.parametrize("look_ahead", [False, True])
@pytest.mark.parametrize("order", ORDERS)
def test_evidence_of_sudoku_is_unbiased(order, look_ahead):
    problem = sudoku_problem(n=2, n_draws=1_000, draw_order=order, look_ahead=look_ahead)
    assert_unbiased(*problem)


@pytest.mark.slow
@pytest.mark.parametrize("look_ahead", [False, True])
@pytest.mark.parametrize("order", ORDERS)
def test_evidence_of_addition_is_unbiased(order, look_ahead):
    problem = addition_problem(2, n=2, base=5, n_draws=300, draw_order=order, look_ahead=look_ahead)
    assert_unbiased(*problem)


@pytest.mark.parametrize("names", [("no", "yes"), ((0, 0), (1, 1))], ids=["words", "tuples"])
def test_names_of_labels_change_no_draw_and_no_weight(names):
    engine = SamplingEngine(20)
    log_prob = random_log(np.random.default_rng(0), 3, [2, 2])
    weighed = torch.tensor([[[-3.0, 0.0]], [[0.0, -1.0]], [[0.0, 0.0]]]).double()

    def ask(names):
        compiled = engine.compile(ClauseKnowledge([[1, 2]], [[1], [2]], names=names))
        posterior = engine.infer(compiled, log_prob, weighed, seeded())
        worlds, outputs = engine.sample(compiled, log_prob, weighed, 5, seeded())
        found = posterior.log_evidence, posterior.symbol_marginals, posterior.output_marginals
        return torch.cat([x.ravel() for x in (*found, worlds, outputs)])

    assert torch.equal(ask(names), ask((False, True)))


@pytest.mark.slow
def test_weighed_labels_are_unbiased():
    engine, compiled, log_prob, evidence = addition_problem(2, n=2, base=4, n_draws=300)
    evidence = random_log(np.random.default_rng(1), 2, [4, 4, 2])
    evidence[0, 0, 2] = -torch.inf  # a digit that is ruled out
    assert_unbiased(engine, compiled, log_prob, evidence)


@pytest.mark.parametrize("order", ORDERS)
def test_no_draw_is_lost_with_look_ahead(order):
    engine, *problem = sudoku_problem(n=4, scale=3.0, n_draws=40, draw_order=order)
    draws = problem[0].form.draw(*problem[1:], 40, seeded())
    assert (draws.log_weight > -torch.inf).all()


def test_draws_are_lost_without_look_ahead():
    # Else the test above would tell nothing.
    engine, *problem = sudoku_problem(n=4, scale=3.0, draw_order="confident", look_ahead=False)
    draws = problem[0].form.draw(*problem[1:], 200, seeded())
    assert (draws.log_weight == -torch.inf).any()


@pytest.mark.parametrize("look_ahead", [False, True])
@pytest.mark.parametrize("make", [sudoku_problem, addition_problem], ids=["sudoku", "addition"])
def test_same_seed_gives_the_same_numbers_whatever_was_asked_before(make, look_ahead):
    arguments = ("",) if make is sudoku_problem else (2,)
    engine, fresh, log_prob, evidence = make(*arguments, n_draws=20, look_ahead=look_ahead)
    other = engine.compile(fresh.form.knowledge)
    for seed in range(1, 6):  # with other nets, labels and numbers of draws
        _, _, p, e = make(*arguments, seed=seed, scale=3.0)
        SamplingEngine(7 * seed).infer(other, p, e, seeded(seed))
    first = engine.infer(fresh, log_prob, evidence, seeded(9))
    later = engine.infer(other, log_prob, evidence, seeded(9))
    assert torch.equal(first.log_evidence, later.log_evidence)
    assert torch.equal(first.symbol_marginals, later.symbol_marginals)


def certain_grid(p_wrong):
    """A net that is nearly certain of a valid grid."""
    grid = [1, 2, 3, 4, 3, 4, 1, 2, 2, 1, 4, 3, 4, 3, 2, 1]
    prob = torch.full((1, 16, 4), p_wrong / 3, dtype=torch.float64)
    prob[0, range(16), torch.tensor(grid) - 1] = 1 - p_wrong
    return prob.log()


@pytest.mark.parametrize("p_wrong", [1e-1, 1e-4, 1e-7, 1e-12])
def test_worlds_that_fail_are_found_however_rare_they_are(p_wrong):
    knowledge = sudoku(2)
    engine = SamplingEngine(n_draws=400)
    compiled = engine.compile(knowledge)
    log_prob = certain_grid(p_wrong)
    posterior = engine.infer(compiled, log_prob, truth(1, False))
    # p(False) = 1 - p(True) cancels: by hand it is 16 p, but for terms of order p^2.
    total = 16 * p_wrong
    if p_wrong > 1e-5:
        total = -math.expm1(exact(compiled, log_prob, truth(1)).log_evidence.item())
    error = posterior.diagnostics["log_evidence_error"].item()
    difference = posterior.log_evidence.item() - math.log(total)
    assert abs(difference) <= 4 * error + 400 * p_wrong**2 / total + 1e-9
    assert posterior.diagnostics["effective_sample_size"].item() >= 0.5 * 400


@pytest.mark.slow
def test_marginals_of_failing_worlds_are_unbiased():
    engine, compiled, log_prob, _ = sudoku_problem(n=2, n_draws=50, scale=3.0)
    log_prob[1] = certain_grid(1e-2)
    evidence = truth(2, False)
    expected = exact(compiled, log_prob, evidence)
    runs = [engine.infer(compiled, log_prob, evidence, seeded(i)) for i in range(N_RUNS)]
    weight = torch.stack([run.log_evidence.exp() for run in runs])
    joint = torch.stack([run.symbol_marginals for run in runs]) * weight[:, :, None, None]
    goal = expected.symbol_marginals * expected.log_evidence.exp()[:, None, None]
    error = joint.std(0) / math.sqrt(N_RUNS)
    slack = 5 * weight.mean(0)[:, None, None] / (50 * N_RUNS)
    assert ((joint.mean(0) - goal).abs() <= 4.5 * error + slack).all()


def test_violations_are_counted_as_by_a_loop():
    rng = random.Random(0)
    symbols = [[1, 2, 3], [4], [5, 6], [7, 8, 9]]
    clauses = [
        [rng.choice([-1, 1]) * x for x in rng.sample(range(1, 10), rng.randint(1, 4))]
        for _ in range(30)
    ]
    knowledge = ClauseKnowledge(clauses, symbols)
    violations = Violations(knowledge.clauses, knowledge.symbol_variables)
    worlds = list(itertools.product(range(3), range(2), range(2), range(3)))
    count = violations.count(torch.tensor(worlds)).tolist()
    for world, n in zip(worlds, count, strict=True):
        true = {
            group[v] if len(group) > 1 else group[0]
            for group, v in zip(symbols, world, strict=True)
            if len(group) > 1 or v
        }
        # Clauses that fail in the same worlds are counted once.
        assert (n == 0) == holds(clauses, true)
        assert n <= sum(not holds([clause], true) for clause in clauses)


def test_worlds_are_drawn_from_clauses_of_unlike_lengths_that_fail():
    clauses = [[-1, 4], [-1, -4, 6], [2, 5, 7, -3], [-6], [5, -7, 4, 1]]
    symbols = [[1, 2, 3], [4], [5, 6], [7]]
    knowledge = ClauseKnowledge(clauses, symbols)
    violations = Violations(knowledge.clauses, knowledge.symbol_variables)
    log_prob = random_log(np.random.default_rng(0), 3, [3, 2, 2, 2])
    worlds, log_weight, log_bound = violations.draw(log_prob, 20_000, seeded())
    assert (log_weight <= log_bound).all()
    assert (violations.count(worlds) > 0).all()
    holding = torch.zeros(3, dtype=torch.float64)
    for world in itertools.product(range(3), range(2), range(2), range(2)):
        if violations.count(torch.tensor(world)) == 0:
            holding += log_prob[:, range(4), world].sum(-1).exp()
    weight = log_weight.exp()
    error = weight.std(0) / math.sqrt(20_000)
    assert ((weight.mean(0) - (1 - holding)).abs() <= 4 * error + 1e-12).all()


def test_clauses_that_always_hold_leave_the_label_false_dead():
    knowledge = ClauseKnowledge([[1, 2, 3], [4, -4]], [[1, 2, 3], [4]])
    engine = SamplingEngine()
    log_prob = random_log(np.random.default_rng(0), 2, [3, 2])
    posterior = engine.infer(engine.compile(knowledge), log_prob, truth(2, False))
    assert posterior.diagnostics["is_dead"].all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sknesy.exceptions.UndeterminedPropositionWarning")
@pytest.mark.parametrize("look_ahead", [False, True])
@pytest.mark.parametrize("encoding", ["seqcounter", "totalizer"])
def test_auxiliary_propositions_are_right(encoding, look_ahead):
    # Between 3 and 4 of 7, which auxiliaries of two encodings count.
    numbers = list(range(1, 8))
    kind = getattr(EncType, encoding)
    most = CardEnc.atmost(numbers, bound=4, encoding=kind)
    least = CardEnc.atleast(numbers, bound=3, encoding=kind, top_id=most.nv)
    clauses = [*most.clauses, *least.clauses]
    knowledge = ClauseKnowledge(clauses, [[x] for x in numbers])
    assert knowledge.auxiliaries
    engine = SamplingEngine(n_draws=30, look_ahead=look_ahead)
    compiled = engine.compile(knowledge)
    log_prob = random_log(np.random.default_rng(0), 2, [2] * 7)
    draws = compiled.form.draw(log_prob, truth(2), 30, seeded())
    n_true = draws.worlds.sum(-1)[draws.log_weight > -torch.inf]
    assert ((n_true >= 3) & (n_true <= 4)).all()
    expected = np.zeros(2)
    for world in itertools.product([0, 1], repeat=7):
        if 3 <= sum(world) <= 4:
            expected += log_prob[:, range(7), world].sum(-1).exp().numpy()
    runs = [engine.infer(compiled, log_prob, truth(2), seeded(i)) for i in range(N_RUNS)]
    found = torch.stack([run.log_evidence.exp() for run in runs])
    error = found.std(0) / math.sqrt(N_RUNS)
    assert ((found.mean(0) - torch.from_numpy(expected)).abs() <= 4 * error + 1e-12).all()


@pytest.mark.parametrize("look_ahead", [False, True])
def test_auxiliary_propositions_that_only_search_refutes_are_refuted(look_ahead):
    # If x, no states of a and b will do; but unit propagation does not see it.
    x, a, b = 1, 2, 3
    clauses = [[-x, i * a, j * b] for i in (1, -1) for j in (1, -1)]
    clauses += [[x, a], [x, b]]  # else both are true
    knowledge = ClauseKnowledge(clauses, [[x], [4]])
    engine = SamplingEngine(n_draws=50, look_ahead=look_ahead)
    compiled = engine.compile(knowledge)
    log_prob = torch.tensor([[[0.3, 0.7], [0.5, 0.5]]], dtype=torch.float64).log()
    draws = compiled.form.draw(log_prob, truth(1), 50, seeded())
    is_lost = draws.log_weight[:, 0] == -torch.inf
    assert (draws.worlds[~is_lost, 0, 0] == 0).all()
    assert not is_lost.all()
    assert is_lost.any() != look_ahead


def satisfiable_3cnf(n, m, seed=0):
    """Random clauses that a hidden world satisfies, so that checking them is quick."""
    rng = random.Random(seed)
    hidden = [rng.choice([-1, 1]) for _ in range(n)]
    clauses = []
    while len(clauses) < m:
        clause = [rng.choice([-1, 1]) * x for x in rng.sample(range(1, n + 1), 3)]
        if any(x * hidden[abs(x) - 1] > 0 for x in clause):
            clauses.append(clause)
    return ClauseKnowledge(clauses, [[x] for x in range(1, n + 1)])


@pytest.mark.slow
def test_time_limit_is_kept_and_names_samples_of_which_no_draw_is_done():
    knowledge = satisfiable_3cnf(200, 840)
    engine = SamplingEngine(n_draws=200, time_limit=1.0)
    compiled = engine.compile(knowledge)
    log_prob = random_log(np.random.default_rng(0), 8, [2] * 200, scale=0.1)
    start = time.monotonic()
    posterior = engine.infer(compiled, log_prob, truth(8))
    assert time.monotonic() - start < 3.0
    is_dead = posterior.diagnostics["is_dead"]
    assert torch.equal(is_dead, posterior.log_evidence == -torch.inf)
    assert (posterior.diagnostics["effective_sample_size"] < 100).all()


def test_pickles_leave_out_what_was_found_on_the_way():
    engine, compiled, log_prob, evidence = sudoku_problem(n_draws=50)
    before = engine.infer(compiled, log_prob, evidence)
    assert compiled.form._trees
    again = pickle.loads(pickle.dumps(compiled))
    assert not again.form._trees
    after = engine.infer(again, log_prob, evidence)
    assert torch.equal(before.log_evidence, after.log_evidence)


@pytest.mark.slow
@pytest.mark.parametrize("n_digits", [4, 8])
def test_nearly_all_draws_of_addition_count_for_an_untrained_net(n_digits):
    engine, *problem = addition_problem(n_digits, n=10, scale=0.1, n_draws=50, draw_order="natural")
    size = engine.infer(*problem).diagnostics["effective_sample_size"]
    assert size.mean() >= 0.9 * 50


@pytest.mark.parametrize("givens", ["", "1" + 15 * "."])
def test_order_by_itself_finds_as_much_evidence_as_the_best_order(givens):
    # A certain net that is wrong: of one seed, orders differ by nats.
    found = {}
    for order in ORDERS:
        engine, *problem = sudoku_problem(givens, n=12, scale=6.0, n_draws=100, draw_order=order)
        found[order] = float(engine.infer(*problem).log_evidence.mean())
    auto = found.pop("auto")
    assert auto >= max(found.values()) - 1.0


@pytest.mark.slow
def test_states_that_the_net_rules_out_are_not_drawn():
    engine, compiled, log_prob, evidence = sudoku_problem(n=1, n_draws=300)
    log_prob[0, 0, 1:] = -torch.inf
    draws = compiled.form.draw(log_prob, evidence, 300, seeded())
    assert (draws.worlds[..., 0] == 0).all()
    assert_unbiased(engine, compiled, log_prob, evidence)


def test_a_net_that_rules_out_every_world_is_dead():
    engine, compiled, log_prob, evidence = sudoku_problem(n=2, n_draws=10)
    log_prob[0, :2, 1:] = -torch.inf  # the same digit twice in a row
    posterior = engine.infer(compiled, log_prob, evidence)
    assert posterior.diagnostics["is_dead"].tolist() == [True, False]


def test_nodes_of_the_same_decisions_are_one():
    knowledge = sudoku(2)
    tree = PrefixTree([*knowledge.symbol_variables])
    with sat.Guide(knowledge.clauses, tree.variables, sat.Deadline(None, "test")) as guide:
        root = np.array([tree.root([], guide)])

        def decide(node, variable, state):
            return tree.children(node, np.array([variable]), np.array([state]), guide)

        one = decide(decide(root, 0, 1), 9, 2)
        other = decide(decide(root, 9, 2), 0, 1)
    assert one.tolist() == other.tolist()


def test_what_looking_ahead_says_is_what_enumeration_says():
    knowledge = satisfiable_3cnf(8, 24, seed=1)
    worlds = [
        world
        for world in itertools.product([0, 1], repeat=8)
        if holds(knowledge.clauses, {i + 1 for i in range(8) if world[i]})
    ]
    tree = PrefixTree([*knowledge.symbol_variables])
    with sat.Guide(knowledge.clauses, tree.variables, sat.Deadline(None, "test")) as guide:
        root = np.array([tree.root([], guide)])
        for first, second in itertools.product(range(2), range(2)):
            node = tree.children(root, np.array([0]), np.array([first]), guide)
            node = tree.children(node, np.array([1]), np.array([second]), guide)
            for i in range(2, 8):
                found = tree.look_ahead(node, np.array([i]), guide)[0].tolist()
                expected = {w[i] for w in worlds if w[:2] == (first, second)}
                assert found == [0 in expected, 1 in expected]


def test_labels_that_clauses_do_not_have_are_named():
    with pytest.raises(InconsistentLabelError, match="'yes'"):
        SamplingEngine().compile(sudoku(2), ["yes"])
