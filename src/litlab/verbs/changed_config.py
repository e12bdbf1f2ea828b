"""The settings of a finished run, with others in their place; they are refused before torch is imported."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from litlab.config import trust
from litlab.config.checks import check
from litlab.config.composition import compose
from litlab.config.suggestions import suggestion
from litlab.errors import RequestError
from litlab.runs import reading
from litlab.runs.result import CONFIG, FILE
from litlab.verbs.request import Request

CHANGEABLE = ("data", "trainer", "threads", "paths", "trust")  # settings, or groups of them
SPLITS = ("train", "val", "test")


def evaluation_of(words: Sequence[str]) -> Request:
    """What an evaluation is asked for: run=RUN, and perhaps split=train|val|test and overrides of the run's settings.

    Such as data.batch_size=1000, trainer=cpu or data=mnist.

    Raises:
        RequestError: there is no such split, run or setting; and as `Request.of`.
    """
    request = Request.of(words, "an evaluation", {"split": "test"}, CHANGEABLE)
    if (split := request.own["split"]) not in SPLITS:
        near = suggestion(split, SPLITS)
        raise RequestError(f"split={split}: there is no such split{near}; choose from {', '.join(SPLITS)}")
    request.directory  # noqa: B018  # there is such a run
    if (saved := _saved(request)) is not None:
        changed_config(*saved, request)
    return request


def _saved(request: Request) -> tuple[DictConfig, Mapping[str, str | None]] | None:
    """The run's settings as its directory has them, and its choices; None where only the checkpoint has them."""
    try:
        config = OmegaConf.create((request.directory / CONFIG).read_text(encoding="utf-8"))
        config.paths.run_dir, config.trust = str(request.directory), list(trust.trusted(request.here))
        return OmegaConf.create(_plain(cast(DictConfig, config))), reading.read(request.directory / FILE)["choices"]
    except (OSError, ValueError, TypeError, AttributeError, LookupError, YAMLError, OmegaConfBaseException):
        return None


def changed_config(own: DictConfig, choices: Mapping[str, str | None], request: Request) -> DictConfig:
    """The settings of a run, with the overrides; one device, and nothing that watches a training.

    Args:
        own: the run's settings.
        choices: its choices by their groups.
        request: has the overrides.

    Raises:
        RequestError: a setting is wrong, or may not be changed.
    """
    config = OmegaConf.create(_plain(own) | {"callbacks": {}, "logger": {}, "resume": None})
    for group, word in request.groups.items():
        _choose(config, group, word, choices.get(group), request.choices)
    for each in request.overrides:
        if each.key_or_group == "data.normalize":
            raise RequestError(f"{each.input_line}: the inputs are normalized as in training; leave it out")
        if each.key_or_group not in request.groups and not each.key_or_group.startswith("trust"):
            OmegaConf.update(config, each.key_or_group, each.value(), force_add=each.is_add())
    if config.data.get("data_dir") == own.paths.data_dir:
        config.data.data_dir = config.paths.data_dir
    devices = config.trainer.get("devices")
    if devices != 1 and "trainer.devices" in {each.key_or_group for each in request.overrides}:
        raise RequestError(f"trainer.devices={devices}: an evaluation runs on one device; leave it out")
    config.trainer.update({"devices": 1, "num_nodes": 1, "strategy": "auto"})
    trust.check(config)
    check(config, [str(each.input_line) for each in request.overrides])
    return config


def _choose(config: DictConfig, group: str, word: str, before: str | None, own: Path | None) -> None:
    """Take what distinguishes the chosen option from the run's; the run's other settings of the group stay."""
    option = _option(word, config, own)
    usual = _option(f"{group}={before}", config, own) if before else _plain(config)[group]
    for name in (option.keys() | usual.keys()) - {"normalize"}:
        if name not in option:
            config[group].pop(name, None)
        elif name not in usual or option[name] != usual[name]:
            config[group][name] = option[name]


def _option(word: str, config: DictConfig, own: Path | None) -> dict[str, Any]:
    # A task, any: a table's own could not be told without its file.
    composed = compose("train", [word, "task=regression"], own)
    composed.paths.data_dir = config.paths.data_dir
    return cast(dict[str, Any], OmegaConf.to_container(composed[word.partition("=")[0]], resolve=True))


def _plain(config: DictConfig) -> dict[str, Any]:
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
