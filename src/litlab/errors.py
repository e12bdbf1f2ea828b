"""How a run ends badly; the command line turns each into one line and an exit code."""

from pathlib import Path


class RequestError(ValueError):
    """What was asked cannot be done as asked; the message names the setting and a right value. Exit code 2."""


class RunError(RuntimeError):
    """A run that was rightly asked for failed on its way (diverged, disk full). Exit code 1."""


class Interrupted(BaseException):
    """Ctrl-C, SIGTERM or SIGHUP; a BaseException, as KeyboardInterrupt is, so that no one takes it for a fault.

    Args:
        signum: the signal's number; the exit code is 128 + signum.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum
        self.run_dir: Path | None = None  # where what there is can be found
