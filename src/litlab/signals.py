"""Ctrl-C, SIGTERM and SIGHUP: noted when they arrive, and obeyed where stopping spoils nothing.

An exception that a signal's handler raises comes out of whatever line is running: within a lock of TensorBoard's, it
leaves the lock taken, and whoever asks for it next waits for ever. So the handler takes a note. The work asks for it,
`check`, at every step, batch and phase. Where code blocks for long and has nothing to spoil (imports, loading, waiting
for other processes), it runs in `at_once`, and there the handler raises.

A signal that comes more than a second after the first is an impatient user's: the results are written, and the process
ends on the spot. Sooner, it is the same wish again: `timeout` and Slurm signal a shell and its child.
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
IMPATIENCE = 1.0  # seconds after the first signal from which another one means: now
END = 15.0  # seconds that a stopped process has for its end: its threads and what libraries do at exit


class _State:
    """Of this process, as its signals are."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.depth = 0  # of `handled`
        self.received: int | None = None
        self.since = 0.0
        self.at_once = False  # a signal raises where it arrives
        self.deaf = False  # a signal does nothing
        self.last_words: list[Callable[[int], None]] = []


_state = _State()


@contextlib.contextmanager
def handled() -> Iterator[None]:
    """Signals are noted in the body; afterwards their handlers are as before. Only the main thread can have that.

    SIGHUP stays ignored if it was, as `nohup` has it.
    """
    global _state
    if not _is_main_thread():
        yield
        return
    if _state.depth and _state.pid == os.getpid():  # a job in its sweep's process: the note is for both
        with _mode(at_once=False):
            _state.depth += 1
            try:
                yield
            finally:
                _state.depth -= 1
        return
    _state = state = _State()
    state.depth = 1
    before = {number: signal.getsignal(number) for number in SIGNALS}
    unraisable = sys.unraisablehook

    def hook(what: Any) -> None:  # Python cannot raise out of __del__, and prints a traceback; `check` will raise
        if not isinstance(what.exc_value, Interrupted):
            unraisable(what)

    try:
        install()
        sys.unraisablehook = hook
        yield
    finally:
        _state = _State()  # what came is obeyed or told by now
        sys.unraisablehook = unraisable
        for number, handler in before.items():
            if handler is not None:  # None: not Python's
                signal.signal(number, signal.SIG_IGN if state.deaf else handler)


def install() -> None:
    """Handle the signals, in `handled`; once more where a library has put handlers of its own into their place."""
    if not _is_main_thread() or not _state.depth:
        return
    for number in SIGNALS:
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _handle)


def check() -> None:
    """Obey a signal that was noted.

    Raises:
        Interrupted: there was one.
    """
    if _state.received is not None and received() is not None:
        raise Interrupted(_state.received)


def received() -> int | None:
    """The number of the signal that was noted and is to be obeyed; None: there is none."""
    return None if _state.deaf or _state.pid != os.getpid() else _state.received


def are_handled() -> bool:
    """Whether this process is in `handled`, and was not forked off one that is."""
    return _state.depth > 0 and _state.pid == os.getpid()


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """A signal raises Interrupted wherever in the body it arrives: for what takes long and leaves nothing half done."""
    with _mode(at_once=True):
        check()
        yield
    check()


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Within `at_once`: a signal waits for the next `check`, at the latest for the body's end."""
    with _mode(at_once=False):
        check()
        yield
        check()


@contextlib.contextmanager
def ignored() -> Iterator[None]:
    """A signal does nothing in the body: for clearing up that does not take long."""
    before, _state.deaf = _state.deaf, True
    try:
        yield
    finally:
        _state.deaf = before


def ignore() -> None:
    """From now on a signal does nothing: all is done, and the process is about to end."""
    _state.deaf = True


@contextlib.contextmanager
def last_words(say: Callable[[int], None]) -> Iterator[None]:
    """Call `say` with the signal's number if an impatient user's signal ends the process within the body."""
    _state.last_words.append(say)
    try:
        yield
    finally:
        _state.last_words.remove(say)


def end_within(seconds: float, code: int) -> None:
    """End this process with that exit code if it has not come to its end by then: a library's thread may hang."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()


def _handle(signum: int, frame: FrameType | None) -> None:
    state = _state
    if state.pid != os.getpid():  # forked off, as workers that load data: it is to end as any process does
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)
    elif state.deaf:
        return
    elif state.received is None:
        state.since, state.received = time.monotonic(), signum
        if state.at_once:
            raise Interrupted(signum)
    elif time.monotonic() - state.since > IMPATIENCE:
        _end_on_the_spot(state, state.received)


def _end_on_the_spot(state: _State, signum: int) -> None:
    state.deaf = True
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
