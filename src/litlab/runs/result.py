"""result.json: what a run was asked and what came out, written whatever happens to it."""

import contextlib
import copy
import json
import logging
import math
import secrets
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import Container, DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from litlab import signals
from litlab.distributed.ranks import is_first_process
from litlab.errors import Interrupted, RequestError, RunError
from litlab.files import FULL, is_full_disk, write_whole
from litlab.runs.environment import environment as environment
from litlab.runs.environment import git_state as git_state
from litlab.runs.heartbeat import beating, this_process
from litlab.runs.heartbeat import is_alive as is_alive

log = logging.getLogger(__name__)

Result = dict[str, Any]
FILE = "result.json"
HISTORY = "history.csv"  # the metrics of each epoch
ROOM = 64 * 1024  # bytes kept for the last result; one of a usual run has 6,000
GROUPS = ("data", "model", "task", "optimizer", "scheduler", "trainer", "experiment")
# Where it lies, what it is for and who is trusted: not what it is.
NOT_OF_THE_JOB = ("paths", "sweep", "reference", "resume_from", "resume_changes", "trust")


class AlreadyBegun(Exception):  # noqa: N818
    """The run is another process's: its folder has a result."""


@contextlib.contextmanager
def recorded(run_dir: Path, result: Result, once: bool = False, before: float = 0.0) -> Iterator[Result]:
    """Run the body, which fills in `result`, and write it to `run_dir`/result.json: completed, failed or interrupted.

    While the body runs the file says `running`, and its time is renewed: see `is_alive`; room is kept on the disk for
    what it will say in the end. Of several processes of one run the first alone writes.

    A signal waits for the body's next `signals.check`, or for its end.

    Args:
        run_dir: the run's folder.
        result: what is known before.
        once: do not run what has been begun in that folder, perhaps by another process.
        before: seconds that the run has taken already, which count in its `seconds`: a command's start-up.

    Raises:
        AlreadyBegun: for `once`.
        Interrupted: for Ctrl-C, SIGTERM and SIGHUP.
        RunError: the disk is full, or the body called sys.exit().
        Exception: what the body raises.
    """
    started = time.perf_counter()
    result |= {"status": "failed", "error": None, "started": datetime.now().astimezone().isoformat(timespec="seconds")}
    result |= {"git": git_state(), "environment": environment(), "process": this_process()}
    file = _File(run_dir / FILE)

    def finish(**last: Any) -> None:
        result.update(last, seconds=round(before + time.perf_counter() - started, 3))
        file.write(result)

    def stopped(signum: int) -> dict[str, Any]:
        return {"status": "interrupted", "error": f"stopped by {signal.Signals(signum).name}"}

    with signals.handled():
        full = file.begin(result | {"status": "running"}, once)
        with signals.last_words(lambda signum: finish(**stopped(signum))):
            try:
                if full is not None:
                    raise full
                with file.beating():
                    yield result
                    signals.check()
            except BaseException as error:
                failure = _as_ours(error, run_dir)
                if isinstance(failure, Interrupted):
                    finish(**stopped(failure.signum))
                else:
                    finish(error=told(failure))
                if failure is error:
                    raise
                raise failure from error
            finish(status="completed")


def _as_ours(error: BaseException, run_dir: Path) -> BaseException:
    """What an error means for the run; one that comes after a signal comes of the stopping."""
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
    elif not isinstance(error, OSError):
        log.error("the run failed", exc_info=error)
    return failure


class _File:
    """The result.json of a run; nothing, in processes of the run other than the first.

    A file beside it takes the room that the last result needs: a full disk would leave `running` there for ever. The
    result is written into that file's blocks, which even a full disk has, and the file renamed.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.room = path, path.with_name(f".{secrets.token_hex(8)}.room")
        self.is_first = is_first_process()

    def begin(self, result: Result, once: bool) -> OSError | None:
        """Write what the file says while the run goes on, and take the room; the error, if the disk is full.

        Raises:
            AlreadyBegun: for `once`.
        """
        if not self.is_first:
            return None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.room.open("xb") as room:  # a name that nobody can guess, and never through a link
                room.write(b" " * ROOM)
            write(self.path, result, once)
        except AlreadyBegun:
            self.room.unlink(missing_ok=True)
            raise
        except OSError as error:
            if error.errno in FULL:
                self.room.unlink(missing_ok=True)  # a short result may still find room
                return error
            log.error("%s could not be written: %s", self.path, error)  # what is wrong the run itself will come to
        return None

    def write(self, result: Result) -> None:
        """Write the last result; if there is no way to, the log says so, for it must not hide what brought us here."""
        if not self.is_first:
            return
        try:
            write(self.path, result, room=self.room)
        except OSError as error:
            log.error("%s could not be written: %s", self.path, error)

    def beating(self) -> contextlib.AbstractContextManager[None]:
        """Renew the file's time in the body."""
        return beating(self.path) if self.is_first else contextlib.nullcontext()


