"""Run a job and write its result.json, whatever happens."""

import contextlib
import logging
import secrets
import shutil
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from litlab import signals
from litlab.config.job import in_sweep, sweep_folder
from litlab.distributed.ranks import is_first_process
from litlab.errors import Interrupted, Pruned, RequestError, RunError
from litlab.files import FULL, is_full_disk
from litlab.runs.environment import environment, git_state, git_state_in_sweep
from litlab.runs.heartbeat import beating, this_process
from litlab.runs.result import CONFIG, FILE, Result, encode, write

log = logging.getLogger(__name__)

RESERVED = 64 * 1024  # bytes for the last result; one of a usual run has 6,000


class AlreadyBegun(Exception):  # noqa: N818
    """Another process has begun the run: its folder has a result."""


@contextlib.contextmanager
def recorded(run_dir: Path, result: Result, once: bool = False, before: float = 0.0) -> Iterator[Result]:
    """Run the body, which fills in `result`, and write it to `run_dir`/result.json, with its final status.

    While the body runs, the status is `running` and the file's time is renewed: see `is_alive`. Only rank 0 writes. A
    signal waits for the body's next `signals.check`, or for its end.

    Args:
        run_dir: the run's folder.
        result: of the run so far.
        once: do not run if the folder already has a result, perhaps of another process.
        before: seconds that count in the run's `seconds`, too: a command's start-up.

    Raises:
        AlreadyBegun: for `once`.
        Interrupted: for Ctrl-C, SIGTERM and SIGHUP.
        Pruned: the body raises it.
        RunError: the disk is full, or the body called sys.exit().
        Exception: what the body raises.
    """
    began = time.perf_counter()
    started = datetime.now().astimezone().isoformat(timespec="seconds")
    result.update(status="running", error=None, started=started)
    result.git = git_state_in_sweep(str(sweep_folder())) if in_sweep() else git_state()
    result.update(environment=environment(), process=this_process())
    file = _ResultFile(run_dir / FILE) if is_first_process() else None

    def finish(status: str, error: str | None = None) -> None:
        result.update(status=status, error=error, seconds=round(before + time.perf_counter() - began, 3))
        if file is not None:
            file.finish(result)

    def interrupted(signum: int) -> None:
        finish("interrupted", f"stopped by {signal.Signals(signum).name}")

    with signals.handled():
        disk_full = file.begin(result, once) if file is not None else None
        with signals.last_words(interrupted):
            try:
                if disk_full is not None:
                    raise disk_full
                with beating(run_dir / FILE) if file is not None else contextlib.nullcontext():
                    yield result
                    signals.check()
            except BaseException as error:
                failure = _as_ours(error, run_dir)
                if isinstance(failure, Interrupted):
                    interrupted(failure.signum)
                elif isinstance(failure, Pruned):
                    finish("pruned", str(failure))
                else:
                    finish("failed", format_error(failure))
                if failure is error:
                    raise
                raise failure from error
            finish("completed")


def discard(run_dir: Path) -> None:
    """Remove the directory of a request that was refused, unless it has a checkpoint, or was there before."""
    try:
        began = (run_dir / CONFIG).stat().st_mtime - 1.0  # Hydra writes this, and train.log perhaps before it
        files = [file for file in run_dir.rglob("*") if not file.is_dir()]
        if not (run_dir / "checkpoints").exists() and all(file.lstat().st_mtime >= began for file in files):
            shutil.rmtree(run_dir)
    except OSError as error:
        log.error("%s could not be removed: %s", run_dir, error)


def format_error(error: BaseException) -> str:
    """An error as `Result.error` has it: the message alone if it is ours."""
    return str(error) if isinstance(error, RunError | RequestError) else f"{type(error).__name__}: {error}"


def _as_ours(error: BaseException, run_dir: Path) -> BaseException:
    """Translate an error for the user; after a signal, any error counts as the interruption."""
    failure = error
    signum = signals.received()
    if isinstance(error, Interrupted) or signum is not None:
        failure = error if isinstance(error, Interrupted) else Interrupted(signum or 0)
        failure.run_dir = run_dir
    elif is_full_disk(error):
        failure = RunError(
            f"the disk is full ({run_dir}); what was saved before is whole: make room, or set paths.log_dir"
        )
    elif isinstance(error, SystemExit):
        failure = RunError(f"the run called sys.exit({error.code!r})")
    elif not isinstance(error, OSError | Pruned):
        log.error("the run failed", exc_info=error)
    return failure


class _ResultFile:
    """The result.json of a run in progress, and disk space reserved for its last version.

    On a full disk the last version is written into the reserved blocks, and the reserve is renamed; otherwise the
    status would stay `running` forever.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.reserve = path, path.with_name(f".{secrets.token_hex(8)}.room")

    def begin(self, result: Result, once: bool) -> OSError | None:
        """Write the first version and reserve space for the last; the error, if the disk is full.

        Raises:
            AlreadyBegun: for `once`.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.reserve.open("xb") as file:  # an unguessable name, never through a link
                file.write(b" " * RESERVED)
            write(self.path, result.as_dict(), once)
        except OSError as error:
            if once and isinstance(error, FileExistsError) and self.path.exists():
                self.reserve.unlink(missing_ok=True)
                raise AlreadyBegun(str(self.path)) from error
            if error.errno in FULL:
                self.reserve.unlink(missing_ok=True)  # the last version may still fit
                return error
            log.error("%s could not be written: %s", self.path, error)  # the run will hit the same problem
        return None

    def finish(self, result: Result) -> None:
        """Write the last version; a failure is only logged, so as not to hide what ended the run."""
        content = result.as_dict()
        try:
            try:
                write(self.path, content)
            except OSError as error:
                if error.errno not in FULL:
                    raise
                with self.reserve.open("r+b") as file:
                    file.write(encode(content))
                    file.truncate()
                self.reserve.replace(self.path)
            finally:
                self.reserve.unlink(missing_ok=True)
        except OSError as error:
            log.error("%s could not be written: %s", self.path, error)
