"""result.json: what a run was asked and what came out, written whatever happens to it."""

import contextlib
import copy
import errno
import json
import logging
import math
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import Container, DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from litlab.environment import environment as environment
from litlab.environment import git_state as git_state
from litlab.errors import Interrupted, RequestError, RunError, signals_raised
from litlab.files import write_whole
from litlab.heartbeat import beating, this_process
from litlab.heartbeat import is_alive as is_alive
from litlab.ranks import is_first_process

log = logging.getLogger(__name__)

Result = dict[str, Any]
FILE = "result.json"
HISTORY = "history.csv"  # the metrics of each epoch
GROUPS = ("data", "model", "task", "optimizer", "scheduler", "trainer", "experiment")
# Where it lies, what it is for and who is trusted: not what it is.
NOT_OF_THE_JOB = ("paths", "sweep", "reference", "resume_from", "trust")


class AlreadyBegun(Exception):  # noqa: N818
    """The run is another process's: its folder has a result."""


@contextlib.contextmanager
def recorded(run_dir: Path, result: Result, once: bool = False, before: float = 0.0) -> Iterator[Result]:
    """Run the body, which fills in `result`, and write it to `run_dir`/result.json: completed, failed or interrupted.

    While the body runs the file says `running`, and its time is renewed: see `is_alive`. Of several processes of one
    run the first alone writes.

    Args:
        run_dir: the run's folder.
        result: what is known before.
        once: do not run what has been begun in that folder, perhaps by another process.
        before: seconds that the run has taken already, which count in its `seconds`: a command's start-up.

    Raises:
        AlreadyBegun: for `once`.
        Interrupted: for Ctrl-C and SIGTERM.
        RunError: the disk is full.
        Exception: what the body raises.
    """
    file, started = run_dir / FILE, time.perf_counter()
    result |= {"status": "failed", "error": None, "started": datetime.now().astimezone().isoformat(timespec="seconds")}
    result |= {"git": git_state(), "environment": environment(), "process": this_process()}
    _write_if_first(file, result | {"status": "running"}, once)
    try:
        with signals_raised(), beating(file) if is_first_process() else contextlib.nullcontext():
            yield result
        result["status"] = "completed"
    except Interrupted as error:
        error.run_dir = run_dir
        result |= {"status": "interrupted", "error": f"stopped by {signal.Signals(error.signum).name}"}
        raise
    except OSError as error:
        result["error"] = told(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            result["error"] = (
                f"the disk is full ({run_dir}); what was saved before is whole: make room, or set paths.log_dir"
            )
            raise RunError(result["error"]) from error
        raise
    except BaseException as error:
        result["error"] = told(error)
        log.exception("the run failed")
        raise
    finally:
        result["seconds"] = round(before + time.perf_counter() - started, 3)
        _write_if_first(file, result)


def _write_if_first(file: Path, result: Result, once: bool = False) -> None:
    if is_first_process():
        try:
            write(file, result, once)
        except OSError as error:  # a full disk must not hide the error that brought us here
            log.error("%s could not be written: %s", file, error)


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


def write(path: Path, result: Result, once: bool = False) -> None:
    """Write plain JSON at once or not at all; a number that is not finite becomes null, with the reason in `error`.

    Raises:
        AlreadyBegun: the file is there, and is to be written but `once`, whoever comes first.
    """
    strange: list[str] = []
    plain = _plain(result, "", strange)
    if strange:
        plain["error"] = "; ".join(filter(None, [plain.get("error"), f"not finite: {', '.join(strange)}"]))
    text = json.dumps(plain, indent=2, allow_nan=False) + "\n"
    try:
        write_whole(path, text.encode(), once)
    except FileExistsError as error:
        if once and path.exists():
            raise AlreadyBegun(str(path)) from error
        raise


def _plain(value: Any, name: str, strange: list[str]) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item, f"{name}.{key}".lstrip("."), strange) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, name, strange) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        strange.append(name)
        return None
    return value
