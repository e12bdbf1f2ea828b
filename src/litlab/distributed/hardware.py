"""The CPU cores and GPUs of this machine, and a GPU for each worker of a sweep, so that jobs do not share the first."""

import os
import platform
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from litlab.config.job import in_multirun, sweep_folder

FOLDER = ".gpus"  # in the sweep's folder: a lock for each claimed GPU
GPU = ("auto", "gpu", "cuda")  # accelerators that may be a GPU
_mine: dict[Path, tuple[int, FileLock]] = {}  # the locks are this process's until it ends, however it ends


def cores() -> int:
    """The number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible() -> list[str]:
    """The names of the GPUs that CUDA would show to this process, without asking CUDA; on Linux."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name.strip() for name in chosen.split(",") if name.strip()]
    known = Path("/proc/driver/nvidia/gpus")
    return [str(number) for number in range(len(list(known.iterdir())))] if known.is_dir() else []


def device(settings: dict[str, Any], count: int) -> Any:
    """`trainer.devices` for this process: in a sweep, this worker's GPU; else the setting.

    Args:
        settings: of the trainer.
        count: GPUs that torch finds.
    """
    one = settings.get("devices") == 1 and settings.get("accelerator") in GPU
    if not one or count < 2 or not in_multirun():
        return settings.get("devices")
    return [claim(sweep_folder(), count)]


def claim(folder: Path, count: int) -> int:
    """Claim a GPU until this process ends, and return its number; workers beyond the number of GPUs share.

    Args:
        folder: the sweep's; it may be shared by several machines.
        count: GPUs that torch finds.
    """
    folder = (folder / FOLDER).resolve()
    if folder not in _mine:
        folder.mkdir(parents=True, exist_ok=True)
        names = visible() if len(visible()) == count else [str(number) for number in range(count)]
        _mine[folder] = _claim(folder, names)
    return _mine[folder][0]


def _claim(folder: Path, names: list[str]) -> tuple[int, FileLock]:
    turn = 0
    while True:  # the first worker of each GPU, then the second of each, ...
        for number, name in enumerate(names):
            lock = FileLock(folder / f"{platform.node()}_{name.replace('/', '-')}_{turn}.lock", timeout=0)
            try:
                lock.acquire()
            except Timeout:
                continue
            return number, lock
        turn += 1
