"""Ctrl-C, SIGTERM and SIGHUP: recorded on arrival, obeyed where stopping breaks nothing.

An exception raised by a signal handler surfaces in whatever line is running: inside one of TensorBoard's locks, it
leaves the lock taken, and the next thread waits forever. So the handler only records the signal, and the work calls
`check` at every step, batch and phase. Code that blocks for long and can stop anywhere (imports, loading, waiting for
other processes) runs in `at_once`, where the handler raises.

A signal more than a second after the first comes from an impatient user: the results are written and the process exits
immediately; in somebody else's process, such as a notebook's, it raises instead. Within that second it counts as the
same one, because `timeout` and Slurm signal a shell and its child.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from litlab.errors import Interrupted

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP
IMPATIENCE = 1.0  # seconds after the first signal until another one means: now
END = 15.0  # seconds a stopped process has to exit: its threads, and what libraries do then


class _State:
    """The signals of one process."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.depth = 0  # of nested `handled`
        self.received: int | None = None
        self.since = 0.0
        self.at_once = False  # the handler raises
        self.is_ignoring = False
        self.may_exit = True
        self.last_words: list[Callable[[int], None]] = []


_state = _State()


@contextlib.contextmanager
def handled(may_exit: bool = True) -> Iterator[None]:
    """Record signals in the body, then restore the handlers. No effect outside of the main thread.

    SIGHUP stays ignored if it was, as under `nohup`.

    Args:
        may_exit: whether an impatient user's signal ends the process; if not, it raises Interrupted wherever it comes.
    """
    global _state
    if not _is_main_thread():
        yield
        return
    if _state.depth and _state.pid == os.getpid():  # a job in its sweep's process: a signal stops both
        with _mode(at_once=False):
            _state.depth += 1
            try:
                yield
            finally:
                _state.depth -= 1
        return
    _state = state = _State()
    state.depth, state.may_exit = 1, may_exit
    before = {number: signal.getsignal(number) for number in SIGNALS}
    unraisable = sys.unraisablehook

    def hook(what: Any) -> None:  # Python prints what __del__ raises; `check` will raise
        if not isinstance(what.exc_value, Interrupted):
            unraisable(what)

    try:
        install()
        sys.unraisablehook = hook
        yield
    finally:
        _state = _State()  # the signal has been obeyed or reported by now
        sys.unraisablehook = unraisable
        for number, handler in before.items():
            if handler is not None:  # None: not Python's
                signal.signal(number, signal.SIG_IGN if state.is_ignoring else handler)


def install() -> None:
    """Install the handlers, in `handled`; again after a library has replaced them."""
    if not _is_main_thread() or not _state.depth:
        return
    for number in SIGNALS:
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _handle)


def check() -> None:
    """Obey a recorded signal.

    Raises:
        Interrupted: there is one.
    """
    if _state.received is not None and received() is not None:
        raise Interrupted(_state.received)


def received() -> int | None:
    """The number of the recorded signal; None without one."""
    return None if _state.is_ignoring or _state.pid != os.getpid() else _state.received


def are_handled() -> bool:
    """Whether this process is in `handled`, and was not forked off one that is."""
    return _state.depth > 0 and _state.pid == os.getpid()


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """A signal raises Interrupted anywhere in the body: for what takes long and leaves nothing half done."""
    with _mode(at_once=True):
        check()
        yield
    check()


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Within `at_once`: a signal waits for the next `check`, at the latest the end of the body."""
    with _mode(at_once=False):
        check()
        yield
        check()


@contextlib.contextmanager
def ignored() -> Iterator[None]:
    """A signal does nothing in the body: for short cleanup."""
    before, _state.is_ignoring = _state.is_ignoring, True
    try:
        yield
    finally:
        _state.is_ignoring = before


def ignore() -> None:
    """From now on a signal does nothing: the process is about to exit."""
    _state.is_ignoring = True


@contextlib.contextmanager
def last_words(say: Callable[[int], None]) -> Iterator[None]:
    """Call `say` with the signal's number if an impatient user's signal ends the process in the body."""
    _state.last_words.append(say)
    try:
        yield
    finally:
        _state.last_words.remove(say)


def end_within(seconds: float, code: int) -> None:
    """End this process with exit code `code` after `seconds`, if it still runs: a library's thread may hang."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()


def _handle(signum: int, frame: FrameType | None) -> None:
    state = _state
    if state.pid != os.getpid():  # forked, such as a DataLoader worker: the default action
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)
    elif state.is_ignoring:
        return
    elif state.received is None:
        state.since, state.received = time.monotonic(), signum
        if state.at_once:
            raise Interrupted(signum)
    elif time.monotonic() - state.since > IMPATIENCE:
        if not state.may_exit:
            raise Interrupted(state.received)
        _exit_now(state, state.received)


def _exit_now(state: _State, signum: int) -> None:
    state.is_ignoring = True
    for say in reversed(state.last_words):
        with contextlib.suppress(Exception):
            say(signum)
    with contextlib.suppress(OSError):
        os.write(2, b"stopped on the spot\n")
    os._exit(128 + signum)


@contextlib.contextmanager
def _mode(at_once: bool) -> Iterator[None]:
    if not _is_main_thread():
        yield
        return
    state = _state
    before, state.at_once = state.at_once, at_once
    try:
        yield
    finally:
        state.at_once = before


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
