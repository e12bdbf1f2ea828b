"""Hydra's internals that litlab needs, and what differs between Hydra 1.3 and 1.4."""

import argparse
import contextlib
import copy
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra._internal import hydra as hydra_main
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException, HydraException
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from litlab.compat.omegaconf import quick
from litlab.compat.patching import replaced
from litlab.errors import RequestError

# For hydra.main and its like: without it 1.3 behaves as 1.1 did, and with it 1.4 warns.
VERSION_BASE: dict[str, Any] = {"version_base": "1.3"} if hydra.__version__.startswith("1.3.") else {}


def options_parser() -> argparse.ArgumentParser:
    """The parser of Hydra's own options (`-m`, `--cfg`, ...)."""
    return get_args_parser()


def runs_here(launcher: Any) -> bool:
    """Whether a launcher runs jobs one after the other in this process, as Hydra's own does."""
    from hydra._internal.core_plugins.basic_launcher import BasicLauncher  # late: looking for plugins loads it anew

    return isinstance(launcher, BasicLauncher) or stacks_jobs(launcher)


def launcher_here(context: HydraContext, task: TaskFunction, config: DictConfig) -> Any:
    """Hydra's own launcher, set up: it runs jobs one after the other in this process."""
    from hydra._internal.core_plugins.basic_launcher import BasicLauncher  # late, see `runs_here`

    launcher = BasicLauncher()
    launcher.setup(hydra_context=context, task_function=task, config=config)
    return launcher


def stacks_jobs(launcher: Any) -> bool:
    """Whether a launcher is litlab's own, whose jobs are trained as stacks."""
    return type(launcher).__module__ == "hydra_plugins.litlab_launchers"


def is_from_plugin(launcher: Any, name: str) -> bool:
    """Whether a launcher is that of Hydra's plugin `name`: joblib, ray or submitit."""
    return type(launcher).__module__.startswith(f"hydra_plugins.hydra_{name}_launcher")


def typed_words(config: DictConfig, part: str = "task") -> list[str]:
    """The overrides of a composed config as they were typed: iterating them would resolve a `${...}` in a word.

    Args:
        config: with its hydra node.
        part: task; or hydra, for those of Hydra's own settings.
    """
    words: Any = OmegaConf.to_container(config.hydra.overrides[part])
    return [str(word) for word in words]


def is_group(loader: ConfigLoader, name: str) -> bool:
    """Whether there is a group of this name, a folder of choices."""
    assert isinstance(loader, ConfigLoaderImpl)
    return loader.repository.group_exists(name)


def group_options(conf: Path, group: str) -> list[str]:
    """The choices of a group that a folder of choices, Hydra itself and the installed plugins have."""
    return ConfigLoaderImpl(create_config_search_path(str(conf))).get_group_options(group)


def parsed_overrides(words: Sequence[str]) -> list[Override]:
    """Overrides without a sweep; jobs of a sweep, which have most of them in common, share them.

    Raises:
        HydraException: one cannot be parsed.
    """
    return [_parsed(word) for word in words]


@functools.lru_cache(maxsize=4096)
def _parsed(word: str) -> Override:
    return OverridesParser.create().parse_overrides([word])[0]


def apply_overrides(overrides: Sequence[Override], config: DictConfig) -> None:
    """Set in a composed config what overrides of settings, not of groups, say.

    Raises:
        HydraException: one cannot be applied.
    """
    ConfigLoaderImpl._apply_overrides_to_config(list(overrides), config)


