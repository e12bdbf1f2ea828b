"""Overrides to suggest for a run, in the form to type them."""

import inspect
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf


def available(config: DictConfig, *settings: str) -> list[str]:
    """The overrides among these NAME=VALUE that the run accepts and does not have yet."""
    return [typed for each in settings if not is_set(config, each) and (typed := as_override(config, each))]


def is_set(config: DictConfig, setting: str) -> bool:
    """Whether the config has NAME=VALUE already."""
    name, _, value = setting.partition("=")
    return str(OmegaConf.select(config, name)).lower() == value


def as_override(config: DictConfig, setting: str) -> str:
    """NAME=VALUE, with a plus where the config lacks it but the data class takes it; empty where nothing does."""
    name, _, value = setting.partition("=")
    group, _, name = name.rpartition(".")
    node: Any = OmegaConf.select(config, group)
    if node is None or name in node:
        return setting if node is not None else ""
    if group != "data" or "_target_" not in node:
        return ""
    parameters = inspect.signature(hydra.utils.get_object(node._target_)).parameters
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    known = name in parameters and str(parameters[name].default).lower() != value
    return f"+{setting}" if known or (takes_any and name not in parameters) else ""


def tune_option(config: DictConfig) -> str:
    """tune=lr, where it has not been used and can be."""
    used = str(OmegaConf.select(config, "tune._target_")).endswith(".find_lr")
    devices = OmegaConf.select(config, "trainer.devices")
    several = isinstance(devices, int) and devices > 1
    return "" if used or several else "tune=lr"
