"""What a verb is asked to do with a finished run: `run=RUN`, words of its own, and settings that are to differ."""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from litlab.compat.hydra import VERSION_BASE, composing_with
from litlab.config import trust
from litlab.config.choices import CONF
from litlab.config.composition import GuardedLoader
from litlab.config.hydra_errors import suggestion
from litlab.errors import RequestError
from litlab.load import LoadedRun, load_run
from litlab.verbs.find import find_run


@dataclass
class Request:
    """The words of the command line.

    Attributes:
        run: see `find_run`.
        own: the verb's own words, such as split=val, by name.
        overrides: of the run's settings.
    """

    run: str
    own: dict[str, str]
    overrides: list[Override]

    @classmethod
    def of(cls, words: Sequence[str], verb: str, own: Mapping[str, str], changeable: Sequence[str]) -> "Request":
        """Parse the words.

        Args:
            words: NAME=VALUE each.
            verb: as in "an evaluation", for errors.
            own: the verb's own words, and their values where they are not given.
            changeable: the settings, or groups of them, that may differ from the run's.

        Raises:
            RequestError: a word is none of these, or `run=` is missing.
            HydraException: an override is not in Hydra's grammar.
        """
        pairs = [(name, _unquoted(value), word) for word in words for name, _, value in [word.partition("=")]]
        values = {"run": "", **own} | {name: value for name, value, _ in pairs if name in ("run", *own)}
        if not (run := values.pop("run")):
            raise RequestError("run=: name the directory of a run, such as run=logs/train/runs/DATE_TIME, or run=last")
        others = [word for name, _, word in pairs if name not in ("run", *own)]
        overrides = OverridesParser.create().parse_overrides(others)
        for each in overrides:
            if each.is_delete() or each.is_sweep_override() or each.key_or_group.split(".")[0] not in changeable:
                near = suggestion(each.key_or_group, ["run", *own])
                raise RequestError(
                    f"{each.input_line}: {verb} takes single values of {', '.join(changeable)}; the rest is the run's "
                    f"own{near}"
                )
        return cls(run, values, overrides)

    @property
    def groups(self) -> dict[str, str]:
        """The choices among `overrides`, such as data=mnist, by their group."""
        words = {each.key_or_group: str(each.input_line) for each in self.overrides}
        return {name: word for name, word in words.items() if (CONF / name).is_dir()}

    def open(self) -> LoadedRun:
        """The run, with the packages that the user trusts.

        Raises:
            RequestError: there is no such run, or it cannot be opened.
        """
        here = compose_train(
            str(each.input_line) for each in self.overrides if each.key_or_group in ("trust", "paths.log_dir")
        )
        return load_run(find_run(self.run, Path(here.paths.log_dir)), trust.trusted(here))


def compose_train(words: Iterable[str]) -> DictConfig:
    """What these words mean for a new run."""
    with composing_with(GuardedLoader), initialize_config_dir(str(CONF), **VERSION_BASE):
        return compose("train", list(words))


@contextmanager
def removed_on_error(folder: Path) -> Iterator[Path]:
    """Remove a new folder again where the body raises."""
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _unquoted(value: str) -> str:
    """Without the quotes that `config.arguments` puts around a path for Hydra."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == "'" else value
