"""Pages of the documentation, for links from scikit-learn's HTML of estimators."""

import sys
from itertools import takewhile

__all__ = ["DOCUMENTATION", "Documented", "find_page"]

DOCUMENTATION = "https://sknesy.github.io/sknesy/"  # as in [project.urls] of pyproject.toml


class Documented:
    """Mixin of estimators that have a page in the reference; it goes before BaseEstimator."""

    _doc_link_module = "sknesy"
    _doc_link_template = "{page}"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        return {"page": find_page(type(self))}


def find_page(public: type) -> str:
    """Return the address of the page of a public class; "" for a class without one."""
    parts = takewhile(lambda part: not part.startswith("_"), public.__module__.split("."))
    module = ".".join(parts).replace("sknesy.estimators", "sknesy")
    if public.__name__ not in getattr(sys.modules.get(module), "__all__", ()):
        return ""
    return f"{DOCUMENTATION}_generated/{module}.{public.__name__}.html"
