"""A sweep that is stopped takes its jobs along, and each has a final result."""

import contextlib
import os
import platform
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from litlab.results import FILE, Result, is_alive, write
from litlab.sweeps.folder import STOP
from litlab.sweeps.job import Job

PATIENCE = 10.0  # seconds that jobs have to write their results


def stop(folder: Path, jobs: Sequence[Job]) -> None:
    """End the jobs that are at work on this machine; those that wait elsewhere do not begin.

    Args:
        folder: the sweep's.
        jobs: its, so far.
    """
    with _deaf():
        (folder / STOP).touch()
        deadline = time.monotonic() + PATIENCE
        signalled = set[int]()
        while (alive := [job for job in jobs if job.is_running]) and time.monotonic() < deadline:
            for job in alive:
                _terminate(job.result, signalled)
            time.sleep(0.1)
        for job in jobs:
            result = job.result
            if result and result["status"] == "running" and not is_alive(result, job.folder / FILE):
                result |= {"status": "interrupted", "error": "stopped with the sweep"}
                write(job.folder / FILE, result)


def _terminate(result: Result | None, signalled: set[int]) -> None:
    """Ask a job's process, if it is another one of this machine, to end; once."""
    process = (result or {}).get("process", {})
    if process.get("host") == platform.node() and process["pid"] not in {os.getpid(), *signalled}:
        signalled.add(process["pid"])
        with contextlib.suppress(OSError):
            os.kill(process["pid"], signal.SIGTERM)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """An impatient user's second Ctrl-C does not spoil the clearing up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