def tested_on(result: Result) -> str:
    """What is to be said beside a test metric: nothing, unless the test is on the training split."""
    return " (on the training split)" if result.get("test_split") == "train" else ""


def told(error: BaseException) -> str:
    """An error in a result: the messages of our own are for the user as they are."""
    return str(error) if isinstance(error, RunError | RequestError) else f"{type(error).__name__}: {error}"


def request(config: DictConfig) -> Result:
    """What was asked: the choices, the overrides but those of sweeps, what was swept, the seed and all settings."""
    choices, overrides = {}, []
    if HydraConfig.initialized():
        hydra = HydraConfig.get()
        chosen = {key.split("@")[0]: choice for key, choice in hydra.runtime.choices.items()}
        choices = {group: chosen.get(group) for group in GROUPS}
        overrides = [word for word in hydra.overrides.task if not word.lstrip("+~").startswith("sweep.")]
    asked: Result = {"choices": choices, "overrides": overrides}
    seed = config.get("seed")  # perhaps none, which is told later
    asked |= {"swept": list(OmegaConf.select(config, "sweep.swept") or ())}
    asked |= {"seed": str(seed) if OmegaConf.is_config(seed) else seed}
    try:
        asked["settings"] = settings(config)
    except OmegaConfBaseException:  # the run will come to the same mistake, and tell it
        asked["settings"] = {}
    return asked


def settings(config: DictConfig) -> dict[str, Any]:
    """The identity of a run: its resolved config as plain data, less where it lies and what it is for.

    Every path is blank in it, so that it is the same wherever the run lies.

    Raises:
        OmegaConfBaseException: an interpolation leads nowhere.
    """
    blank = copy.deepcopy(config)
    with open_dict(blank):
        for name in blank.get("paths") or ():
            blank.paths[name] = ""
    plain = {
        str(key): OmegaConf.to_container(value, resolve=True) if isinstance(value, Container) else value
        for key, value in blank.items()
        if key not in NOT_OF_THE_JOB
    }
    return json.loads(json.dumps(plain, default=str), parse_constant=str)  # infinity is not in JSON


def write(path: Path, result: Result, once: bool = False, room: Path | None = None) -> None:
    """Write plain JSON at once or not at all; a number that is not finite becomes null, with the reason in `error`.

    Args:
        path: of the file.
        result: what to write.
        once: not if it is there.
        room: a file of the same folder, larger than the result, whose blocks are taken if the disk is full. It is gone
            afterwards.

    Raises:
        AlreadyBegun: for `once`, whoever came first.
        OSError: it cannot be written; what was there stays.
    """
    strange: list[str] = []
    plain = _plain(result, "", strange)
    if strange:
        plain["error"] = "; ".join(filter(None, [plain.get("error"), f"not finite: {', '.join(strange)}"]))
    content = (json.dumps(plain, indent=2, allow_nan=False) + "\n").encode()
    try:
        write_whole(path, content, once)
    except FileExistsError as error:
        if once and path.exists():
            raise AlreadyBegun(str(path)) from error
        raise
    except OSError as error:
        if room is None or error.errno not in FULL:
            raise
        with room.open("r+b") as file:
            file.write(content)
            file.truncate()
        room.replace(path)
    finally:
        if room is not None:
            room.unlink(missing_ok=True)


def _plain(value: Any, name: str, strange: list[str]) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item, f"{name}.{key}".lstrip("."), strange) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, name, strange) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        strange.append(name)
        return None
    return value
