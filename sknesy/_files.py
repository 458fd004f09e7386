"""Files that are written whole or not at all."""

import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["write_whole"]

_STALE = 3600.0  # seconds after which what a killed process was writing is deleted


def write_whole(path: Path, *parts: Any) -> None:
    """Write bytes to a file under another name, and rename it when all of them are on disk.

    Whoever reads the file, whenever this process is killed, finds the old bytes or the new ones.
    """
    name = path.with_name(f"{path.stem}-{secrets.token_hex(4)}.tmp")
    try:
        with open(name, "xb") as file:  # with the permissions that files have here
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    for other in path.parent.glob(f"{path.stem}-*.tmp"):  # of processes that were killed
        with suppress(OSError):
            if time.time() - other.stat().st_mtime > _STALE:
                other.unlink()
