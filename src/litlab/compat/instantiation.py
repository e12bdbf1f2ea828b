"""Objects from a config, as `hydra.utils.instantiate` builds them, but quickly."""

import functools
from collections.abc import Mapping
from typing import Any

from hydra import utils
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

OWN = ("_target_", "_partial_", "_recursive_", "_convert_", "_args_")  # keys that Hydra reads


def instantiate(config: Any, **given: Any) -> Any:
    """As `hydra.utils.instantiate`, of a config whose targets `litlab.config.trust` has verified.

    Without Hydra's copies and merges, which take longer than a small network's epoch. Classes get plain dicts and
    lists, as with `_convert_: all`, whatever the version of Hydra; and what is `given` as it is.

    Raises:
        InstantiationException: its cause is what the class raised.
    """
    if config is None:
        return None
    if (node := plain(config)).get("_target_") is None:
        return {name: _built(each) for name, each in node.items()} | given
    return _called(node, given)


def plain(node: Any) -> Any:
    """A node of a config as dicts and lists, without interpolations.

    Raises:
        MissingMandatoryValue: a value is missing.
        InterpolationResolutionError: a value refers to what is not there.
    """
    if OmegaConf.is_config(node):
        return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    return {name: plain(each) for name, each in node.items()} if isinstance(node, dict) else node


def _built(node: Any) -> Any:
    if isinstance(node, list):
        return [_built(each) for each in node]
    if not isinstance(node, dict):
        return node
    return _called(node, {}) if "_target_" in node else {name: _built(each) for name, each in node.items()}


def _called(node: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    name, make = str(node["_target_"]), _built if node.get("_recursive_", True) else lambda each: each
    try:
        target = utils.get_object(name)
    except Exception as error:
        raise InstantiationException(f"Error locating target '{name}'") from error
    settings = {key: make(each) for key, each in node.items() if key not in OWN and key not in given}
    values = make(node.get("_args_", []))
    try:
        if node.get("_partial_"):
            return functools.partial(target, *values, **settings, **given)
        return target(*values, **settings, **given)
    except Exception as error:
        raise InstantiationException(f"Error in call to target '{name}':\n{error!r}") from error
