"""The command line: help at once, every run recorded, errors in one line, exit codes."""

import functools
import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from litlab.choices import CONF, help_text
from litlab.errors import Interrupted, RequestError, RunError

DEBUG = "LITLAB_TRACEBACK"

Job = Callable[[Any, dict[str, Any]], None]


def command(config_name: str, show: str = "print_result") -> Callable[[Job], Callable[[], NoReturn]]:
    """Make a program of a function (config, result), which fills in the result: `@hydra.main`, and what litlab adds.

    The program exits with 0; 1 for a run that failed, 2 for a request that was wrong, 128 + signal for a run that was
    stopped (Ctrl-C: 130). A traceback is shown with LITLAB_TRACEBACK=1; it is in train.log anyway.

    Args:
        config_name: of the YAML in conf/.
        show: the function of `litlab.report` that prints the result.
    """

    def decorate(job: Job) -> Callable[[], NoReturn]:
        def main() -> NoReturn:
            if {"-h", "--help"} & set(sys.argv[1:]):
                print(help_text(job.__doc__ or "", Path(sys.argv[0]).name, config_name=config_name))
                sys.exit(0)
            import hydra  # after help, which answers at once

            codes = [0]

            @functools.wraps(job)
            def guarded(config: Any) -> float | None:
                # Within Hydra's loop, where a job that fails does not stop the other jobs of a sweep.
                try:
                    return record(config, job, show)
                except Exception as error:  # not Interrupted: it ends the sweep
                    codes.append(tell(error))
                    return None

            os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra is to raise its errors, not to print them
            try:
                hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(guarded)()
            except BaseException as error:
                codes.append(tell(error))
            sys.exit(max(codes))

        return main

    return decorate


def record(config: Any, job: Job, show: str = "print_result") -> float | None:
    """Check the config, run the job, leave a result.json whatever happens; the monitored metric, if there is one."""
    from litlab import report
    from litlab.checks import check
    from litlab.results import is_first_process, recorded, request

    run_dir = Path(config.paths.run_dir)
    logging.captureWarnings(True)  # to train.log; the terminal is for what the user must know
    with recorded(run_dir, request(config)) as result:
        check(config)  # before torch is imported: a mistake is told at once
        job(config, result)
    if is_first_process():
        getattr(report, show)(result, run_dir, Path(config.paths.log_dir))
    return result.get("monitor", {}).get("best")


def tell(error: BaseException) -> int:
    """Print what went wrong to stderr, a line per mistake; the exit code that belongs to it."""
    if os.environ.get(DEBUG) == "1":
        traceback.print_exception(error)
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, KeyboardInterrupt):
        return _say("stopped", 130)
    if isinstance(error, Interrupted):
        where = f"; result.json and the checkpoints so far are in {error.run_dir}" if error.run_dir else ""
        return _say(f"stopped{where}", 128 + error.signum)
    if isinstance(error, RequestError):
        return _say(str(error), 2)
    if isinstance(error, RunError):
        return _say(str(error), 1)
    message = hydra_message(error)
    if message is not None:
        return _say(message, 2)
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"({Path(place.filename).name}:{place.lineno}; {DEBUG}=1 shows the whole traceback)"
    return _say(f"{type(error).__name__}: {_one_line(error)} {where}", 1)


def hydra_message(error: BaseException) -> str | None:
    """What a mistake on the command line or in a YAML means to the user; None if the error is something else."""
    from hydra.errors import HydraException, MissingConfigException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, MissingConfigException) and error.options:
        group, _, name = (error.missing_cfg_file or "").rpartition("/")
        return f"{group}={name}: there is no conf/{group}/{name}.yaml; choose from {', '.join(sorted(error.options))}"
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException) and cause.parent_node is not None and cause.full_key:
        known = ", ".join(str(key) for key in cause.parent_node if key != "_target_")
        return f"{cause.full_key}: there is no such setting; there are {known} (+{cause.full_key}=... adds one)"
    if isinstance(error, HydraException | OmegaConfBaseException):
        override = getattr(error, "override", None)  # what could not be parsed
        return (f"{override}: " if override else "") + _one_line(error).split(" See https")[0]
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, OSError) and any(Path(frame.filename).parts[-2:] == ("hydra", "main.py") for frame in frames):
        return f"paths.log_dir: cannot write {error.filename} ({error.strerror}); name a folder that can be written"
    return None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _say(message: str, code: int) -> int:
    for line in message.splitlines():
        print(f"error: {line}" if code < 128 else line, file=sys.stderr)
    return code
