"""The current job in Hydra: whether it is part of a sweep, and of which."""

from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

# The settings (`litlab.runs.result.settings`) of a job that its sweep, in this process, has checked; around its launch.
CHECKED: ContextVar[Mapping[str, Any] | None] = ContextVar("CHECKED", default=None)


def in_multirun() -> bool:
    """Whether this job was started with `-m`, by any sweeper."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def typed() -> list[str]:
    """The overrides of the command line as they stand: iterating them would resolve a `${...}` in a word."""
    return OmegaConf.to_container(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []  # type: ignore[return-value]


def own_choices() -> Path | None:
    """The folder that --config-dir names, relative to the working directory where it lies there."""
    sources = HydraConfig.get().runtime.config_sources if HydraConfig.initialized() else []
    folder = next((Path(each.path) for each in sources if each.provider == "command-line"), None)
    return folder.relative_to(Path.cwd()) if folder and folder.is_relative_to(Path.cwd()) else folder


def runs_here() -> bool:
    """Whether the jobs of this launcher run on this machine; Slurm's, Ray's and unknown ones may not."""
    target = str(HydraConfig.get().launcher.get("_target_"))
    return any(name in target for name in ("basic_launcher", "joblib", "litlab_launchers", "LocalLauncher"))


def in_sweep() -> bool:
    """Whether this job is part of a sweep of one of litlab's sweepers."""
    return in_multirun() and str(HydraConfig.get().sweeper.get("_target_")).startswith("hydra_plugins.litlab_")


def sweep_folder() -> Path:
    """The folder of the current job's sweep."""
    return Path(HydraConfig.get().sweep.dir)
