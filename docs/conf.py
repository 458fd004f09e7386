"""Settings of the documentation: ``sphinx-build -W -b html docs docs/_build``."""

import re

import sknesy

project = "sknesy"
author = "the sknesy developers"
copyright = f"2026, {author}"
version = release = sknesy.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
templates_path = ["_templates"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
numpydoc_show_class_members = False  # the template of classes lists them

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_(?!mnist)",  # MNIST is shown, not run: it would be fetched
    "show_memory": False,
    "write_computation_times": False,
}

html_theme = "alabaster"
html_theme_options = {"page_width": "1080px", "sidebar_width": "240px"}


def setup(app):
    """Have shapes read as plain text: `*` and a trailing `_` mean something else in RST."""
    app.connect("autodoc-process-docstring", escape_shapes, priority=100)  # before numpydoc


def escape_shapes(app, what, name, obj, options, lines):
    """Escape the names that stand in shapes, such as (n_samples, *symbol_shape)."""
    for i, line in enumerate(lines):
        line = re.sub(r", \*(\w+\))", r", \\*\1", line)
        lines[i] = line.replace(" of shape (n_features_in_,", r" of shape (n_features_in\_,")
