"""Whether the process that writes a result.json is alive, by its identity and the file's time, which it renews."""

import contextlib
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from litlab.runs.polling import polling

INTERVAL = 10.0  # seconds between two beats
SILENCE = 60.0  # seconds without a beat after which a process on another machine counts as dead


def this_process() -> dict[str, Any]:
    """Host, pid and start time (from /proc, if there is one) of this process; pids are reused."""
    return {"host": platform.node(), "pid": os.getpid(), "start": _start(os.getpid())}


@contextlib.contextmanager
def beating(file: Path) -> Iterator[None]:
    """Renew the time of `file` while the body runs."""
    with polling(lambda: os.utime(file), INTERVAL, "heartbeat"):
        yield


def is_alive(result: dict[str, Any], file: Path) -> bool:
    """Whether `result`, read from `file`, is of a running run: its status is running, and its process is alive.

    A process on another machine is alive if it renewed the file within the last minute (by this machine's clock).
    """
    process = result.get("process")
    if result.get("status") != "running" or not process:
        return False
    if process["host"] != platform.node():
        try:
            return time.time() - file.stat().st_mtime < SILENCE
        except OSError:
            return False
    start = _start(process["pid"])
    if start is not None and process.get("start") is not None:
        return start == process["start"]
    try:
        os.kill(process["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return start is not None or _start(os.getpid()) is None  # with /proc, it is a zombie


def age() -> float:
    """Seconds since this process began, to a hundredth; 0 where the system does not say (/proc)."""
    start = _start(os.getpid())
    return 0.0 if start is None else time.clock_gettime(time.CLOCK_BOOTTIME) - start / os.sysconf("SC_CLK_TCK")


def is_alive_elsewhere(result: dict[str, Any], file: Path) -> bool:
    """As `is_alive`, but False for this process: when it asks, its own run is over."""
    return result.get("process") != this_process() and is_alive(result, file)


def _start(pid: int) -> int | None:
    """When a process began, in the system's ticks; None if it is gone or dead, or the system does not say (/proc)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
