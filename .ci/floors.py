"""Print the oldest versions that pyproject.toml allows, as constraints for pip.

    python .ci/floors.py [constraints.txt]

One line for each package of the dependencies, and of the extras that the tests need. What the named
file holds already keeps its version there.
"""

import re
import sys
import tomllib
from pathlib import Path

SETTINGS = Path(__file__).parents[1] / "pyproject.toml"
PROJECT = tomllib.loads(SETTINGS.read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
FLOOR = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]+\])?>=([A-Za-z0-9.]+)")
OWN = re.compile(rf"{PROJECT['name']}\[([^\]]+)\]")


def floors(requirements):
    """Yield (name, oldest version) of each requirement, also of the extras that it names."""
    for requirement in requirements:
        if own := OWN.fullmatch(requirement):
            for extra in own[1].split(","):
                yield from floors(EXTRAS[extra.strip()])
        elif floor := FLOOR.fullmatch(requirement):
            yield floor[1], floor[2]
        else:
            raise SystemExit(f"pyproject.toml must give each package a floor, got {requirement!r}")


held = "\n".join(Path(name).read_text("utf-8") for name in sys.argv[1:])
print(held, end="")
for name, oldest in sorted(set(floors([*PROJECT["dependencies"], *EXTRAS["test"]]))):
    if not re.search(rf"^{re.escape(name)}\b", held, re.MULTILINE):
        print(f"{name}=={oldest}")
