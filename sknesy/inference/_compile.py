"""Compilation that tells when it takes long."""

import logging
from collections.abc import Hashable, Sequence

from sknesy._logging import announce
from sknesy.inference._base import Compiled, InferenceEngine
from sknesy.knowledge import Knowledge

__all__ = ["compile_knowledge"]

_LOGGER = logging.getLogger(__name__)


def compile_knowledge(
    engine: InferenceEngine,
    knowledge: Knowledge,
    labels: Sequence[Hashable] | None = None,
    reuse: Compiled | None = None,
) -> Compiled:
    """Return ``engine.compile(...)``; what takes more than a second is logged at INFO."""
    with announce(_LOGGER, f"Compiling the knowledge for {type(engine).__name__}"):
        return engine.compile(knowledge, labels, reuse)  # type: ignore[no-any-return]
