"""Stops the jobs of a sweep, each with a final result."""

import contextlib
import os
import platform
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from litlab import signals
from litlab.runs.heartbeat import is_alive_elsewhere
from litlab.runs.result import FILE, StoredResult, write
from litlab.sweeps.folder import STOP, read
from litlab.sweeps.job import Job

TEMPORARY = (".room", ".aside")  # suffixes of files that a result is written through
MADE_BY_HYDRA = (".hydra", "train.log")  # in a job's folder before the job starts
PATIENCE = 10.0  # seconds that jobs have to write their results


def stop(folder: Path, jobs: Sequence[Job]) -> None:
    """Terminate the sweep's jobs on this machine; jobs queued elsewhere do not start."""
    with signals.ignored():  # a second Ctrl-C must not interrupt this
        with contextlib.suppress(OSError):  # of a full disk
            (folder / STOP).touch()
        deadline = time.monotonic() + PATIENCE
        signalled = set[int]()
        while (alive := [job for job in jobs if job.poll()]) and time.monotonic() < deadline:
            for job in alive:
                _terminate(job.result, signalled)
            time.sleep(0.1)
        for job in jobs:
            if not job.poll() and job.result and job.status == "running":
                _interrupt(job.folder, job.result, "stopped with the sweep")


def clean_up(folder: Path) -> None:
    """Clean up after a killed sweep, in its locked folder: jobs left as running, and folders of unstarted jobs."""
    for job in [path for path in folder.iterdir() if path.name.split("_")[0].isdecimal() and path.is_dir()]:
        result = read(job)
        if result is None:
            if all(path.name in MADE_BY_HYDRA or path.suffix in TEMPORARY for path in job.iterdir()):
                shutil.rmtree(job, ignore_errors=True)
        elif result["status"] == "running" and not is_alive_elsewhere(result, job / FILE):
            _interrupt(job, result, "killed with the sweep")


def _interrupt(folder: Path, result: StoredResult, why: str) -> None:
    result |= {"status": "interrupted", "error": why}
    with contextlib.suppress(OSError):
        write(folder / FILE, result)
    for path in folder.iterdir():
        if path.suffix in TEMPORARY:
            path.unlink(missing_ok=True)


def _terminate(result: StoredResult | None, signalled: set[int]) -> None:
    """Send SIGTERM to a job's process, once, if it is another process on this machine."""
    process = (result or {}).get("process", {})
    if process.get("host") == platform.node() and process["pid"] not in {os.getpid(), *signalled}:
        signalled.add(process["pid"])
        with contextlib.suppress(OSError):
            os.kill(process["pid"], signal.SIGTERM)
