"""litlab: pick data, model, optimizer and trainer; get a trained, tested and recorded experiment."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from litlab.load import load_run as load_run
    from litlab.notebook import compose as compose
    from litlab.notebook import train as train

__all__ = ["compose", "load_run", "train"]


def __getattr__(name: str) -> Any:
    """Import what a notebook asks for when it does: torch and lightning take seconds."""
    if name in __all__:
        module = importlib.import_module("litlab.load" if name == "load_run" else "litlab.notebook")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
