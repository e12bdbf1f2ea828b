"""The words of a command line, as Hydra wants them."""

import os
import re
from collections.abc import Sequence
from typing import NoReturn

from litlab.config.choices import CONF, choices
from litlab.errors import RequestError

DRY_RUN = re.compile(r"\+*sweep\.dry_run=['\"]?(true|yes|on|1)['\"]?$", re.IGNORECASE)
NO_NAME = re.compile(r"\bnull\b|^(true|false|\[[^a-z]*\]|[-+]?(nan|inf|[\d.]+(e[-+]?\d+)?))$", re.IGNORECASE)
RESUME = re.compile(r"\+*sweep\.resume=(?!null$)")


def arguments(words: Sequence[str]) -> list[str]:
    """Options before overrides, for `a=1 -m b=2` would end in argparse's usage; `--dry-run` as the setting that it is.

    A path that exists needs no quotes, whatever signs of Hydra's grammar are in it; nor does a sweep's condition.

    Raises:
        RequestError: there is no such option, or one is missing.
    """
    overrides = [_quoted(word) for word in words if _is_override(word)]
    options = [word for word in words if not _is_override(word)]
    if "--dry-run" in options:
        options.remove("--dry-run")
        overrides.append("sweep.dry_run=true")
    _check(options)
    for word in overrides:
        _refuse_nothing_chosen(word)
        _refuse_broken_interpolation(word)
    if not {"-m", "--multirun"} & set(options) and not any(word.startswith(("-c", "--cfg")) for word in options):
        if any(DRY_RUN.match(word) for word in overrides):
            options.insert(0, "-m")  # the sweeper does it: nothing is left of a run that does not take place
        elif resume := next((word for word in overrides if RESUME.match(word)), None):
            raise RequestError(f"{resume}: goes on with a sweep, so it needs -m; resume_from goes on with a run")
    return options + overrides


def _is_override(word: str) -> bool:
    return not word.startswith("-") and ("=" in word or word.startswith(("~", "+")))


def _quoted(word: str) -> str:
    key, _, value = word.partition("=")
    special = set(value) & set(" =,(){}[]:") and not set(value) & set("'\"")
    condition = key.lstrip("+") == "sweep.exclude" and not set(value) & set("'\"[")
    return f"{key}='{value}'" if condition or (special and os.path.exists(value)) else word  # pathlib raises


def _refuse_nothing_chosen(word: str) -> None:
    """GROUP=null, GROUP=0.5 and ~GROUP: Hydra has no words for them, and nothing can be built of nothing."""
    deleted, (group, _, value) = word.startswith("~"), word.lstrip("~+").partition("=")
    if not (deleted or NO_NAME.search(value)) or not (CONF / group).is_dir() or not group:
        return
    names = choices().get(group, {})
    take = f"take {group}=none" if "none" in names else f"choose from {', '.join(names)}, or leave {group} out"
    raise RequestError(f"{word}: chooses nothing; {take}")


def _refuse_broken_interpolation(word: str) -> None:
    """Of text that OmegaConf cannot read as an interpolation, Hydra says neither where it is nor what is wrong."""
    if "${" not in word:
        return
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import GrammarParseError, OmegaConfBaseException

    try:
        OmegaConf.create([OverridesParser.create().parse_override(word).value()])
    except GrammarParseError as error:
        raise RequestError(
            f"{word}: is no interpolation; write ${{GROUP.SETTING}}, such as ${{data.batch_size}}"
        ) from error
    except (HydraException, OmegaConfBaseException):  # several values, or what Hydra tells well
        return


def _check(options: Sequence[str]) -> None:
    from litlab.compat.hydra import options_parser

    def refuse(message: str) -> NoReturn:
        raise RequestError(f"{message}; --help shows what can be said")

    parser = options_parser()
    parser.error = refuse  # type: ignore[method-assign]  # its own prints the usage, in many lines
    asked = parser.parse_args(list(options))
    if asked.experimental_rerun is not None:
        raise RequestError(
            "--experimental-rerun: unpickles a file, which may run code; give the words of RUN/.hydra/overrides.yaml"
        )
    if asked.config_path is not None:  # all that is read would be somebody else's, also what Hydra runs
        raise RequestError("--config-path: litlab composes what is in conf/; --config-dir=FOLDER adds choices")
