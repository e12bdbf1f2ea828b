"""Errors of litlab; the command line turns each into one line and an exit code, a notebook into one line."""

import os
import traceback
from pathlib import Path

from litlab.escape import printable

TRACEBACK = "LITLAB_TRACEBACK"  # an environment variable; 1: errors come with their tracebacks


class _OneLine(BaseException):
    """An error whose message says all: a notebook shows it without the traceback."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: a line for each mistake, instead of the traceback."""
        if os.environ.get(TRACEBACK) == "1":
            return traceback.format_exception(self)
        return [f"error: {printable(line)}" for line in str(self).splitlines()]


class RequestError(_OneLine, ValueError):
    """An invalid request; the message names the setting and a valid value. Exit code 2."""


class RunError(_OneLine, RuntimeError):
    """A valid run failed (diverged, disk full). Exit code 1."""


class Pruned(Exception):  # noqa: N818
    """A sweep ends this run before its time, as it is worse than others; the message says when. It is no failure."""


class Stopped(_OneLine, KeyboardInterrupt):
    """A run in a notebook was interrupted; it has been recorded."""


class Interrupted(BaseException):
    """Ctrl-C, SIGTERM or SIGHUP; a BaseException, like KeyboardInterrupt, so that no handler of errors catches it.

    Args:
        signum: the signal's number; the exit code is 128 + signum.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum
        self.run_dir: Path | None = None  # of the interrupted run
