"""What a notebook calls: the words of the command line, in this process, which stays as it was."""

import contextlib
import shlex
import signal
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litlab import signals
from litlab.config.arguments import arguments, take_own_choices
from litlab.errors import Interrupted, RequestError, RunError, Stopped
from litlab.isolation import hydra_state, isolated
from litlab.launch import explain, launch, run_recorded

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from litlab.load import LoadedRun

# Hydra's logging would close the handlers of this process; `log_to` sets up the same.
NO_LOGGING = ("hydra.job_logging.root=null", "hydra.hydra_logging.root=null")


def train(*words: str) -> "LoadedRun":
    """Train, test and record one experiment: what `python scripts/train.py WORDS` does, with the same weights.

    A cell shows a line of progress while it runs; elsewhere a line per epoch is printed. One call at a time.

    Args:
        words: NAME=VALUE each, such as "data=digits", "trainer.max_epochs=3"; and perhaps "--config-dir=FOLDER".

    Returns:
        the run, as `litlab.load_run` opens it.

    Raises:
        RequestError: the words ask for something impossible, or for a sweep.
        RunError: the run failed; its directory has a result.json all the same.
        KeyboardInterrupt: it was interrupted, which its result.json says, too.
    """
    with warnings.catch_warnings():  # libraries set filters when they are imported
        from litlab.distributed.ranks import log_to  # here: importing torch and lightning takes seconds
        from litlab.load import LoadedRun, read_run
        from litlab.verbs import train as verb

    ended: list[LoadedRun | Exception] = []

    def run(config: Any, again: Any) -> None:
        log_to(config.paths.run_dir, rank=0)
        try:
            run_recorded(config, verb.train, again=again)
            ended.append(read_run(config.paths.run_dir, config.trust))
        except Exception as error:  # Hydra would print that there is one
            ended.append(error)

    with _one_line_errors(), isolated(), signals.handled(may_exit=False):
        own, overrides = _single(words)
        launch("train", [*([f"--config-dir={own}"] if own else []), *overrides, *NO_LOGGING], run)
        if isinstance(ended[0], Exception):
            raise ended[0]
        return ended[0]


def compose(*words: str) -> "DictConfig":
    """The settings that `train` would run with these words, resolved and checked; nothing runs.

    Args:
        words: as for `train`.

    Raises:
        RequestError: the words ask for something impossible, or for a sweep.
    """
    from omegaconf import OmegaConf

    from litlab.config import composition, trust
    from litlab.config.checks import check

    with _one_line_errors(), hydra_state():
        own, overrides = _single(words)
        config = composition.compose("train", overrides, own)
        config.paths.run_dir = f"{config.paths.log_dir}/train/runs/DATE_TIME"
        trust.check(config)
        check(config, overrides)
        OmegaConf.resolve(config)
        return config


def _single(words: Sequence[str]) -> tuple[Path | None, list[str]]:
    """The folder of --config-dir, and the other words as Hydra parses them.

    Raises:
        RequestError: they are not text, or ask for anything but a single run.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    for word in words:
        if not isinstance(word, str):
            raise RequestError(f"{type(word).__name__}: is no word of the command line, such as 'data=digits'")
    own, overrides = take_own_choices(arguments(words))
    script, typed = "python scripts/train.py", shlex.join(word for word in words if not word.startswith("-"))
    for word in overrides:  # sweep.dry_run brings an option, too
        if word.startswith("-"):
            raise RequestError(f"{word}: is an option of the command line: {script} {word} {typed}")
    for each in OverridesParser.create().parse_overrides(overrides):
        if each.is_sweep_override():
            raise RequestError(
                f"{each.input_line}: several values make a sweep, for the command line: {script} -m {typed}"
            )
    return own, overrides


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    """Raise what the command line would print."""
    try:
        yield
    except (RequestError, RunError):
        raise
    except Interrupted as stopped:
        message, _ = explain(stopped)
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(stopped.signum)  # for the caller's own handler
        raise Stopped(message) from None
    except Exception as error:
        message, code = explain(error)
        raise (RequestError if code == 2 else RunError)(message) from error
