"""Checks while Hydra composes a config, before Hydra acts on it: who may set what, and what must be set."""

import copy
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra import compose as compose_unguarded
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from litlab.compat.hydra import VERSION_BASE, CheckedLoader, composing_with
from litlab.config.choices import CONF
from litlab.config.column_names import COLUMNS, decode
from litlab.config.trust import lies_in, refusal, targets, trusted
from litlab.errors import RequestError

OWN = ("local/", "hydra/")  # the user's own folders of conf/, besides the programs' files at its top
# What any file may set of Hydra. The rest can run code, and so can some of what is in these: see `_check_hydra`.
HARMLESS = ("run", "sweep", "sweeper", "launcher.n_jobs")
OPEN = f"{COLUMNS}."  # a setting that takes new keys
FOLDERS = {"log_dir": "logs", "data_dir": "data"}  # of paths, and an example

OPTUNA = re.compile(r"optuna\.(samplers\.[A-Z]\w*Sampler|pruners\.[A-Z]\w*Pruner)")
HANDLERS = {f"logging.{name}" for name in ("FileHandler", "NullHandler", "StreamHandler")} | {
    f"logging.handlers.{name}" for name in ("RotatingFileHandler", "TimedRotatingFileHandler", "WatchedFileHandler")
}
STREAMS = {"ext://sys.stdout", "ext://sys.stderr"}


def compose(name: str, words: Iterable[str], own: Path | None = None) -> DictConfig:
    """Compose conf/NAME.yaml with overrides, and run nothing; also within a job of Hydra's.

    Args:
        name: of the program's YAML.
        words: overrides.
        own: a folder of the user's own choices, as --config-dir names it.

    Raises:
        RequestError: as `GuardedLoader`.
        HydraException: an override is wrong.
    """
    folder = str(own).replace("'", "\\'")
    search = [f"hydra.searchpath=['file://{folder}']"] if own else []
    job = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with composing_with(GuardedLoader), initialize_config_dir(str(CONF), **VERSION_BASE):
            return compose_unguarded(name, [*search, *words])
    finally:
        GlobalHydra.instance().hydra = job


def as_typed(words: Iterable[str]) -> list[str]:
    """Let `data.columns`, whose keys are the user's own columns, take new ones without a plus."""
    return [f"++{word}" if word.startswith(OPEN) else word for word in words]


class GuardedLoader(CheckedLoader):
    """Keeps other people's files from deciding whom to trust and what Hydra runs.

    Experiments are shared; `trust` and most of Hydra's settings are the user's, on the command line or in files of this
    clone: conf/NAME.yaml, conf/local and conf/hydra.
    """

    def as_typed(self, overrides: Sequence[str]) -> list[str]:
        """As the function."""
        return as_typed(overrides)

    def choices_by_settings(self, config: DictConfig, is_sweep: bool) -> list[str]:
        """The task, where none is chosen and the data name a function that suggests overrides: `data.task_from`.

        Raises:
            RequestError: it cannot; in a sweep, whose settings differ, the jobs tell.
        """
        decode(config)  # columns may decide it
        name = OmegaConf.select(config, "data.task_from")
        if name is None or "task" in config:
            return []
        if not lies_in(str(name), ("litlab.data",)):
            raise RequestError(f"data.task_from={name}: must be a function of litlab.data")
        try:
            return list(get_method(name)(OmegaConf.to_container(config.data)))
        except RequestError:
            if is_sweep:
                return []
            raise

    def check_config(self, config: DictConfig) -> None:
        """Name the columns, and check the folders' names and what Hydra is to run.

        Raises:
            RequestError: a folder has no name, or Hydra would run what is not trusted.
        """
        decode(config)
        _check_folders(config)
        _check_hydra(config)

    def check_file(self, name: str, source: Path, is_primary: bool, config: DictConfig) -> None:
        """Check what a file sets, if it may be somebody else's.

        Raises:
            RequestError: it sets what only the user's own files may.
        """
        is_program = is_primary and "/" not in name
        if source != CONF or not (is_program or name.startswith(OWN)):
            _check_origin(name, config)


