"""A sweep's job in its own process, wherever the launcher put it."""

import atexit
import functools
import gc
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig

from litlab import signals
from litlab.config.job import sweep_folder
from litlab.distributed.ranks import is_first_process
from litlab.errors import Interrupted, Pruned
from litlab.files import write_atomic
from litlab.runs.postponed import postponed
from litlab.runs.recording import AlreadyBegun
from litlab.runs.result import StoredResult
from litlab.sweeps.folder import REQUEST, STOP, enforce_time_limit, read, timed_out
from litlab.sweeps.stacks.stackable import is_trained

log = logging.getLogger(__name__)

MAX_OVERHEAD = 0.05  # of a sweep's time that may go into its summaries
LOCK = ".summary.lock"
DURATION = ".summary.seconds"  # how long the last summary took; its mtime says when
FIRST = 0.5  # seconds, how long the first one is expected to take


def attempt(config: Any, run: Callable[[], Any], failed: Callable[[Exception], Any]) -> None:
    """Run a job of a sweep, unless the sweep is stopping or the job has started; then summarize the sweep.

    A job that fails does not raise: it has left its result.json. With sweep.on_failure=stop no further job starts.

    Args:
        config: the job's.
        run: leaves a result.json; raises AlreadyBegun if there is one.
        failed: called with what a job that fails has raised.

    Raises:
        Interrupted: in the sweeper's own process. In a worker, only this job was stopped.
    """
    folder, home = sweep_folder(), Path(HydraConfig.get().runtime.cwd)
    if home.is_dir() and home != Path.cwd():
        os.chdir(home)  # Ray's processes start elsewhere; relative paths, as of data, mean the sweep's
    trained = is_trained()
    if not trained:
        enforce_time_limit(folder, config.sweep.get("minutes"))
    if (folder / STOP).exists() and not (trained and timed_out(folder)):
        return
    try:
        run()
    except AlreadyBegun:
        return
    except Pruned:
        pass
    except Interrupted:
        if signals.are_handled():  # around this job, too: by the sweeper
            raise
    except Exception as error:
        if config.sweep.on_failure == "stop":
            (folder / STOP).touch()
        failed(error)
    if not signals.are_handled():  # nor is the sweeper here, which would do it at the end
        postponed(str(folder)).do()
    if is_first_process() and not config.sweep.dry_run:
        summarize_if_due(folder)


def paused(config: Any) -> StoredResult | None:
    """The result so far of a job that a rung of successive halving has stopped, and that goes on in its own folder."""
    run_dir = Path(config.paths.run_dir).absolute()
    return read(run_dir) if config.resume and Path(config.resume).absolute() == run_dir else None


def free_memory() -> None:
    """Free the memory of this process's earlier job, on a GPU too, before the next one allocates its own.

    Lightning's trainer, module and data refer to each other, and Python collects such cycles only after several jobs.
    What modules hold is frozen, again after further imports: else each job would walk it, which takes 0.1 s.
    """
    gc.collect()
    _freeze(len(sys.modules))


@functools.lru_cache(maxsize=1)
def _freeze(modules: int) -> None:
    """Leave what is there to no later collection; once for each number of modules."""
    gc.freeze()
    atexit.register(gc.unfreeze)  # else nanobind reports what Python does not free at exit as leaks


def summarize_if_due(folder: Path) -> None:
    """Summarize a sweep, unless another process is at it, or summaries would take too much of the time."""
    from litlab.sweeps.summary import summarize

    before = folder / DURATION
    try:
        with FileLock(folder / LOCK, timeout=0):
            is_first = not before.exists()
            since, cost = (folder / REQUEST, FIRST) if is_first else (before, float(before.read_text()))
            if time.time() - since.stat().st_mtime < cost / MAX_OVERHEAD:
                return
            started = time.perf_counter()
            summarize([folder], page=False)  # the sweeper writes it at the end
            write_atomic(before, f"{time.perf_counter() - started:.3f}".encode())
    except Timeout:
        return
    except Exception:  # the sweeper summarizes at the end, and reports what is wrong
        log.exception("the sweep could not be summarized")
