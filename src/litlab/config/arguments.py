"""Command-line arguments, rewritten and checked before Hydra parses them."""

import argparse
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from litlab.config.choices import CONF, UNSUPPORTED, choices
from litlab.config.column_names import COLUMNS, encoded
from litlab.errors import RequestError

DRY_RUN = re.compile(r"\+*sweep\.dry_run=['\"]?(true|yes|on|1)['\"]?$", re.IGNORECASE)
SWEEP = re.compile(r"\+*sweep=(?!default$)")
TRAIN = "python scripts/train.py"
RESUME = re.compile(r"\+*(sweep\.)?resume=(?!null$)")
NO_NAME = re.compile(r"\bnull\b|^(true|false|\[[^a-z]*\]|[-+]?(nan|inf|[\d.]+(e[-+]?\d+)?))$", re.IGNORECASE)
LONGEST = 200  # characters of a choice, which is a file's name; a file system raises an error above 255 bytes
QUOTES = set("'\"")
CALL = re.compile(r"[a-z]+\(")
PARTS = re.compile(r"[^,()\[\]{}:=\s](?:[^,()\[\]{}:=]*[^,()\[\]{}:=\s])?")  # of a list, or of a call's arguments
FULL_WIDTH = re.compile(r"[\uff01-\uff5e]")  # ASCII's, as an input method for Korean or Chinese may type them


def arguments(words: Sequence[str]) -> list[str]:
    """Options first, then overrides: argparse rejects `a=1 -m b=2`. `--dry-run` becomes an override.

    Existing paths and a sweep's condition need no quotes, whatever characters of Hydra's grammar they contain; nor do
    words in other scripts than Latin, and the names of columns in `data.columns`.

    Raises:
        RequestError: an option is unknown or refused, or an override selects nothing.
    """
    for word in words:
        _check_width(word)
    overrides = [_quoted(encoded(word)) for word in words if _is_override(word)]
    options = [word for word in words if not _is_override(word)]
    if "--dry-run" in options:
        options.remove("--dry-run")
        overrides.append("sweep.dry_run=true")
    asked = _check_options(options)
    for word in overrides:
        _check_choice(word, own_choices(options))
        _check_interpolation(word)
    if not (asked.multirun or asked.cfg or asked.info):
        if any(DRY_RUN.match(word) for word in overrides):
            options.insert(0, "-m")  # the sweeper does it, so that not even a run directory is left
        elif (resume := resumed(overrides)) and "sweep." in resume.partition("=")[0]:
            raise RequestError(f"{resume}: resumes a sweep and needs -m; to resume a run, use resume=RUN")
        elif sweep := next(filter(SWEEP.match, overrides), None):
            raise RequestError(f"{sweep}: is a sweep, and a sweep needs -m: {TRAIN} -m {shlex.join(overrides)}")
    return options + overrides


def resumed(words: Sequence[str]) -> str | None:
    """The word that resumes a run or a sweep, if there is one."""
    return next((word for word in words if RESUME.match(word)), None)


def own_choices(words: Sequence[str]) -> Path | None:
    """The folder that --config-dir names: the user's own choices, besides those in conf/."""
    return take_own_choices(words)[0]


def take_own_choices(words: Sequence[str]) -> tuple[Path | None, list[str]]:
    """As `own_choices`, and the words without that option."""
    folder, others, left = None, [], iter(words)
    for word in left:
        name, equals, value = word.partition("=")
        if name in ("--config-dir", "-cd"):
            folder = Path(value if equals else next(left, "")).absolute()
        else:
            others.append(word)
    return folder, others


def _is_override(word: str) -> bool:
    return not word.startswith("-") and ("=" in word or word.startswith(("~", "+")))


def _quoted(word: str) -> str:
    key, _, value = word.partition("=")
    if QUOTES & set(value):
        return word
    is_condition = key.lstrip("+") == "sweep.exclude" and "[" not in value
    is_path = bool(set(value) & set(" =,(){}[]:")) and os.path.exists(value)  # pathlib raises for a long one
    is_foreign = not value.isascii() and "${" not in value  # which Hydra takes in quotes alone
    if is_condition or is_path or (is_foreign and "(" in value and not CALL.match(value)):
        return f"{key}='{value}'"
    if not is_foreign:
        return word
    return f"{key}={PARTS.sub(lambda part: part[0] if part[0].isascii() else repr(part[0]), value)}"