class CheckedLoader(ConfigLoaderImpl):
    """Hydra's config loader, with hooks for what is typed, each file that it reads and each config that it composes.

    Jobs of a sweep with the same choices share their composition, which takes a quarter of a second.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._chosen: dict[tuple[str, ...], DictConfig] = {}  # by the sweep's and the job's choices

    def as_typed(self, overrides: Sequence[str]) -> list[str]:
        """The overrides to compose with, given those typed."""
        return list(overrides)

    def choices_by_settings(self, config: DictConfig, is_sweep: bool) -> list[str]:
        """Overrides that choose groups which are null so far, and which the other settings decide."""
        return []

    def check_file(self, name: str, source: Path, is_primary: bool, config: DictConfig) -> None:
        """Called with each file.

        Args:
            name: such as experiment/mine, without ".yaml".
            source: the folder that `name` is relative to.
            is_primary: whether it is the program's (conf/train.yaml), not one that it names.
            config: what the file sets, from the root.
        """

    def check_config(self, config: DictConfig) -> None:
        """Called with each composed config, with its hydra node, before Hydra acts on it."""

    def _load_configuration_impl(
        self, config_name: str | None, overrides: list[str], run_mode: RunMode, *args: Any, **kwargs: Any
    ) -> DictConfig:
        def compose(words: list[str]) -> DictConfig:
            load = super(CheckedLoader, self)._load_configuration_impl
            try:
                return load(config_name, words, run_mode, *args, **kwargs)
            except ConfigCompositionException as error:
                key = getattr(error.__cause__, "full_key", None)
                unknown = [word for word in words if word.split("=", 1)[0] == key]
                if run_mode != RunMode.MULTIRUN or not unknown or str(key).startswith("hydra."):  # no job has those
                    raise
            config = compose([word for word in words if word not in unknown])
            config.hydra.overrides.task.extend(unknown)  # for the jobs: their choices may have such a setting
            return config

        words = self.as_typed(overrides)
        try:
            config = compose(words)
            chosen = self.choices_by_settings(config, run_mode == RunMode.MULTIRUN)
        except HydraException:  # perhaps for settings of a group that is not chosen yet
            without = [word for word in words if not word.lstrip("+~").startswith("task.")]
            if without == words or not (chosen := self.choices_by_settings(compose(without), False)):
                raise
        if chosen:
            config = compose([*chosen, *words])
            config.hydra.overrides.task = [word for word in typed_words(config) if word not in chosen]
        self.check_config(config)
        return config

    @quick()
    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """The config of a job of a sweep, as Hydra composes it.

        Args:
            master_config: the sweep's, with its hydra node.
            sweep_overrides: the job's.

        Raises:
            HydraException: it cannot be composed.
        """
        parsed = parsed_overrides(sweep_overrides)
        groups = [each for each in parsed if is_group(self, each.key_or_group)]
        choices = [str(each.input_line) for each in groups]
        key = (*typed_words(master_config, "hydra"), "", *choices)
        if key not in self._chosen:
            try:
                self._chosen[key] = super().load_sweep_config(master_config, choices)
            except RequestError:  # where further settings decide a choice
                return super().load_sweep_config(master_config, sweep_overrides)
        config = copy.deepcopy(self._chosen[key])
        try:
            apply_overrides([each for each in parsed if each not in groups], config)
        except OmegaConfBaseException as error:
            raise ConfigCompositionException(str(error)) from error
        own = [each for each in parsed if each.is_hydra_override()]
        task, dirname = [each for each in parsed if each not in own], config.hydra.job.config.override_dirname
        with open_dict(config):
            sweep = typed_words(master_config, "hydra")
            config.hydra.overrides.hydra = [*sweep, *(each.input_line for each in own)]
            config.hydra.overrides.task = [each.input_line for each in task]
            config.hydra.job.override_dirname = get_overrides_dirname(
                task, list(dirname.exclude_keys), dirname.item_sep, dirname.kv_sep
            )
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        self.check_config(config)
        return config

    def _load_single_config(self, default: Any, repo: Any) -> Any:
        loaded = super()._load_single_config(default, repo)
        scheme, _, folder = loaded.path.partition("://")
        if scheme == "file" and isinstance(loaded.config, DictConfig):
            self.check_file(str(default.config_path), Path(folder), bool(default.primary), loaded.config)
        return loaded


@contextlib.contextmanager
def composing_with(loader: type[CheckedLoader]) -> Iterator[None]:
    """In the body, Hydra composes with this loader; a sweep passes it on to the processes of its jobs."""
    with replaced(hydra_main, "ConfigLoaderImpl", loader):  # Hydra.create_main_hydra2 looks it up there
        yield
