"""Look for dead links in the built documentation: ``python docs/check_links.py docs/_build``.

Every link, image, style and script of every page that is not on another host must lead to a file
of the site, and every anchor to an element of that page. Exits with 1 and a list where some do
not. Pictures of examples count only where the examples were run.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The anchors of a page, and what it links to."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.targets = {"", "top"}, set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id" or (name == "name" and tag == "a"):
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.targets.add(value)


def find_dead_links(folder):
    """Yield (page, target) of each link that leads nowhere."""
    files = [f for f in sorted(folder.rglob("*.html")) if "_static" not in f.parts]
    pages = {file.resolve(): Page(file.read_text(encoding="utf-8")) for file in files}
    has_pictures = any((folder / "_images").glob("sphx_glr_*_001.png"))
    for file, page in pages.items():
        for target in sorted(page.targets):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue  # another host, mail, or data
            linked = file
            if parts.path:
                linked = (file.parent / unquote(parts.path)).resolve()
                linked = linked / "index.html" if linked.is_dir() else linked
            is_there = linked.exists() or (not has_pictures and "sphx_glr_" in linked.name)
            if is_there and linked in pages:
                is_there = unquote(parts.fragment) in pages[linked].anchors
            if not is_there:
                yield file.relative_to(folder.resolve()), target


def main():
    folder = Path(sys.argv[1])
    dead = list(find_dead_links(folder))
    for page, target in dead:
        print(f"{page}: {target}")
    n_pages = sum(1 for _ in folder.rglob("*.html"))
    print(f"{n_pages} pages, {len(dead)} dead links")
    if dead or not n_pages:
        sys.exit(1)


if __name__ == "__main__":
    main()
