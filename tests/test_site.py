"""What the site is built and checked with: dead links are found, inventories can be read."""

import importlib.util
import re
import zlib
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLES = DOCS.with_name("examples")

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the docs are not here")


def load(name):
    spec = importlib.util.spec_from_file_location(f"site_{name}", DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def site(tmp_path):
    (tmp_path / "guide").mkdir()
    (tmp_path / "guide" / "bags.html").write_text('<h1 id="bags">Bags</h1>')
    return tmp_path


@pytest.mark.parametrize(
    "link",
    [
        "guide/bags.html",
        "guide/bags.html#bags",
        "#here",
        "#",
        "https://example.org/none#where",
        "mailto:nobody@example.org",
    ],
)
def test_links_that_lead_somewhere_are_not_reported(site, link):
    (site / "index.html").write_text(f'<p id="here"><a href="{link}">x</a></p>')
    assert not list(load("check_links").find_dead_links(site))


@pytest.mark.parametrize("link", ["guide/bag.html", "guide/bags.html#instances", "#there", "a.png"])
def test_dead_links_are_reported_with_their_page(site, link):
    (site / "index.html").write_text(f'<p id="here"><a href="{link}">x</a></p>')
    assert list(load("check_links").find_dead_links(site)) == [(Path("index.html"), link)]


def test_inventories_have_a_line_for_each_name_with_its_page():
    inventories = load("inventories")
    for project, (_, pages) in inventories.PROJECTS.items():
        data = inventories.as_inventory(project, pages)
        *head, packed = data.split(b"\n", 4)
        assert head[0] == b"# Sphinx inventory version 2"
        lines = zlib.decompress(packed).decode().splitlines()
        assert len(lines) == sum(len(entries.split()) for entries in pages.values())
        for line in lines:
            name, role, place = re.fullmatch(r"(\S+) (\w+:\w+) 1 (\S+) -", line).groups()
            assert role.startswith(("py:", "std:"))
            assert "$" not in place
            assert name.split(".")[-1]


def test_each_example_has_its_place_in_the_gallery():
    listed = load("gallery_order").ORDER
    assert sorted(listed) == sorted(
        path.stem.removeprefix("plot_") for path in EXAMPLES.rglob("plot_*.py")
    )
