"""Inventories of other projects, so that the documentation links to them without a network.

`sphinx.ext.intersphinx` reads which names a project documents, and on which page, from the
project's `objects.inv`. Where ``SKNESY_DOCS_ONLINE=1`` is set, these are fetched. Else the small
ones that are written here serve: they have the names that our pages speak of, and no more.
"""

import os
import zlib

# Project: its documentation, and of each of its pages the names there; $ is the name.
PROJECTS = {
    "python": (
        "https://docs.python.org/3/",
        {
            "library/functions.html#$": "class:int class:float class:bool function:callable",
            "library/stdtypes.html#$": "class:str class:dict class:list class:tuple class:set "
            "class:frozenset class:bytes class:range",
            "library/constants.html#$": "data:None data:True data:False data:NotImplemented",
            "library/exceptions.html#$": "exception:ValueError exception:TypeError "
            "exception:RuntimeError exception:KeyboardInterrupt exception:UserWarning",
            "library/stdtypes.html#boolean-type-bool": "label:bltin-boolean-values",
            "library/contextlib.html#$": "function:contextlib.contextmanager",
            "library/collections.html#$": "function:collections.namedtuple",
            "glossary.html#term-$": "term:iterable term:sequence term:generator",
            "library/pathlib.html#$": "class:pathlib.Path",
            "library/pickle.html#module-$": "module:pickle",
            "library/logging.html#module-$": "module:logging",
        },
    ),
    "numpy": (
        "https://numpy.org/doc/stable/",
        {
            "reference/generated/$.html#$": "class:numpy.ndarray class:numpy.memmap",
            "reference/constants.html#$": "data:numpy.inf data:numpy.nan",
            "reference/arrays.scalars.html": "label:arrays.scalars",
            "reference/index.html#module-$": "module:numpy",
            "glossary.html#term-$": "term:array_like",
            "reference/random/legacy.html#$": "class:numpy.random.RandomState",
            "reference/random/generator.html#$": "class:numpy.random.Generator",
        },
    ),
    "sklearn": (
        "https://scikit-learn.org/stable/",
        {
            "modules/generated/$.html#$": "class:sklearn.pipeline.Pipeline "
            "class:sklearn.model_selection.GridSearchCV class:sklearn.model_selection.KFold "
            "class:sklearn.preprocessing.StandardScaler class:sklearn.frozen.FrozenEstimator "
            "class:sklearn.base.BaseEstimator class:sklearn.base.ClassifierMixin "
            "class:sklearn.linear_model.LogisticRegression "
            "class:sklearn.ensemble.RandomForestClassifier "
            "class:sklearn.ensemble.HistGradientBoostingClassifier "
            "function:sklearn.datasets.load_digits function:sklearn.base.clone "
            "function:sklearn.pipeline.make_pipeline "
            "function:sklearn.model_selection.cross_val_score "
            "class:sklearn.exceptions.ConvergenceWarning",
        },
    ),
    "torch": (
        "https://docs.pytorch.org/docs/stable/",
        {
            "tensors.html#$": "class:torch.Tensor",
            "tensor_attributes.html#$": "class:torch.device class:torch.dtype",
            "generated/$.html#$": "class:torch.Generator class:torch.nn.Module",
            "data.html#$": "class:torch.utils.data.Dataset class:torch.utils.data.DataLoader",
        },
    ),
    "skorch": (
        "https://skorch.readthedocs.io/en/stable/",
        {
            "net.html#$": "class:skorch.net.NeuralNet",
            "helper.html#$": "class:skorch.helper.SliceDict",
            "callbacks.html#$": "class:skorch.callbacks.EarlyStopping "
            "class:skorch.callbacks.LRScheduler class:skorch.callbacks.Freezer",
        },
    ),
}


def intersphinx_mapping(folder):
    """Return the setting, after writing inventories into a folder unless they are fetched."""
    if os.environ.get("SKNESY_DOCS_ONLINE") == "1":
        return {name: (address, None) for name, (address, _) in PROJECTS.items()}
    folder.mkdir(parents=True, exist_ok=True)
    mapping = {}
    for name, (address, pages) in PROJECTS.items():
        file = folder / f"{name}.inv"
        file.write_bytes(as_inventory(name, pages))
        mapping[name] = (address, str(file))
    return mapping


def as_inventory(project, pages):
    """Return the bytes of an inventory, version 2 of the format."""
    head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version:\n"
    head += "# The remainder of this file is compressed using zlib.\n"
    lines = []
    for page, entries in pages.items():
        for entry in entries.split():
            role, _, name = entry.partition(":")
            domain = "std" if role in ("label", "term") else "py"
            lines.append(f"{name} {domain}:{role} 1 {page.replace('$', name)} -\n")
    return head.encode() + zlib.compress("".join(lines).encode())


def names(kinds=("class", "function")):
    """Return the full names that inventories written here have, by their last part."""
    entries = (e for _, pages in PROJECTS.values() for line in pages.values() for e in line.split())
    found = (entry.split(":") for entry in entries)
    return {name.rpartition(".")[2]: name for role, name in found if role in kinds}
