"""The command line: instant help, recorded runs, one-line errors, exit codes."""

import argparse
import contextlib
import functools
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from litlab import signals
from litlab.config.arguments import arguments, own_choices
from litlab.config.choices import help_text
from litlab.errors import TRACEBACK
from litlab.escape import printable
from litlab.launch import Job, explain, launch, run_recorded


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
                program, own = Path(sys.argv[0]).name, own_choices(sys.argv[1:])
                print_text(help_text(job.__doc__ or "", program, config_name=config_name, own=own))
                sys.exit(0)
            with signals.handled():
                code = run()
                signals.ignore()
            if code > 128:
                signals.end_within(signals.END, code)
            sys.exit(code)

        def run() -> int:
            from litlab.distributed import ranks

            if not ranks.is_first_process():
                return _run_other_process(job)
            codes = [0]

            @functools.wraps(job)
            def guarded(config: Any, again: Any) -> None:
                # Caught here, because of a sweep's jobs Hydra raises only the first one's error.
                try:
                    record(config, job, show, again)
                except Exception as error:  # not Interrupted, which ends the sweep
                    codes.append(report_error(error))

            try:
                launch(config_name, sys.argv[1:], guarded)
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


def record(config: Any, job: Job, show: str = "print_result", again: Any = None) -> None:
    """Run the job with a result.json, and print the result; a job of a sweep prints nothing, and does not raise."""
    from litlab.compat.omegaconf import quick
    from litlab.config.job import in_sweep
    from litlab.distributed.ranks import is_first_process
    from litlab.runs.heartbeat import age
    from litlab.sweeps.worker import attempt, paused

    if in_sweep():
        earlier = paused(config)
        seconds = (earlier or {}).get("seconds") or 0.0
        run = functools.partial(run_recorded, config, job, once=earlier is None, before=seconds)
        with quick():  # in a worker, too
            attempt(config, run, failed=print_traceback)
        return
    with signals.handled():
        try:
            # A single run counts from the command's start, a sweep's job from its own: its process may have run others.
            result = run_recorded(config, job, before=age(), again=again)
        finally:
            signals.ignore()  # the result is final, and so is the exit code
        if result is not None and is_first_process():
            from litlab.runs import report

            getattr(report, show)(result, Path(config.paths.run_dir), Path(config.paths.log_dir))


def run_words(about: str | None, names: str) -> list[str]:
    """The words of a script that does something with a finished run.

    Args:
        about: the script's docstring, for --help.
        names: the words that it takes.

    Raises:
        RequestError: as `arguments`.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", metavar="NAME=VALUE", nargs="+", help=names)
    parser.add_argument("--config-dir", "-cd", metavar="FOLDER", help="your own choices, as for train.py")
    asked = parser.parse_intermixed_args()
    return arguments([*asked.words, *([] if asked.config_dir is None else ["--config-dir", asked.config_dir])])


def run_script(main: Callable[[], None]) -> None:
    """Run the `main` of a script without Hydra; errors are printed and exit as those of a `command`."""
    if sys.argv[1:2] == ["-sc"]:  # the shell's completion, once installed for train.py, asks every script
        sys.exit(0)
    try:
        main()
    except BaseException as error:
        sys.exit(report_error(error))


def print_traceback(error: BaseException) -> None:
    """Print the traceback if LITLAB_TRACEBACK=1."""
    if os.environ.get(TRACEBACK) == "1":
        traceback.print_exception(error)


def report_error(error: BaseException) -> int:
    """Print an error to stderr, one line per mistake; return its exit code."""
    print_traceback(error)
    message, code = explain(error)
    with contextlib.suppress(OSError):  # after SIGHUP there may be no terminal
        for line in message.splitlines():
            line = re.sub(r"(\S{300})\S{700,}", r"\1...", line)  # no word needs more to be found
            print(printable(f"error: {line}" if code < 128 else line), file=sys.stderr)
    return code


def print_text(text: str) -> None:
    """Print to stdout, also when the reader closes the pipe early, as head does."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout again at exit