def _check_origin(file: str, config: DictConfig) -> None:
    """Refuse a shared file, such as experiment/name, that sets `trust` or Hydra's behaviour."""
    group, _, name = file.rpartition("/")
    who = f"{group}={name}" if group else file
    if "trust" in config:
        raise RequestError(f"{who}: sets trust; only you can, on the command line or in conf/local/default.yaml")
    for setting in _leaves(OmegaConf.to_container(config).get("hydra")):
        if not lies_in(setting, HARMLESS):
            raise RequestError(
                f"{who}: sets hydra.{setting}; of Hydra a choice may set {', '.join(HARMLESS)}; the rest is "
                "yours, on the command line or in conf/local/default.yaml"
            )


def _check_folders(config: DictConfig) -> None:
    """Refuse folders without a name."""
    for name, example in FOLDERS.items():
        folder = OmegaConf.select(config, f"paths.{name}", default=example)
        if not isinstance(folder, str) or not folder.strip():
            value = "null" if folder is None else folder
            raise RequestError(f"paths.{name}={value}: must name a folder, such as {example}")


def _check_hydra(config: DictConfig) -> None:
    """Refuse plugins, callbacks and logging handlers that are neither Hydra's, litlab's nor trusted, a line each."""
    hydra = _resolved(config)
    named = [*targets(hydra.get("callbacks"), "hydra.callbacks")]
    for part in ("launcher", "sweeper"):  # Hydra itself takes nothing but plugins for these
        inner = targets(hydra.get(part), f"hydra.{part}")
        named += [each for each in inner if each[0] != f"hydra.{part}._target_" and not OPTUNA.fullmatch(each[1])]
    sweeper = hydra.get("sweeper")
    if isinstance(sweeper, dict) and (space := sweeper.get("custom_search_space")):
        named.append(("hydra.sweeper.custom_search_space", str(space)))
    for part in ("hydra_logging", "job_logging"):
        named += _called(hydra.get(part), f"hydra.{part}")
    packages = trusted(config)
    if errors := [refusal(*each) for each in named if not lies_in(each[1], packages)]:
        raise RequestError("\n".join(errors))


def _called(node: Any, setting: str) -> Iterator[tuple[str, str]]:
    """What logging.config.dictConfig would import and call, but for its own handlers and streams."""
    if isinstance(node, dict):
        for key, value in node.items():
            here = f"{setting}.{key}"
            if key in ("()", "class", "queue", "listener") and isinstance(value, str):
                if not (key == "class" and value in HANDLERS):
                    yield here, value
            else:
                yield from _called(value, here)
    elif isinstance(node, list | tuple):
        for number, value in enumerate(node):
            yield from _called(value, f"{setting}[{number}]")
    elif isinstance(node, str) and node.partition("://")[0] in ("ext", "cfg") and node not in STREAMS:
        yield setting, node.partition("://")[2]


def _resolved(config: DictConfig) -> dict[str, Any]:
    """The hydra node as plain data; what is known only when a job runs is blank."""
    config = copy.deepcopy(config)
    before = HydraConfig.instance().cfg
    try:
        blank_job(config)
        HydraConfig.instance().cfg = config  # type: ignore[assignment]  # for ${hydra:...}; set_config would copy it
        parts = ("callbacks", "launcher", "sweeper", "hydra_logging", "job_logging")
        nodes = {part: OmegaConf.select(config, f"hydra.{part}") for part in parts}
        return {part: OmegaConf.to_container(node, resolve=True) for part, node in nodes.items() if node is not None}
    finally:
        HydraConfig.instance().cfg = before


def blank_job(config: DictConfig) -> None:
    """Blank what Hydra knows only when a job runs, so that interpolations of it resolve."""
    with read_write(config.hydra), open_dict(config):
        config.hydra.job.id, config.hydra.job.num, config.hydra.runtime.output_dir = "", 0, ""


def _leaves(node: Any, path: str = "") -> Iterator[str]:
    """The dotted paths of all values in a tree, such as run.dir."""
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from _leaves(value, f"{path}.{key}".lstrip("."))
    elif path:
        yield path
