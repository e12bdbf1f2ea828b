"""What Hydra says about the present job: whether it is one of a sweep, and of which."""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode


def in_multirun() -> bool:
    """Whether this job was started with `-m`, by any sweeper."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def in_sweep() -> bool:
    """Whether this job belongs to a sweep that one of litlab's sweepers runs."""
    return in_multirun() and str(HydraConfig.get().sweeper.get("_target_")).startswith("hydra_plugins.litlab_")


def sweep_folder() -> Path:
    """The folder of the present job's sweep."""
    return Path(HydraConfig.get().sweep.dir)
