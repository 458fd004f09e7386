"""Settings of the documentation: ``sphinx-build -W -b html docs docs/_build``."""

import re
import sys
import warnings
from pathlib import Path

from sklearn.exceptions import ConvergenceWarning

import sknesy

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import inventories
from front_picture import draw_front_picture
from links import LinkedNames, public_names

project = "sknesy"
author = "the sknesy developers"
copyright = f"2026, {author}"
version = release = sknesy.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.githubpages",  # folders whose names open with an underscore are served, too
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
templates_path = ["_templates"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
default_role = "py:obj"  # `a name` in a docstring is a link where it is documented, else code
toc_object_entries_show_parents = "hide"

numpydoc_show_class_members = False  # the template of classes lists them
numpydoc_xref_param_type = True
numpydoc_xref_aliases = {
    **inventories.names(),
    **public_names(),
    "NeuralNet": "skorch.net.NeuralNet",
    "Tensor": "torch.Tensor",
}
numpydoc_xref_ignore = "all"  # words that are no names above

intersphinx_mapping = inventories.intersphinx_mapping(HERE / "_build" / "inventories")

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "subsection_order": [
        "../examples/first_steps",
        "../examples/weak_labels",
        "../examples/knowledge",
        "../examples/any_learner",
        "../examples/bigger",
    ],
    "within_subsection_order": "gallery_order.Taught",
    "default_thumb_file": str(HERE / "_static" / "logo.svg"),
    "filename_pattern": r"/plot_(?!mnist)",  # MNIST is shown, not run: it would be fetched
    "doc_module": ("sknesy",),
    "backreferences_dir": "_generated/backreferences",
    "reference_url": {"sknesy": None},
    "show_memory": False,
    "write_computation_times": False,
}

# Fits of examples are short on purpose; a page should not show that, nor the path of a machine.
warnings.filterwarnings("ignore", category=ConvergenceWarning)

copybutton_exclude = ".linenos, .gp, .go"  # copies of doctests run

html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["sknesy.css"]
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_title = f"sknesy {version}"
html_show_sourcelink = False
html_sidebars = {"index": [], "comparison": []}
html_theme_options = {
    "logo": {"text": f"sknesy {version}"},
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}


def setup(app):
    """Draw the picture of the front page, and have shapes read as plain text."""
    picture = HERE / "_static" / "front_picture.svg"
    picture.write_text(draw_front_picture(), encoding="utf-8")
    LinkedNames.names = public_names()
    app.add_post_transform(LinkedNames)
    app.connect("config-inited", miss_no_pictures)
    app.connect("autodoc-process-docstring", escape_shapes, priority=100)  # before numpydoc


def miss_no_pictures(app, config):
    """Let pages show pictures of examples that are not run, with ``-D plot_gallery=0``."""
    if str(config.plot_gallery) in ("0", "False"):
        config.suppress_warnings.append("image.not_readable")


def escape_shapes(app, what, name, obj, options, lines):
    """Escape names in shapes, such as (n_samples, *symbol_shape): `*` and `_` are RST."""
    for i, line in enumerate(lines):
        line = re.sub(r", \*(\w+\))", r", \\*\1", line)
        lines[i] = line.replace(" of shape (n_features_in_,", r" of shape (n_features_in\_,")
