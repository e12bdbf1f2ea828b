"""How a run ends badly; the command line turns each into one line and an exit code."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType


class RequestError(ValueError):
    """What was asked cannot be done as asked; the message names the setting and a right value. Exit code 2."""


class RunError(RuntimeError):
    """A run that was rightly asked for failed on its way (diverged, disk full). Exit code 1."""


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM; a BaseException, as KeyboardInterrupt is, so that no one takes it for a fault.

    Args:
        signum: the signal's number; the exit code is 128 + signum.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum
        self.run_dir: Path | None = None  # where what there is can be found


@contextlib.contextmanager
def signals_raised() -> Iterator[None]:
    """Ctrl-C and SIGTERM raise Interrupted in the body.

    (For KeyboardInterrupt Lightning would end the process itself.)
    """

    def interrupt(signum: int, frame: FrameType | None) -> None:
        signal.signal(signum, signal.SIG_IGN)  # the second Ctrl-C of an impatient user must not spoil the clearing up
        raise Interrupted(signum)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
