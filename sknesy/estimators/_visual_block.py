"""Parts of an estimator in scikit-learn's HTML: knowledge, engine, likelihood and net."""

from collections.abc import Mapping
from contextlib import suppress
from textwrap import fill
from typing import Any

from sknesy._documentation import find_page

try:
    from sklearn.utils._repr_html.estimator import _VisualBlock
except ImportError:  # scikit-learn 1.6
    from sklearn.utils._estimator_html_repr import _VisualBlock

__all__ = ["make_visual_block"]


class _Shown:
    """Part of an estimator, as scikit-learn draws an estimator: a box to open."""

    def __init__(self, part: Any, caption: str, details: str) -> None:
        name = type(part).__name__ if not isinstance(part, type) else part.__name__
        self._block = _VisualBlock(
            "single", self, names=name, name_details=details, name_caption=caption
        )
        self._page = find_page(part if isinstance(part, type) else type(part))

    def _sk_visual_block_(self) -> Any:
        return self._block

    def _get_doc_link(self) -> str:
        return self._page


def make_visual_block(estimator: Any) -> Any:
    """Return an estimator as boxes: what was given, and once it is fitted what was chosen."""
    is_fitted = "_fit_state" in vars(estimator)
    shown: dict[str, _Shown] = {}
    if (knowledge := estimator.knowledge_ if is_fitted else estimator.knowledge) is not None:
        shown["knowledge"] = _Shown(knowledge, _count(estimator), repr(knowledge))
    if is_fitted:
        shown["engine"] = _show_engine(estimator.engine_, estimator.compiled_)
    elif estimator.inference != "auto":
        shown["engine"] = _Shown(estimator.inference, "", repr(estimator.inference))
    if estimator.likelihood is not None:
        likelihood = estimator.likelihood_ if is_fitted else estimator.likelihood
        shown["likelihood"] = _Shown(likelihood, "", repr(likelihood))
    if (net := estimator.net_ if is_fitted else estimator.net) is not None:
        nets = net if isinstance(net, Mapping) else {"": net}
        shown |= {f"net {name}".strip(): _show_net(net) for name, net in nets.items()}
    if not shown:
        name = type(estimator).__name__
        return _VisualBlock("single", estimator, names=name, name_details=str(estimator))
    return _VisualBlock("parallel", list(shown.values()), names=list(shown))


def _count(estimator: Any) -> str:
    """Say in a few words how much the knowledge relates; before a fit for families nothing."""
    if "_fit_state" not in vars(estimator):
        family = estimator.knowledge.is_family
        return "any number of symbols" if family else _say(estimator.knowledge.n_symbols, "symbol")
    states = estimator.compiled_.output_states
    said = _say(len(states[0]), "label") if len(states) == 1 else _say(len(states), "output")
    return f"{_say(estimator.knowledge_.n_symbols, 'symbol')}, {said}"


def _say(count: int, name: str) -> str:
    return f"{count:,} {name}{'s' * (count != 1)}"


def _show_engine(engine: Any, compiled: Any) -> _Shown:
    """Show an engine, or the one that was chosen and why, with what it compiled."""
    details = []
    if hasattr(compiled, "reason"):  # a choice
        details.append(f"chosen by auto: {compiled.reason}")
        engine, compiled = compiled.engine, compiled.form
    details += [repr(engine), repr(compiled)]
    caption = engine.describe(compiled).removeprefix(f"{type(engine).__name__} with ")
    return _Shown(engine, caption, "\n".join(fill(d, 72) for d in details))


def _show_net(net: Any) -> _Shown:
    """Show a net: a module with the number of its weights, or a classifier of scikit-learn."""
    if isinstance(net, list):  # classifiers of scikit-learn, one a symbol
        return _Shown(net[0], f"{len(net)} of them, one a symbol", repr(net[0]))
    module = getattr(net, "module_", None)
    if module is not None:
        n_weights = sum(parameter.numel() for parameter in module.parameters())
        return _Shown(module, f"{n_weights:,} weights", repr(module))
    if isinstance(net, type):
        return _Shown(net, "", net.__name__)
    details = type(net).__name__
    with suppress(Exception):  # a net of one's own may not be ready to say more
        details = repr(net)
    return _Shown(net, "", details)
