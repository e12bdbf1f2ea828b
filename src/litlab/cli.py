"""The command line: help at once, every run recorded, errors in one line, exit codes."""

import contextlib
import functools
import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from litlab import signals
from litlab.config.arguments import arguments
from litlab.config.choices import CONF, help_text
from litlab.config.hydra_errors import error_location, format_error, hydra_message
from litlab.errors import Interrupted, RequestError, RunError
from litlab.files import is_full_disk

DEBUG = "LITLAB_TRACEBACK"

Job = Callable[[Any, Any], None]


def command(config_name: str, show: str = "print_result") -> Callable[[Job], Callable[[], NoReturn]]:
    """Make a program of a function (config, result), which fills in the result: `@hydra.main`, and what litlab adds.

    The program exits with 0; 1 for a run that failed, 2 for a request that was wrong, 128 + signal for a run that was
    stopped (Ctrl-C: 130). A traceback is shown with LITLAB_TRACEBACK=1; it is in train.log anyway.

    Args:
        config_name: of the YAML in conf/.
        show: the function of `litlab.runs.report` that prints the result.
    """

    def decorate(job: Job) -> Callable[[], NoReturn]:

        def main() -> NoReturn:
            if {"-h", "--help"} & set(sys.argv[1:]):
                sys.exit(_help(help_text(job.__doc__ or "", Path(sys.argv[0]).name, config_name=config_name)))
            with signals.handled():
                code = run()
                signals.ignore()
            if code > 128:
                signals.end_within(signals.END, code)
            sys.exit(code)

        def run() -> int:
            import hydra  # after help, which answers at once

            from litlab.compat.hydra import VERSION_BASE, composing_with
            from litlab.config.composition import GuardedLoader
            from litlab.distributed import ranks

            if not ranks.is_first_process():
                return follow(job)
            codes = [0]

            @functools.wraps(job)
            def guarded(config: Any) -> None:
                # Hydra would raise what a job raised, but of a sweep's jobs the first one's alone.
                try:
                    record(config, job, show)
                except Exception as error:  # not Interrupted: it ends the sweep
                    codes.append(tell(error))

            os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra is to raise its errors, not to print them
            try:
                with signals.at_once(), composing_with(GuardedLoader):
                    ranks.refuse_sweep(sys.argv[1:])
                    sys.argv[1:] = arguments(sys.argv[1:])
                    hydra.main(**VERSION_BASE, config_path=str(CONF), config_name=config_name)(guarded)()
            except BaseException as error:
                codes.append(tell(error))
            return max(codes)

        return main

    return decorate


def follow(job: Job) -> int:
    """Run the job as one more process of a run on several devices, with the first one's config; the exit code."""
    from litlab.distributed import ranks

    try:
        record(ranks.receive(), job)
    except BaseException as error:
        return tell(error)
    return 0


def record(config: Any, job: Job, show: str = "print_result") -> None:
    """Check the config, run the job, leave a result.json whatever happens, and print it; in a sweep, the sweep does."""
    from litlab.config import trust
    from litlab.config.checks import check
    from litlab.config.job import in_sweep
    from litlab.distributed.ranks import is_first_process, publish
    from litlab.runs.heartbeat import age
    from litlab.runs.recording import recorded
    from litlab.runs.result import Result, request
    from litlab.sweeps.worker import attempt

    run_dir = Path(config.paths.run_dir)
    logging.captureWarnings(True)  # to train.log; the terminal is for what the user must know
    logging.raiseExceptions = False  # a log that cannot be written (the disk is full) is no news for the terminal
    asked = request(config)

    def run(once: bool = False) -> Result:
        # A single run's time is the command's; a sweep's job has its own, for the process may have had others before.
        before = 0.0 if once else age()
        with recorded(run_dir, asked, once, before=before) as result, signals.at_once():
            trust.check(config)
            check(config, asked.overrides)  # before torch is imported: a mistake is told at once
            publish(config)
            job(config, result)
        return result

    if in_sweep():
        attempt(config, lambda: run(once=True), failed=trace)
        return
    with signals.handled():
        try:
            result = run()
        finally:
            signals.ignore()  # the result is written: nothing that comes later changes it, nor the exit code
        if is_first_process():
            from litlab.runs import report

            getattr(report, show)(result, run_dir, Path(config.paths.log_dir))


def trace(error: BaseException) -> None:
    """Print the traceback, if that is asked for."""
    if os.environ.get(DEBUG) == "1":
        traceback.print_exception(error)


def tell(error: BaseException) -> int:
    """Print what went wrong to stderr, a line per mistake; the exit code that belongs to it."""
    trace(error)
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, KeyboardInterrupt):
        return _say("stopped", 130)
    if isinstance(error, Interrupted):
        where = f"; its result.json is in {error.run_dir}" if error.run_dir else ""
        if error.run_dir and (last := error.run_dir / "checkpoints" / "last.ckpt").exists():
            where += f", and the same command with resume_from={last} goes on"
        if error.run_dir and (error.run_dir / "multirun.yaml").exists():
            where = f"; the same command with sweep.resume={error.run_dir} goes on"
        return _say(f"stopped{where}", 128 + error.signum)
    if isinstance(error, RequestError):
        return _say(str(error), 2)
    if isinstance(error, RunError):
        return _say(str(error), 1)
    if is_full_disk(error):
        where = getattr(error, "filename", None) or "paths.log_dir"
        return _say(f"the disk is full ({where}): make room, or set paths.log_dir", 1)
    message = hydra_message(error)
    if message is not None:
        return _say(message, 2)
    return _say(f"{format_error(error)} ({error_location(error)}; {DEBUG}=1 shows the whole traceback)", 1)


def _help(text: str) -> int:
    """Print the help; a reader that has seen enough, such as head, is no failure."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python, which flushes once more at its end
    return 0


def _say(message: str, code: int) -> int:
    with contextlib.suppress(OSError):  # after SIGHUP there may be no terminal
        for line in message.splitlines():
            print(f"error: {line}" if code < 128 else line, file=sys.stderr)
    return code
