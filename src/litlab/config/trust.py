"""The allow-list of `_target_`: classes of known packages, and what the user trusts.

A config may come from anyone, and a `_target_` is called. So `check` compares its name with the packages below before
anything is imported, and `verify` the object it resolves to with what may be built: a path such as
`litlab.data.reading.mirrors.subprocess.run` starts in litlab and ends elsewhere.
"""

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object
from omegaconf import Container, DictConfig, ListConfig, OmegaConf

from litlab.errors import RequestError

KNOWN = (
    "litlab",
    "torch.nn",
    "torch.optim",
    "torchmetrics",
    "lightning.pytorch",
    "rtdl_num_embeddings",
    "datetime.timedelta",
)


def check(config: DictConfig, resolved: Mapping[str, Any] | None = None) -> None:
    """Check the name of every `_target_` in a config, without importing anything.

    Args:
        config: composed.
        resolved: its settings as plain data, if known.

    Raises:
        RequestError: the names that are not allowed, a line each; or `trust` is no list of packages.
    """
    packages = (*KNOWN, *trusted(config))
    errors = [refusal(*each) for each in targets(resolved or config) if not lies_in(each[1], packages)]
    if errors:
        raise RequestError("\n".join(errors))


def verify(group: str, config: Any, packages: Sequence[str] = ()) -> None:
    """Check the object that every `_target_` in a part of a config resolves to. Its module is imported.

    Args:
        group: where it lies in the whole config, for the message.
        config: a node of a config, or a dict.
        packages: that the user trusts.

    Raises:
        RequestError: it is none that may be built.
        InstantiationException: there is no such object.
    """
    for setting, name in targets(config, group):
        if not lies_in(name, (*KNOWN, *packages)):
            raise RequestError(refusal(setting, name))
        try:
            found = get_object(name)
        except Exception as error:
            raise InstantiationException(f"Error locating target '{name}'") from error
        module = str(getattr(found, "__module__", None) or name)
        if not lies_in(module, packages) and not _may_be_built(found, module):
            raise RequestError(refusal(setting, name, module))


def trusted(config: DictConfig) -> tuple[str, ...]:
    """The packages in `trust`.

    Raises:
        RequestError: `trust` is no list of names.
    """
    names = OmegaConf.select(config, "trust", default=None)
    if names is None:
        return ()
    if not isinstance(names, list | ListConfig) or not all(isinstance(name, str) and name for name in names):
        raise RequestError(f"trust={names}: must be a list of packages, such as trust=[mypackage]")
    return tuple(names)


def targets(node: Any, setting: str = "") -> Iterator[tuple[str, str]]:
    """Every `_target_` in a config, at any depth: its setting, such as `model.embedding._target_`, and its value."""
    if isinstance(node, Container):
        node = OmegaConf.to_container(node, resolve=True)
    if isinstance(node, dict):
        if isinstance(name := node.get("_target_"), str):
            yield f"{setting}._target_".lstrip("."), name
        for key, value in node.items():
            yield from targets(value, f"{setting}.{key}".lstrip("."))
    elif isinstance(node, list | tuple):
        for number, value in enumerate(node):
            yield from targets(value, f"{setting}[{number}]")


def lies_in(name: str, packages: Iterable[str]) -> bool:
    """Whether a dotted name is one of these packages or inside one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def refusal(setting: str, name: str, module: str = "") -> str:
    """The message about a `_target_` that is not allowed.

    Args:
        setting: of the name.
        name: as written.
        module: that defines the object, if known.
    """
    package = module if lies_in(module, KNOWN) else (module or name).partition(".")[0]
    return (
        f"{setting}={name}: is not a class of litlab, torch.nn, torch.optim, torchmetrics or Lightning that builds a "
        f"run, and could run arbitrary code; if you trust it, add trust=[{package}]"
    )


def _may_be_built(found: Any, module: str) -> bool:
    """Whether an object is part of a run, by its type and by the module that defines it, not by its name."""
    if inspect.isfunction(found):
        in_place = module == "torch.nn.init" and not found.__name__.startswith("_")
        return in_place or (module == "litlab.verbs.tune" and found.__name__.startswith("find_"))
    kinds = (kind for package, kind in _kinds().items() if lies_in(module, [package]))
    return isinstance(found, type) and any(issubclass(found, kind) for kind in kinds)


def _kinds() -> dict[str, tuple[type, ...]]:
    """The base classes of what may be built of each package (object: any class).

    Not all of torchmetrics: its metrics of text, images and audio load models from files and URLs in settings.
    """
    import lightning.pytorch as L  # here: errors in names are reported before torch is imported
    from lightning.pytorch.callbacks import Callback
    from lightning.pytorch.loggers import Logger
    from lightning.pytorch.plugins import Precision
    from lightning.pytorch.profilers import Profiler
    from lightning.pytorch.strategies import Strategy
    from torch import nn
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    watching = (Callback, Logger, Profiler)
    metrics = ("aggregation", "classification", "collections", "regression")
    return {
        **{f"litlab.{group}": (object,) for group in ("data", "models", "tasks", "callbacks")},
        "litlab": (nn.Module, L.LightningDataModule, Optimizer, LRScheduler, *watching),
        "torch.nn.modules": (nn.Module,),
        "torch.optim": (Optimizer, LRScheduler),
        "rtdl_num_embeddings": (nn.Module,),
        "datetime": (timedelta,),  # which Lightning's callbacks and strategies take
        **{f"torchmetrics.{name}": (nn.Module,) for name in metrics},
        "lightning.pytorch": (L.Trainer, Strategy, Precision, *watching),
    }
