"""Settings of the documentation: ``sphinx-build -W -b html docs docs/_build``."""

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
exclude_patterns = ["_build"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
numpydoc_show_class_members = False  # autosummary lists them

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_(?!mnist)",  # MNIST is shown, not run: it would be fetched
    "min_reported_time": 1,
    "show_memory": False,
}

html_theme = "alabaster"
html_theme_options = {"page_width": "1080px", "sidebar_width": "240px"}
