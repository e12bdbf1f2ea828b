"""OmegaConf's internals that litlab needs."""

import contextlib
import functools
import pickle
from collections.abc import Iterator
from typing import Any

import yaml
from omegaconf import Container, DictConfig, base, omegaconf
from omegaconf._utils import get_omega_conf_dumper
from omegaconf.grammar_parser import parse

from litlab.compat.patching import replaced

_slowly_copied = DictConfig.__deepcopy__


def root(node: Container) -> DictConfig:
    """The whole config that a node is part of."""
    found = node._get_root()
    assert isinstance(found, DictConfig)
    return found


@contextlib.contextmanager
def quick() -> Iterator[None]:
    """In the body, OmegaConf takes a third of the time to copy a config, to resolve it and to write it as YAML.

    A job of a sweep does each several times, which takes longer than a small training.
    """
    with (
        replaced(base, "parse", _parsed),
        replaced(DictConfig, "__deepcopy__", _copied),
        replaced(omegaconf, "get_omega_conf_dumper", _dumper),
    ):
        yield


@functools.lru_cache(maxsize=4096)
def _parsed(value: str) -> Any:
    return parse(value)


def _copied(config: DictConfig, memo: dict[int, Any]) -> DictConfig:
    """A copy by pickle, unless it is part of a larger one, or not of plain data."""
    if memo or config._get_flag("allow_objects"):
        return _slowly_copied(config, memo)
    parent = config._get_parent()
    config._set_parent(None)
    try:
        copy: DictConfig = pickle.loads(pickle.dumps(config))
    except pickle.PicklingError:  # of a launcher's class that Hydra, looking for plugins in a worker, has loaded anew
        copy = _slowly_copied(config, memo)
    finally:
        config._set_parent(parent)
    copy._set_parent(parent)
    return copy


@functools.cache
def _dumper() -> type[Any]:
    """OmegaConf's, on the parser that is written in C, where PyYAML has it."""
    pure = get_omega_conf_dumper()
    if not yaml.__with_libyaml__:
        return pure
    quick = type("QuickDumper", (yaml.CDumper,), {})
    quick.yaml_representers = pure.yaml_representers
    return quick
