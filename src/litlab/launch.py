"""From the words of a request to a recorded run, for the command line and for a notebook; and what an error means."""

import functools
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from litlab import signals
from litlab.config.arguments import arguments, resumed
from litlab.config.choices import CONF
from litlab.config.hydra_errors import error_location, format_error, hydra_message
from litlab.errors import TRACEBACK, Interrupted, RequestError, RunError
from litlab.files import is_full_disk

Job = Callable[[Any, Any], Any]  # of the config and the result, which it fills in


def launch(config_name: str, words: Sequence[str], function: Callable[[Any, Any], None]) -> None:
    """Call `function` with the config that the words ask for, or with that of each job of a sweep.

    As `hydra.main`: the run directory is there, with .hydra. `sys.argv` has the words afterwards.

    Args:
        config_name: of the YAML in conf/.
        words: overrides, and Hydra's options.
        function: called with each composed config, and the `Resumption` of the run that the words resume, or None; a
            sweep's jobs may be in other processes.

    Raises:
        RequestError: the words ask for something that litlab refuses.
        Exception: Hydra's, see `explain`; or what `function` raises.
    """
    import hydra  # here, so that --help is instant

    from litlab.compat.hydra import VERSION_BASE, composing_with
    from litlab.compat.omegaconf import quick
    from litlab.config.composition import GuardedLoader
    from litlab.distributed import ranks

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors instead of printing them
    with signals.at_once(), composing_with(GuardedLoader), quick():
        ranks.refuse_sweep(words)
        words = arguments(words)
        opened: AbstractContextManager[Any] = nullcontext()
        if (word := resumed(words)) and not word.lstrip("+").startswith("sweep."):
            from litlab.verbs.resume import Resumption

            opened = Resumption.of(word, words)
        with opened as again:
            sys.argv[1:] = words if again is None else again.words

            @functools.wraps(function)
            def started(config: Any) -> None:
                function(config, again)

            hydra.main(**VERSION_BASE, config_path=str(CONF), config_name=config_name)(started)()


def run_recorded(config: Any, job: Job, once: bool = False, before: float = 0.0, again: Any = None) -> Any:
    """Check the config, run the job and write result.json whatever happens.

    Args:
        config: composed by `launch`.
        job: fills in the result.
        once, before: as `litlab.runs.recording.recorded`.
        again: the `Resumption` of an earlier run, if this goes on with one.

    Returns:
        the result; None for a resumed run that has nothing left to do. A request that is refused leaves no directory,
        but in a sweep, whose summary says what its jobs came to.

    Raises:
        BaseException: as `recorded`.
    """
    from litlab.config import trust
    from litlab.config.checks import check
    from litlab.config.job import CHECKED, in_multirun
    from litlab.distributed.ranks import is_first_process, publish
    from litlab.runs.recording import discard, recorded
    from litlab.runs.result import request

    logging.captureWarnings(True)  # to train.log, not to the terminal
    logging.raiseExceptions = False  # no tracebacks about a log on a full disk
    if again is not None and (config := again.config(config)) is None:
        return None
    try:
        asked = request(config) if again is None else again.begin(config)
        before += vars(asked).get("seconds", 0.0)
        with recorded(Path(config.paths.run_dir), asked, once, before=before) as result, signals.at_once():
            if CHECKED.get() is None:
                trust.check(config, asked.settings if once else None)
                check(config, asked.overrides)  # before importing torch, so that mistakes show at once
            publish(config)
            job(config, result)
    except Exception as error:
        is_refused = explain(error)[1] == 2
        if is_refused and again is not None:
            again.undo()
        elif is_refused and not in_multirun() and is_first_process():
            discard(Path(config.paths.run_dir))
        raise
    return result


def explain(error: BaseException) -> tuple[str, int]:
    """What to tell the user about an error, one line per mistake, and the exit code that it means."""
    if isinstance(error, SystemExit):
        return "", error.code if isinstance(error.code, int) else 1
    if isinstance(error, KeyboardInterrupt):
        return "stopped", 130
    if isinstance(error, Interrupted):
        where = f"; its result.json is in {error.run_dir}" if error.run_dir else ""
        if error.run_dir and (error.run_dir / "checkpoints" / "last.ckpt").exists():
            where += f", and resume={error.run_dir} continues"
        if error.run_dir and (error.run_dir / "multirun.yaml").exists():
            where = f"; the same command with sweep.resume={error.run_dir} continues"
        return f"stopped{where}", 128 + error.signum
    if isinstance(error, RequestError):
        return str(error), 2
    if isinstance(error, RunError):
        return str(error), 1
    if is_full_disk(error):
        where = getattr(error, "filename", None) or "paths.log_dir"
        return f"the disk is full ({where}): make room, or set paths.log_dir", 1
    message = hydra_message(error)
    if message is not None:
        return message, 2
    return f"{format_error(error)} ({error_location(error)}; {TRACEBACK}=1 shows the whole traceback)", 1
