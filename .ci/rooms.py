"""Print the coverage of each room of sknesy, read from a report of `coverage json`.

python .ci/rooms.py report.json
"""

import json
import sys
from collections import Counter
from pathlib import Path, PurePath

COUNTS = ("covered_lines", "num_statements", "covered_branches", "num_branches")


def room_of(path):
    """Return sknesy/em for sknesy/em/_loop.py, and sknesy/metrics.py for itself."""
    parts = PurePath(path).parts
    return "/".join(parts[: max(2, len(parts) - 1)])


def share(part, whole):
    return f"{part / whole:6.1%}" if whole else "      "


rooms: dict[str, Counter] = {}
for path, file in json.loads(Path(sys.argv[1]).read_text("utf-8"))["files"].items():
    counts = {count: file["summary"][count] for count in COUNTS}
    for name in (room_of(path), "all"):
        rooms.setdefault(name, Counter()).update(counts)

print("| room | statements | covered | branches | covered |\n| --- | ---: | ---: | ---: | ---: |")
for name, n in sorted(rooms.items(), key=lambda item: (item[0] == "all", item[0])):
    lines = f"{n['num_statements']:5d} | {share(n['covered_lines'], n['num_statements'])}"
    branches = f"{n['num_branches']:5d} | {share(n['covered_branches'], n['num_branches'])}"
    print(f"| {name:24} | {lines} | {branches} |")
