"""resume=RUN: go on with a run in its own directory, with its own settings and what the command line changes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from filelock import FileLock, Timeout
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from litlab.compat.hydra import apply_overrides
from litlab.config.arguments import take_own_choices
from litlab.config.changes import check_changes, is_longer
from litlab.config.choices import CONF
from litlab.config.composition import as_typed, compose
from litlab.errors import RequestError
from litlab.escape import one_line
from litlab.files import write_atomic
from litlab.runs.heartbeat import is_alive
from litlab.runs.result import CONFIG, FILE, GROUPS, Result, StoredResult, settings, write
from litlab.sweeps.folder import REQUEST, hydra_quoted
from litlab.sweeps.naming import key_of
from litlab.verbs.find import find_directory, read_result

HERE = ("resume_changes", "trust", "paths.log_dir")  # of this command, not of the run
LOCK = ".resume.lock"
LEFT_BEHIND = re.compile(r"\.[0-9a-f]{16}\.(aside|room)")  # temporary files of a killed process


@dataclass
class Resumption:
    """A run that a command line resumes.

    Attributes:
        directory: of the run.
        earlier: its result.json so far.
        changes: overrides of its settings.
        words: for Hydra, which composes only what belongs to this command and machine.
        own: the folder of the user's own choices (--config-dir).
    """

    directory: Path
    earlier: StoredResult
    changes: list[str]
    words: list[str]
    own: Path | None = None

    @classmethod
    @contextmanager
    def of(cls, word: str, words: Sequence[str]) -> Iterator["Resumption"]:
        """The run that `word`, resume=RUN, names among the `words` of a command line; locked while the body runs.

        Raises:
            RequestError: there is no such run, it is running, or the command is a sweep.
        """
        own_folder, words = take_own_choices(words)
        if options := [each for each in words if each.startswith("-")]:
            raise RequestError(f"{word}: goes on with one run, in its own directory; leave out {' '.join(options)}")
        name = str(OverridesParser.create().parse_override(word).value())
        log_dir = Path()
        if name == "last":
            log_dir = Path(compose("train", [each for each in words if key_of(each) == "paths.log_dir"]).paths.log_dir)
        directory = find_directory(name, log_dir, "resume=").absolute()
        if (directory / REQUEST).is_file():
            raise RequestError(f"{word}: is a sweep; its own command with -m and sweep.resume={name} continues it")
        quoted = hydra_quoted(str(directory))
        own = [f"resume={quoted}", f"hydra.run.dir={quoted}", "hydra.output_subdir=null"]
        own += [each for each in words if key_of(each) in HERE or key_of(each).startswith("hydra")]
        changes = [each for each in words if each != word and each not in own]
        with _locked(directory, word):
            earlier = read_result(directory, word)
            if is_alive(earlier, directory / FILE):
                process = earlier["process"]
                raise RequestError(f"{word}: is still running, as process {process['pid']} on {process['host']}")
            yield cls(directory, earlier, changes, own, own_folder)

    def config(self, here: DictConfig) -> DictConfig | None:
        """The run's own settings, with the changes; None, which is printed, if it has nothing to do.

        Args:
            here: composed of `words`.

        Raises:
            RequestError: they cannot be read; the changes are not allowed; or the training is over for them, too.
            HydraException: a change names no setting.
        """
        before, now = self._saved(here), self._changed(self._saved(here))
        old, new = _plain(before), _plain(now)
        check_changes(now, old, new, f"resume={self.directory}")
        if self.earlier["status"] != "completed" or is_longer(old, new):
            return now
        line = f"is completed, after {self.earlier.get('epochs')} epochs; to train on, set a larger trainer.max_epochs"
        if self.changes:
            raise RequestError(f"resume={self.directory}: {line}")
        print(f"{self.directory}: {line}", flush=True)
        return None

    def begin(self, config: DictConfig) -> Result:
        """Keep the settings, and remove what a killed process left behind; the result so far."""
        if self.changes:
            saved = OmegaConf.merge(config, {"resume": None, "resume_changes": False})
            write_atomic(self.directory / CONFIG, OmegaConf.to_yaml(saved).encode())
        for file in self.directory.rglob(".*"):
            if LEFT_BEHIND.fullmatch(file.name):
                file.unlink(missing_ok=True)
        kept = ("choices", "overrides", "swept", "seed", "settings")
        result = Result.from_dict({name: self.earlier[name] for name in kept if name in self.earlier})
        result.seconds = self._seconds()
        if self.changes:
            new = {key_of(each) for each in self.changes}
            result.overrides = [*(each for each in result.overrides if key_of(each) not in new), *self.changes]
            result.choices = result.choices | {
                key_of(each): each.partition("=")[2] for each in self.changes if key_of(each) in GROUPS
            }
            result.seed, result.settings = config.seed, settings(config)
        return result

    def undo(self) -> None:
        """What the run was before `begin`."""
        write(self.directory / FILE, self.earlier)
        if self.changes:
            write_atomic(self.directory / CONFIG, self._before)

    def _saved(self, here: DictConfig) -> DictConfig:
        """The settings as the run's directory has them; where it lies, and whom to trust, is not the run's to say."""
        file = self.directory / CONFIG
        try:
            self._before = file.read_bytes()
            config = OmegaConf.create(self._before.decode())
            with open_dict(config):
                config.paths.run_dir = str(self.directory)
                config.resume, config.resume_changes = str(self.directory), here.resume_changes
                config.trust = here.trust
        except (OSError, ValueError, AttributeError, YAMLError, OmegaConfBaseException) as error:
            raise RequestError(f"resume={self.directory}: {file} cannot be read ({one_line(error)})") from error
        return cast(DictConfig, config)

    def _changed(self, config: DictConfig) -> DictConfig:
        """Apply the changes; a choice is taken as the run's own command with it composes it now."""
        parsed = OverridesParser.create().parse_overrides(as_typed(self.changes))
        groups = {each.key_or_group for each in parsed if (CONF / each.key_or_group).is_dir()}
        with open_dict(config):
            if groups:
                earlier = [each for each in self.earlier.get("overrides") or () if key_of(each) not in HERE]
                chosen = compose("train", [*earlier, *self.changes], self.own)
                config.update({group: chosen[group] for group in groups})
        OmegaConf.set_struct(config, True)  # as Hydra's are: a setting that is not there is a mistake
        apply_overrides([each for each in parsed if each.key_or_group not in groups], config)
        return config

    def _seconds(self) -> float:
        """Of the earlier attempts; of one that was killed, up to its last sign of life."""
        seconds = self.earlier.get("seconds") or 0.0
        if self.earlier["status"] == "running":
            began = datetime.fromisoformat(self.earlier["started"]).timestamp()
            seconds += max(0.0, (self.directory / FILE).stat().st_mtime - began)
        return float(seconds)


@contextmanager
def _locked(directory: Path, word: str) -> Iterator[None]:
    """Lock a run's directory while the body runs."""
    read_result(directory, word)  # it is a run's
    lock = FileLock(directory / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise RequestError(f"{word}: another process goes on with {directory}; wait for it, or stop it") from error
    except OSError as error:
        raise RequestError(f"{word}: {directory} cannot be written ({error.strerror})") from error
    try:
        yield
    finally:
        (directory / LOCK).unlink(missing_ok=True)  # what is refused leaves no trace
        lock.release()


def _plain(config: DictConfig) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], OmegaConf.to_container(config, resolve=True))
