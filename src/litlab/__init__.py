"""litlab: pick data, model, optimizer and trainer; get a trained, tested and recorded experiment."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from litlab.load import load_run as load_run

__all__ = ["load_run"]


def __getattr__(name: str) -> Any:
    """Import what a notebook asks for when it does: torch and lightning take seconds."""
    if name == "load_run":
        from litlab.load import load_run

        return load_run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
