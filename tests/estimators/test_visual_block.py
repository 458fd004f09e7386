"""scikit-learn's HTML of estimators: links to the reference, knowledge and engine as boxes."""

import re
import tomllib
from html import unescape
from inspect import isabstract
from pathlib import Path

import pytest
from learners import ADDITION, blobs, make
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_html_repr

import sknesy
from sknesy import EMNeSyClassifier, inference, layouts, likelihoods, nets, transforms
from sknesy._documentation import DOCUMENTATION, find_page
from sknesy.inference import AutoEngine, DiagramEngine
from sknesy.knowledge import AnyOf
from sknesy.layouts import Columns, Part
from sknesy.likelihoods import ConfusionLikelihood
from sknesy.nets import MLP

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ROOT = Path(__file__).parents[2]
X, Y, _ = blobs(40)


def boxes(estimator):
    """The boxes of the HTML: the heading above each, its name, its caption, what it opens to."""
    html = estimator_html_repr(estimator)
    found = {}
    for item in html.split('<div class="sk-parallel-item">')[1:]:
        text = [unescape(t).strip() for t in re.findall(r">([^<>]+)<", item)]
        text = [t for t in text if t and t not in ("?", "i")]
        found[text[0]] = text[1:]
    return found


def test_the_address_of_the_documentation_is_that_of_the_project():
    project = ROOT / "pyproject.toml"
    if not project.is_file():
        pytest.skip("the project's file is not here")
    urls = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["urls"]
    assert urls["Documentation"] == DOCUMENTATION


def public_estimators():
    for module in (sknesy, inference, layouts, likelihoods, nets, transforms):
        for name in module.__all__:
            item = getattr(module, name)
            if isinstance(item, type) and issubclass(item, BaseEstimator) and not isabstract(item):
                yield item, f"{module.__name__}.{name}"


@pytest.mark.parametrize(("item", "page"), [*public_estimators()], ids=str)
def test_each_estimator_links_to_its_page_in_the_reference(item, page):
    reference = ROOT / "docs" / "api.md"
    assert item._get_doc_link(object.__new__(item)) == f"{DOCUMENTATION}_generated/{page}.html"
    if reference.is_file():
        module, _, name = page.rpartition(".")
        listed = reference.read_text(encoding="utf-8").split(f".. currentmodule:: {module}\n")[1]
        assert f"\n   {name}\n" in listed.split("```")[0]


class Own(DiagramEngine):
    """An engine of one's own."""


def test_what_has_no_page_has_no_link():
    assert Own()._get_doc_link() == ""
    assert find_page(int) == ""


def test_parameters_link_to_the_page_and_have_a_tooltip():
    html = estimator_html_repr(make())
    assert f'href="{DOCUMENTATION}_generated/sknesy.EMNeSyClassifier.html' in html
    if "param-doc-link" not in html:
        pytest.skip("this scikit-learn has no tooltips of parameters")
    assert f'href="{DOCUMENTATION}_generated/sknesy.EMNeSyClassifier.html#:~:text=n_init' in html
    assert "Starts from different random weights" in html


def test_before_a_fit_what_was_given_is_shown():
    found = boxes(make(inference=DiagramEngine(max_width=7), likelihood=ConfusionLikelihood()))
    assert list(found) == ["knowledge", "engine", "likelihood"]
    assert found["knowledge"][0] == "FunctionKnowledge"
    assert "2 symbols" in found["knowledge"]
    assert "FunctionKnowledge(add, [range(3)] * 2)" in found["knowledge"]
    assert "DiagramEngine(max_width=7)" in found["engine"]
    assert boxes(EMNeSyClassifier(AnyOf()))["knowledge"][1] == "any number of symbols"
    assert boxes(EMNeSyClassifier(net=MLP))["net"][0] == "MLP"
    assert boxes(EMNeSyClassifier()) == {}


def test_after_a_fit_the_engine_is_the_one_chosen_and_says_why():
    clf = make(max_iter=1).fit(X, Y)
    found = boxes(clf)
    assert list(found) == ["knowledge", "engine", "net"]
    chosen = clf.compiled_.engine
    assert found["engine"][0] == type(chosen).__name__ != AutoEngine.__name__
    assert chosen.describe(clf.compiled_.form) in found["engine"]
    (details,) = [t for t in found["engine"] if t.startswith("chosen by auto: ")]
    assert " ".join(details.split()).startswith(f"chosen by auto: {clf.compiled_.reason}")
    assert "2 symbols, 5 labels" in found["knowledge"]
    n_weights = sum(p.numel() for p in clf.net_.module_.parameters())
    assert found["net"][:2] == ["MLP", *[t for t in found["net"] if "weights" in t]][:2]
    assert f"{n_weights:,} weights" in found["net"]


def test_without_knowledge_the_symbol_is_the_label():
    found = boxes(EMNeSyClassifier(max_iter=1, random_state=0).fit(X[:, 0], Y))
    assert "1 symbol, 5 labels" in found["knowledge"]


def test_a_classifier_of_scikit_learn_and_nets_of_parts_are_shown():
    clf = make(net=LogisticRegression(), max_iter=1, learning_rate=None).fit(X, Y)
    assert boxes(clf)["net"][0] == "LogisticRegression"
    parts = [Part("left", symbols=[0]), Part("right", symbols=[1])]
    found = boxes(make(layout=Columns(parts), max_iter=1).fit(X, Y))
    assert list(found) == ["knowledge", "engine", "net left", "net right"]


def test_pipelines_and_searches_show_it_within():
    pipe = make_pipeline(FunctionTransformer(), make(max_iter=1)).fit(X, Y)
    assert "a diagram of 17 edges" in estimator_html_repr(pipe)
    search = GridSearchCV(make(max_iter=1), {"tol": [0.1]}, cv=2).fit(X, Y)
    assert "FunctionKnowledge" in estimator_html_repr(search)


def test_html_is_escaped():
    class Tagged(type(ADDITION)):
        def _arguments(self):
            return ["<b>bold</b>"]

    knowledge = Tagged(ADDITION.function, [range(3)] * 2)
    assert "<b>bold</b>" not in estimator_html_repr(EMNeSyClassifier(knowledge))
