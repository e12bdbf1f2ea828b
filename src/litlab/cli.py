"""The command line: instant help, recorded runs, one-line errors, exit codes."""

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
    """Decorate a function (config, result) that fills in the result: `@hydra.main` with litlab's recording and errors.

    Exit codes: 0; 1 for a failed run, 2 for a wrong request, 128 + signal for a stopped run (Ctrl-C: 130).
    LITLAB_TRACEBACK=1 shows the traceback of an error, which train.log has anyway.

    Args:
        config_name: of the YAML in conf/.
        show: the function of `litlab.runs.report` that prints the result.
    """

    def decorate(job: Job) -> Callable[[], NoReturn]:

        def main() -> NoReturn:
            if {"-h", "--help"} & set(sys.argv[1:]):
                print_text(help_text(job.__doc__ or "", Path(sys.argv[0]).name, config_name=config_name))
                sys.exit(0)
            with signals.handled():
                code = run()
                signals.ignore()
            if code > 128:
                signals.end_within(signals.END, code)
            sys.exit(code)

        def run() -> int:
            import hydra  # here, so that --help is instant

            from litlab.compat.hydra import VERSION_BASE, composing_with
            from litlab.config.composition import GuardedLoader
            from litlab.distributed import ranks

            if not ranks.is_first_process():
                return _run_other_process(job)
            codes = [0]

            @functools.wraps(job)
            def guarded(config: Any) -> None:
                # Caught here, because of a sweep's jobs Hydra raises only the first one's error.
                try:
                    record(config, job, show)
                except Exception as error:  # not Interrupted, which ends the sweep
                    codes.append(report_error(error))

            os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors instead of printing them
            try:
                with signals.at_once(), composing_with(GuardedLoader):
                    ranks.refuse_sweep(sys.argv[1:])
                    sys.argv[1:] = arguments(sys.argv[1:])
                    hydra.main(**VERSION_BASE, config_path=str(CONF), config_name=config_name)(guarded)()
            except BaseException as error:
                codes.append(report_error(error))
            return max(codes)

        return main

    return decorate


def _run_other_process(job: Job) -> int:
    """Run the job as another process of torchrun or srun, with the first one's config; return the exit code."""
    from litlab.distributed import ranks

    try:
        record(ranks.receive(), job)
    except BaseException as error:
        return report_error(error)
    return 0


def record(config: Any, job: Job, show: str = "print_result") -> None:
    """Check the config, run the job and write result.json whatever happens; print the result, unless a sweep does."""
    from litlab.config import trust
    from litlab.config.checks import check
    from litlab.config.job import in_sweep
    from litlab.distributed.ranks import is_first_process, publish
    from litlab.runs.heartbeat import age
    from litlab.runs.recording import recorded
    from litlab.runs.result import Result, request
    from litlab.sweeps.worker import attempt

    run_dir = Path(config.paths.run_dir)
    logging.captureWarnings(True)  # to train.log, not to the terminal
    logging.raiseExceptions = False  # no tracebacks about a log on a full disk
    asked = request(config)

    def run(once: bool = False) -> Result:
        # A single run counts from the command's start, a sweep's job from its own: its process may have run others.
        before = 0.0 if once else age()
        with recorded(run_dir, asked, once, before=before) as result, signals.at_once():
            trust.check(config)
            check(config, asked.overrides)  # before importing torch, so that mistakes show at once
            publish(config)
            job(config, result)
        return result

    if in_sweep():
        attempt(config, lambda: run(once=True), failed=print_traceback)
        return
    with signals.handled():
        try:
            result = run()
        finally:
            signals.ignore()  # the result is final, and so is the exit code
        if is_first_process():
            from litlab.runs import report

            getattr(report, show)(result, run_dir, Path(config.paths.log_dir))


def run_script(main: Callable[[], None]) -> None:
    """Run the `main` of a script without Hydra; errors are printed and exit as those of a `command`."""
    try:
        main()
    except BaseException as error:
        sys.exit(report_error(error))


def print_traceback(error: BaseException) -> None:
    """Print the traceback if LITLAB_TRACEBACK=1."""
    if os.environ.get(DEBUG) == "1":
        traceback.print_exception(error)


def report_error(error: BaseException) -> int:
    """Print an error to stderr, one line per mistake; return its exit code."""
    print_traceback(error)
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, KeyboardInterrupt):
        return _print_lines("stopped", 130)
    if isinstance(error, Interrupted):
        where = f"; its result.json is in {error.run_dir}" if error.run_dir else ""
        if error.run_dir and (last := error.run_dir / "checkpoints" / "last.ckpt").exists():
            where += f", and the same command with resume_from={last} continues"
        if error.run_dir and (error.run_dir / "multirun.yaml").exists():
            where = f"; the same command with sweep.resume={error.run_dir} continues"
        return _print_lines(f"stopped{where}", 128 + error.signum)
    if isinstance(error, RequestError):
        return _print_lines(str(error), 2)
    if isinstance(error, RunError):
        return _print_lines(str(error), 1)
    if is_full_disk(error):
        where = getattr(error, "filename", None) or "paths.log_dir"
        return _print_lines(f"the disk is full ({where}): make room, or set paths.log_dir", 1)
    message = hydra_message(error)
    if message is not None:
        return _print_lines(message, 2)
    return _print_lines(f"{format_error(error)} ({error_location(error)}; {DEBUG}=1 shows the whole traceback)", 1)


def print_text(text: str) -> None:
    """Print to stdout, also when the reader closes the pipe early, as head does."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout again at exit


def _print_lines(message: str, code: int) -> int:
    with contextlib.suppress(OSError):  # after SIGHUP there may be no terminal
        for line in message.splitlines():
            print(f"error: {line}" if code < 128 else line, file=sys.stderr)
    return code
