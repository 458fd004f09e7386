"""Links from names to the reference: in types of docstrings, and in code within text."""

import importlib
import pkgutil
import re

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

import sknesy

NAME = re.compile(r"([A-Za-z_]\w*(?:\.\w+)*)(?:\(.*\))?", re.DOTALL)  # maybe with arguments


def public_names():
    """Return the full name of each public name that one module alone has."""
    found, several = {}, set()
    rooms = [f"sknesy.{room.name}" for room in pkgutil.iter_modules(sknesy.__path__)]
    for room in ["sknesy", *(room for room in rooms if not re.search(r"\._", room))]:
        if room == "sknesy.__main__":
            continue
        for name in getattr(importlib.import_module(room), "__all__", ()):
            full = f"{room}.{name}"
            if found.setdefault(name, full) != full:
                several.add(name)
    return {name: full for name, full in found.items() if name not in several}


class LinkedNames(SphinxPostTransform):
    """Code within text that is a public name, or a call of it, becomes a link to its page."""

    default_priority = 5
    names: dict[str, str]

    def run(self, **kwargs):
        """Wrap each such literal that no link holds yet."""
        domain = self.env.get_domain("py")
        here = self.env.docname
        for literal in list(self.document.findall(nodes.literal)):
            match = NAME.fullmatch(literal.astext())
            if match is None or _is_within(literal, (nodes.reference, nodes.title)):
                continue
            full = self.names.get(match[1], match[1])
            entry = domain.objects.get(full)
            if entry is None or entry.docname == here:
                continue
            link = nodes.reference("", "", internal=True, reftitle=full)
            link["refuri"] = self.app.builder.get_relative_uri(here, entry.docname)
            link["refuri"] += f"#{entry.node_id}"
            literal.replace_self(link)
            link += literal


def _is_within(node, kinds):
    while node is not None:
        if isinstance(node, kinds):
            return True
        node = node.parent
    return False
