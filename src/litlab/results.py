"""result.json: what a run was asked and what came out, written whatever happens to it."""

import contextlib
import errno
import json
import logging
import math
import os
import platform
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from litlab.errors import Interrupted, RunError

log = logging.getLogger(__name__)

Result = dict[str, Any]
FILE = "result.json"
GROUPS = ("data", "model", "task", "optimizer", "scheduler", "trainer", "experiment")


@contextlib.contextmanager
def recorded(run_dir: Path, result: Result) -> Iterator[Result]:
    """Run the body, which fills in `result`, and write it to `run_dir`/result.json: completed, failed or interrupted.

    Of several processes of one run the first alone writes.

    Raises:
        Interrupted: for Ctrl-C and SIGTERM.
        RunError: the disk is full.
        Exception: what the body raises.
    """
    started = time.perf_counter()
    result |= {"status": "failed", "error": None, "started": datetime.now().astimezone().isoformat(timespec="seconds")}
    result |= {"git": git_state(), "environment": environment()}
    try:
        with _signals_raised():
            yield result
        result["status"] = "completed"
    except Interrupted as error:
        error.run_dir = run_dir
        result |= {"status": "interrupted", "error": f"stopped by {signal.Signals(error.signum).name}"}
        raise
    except OSError as error:
        result["error"] = f"{type(error).__name__}: {error}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            result["error"] = (
                f"the disk is full ({run_dir}); what was saved before is whole: make room, or set paths.log_dir"
            )
            raise RunError(result["error"]) from error
        raise
    except BaseException as error:
        result["error"] = f"{type(error).__name__}: {error}"
        log.exception("the run failed")
        raise
    finally:
        result["seconds"] = round(time.perf_counter() - started, 3)
        if is_first_process():
            try:
                write(run_dir / FILE, result)
            except OSError as error:  # a full disk must not hide the error that brought us here
                log.error("%s could not be written: %s", run_dir / FILE, error)


def is_first_process() -> bool:
    """Whether this is the only process of the run, or the first of several."""
    return os.environ.get("LOCAL_RANK", "0") == "0" and os.environ.get("NODE_RANK", "0") == "0"


def request(config: DictConfig) -> Result:
    """What was asked: the choices, the overrides and the seed."""
    choices, overrides = {}, []
    if HydraConfig.initialized():
        hydra = HydraConfig.get()
        chosen = {key.split("@")[0]: choice for key, choice in hydra.runtime.choices.items()}
        choices = {group: chosen.get(group) for group in GROUPS}
        overrides = list(hydra.overrides.task)
    return {"choices": choices, "overrides": overrides, "seed": config.get("seed")}


def write(path: Path, result: Result) -> None:
    """Write plain JSON at once or not at all; a number that is not finite becomes null, with the reason in `error`."""
    strange: list[str] = []
    plain = _plain(result, "", strange)
    if strange:
        plain["error"] = "; ".join(filter(None, [plain.get("error"), f"not finite: {', '.join(strange)}"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(json.dumps(plain, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _plain(value: Any, name: str, strange: list[str]) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item, f"{name}.{key}".lstrip("."), strange) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, name, strange) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        strange.append(name)
        return None
    return value


@contextlib.contextmanager
def _signals_raised() -> Iterator[None]:
    """Ctrl-C and SIGTERM raise Interrupted. (For KeyboardInterrupt Lightning would end the process itself.)"""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        signal.signal(signum, signal.SIG_IGN)  # the second Ctrl-C of an impatient user must not spoil the clearing up
        raise Interrupted(signum)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def git_state() -> dict[str, Any]:
    """Commit of the code that runs, and whether the code or the configs differ from it; None where git is not."""

    def git(*words: str) -> str | None:
        command = ["git", "-C", str(Path(__file__).parent), *words]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return None

    commit = git("rev-parse", "HEAD")
    changed = git("status", "--porcelain", "--", ":/src", ":/conf", ":/scripts")  # a new file is a change, too
    return {"commit": commit, "dirty": None if changed is None else bool(changed)}


def environment() -> dict[str, Any]:
    """Python, platform and cores; the run adds what it knows of torch and the device."""
    return {"python": platform.python_version(), "platform": platform.platform(), "cpus": os.cpu_count()}
