"""Parameters of the engine that is chosen, where `inference` is only a word."""

from typing import Any

from sknesy.inference import AutoEngine

__all__ = ["open_auto"]


def open_auto(estimator: Any, params: dict[str, Any]) -> None:
    """Put an engine in place of "auto" where parameters of it are set."""
    inference = params.get("inference", estimator.inference)
    is_auto = isinstance(inference, str) and inference == "auto"
    if is_auto and any(name.startswith("inference__") for name in params):
        params["inference"] = AutoEngine()
