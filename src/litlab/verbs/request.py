"""What a verb is asked to do with a finished run: `run=RUN`, words of its own, and settings that are to differ.

It imports no torch, so that a wrong word is told at once.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from litlab.config import trust
from litlab.config.arguments import take_own_choices
from litlab.config.choices import CONF
from litlab.config.composition import compose
from litlab.config.suggestions import suggestion
from litlab.data.input_files import find_files
from litlab.errors import RequestError
from litlab.escape import printable
from litlab.verbs.find import find_run

if TYPE_CHECKING:
    from litlab.load import LoadedRun

TABLES = (".csv", ".json", ".jsonl", ".parquet")  # of predictions
NETWORKS = ("safetensors", "pt2", "onnx")  # formats of an export
PREDICTION = ("input", "output", "topk", "batch_size", "key", "invert", "overwrite", "threads")


@dataclass
class Request:
    """The words of the command line.

    Attributes:
        run: see `find_run`.
        own: the verb's own words, such as split=val, by name.
        overrides: of the run's settings.
        choices: the folder of the user's own choices (--config-dir).
        files: the inputs of a prediction.
        remarks: what the user should know about them.
    """

    run: str
    own: dict[str, str]
    overrides: list[Override]
    choices: Path | None = None
    files: list[Path] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, words: Sequence[str], verb: str, own: Mapping[str, str], changeable: Sequence[str]) -> "Request":
        """Parse the words.

        Args:
            words: NAME=VALUE each, and perhaps --config-dir FOLDER.
            verb: as in "an evaluation", for errors.
            own: the verb's own words, and their values where they are not given.
            changeable: the settings, or groups of them, that may differ from the run's.

        Raises:
            RequestError: a word is none of these, or `run=` is missing.
            HydraException: an override is not in Hydra's grammar.
        """
        choices, words = take_own_choices(words)
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
        return cls(run, values, overrides, choices)

    @property
    def groups(self) -> dict[str, str]:
        """The choices among `overrides`, such as data=mnist, by their group."""
        words = {each.key_or_group: str(each.input_line) for each in self.overrides}
        return {name: word for name, word in words.items() if (CONF / name).is_dir()}

    @cached_property
    def here(self) -> DictConfig:
        """Whom this command trusts, and where it looks for runs."""
        own = (each.input_line for each in self.overrides if each.key_or_group in ("trust", "paths.log_dir"))
        return compose("train", map(str, own))

    @cached_property
    def directory(self) -> Path:
        """The run's.

        Raises:
            RequestError: there is no such run.
        """
        return find_run(self.run, Path(self.here.paths.log_dir))

    def open(self) -> "LoadedRun":
        """The run, with the packages that the user trusts.

        Raises:
            RequestError: there is no such run, or it cannot be opened.
        """
        from litlab.load import load_run  # here: importing torch and lightning takes seconds

        return load_run(self.directory, trust.trusted(self.here))

    def whole(self, name: str) -> int | None:
        """The value of a word that is a whole number; None where it is not given.

        Raises:
            RequestError: it is none.
        """
        if not (text := self.own[name]):
            return None
        if not text.isdecimal() or int(text) < 1:
            raise RequestError(f"{name}={printable(text)}: must be a whole number from 1, such as {name}=5")
        return int(text)

    def flag(self, name: str) -> bool:
        """The value of a word that is true or false.

        Raises:
            RequestError: it is neither.
        """
        text = self.own[name].lower()
        if text not in ("", "true", "false"):
            raise RequestError(f"{name}={printable(text)}: must be true or false")
        return text == "true"

    def output(self) -> Path | None:
        """The file to write predictions to.

        Raises:
            RequestError: it is of another kind than `TABLES`, or exists.
        """
        text = self.own["output"]
        if not text:
            return None
        path = Path(text).expanduser()
        if path.suffix not in TABLES:
            near = suggestion(path.suffix, TABLES) if path.suffix else ""
            raise RequestError(f"output={printable(text)}: must end with {', '.join(TABLES)}{near}")
        if path.is_dir() or (path.exists() and not self.flag("overwrite")):
            raise RequestError(f"output={printable(text)}: exists; name another file, or add overwrite=true")
        return path

    def formats(self) -> list[str]:
        """The formats of an export.

        Raises:
            RequestError: one is none of `NETWORKS`.
        """
        text = self.own["formats"]
        names = [name.strip() for name in text.strip("[]").split(",")]
        for name in names:
            if name not in NETWORKS:
                near = suggestion(name, NETWORKS)
                raise RequestError(f"formats={text}: there is no such format{near}; choose from {', '.join(NETWORKS)}")
        return list(dict.fromkeys(names))


def prediction_of(words: Sequence[str]) -> Request:
    """What a prediction is asked for: run=RUN, input=WHAT and perhaps others of `PREDICTION`.

    WHAT: see `find_files`; several as input=a.png,b.png or input=a.png input=b.png.

    Raises:
        RequestError: there is no such run or input, or a word is wrong; and as `Request.of`.
    """
    others = [word for word in words if not word.startswith("input=")]
    request = Request.of(others, "a prediction", dict.fromkeys(PREDICTION, ""), ("paths", "trust"))
    request.output()
    for name in ("topk", "batch_size", "threads"):
        request.whole(name)
    request.flag("invert")
    request.files, request.remarks = find_files(_inputs(words))
    request.directory  # noqa: B018  # there is such a run
    return request


def export_of(words: Sequence[str]) -> Request:
    """What an export is asked for: run=RUN, and perhaps to=DIR, formats=, paths.data_dir=DIR and trust=[PACKAGE].

    Raises:
        RequestError: there is no such run or format; and as `Request.of`.
    """
    request = Request.of(words, "an export", {"to": "", "formats": ",".join(NETWORKS)}, ("paths", "trust"))
    request.formats()
    request.directory  # noqa: B018  # there is such a run
    return request


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


def _inputs(words: Sequence[str]) -> list[str]:
    """The names in the words input=...: a path, or several in a list, with or without brackets."""
    names: list[str] = []
    for value in (word.partition("=")[2] for word in words if word.startswith("input=")):
        value = value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
        if value and not os.path.exists(value):  # pathlib raises for a long one
            names += [name.strip() for name in value.removeprefix("[").removesuffix("]").split(",") if name.strip()]
        elif value:
            names.append(value)
    return names
