"""Errors of litlab; the command line turns each into one line and an exit code."""

from pathlib import Path


class RequestError(ValueError):
    """An invalid request; the message names the setting and a valid value. Exit code 2."""


class RunError(RuntimeError):
    """A valid run failed (diverged, disk full). Exit code 1."""


class Interrupted(BaseException):
    """Ctrl-C, SIGTERM or SIGHUP; a BaseException, like KeyboardInterrupt, so that no handler of errors catches it.

    Args:
        signum: the signal's number; the exit code is 128 + signum.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum
        self.run_dir: Path | None = None  # of the interrupted run
