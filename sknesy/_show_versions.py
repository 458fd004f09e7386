"""The versions of everything that a result may depend on, for reports of bugs."""

import platform
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version

import torch
from threadpoolctl import threadpool_info

__all__ = ["show_versions"]

# The extras for those who work on sknesy; the others are features of it.
_FOR_DEVELOPERS = {"docs", "test"}
_REQUIREMENT = re.compile(r"([\w.-]+)([^;]*)(?:;.*\bextra\s*==\s*['\"]([\w.-]+)['\"])?")


def show_versions() -> None:
    """Print the versions that a result may depend on, as a report of a bug needs them.

    These are the system, Python, the packages that sknesy needs and those that its extras add,
    the libraries of threads, and the processors that torch sees.

    Notes
    -----
    The lists are read from the installed package, with the oldest version that it accepts.
    No package is imported to learn its version.

    Examples
    --------
    >>> import sknesy
    >>> sknesy.show_versions()  # doctest: +ELLIPSIS
    <BLANKLINE>
    System
    ------
    python: 3...
    """
    needed, optional = _requirements()
    _print("System", _system())
    _print("Packages", ((name, _found(name, accepted)) for name, accepted in needed.items()))
    _print("Extras", ((name, _found(name, accepted)) for name, accepted in optional.items()))
    _print("torch", _torch())
    for library in threadpool_info():
        _print(f"Threads of {library.pop('user_api')}", library.items())


def _print(title: str, rows: Iterable[tuple[str, object]]) -> None:
    """Write a title and its rows, one a line."""
    print(f"\n{title}\n{'-' * len(title)}")
    for name, value in rows:
        print(f"{name}: {value}")


def _system() -> Iterator[tuple[str, str]]:
    yield "python", sys.version.replace("\n", " ")
    yield "executable", sys.executable
    yield "machine", platform.platform()


def _requirements() -> tuple[dict[str, str], dict[str, str]]:
    """Return {package: versions accepted}, of the dependencies and of the extras of users."""
    needed, optional = {"sknesy": ""}, {}
    try:
        lines = requires("sknesy") or []
    except PackageNotFoundError:  # imported from a folder that was never installed
        lines = []
    for line in lines:
        match = _REQUIREMENT.match(line)
        assert match is not None, line
        name, accepted, extra = match.groups()
        if extra is None:
            needed[name] = accepted.strip()
        elif extra not in _FOR_DEVELOPERS:
            optional[name] = f"{accepted.strip()}, sknesy[{extra}]"
    return needed, optional


def _found(name: str, accepted: str) -> str:
    """Return the installed version of a package, and which ones are accepted."""
    try:
        found = version(name)
    except PackageNotFoundError:
        found = "not installed"
    return f"{found} ({accepted})" if accepted else found


def _torch() -> Iterator[tuple[str, object]]:
    yield "threads", torch.get_num_threads()
    yield "threads between operations", torch.get_num_interop_threads()
    yield "instructions", torch.backends.cpu.get_cpu_capability()
    yield "float32 products", torch.get_float32_matmul_precision()
    yield "deterministic", torch.are_deterministic_algorithms_enabled()
    yield "CUDA", torch.version.cuda
    for i in range(torch.cuda.device_count()):
        yield f"cuda:{i}", torch.cuda.get_device_name(i)
    yield "MPS", torch.backends.mps.is_available()
