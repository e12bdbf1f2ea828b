"""A run on several devices of this machine: one process (rank) each, started and watched by this one.

This process does not train. The ranks get torchrun's environment variables and a file rendezvous, so no port is open;
each writes its result and its error to a file. They are forked from a server that has imported the libraries once for
all jobs of a sweep; the server and the ranks end with this process.
"""

import contextlib
import errno
import logging
import multiprocessing
import os
import pickle
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing import connection
from multiprocessing.pool import ExceptionWithTraceback
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from omegaconf import DictConfig, OmegaConf

from litlab import signals
from litlab.config.hydra_errors import error_location, format_error
from litlab.distributed.ranks import RENDEZVOUS, as_plain_data, log_file, log_to
from litlab.errors import Interrupted, RequestError, RunError
from litlab.files import is_full_disk, write_atomic

POLL = 0.2  # seconds between two checks for a signal
Train = Callable[[DictConfig, Any], Any]


class Outcome(NamedTuple):
    """The outcome of a rank: its result so far, the error that ended it, and when."""

    result: dict[str, Any]  # its attributes
    error: Any
    time: float  # of the machine's monotonic clock


def run_on_ranks(train: Train, config: DictConfig, result: Any, size: int) -> None:
    """Run `train(config, result)` in `size` processes; the first one's result is copied into `result`.

    Raises:
        Interrupted: a signal came; the first rank has stopped and left its result.
        Exception: the first rank's, if it failed first.
        RunError, RequestError: another rank failed, or a rank was killed.
    """
    run_dir = Path(config.paths.run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    # This process has threads and perhaps CUDA, so it must not be forked; the server has neither. Windows has no fork.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context: Any = multiprocessing.get_context(method)
    # A worker of joblib's has loky as its start method, and the server must know that name.
    context.set_forkserver_preload([train.__module__, *(sys.modules.keys() & {"joblib.externals.loky"})])
    with tempfile.TemporaryDirectory(prefix="litlab-") as folder:
        given = (train, as_plain_data(config), result, size, folder)
        ranks = [context.Process(target=_run_rank, args=(rank, *given)) for rank in range(size)]
        try:
            for each in ranks:
                each.start()
            while any(each.is_alive() for each in ranks) and not any(each.exitcode for each in ranks):
                connection.wait([each.sentinel for each in ranks if each.is_alive()], POLL)
                signals.check()
            codes = [each.exitcode or 0 for each in ranks]
        finally:
            _end(ranks)
            outcomes = [_read(folder, rank) for rank in range(size)]
            vars(result).update(outcomes[0].result)
    if any(codes):
        raise _failure(codes, outcomes, run_dir)


def _end(ranks: list[Any]) -> None:
    """Terminate the first rank, which leaves its result, and kill the others."""
    started = [each for each in ranks if each.pid is not None]
    for each in started[:1]:
        each.terminate()
        each.join(signals.END)
    for each in started:
        each.kill()
        each.join()


def _failure(codes: list[int], outcomes: list[Outcome], run_dir: Path) -> BaseException:
    """The error of the rank that failed first; the others fail because of it.

    Args:
        codes: exit codes of the ranks after the first failure; negative: the signal that killed a rank.
        outcomes: of the ranks.
        run_dir: with their logs.
    """
    failed = [rank for rank, code in enumerate(codes) if code]
    rank = min(failed, key=lambda each: (codes[each] > 0, outcomes[each].time))
    code, error = codes[rank], outcomes[rank].error
    if error is not None and (rank == 0 or isinstance(error, RequestError | RunError)):
        return error
    if isinstance(error, Interrupted):
        code = -error.signum
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    if error is not None and code > 0:
        how += f" ({format_error(error)})"
    elif code == -signal.SIGKILL:
        how += "; if no one did that, memory ran out: try fewer trainer.devices, or a smaller data.batch_size"
    return RunError(f"process {rank} of {len(codes)} (counted from 0) {how}; see {log_file(run_dir, rank)}")


def _run_rank(rank: int, train: Train, config: Any, result: Any, size: int, folder: str) -> NoReturn:
    """Train as one of the ranks, and leave its outcome in `folder`."""
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()
    elastic = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "GROUP_RANK": 0}
    os.environ |= {name: str(value) for name, value in elastic.items()}
    os.environ |= {"TORCHELASTIC_RUN_ID": "litlab", RENDEZVOUS: f"{folder}/rendezvous"}
    log_to(config["paths"]["run_dir"], rank)
    error: BaseException | None = None
    with signals.handled():
        try:
            with signals.at_once():
                train(OmegaConf.create(config), result)
        except BaseException as raised:
            logging.getLogger(__name__).error("process %d ended", rank, exc_info=raised)
            error = _portable(raised)
        signals.ignore()
        with contextlib.suppress(OSError):  # a full disk, or the parent is gone
            write_atomic(Path(folder, str(rank)), pickle.dumps(Outcome(vars(result), error, time.monotonic())))
    sys.exit(error is not None)


def _portable(error: BaseException) -> Any:
    """An error that can be pickled, with its traceback and where it was raised."""
    portable: Any = error
    if is_full_disk(error):  # perhaps only its cause is, which is not pickled
        portable = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    try:
        pickle.loads(pickle.dumps(portable))
    except Exception:
        portable = RunError(format_error(error))
    portable.location = error_location(error)
    return ExceptionWithTraceback(portable, error.__traceback__)


def _read(folder: str, rank: int) -> Outcome:
    """The outcome of a rank that has ended; an empty one if it was killed."""
    file = Path(folder, str(rank))
    return pickle.loads(file.read_bytes()) if file.exists() else Outcome({}, None, 0.0)


def _end_with_parent(folder: str) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)  # the only way to end the process from another thread