def _check_width(word: str) -> None:
    """Refuse full-width characters in what Hydra must parse: quotes would not help."""
    name = word.partition("=")[0]
    if (wide := FULL_WIDTH.search(name)) and not name.lstrip("+~").startswith(COLUMNS):
        raise RequestError(f"{word}: {wide[0]} is a full-width character; type {chr(ord(wide[0]) - 0xFEE0)}")


def _check_choice(word: str, own: Path | None) -> None:
    """Refuse GROUP=null, GROUP=0.5 and ~GROUP, for which Hydra has no message: nothing can be built from it."""
    group, _, value = word.lstrip("~+").partition("=")
    too_long = len(value) > LONGEST
    if not group or not (CONF / group).is_dir() or not (word.startswith("~") or too_long or NO_NAME.search(value)):
        return
    names = list(choices(own=own).get(group, {}))
    if group.partition("/")[0] == "hydra":  # of which Hydra and its plugins have some
        from litlab.compat.hydra import group_options

        names = sorted({*names, *(each for each in group_options(CONF, group) if f"{group}/{each}" not in UNSUPPORTED)})
    remedy = f"use {group}=none" if "none" in names else f"choose from {', '.join(names)}, or leave {group} out"
    raise RequestError(f"{word[:LONGEST]}{'...' * too_long}: selects nothing; {remedy}")


def _check_interpolation(word: str) -> None:
    """Refuse what OmegaConf cannot parse: its own message does not say where that is."""
    if "${" not in word:
        return
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import GrammarParseError, OmegaConfBaseException

    try:
        OmegaConf.create([OverridesParser.create().parse_override(word).value()])
    except GrammarParseError as error:
        instead = "write ${GROUP.SETTING}, such as ${data.batch_size}"
        raise RequestError(f"{word}: is not a valid interpolation; {instead}") from error
    except (HydraException, OmegaConfBaseException):  # several values, or what Hydra reports well
        return


def _check_options(options: Sequence[str]) -> argparse.Namespace:
    """What the options ask for, where nothing is wrong with them."""
    from litlab.compat.hydra import options_parser
    from litlab.config.suggestions import ALIASES

    def refuse(message: str) -> NoReturn:
        for option in options:
            if setting := ALIASES.get(option.lstrip("-").partition("=")[0].replace("-", "_")):
                raise RequestError(f"{option}: is no option; settings are NAME=VALUE, without dashes: {setting}=...")
        dashes = "; settings are NAME=VALUE, without dashes" * message.startswith("unrecognized arguments: --")
        raise RequestError(f"{message}{dashes}; see --help")

    parser = options_parser()
    parser.error = refuse  # type: ignore[method-assign]  # its own prints a long usage text
    asked = parser.parse_args(list(options))
    if asked.experimental_rerun is not None:
        raise RequestError(
            "--experimental-rerun: unpickles a file, which may run code; give the words of RUN/.hydra/overrides.yaml"
        )
    if asked.config_path is not None:  # would replace all configs, including what Hydra runs
        raise RequestError("--config-path: litlab composes what is in conf/; --config-dir=FOLDER adds choices")
    if asked.config_dir is not None:
        _check_own_choices(asked.config_dir)
    return asked


def _check_own_choices(folder: str) -> None:
    """Refuse a folder that is not there, and files that conf/ would hide: Hydra takes the first of a name."""
    if not os.path.isdir(folder):
        raise RequestError(f"--config-dir={folder}: there is no such folder; it has a folder for each group, as conf/")
    names = sorted(file.relative_to(CONF).as_posix() for file in CONF.rglob("*.yaml"))
    if hidden := [name for name in names if Path(folder, name).is_file()]:
        more = ", ..." if len(hidden) > 3 else ""
        raise RequestError(f"--config-dir={folder}: conf/ has {', '.join(hidden[:3])}{more}, too; rename yours")
