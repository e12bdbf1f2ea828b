"""How long a sweep would take: an epoch of some of its jobs, run for real in a folder that is removed."""

import json
import math
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import run_job
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from litlab.errors import RunError
from litlab.sweeps.folder import identity, quoted, read, results
from litlab.sweeps.job import TWIN, Job

MEASURED = 4  # jobs at most
NO_TIME = ("seed", "optimizer", "scheduler")  # settings that change the result and hardly the time


def estimate(jobs: Sequence[Job], context: HydraContext, task: TaskFunction, config: DictConfig) -> list[float]:
    """Seconds of each job, start-up of the process apart.

    One job is measured for each combination of what changes the time, but no more than a few; the others get the mean.

    Args:
        jobs: that can be composed.
        context: Hydra's, of the sweep.
        task: what Hydra runs.
        config: the sweep's.

    Raises:
        RunError: none of the measured jobs came through.
    """
    _import_libraries()
    kinds = {_kind(job): job for job in reversed(jobs)}
    measured: dict[str, float] = {}
    errors = []
    for kind, job in list(kinds.items())[-MEASURED:]:
        result = _one_epoch(job, context, task, config)
        if result["status"] == "completed":
            measured[kind] = _seconds(job.settings, result)
        else:
            errors.append(result["error"])
    if not measured:
        raise RunError(f"no job could be measured: {errors[0]}")
    mean = statistics.fmean(measured.values())
    return [measured.get(_kind(job), mean) for job in jobs]


def list_jobs(jobs: Sequence[Job], swept: Sequence[str], folder: Path | None) -> list[Job]:
    """Print the jobs, with what is known of them; those that are to run.

    Args:
        jobs: all.
        swept: the settings that differ.
        folder: of the sweep that is resumed.
    """
    known = results(folder).values() if folder else ()
    done = {identity(result.get("settings", {})) for result in known if result["status"] == "completed"}
    pending: dict[str, Job] = {}
    for number, job in enumerate(jobs, 1):
        if job.mistake is not None:
            state = f"cannot run: {' '.join(str(job.mistake).split())}"
        elif job.identity in done:
            state = "completed already"
        elif job.identity in pending:
            state = TWIN
        else:
            state, pending[job.identity] = "", job
        settings = " ".join(f"{key}={text}" for key, text in job.differing(swept).items())
        if settings or state:  # a single run has neither
            print("  ".join(filter(None, [f"{number}/{len(jobs)}", settings, state])), flush=True)
    return list(pending.values())


def spoken(seconds: float) -> str:
    """45 s, 4.5 min, 2.3 h."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def _import_libraries() -> None:
    """That takes seconds, which are not to be the first job's."""
    import lightning.pytorch  # noqa: F401
    import torchmetrics  # noqa: F401


def _kind(job: Job) -> str:
    settings = {key: value for key, value in job.settings.items() if key not in NO_TIME}
    trainer = {key: value for key, value in settings.get("trainer", {}).items() if key != "max_epochs"}
    return json.dumps(settings | {"trainer": trainer}, sort_keys=True)


def _one_epoch(job: Job, context: HydraContext, task: TaskFunction, config: DictConfig) -> dict[str, Any]:
    epochs = job.settings["trainer"].get("max_epochs")
    with tempfile.TemporaryDirectory(prefix="litlab-dry-run-") as folder:
        # With its callbacks and loggers: they take time, and an override of theirs must find them.
        words = [*job.overrides, f"trainer.max_epochs={min(1, epochs) if epochs not in (None, -1) else 1}"]
        words += ["trainer.enable_progress_bar=false"]
        words += ["sweep.dry_run=true", f"hydra.sweep.dir={quoted(folder)}", "hydra.sweep.subdir=job"]
        composed = context.config_loader.load_sweep_config(config, words)
        with open_dict(composed):
            composed.hydra.job.id, composed.hydra.job.num = "dry_run", 0
        run_job(task, composed, "hydra.sweep.dir", "hydra.sweep.subdir", context)
        return read(Path(folder) / "job") or {"status": "failed", "error": "it left no result"}


def _seconds(settings: dict[str, Any], result: dict[str, Any]) -> float:
    """Of the whole job: what is there once, and its epochs."""
    epochs, steps = settings["trainer"].get("max_epochs"), settings["trainer"].get("max_steps", -1)
    epoch = result["seconds_training"] - result.get("seconds_compiling", 0.0)
    once = result["seconds"] - epoch
    by_steps = steps / result["steps"] if steps not in (None, -1) and result["steps"] else math.inf
    times = by_steps if epochs in (None, -1) else min(float(epochs), by_steps)
    if math.isinf(times):
        times = 1000.0  # Lightning's own limit
    return once + epoch * times
