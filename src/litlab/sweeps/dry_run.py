"""What a sweep would run and how long it would take: an epoch of some jobs runs in a folder that is removed."""

import json
import math
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.utils import run_job
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from litlab import signals
from litlab.distributed.hardware import cores
from litlab.errors import RunError
from litlab.sweeps.composer import Composer
from litlab.sweeps.folder import hydra_quoted, read, results, resumed
from litlab.sweeps.job import DUPLICATE, Job
from litlab.sweeps.job_result import JobResult
from litlab.sweeps.rungs import going_on, rungs_of

MAX_MEASURED = 4  # jobs
NO_EFFECT = ("seed", "optimizer", "scheduler")  # settings that hardly change the time
MAX_EPOCHS = 1000.0  # Lightning's, where neither epochs nor steps have a limit


def dry_run(
    context: HydraContext,
    config: DictConfig,
    task: TaskFunction,
    swept: Sequence[str],
    job_overrides: Sequence[Sequence[str]],
) -> None:
    """List the jobs and print how long they would take; nothing is left on the disk.

    Args:
        context: Hydra's, of the sweep.
        config: the sweep's.
        task: what Hydra runs.
        swept: the settings that differ between the jobs.
        job_overrides: of each job.

    Raises:
        RunError: none of the measured jobs completed.
        RequestError: the jobs cannot be halved.
        Exception: no job could be composed: the first job's error.
    """
    composer = Composer(context, config)
    jobs = [composer.job(overrides) for overrides in job_overrides]
    if all(job.error for job in jobs):
        raise next(job.error for job in jobs if job.error)
    pending = _list(jobs, swept, resumed(config))
    if not pending:
        print("nothing is left to run")
        return
    halving = config.sweep.eta and rungs_of(pending, config.sweep.rung, config.sweep.eta)
    with signals.handled(), signals.at_once():
        costs = _estimate(pending, context, task, config)
    at_once = min(config.hydra.launcher.get("n_jobs") or 1, len(pending))
    at_once = at_once if at_once > 0 else cores()  # joblib's -1: all cores
    seconds = [cost.of(cost.epochs) for cost in costs]
    each = duration(min(seconds))
    each = each if each == duration(max(seconds)) else f"{each} to {duration(max(seconds))}"
    total = sum(_list_rungs(pending, costs, halving, config.sweep.eta) if halving else seconds)
    if len(pending) == 1:
        print(f"1 job to run, about {each}")
    else:
        each += " each to the last epoch" if halving else " each"
        parallel = f", {at_once} at a time" if at_once > 1 else ""
        print(f"{len(pending)} jobs to run, about {each}{parallel}: {duration(total / at_once)} in all")


def _list_rungs(jobs: Sequence[Job], costs: Sequence["Cost"], steps: Sequence[int], eta: int) -> Iterator[float]:
    """Print how many settings each rung of successive halving trains, and how far; the seconds of each rung."""
    settings = len({job.setting for job in jobs})
    seeds = len(jobs) / settings
    for number, (before, until) in enumerate(zip([0, *steps], steps, strict=False), 1):
        print(f"rung {number} of {len(steps)}: {settings} settings to epoch {until}", flush=True)
        yield settings * seeds * statistics.fmean(cost.of(until - before) for cost in costs)
        settings = going_on(settings, eta)


def duration(seconds: float) -> str:
    """45 s, 4.5 min, 2.3 h."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def _list(jobs: Sequence[Job], swept: Sequence[str], folder: Path | None) -> list[Job]:
    """Print the jobs with their state; return those still to run."""
    known = results(folder).values() if folder else ()
    completed = {JobResult.of(result).identity() for result in known if result["status"] == "completed"}
    pending: dict[str, Job] = {}
    for number, job in enumerate(jobs, 1):
        if job.error is not None:
            state = f"cannot run: {' '.join(str(job.error).split())}"
        elif job.identity in completed:
            state = "already completed"
        elif job.identity in pending:
            state = DUPLICATE
        else:
            state, pending[job.identity] = "", job
        label = job.label(swept)
        if label or state:  # a single run has neither
            print("  ".join(filter(None, [f"{number}/{len(jobs)}", label, state])), flush=True)
    return list(pending.values())


class Cost(NamedTuple):
    """The time of a job, in seconds, without process start-up.

    Attributes:
        once: whatever the number of epochs.
        epoch: each of them.
        epochs: their number; of a length in steps, a fraction.
    """

    once: float
    epoch: float
    epochs: float

    def of(self, epochs: float) -> float:
        """The time of so many epochs."""
        return self.once + self.epoch * epochs


def _estimate(jobs: Sequence[Job], context: HydraContext, task: TaskFunction, config: DictConfig) -> list[Cost]:
    """What each job costs.

    One job is measured per combination of settings that affect the time, up to MAX_MEASURED; the others get the mean.
    """
    _import_libraries()
    kinds = {_kind(job): job for job in reversed(jobs)}
    measured: dict[str, Cost] = {}
    errors = []
    for kind, job in list(kinds.items())[-MAX_MEASURED:]:
        result = _one_epoch(job, context, task, config)
        if result["status"] == "completed":
            measured[kind] = _cost(job.settings, result)
        else:
            errors.append(result["error"])
    if not measured:
        raise RunError(f"no job could be measured: {errors[0]}")
    mean = Cost(*map(statistics.fmean, zip(*measured.values(), strict=True)))
    return [measured.get(_kind(job), mean) for job in jobs]


def _import_libraries() -> None:
    """Takes seconds, which would count towards the first job."""
    import lightning.pytorch  # noqa: F401
    import torchmetrics  # noqa: F401


def _kind(job: Job) -> str:
    """Equal for jobs that take the same time per epoch."""
    settings = {key: value for key, value in job.settings.items() if key not in NO_EFFECT}
    trainer = {key: value for key, value in settings.get("trainer", {}).items() if key != "max_epochs"}
    return json.dumps(settings | {"trainer": trainer}, sort_keys=True)


def _one_epoch(job: Job, context: HydraContext, task: TaskFunction, config: DictConfig) -> dict[str, Any]:
    """The result of the job's first epoch, with its callbacks and loggers."""
    epochs = job.settings["trainer"].get("max_epochs")
    with tempfile.TemporaryDirectory(prefix="litlab-dry-run-") as folder:
        words = [*job.overrides, f"trainer.max_epochs={min(1, epochs) if epochs not in (None, -1) else 1}"]
        words += ["trainer.enable_progress_bar=false"]
        words += ["sweep.dry_run=true", f"hydra.sweep.dir={hydra_quoted(folder)}", "hydra.sweep.subdir=job"]
        composed = context.config_loader.load_sweep_config(config, words)
        with open_dict(composed):
            composed.hydra.job.id, composed.hydra.job.num = "dry_run", 0
        run_job(task, composed, "hydra.sweep.dir", "hydra.sweep.subdir", context)
        return read(Path(folder) / "job") or {"status": "failed", "error": "it left no result"}


def _cost(settings: dict[str, Any], result: dict[str, Any]) -> Cost:
    """Of a job, by the result of its first epoch."""
    epochs, steps = settings["trainer"].get("max_epochs"), settings["trainer"].get("max_steps", -1)
    epoch = result["seconds_training"] - result.get("seconds_compiling", 0.0)
    once = result["seconds"] - epoch
    by_steps = steps / result["steps"] if steps not in (None, -1) and result["steps"] else math.inf
    times = by_steps if epochs in (None, -1) else min(float(epochs), by_steps)
    return Cost(once, epoch, MAX_EPOCHS if math.isinf(times) else times)
