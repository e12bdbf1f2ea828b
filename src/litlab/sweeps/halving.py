"""Successive halving: all settings train to the first rung, the best part of them goes on to the next one.

Jamieson and Talwalkar 2016, arXiv:1502.07943. A job that goes on resumes from its own checkpoint, in its own folder,
and so ends as one that was never stopped.
"""

import math
from collections.abc import Sequence

from litlab.compat.hydra import runs_here
from litlab.errors import RequestError
from litlab.runs.history import read_history
from litlab.runs.report import relative
from litlab.sweeps.folder import STOP
from litlab.sweeps.job import Job
from litlab.sweeps.rungs import best, rungs_of
from litlab.sweeps.runner import Runner

LAST = "litlab.callbacks.last.LastCheckpoint"


def halve(runner: Runner, job_overrides: Sequence[Sequence[str]]) -> None:
    """Run the jobs of a sweep, each as far as its rank at the rungs says.

    Raises:
        RequestError: the trainings have no common length in epochs, keep no last.ckpt, or have nothing to choose by.
        Exception: no job can be composed; or the launcher's own failure to start any.
    """
    plan = runner.plan
    options = plan.config.sweep
    if runner.stacks and not runs_here(runner.launcher):
        what = "a stack passes the rungs in the sweep's own process; set hydra/launcher=stacked, or no sweep.stack"
        raise RequestError(f"sweep.eta={options.eta} with sweep.stack={options.stack}: {what}")
    alive = [job for job in plan.add(job_overrides).jobs if job.duplicate_of is None and job.error is None]
    steps = rungs_of(alive, options.rung, options.eta)
    if not all(LAST in (each.get("_target_") for each in job.settings["callbacks"].values()) for job in alive):
        raise RequestError(f"sweep.eta={options.eta}: goes on from last.ckpt, which callbacks.last saves; keep that")
    metric, mode = (alive[0].settings["task"][name] for name in ("monitor", "mode"))
    has_rungs = len(steps) > 1 and not runner.stacks  # a stack passes all of them at once
    reserve: list[Job] = []  # that dropped out at the rung before
    for number, (before, until) in enumerate(zip([0, *steps], steps, strict=False), 1):
        rung = f"rung {number} of {len(steps)}" if has_rungs else ""
        while _run_to(until, alive, runner, rung) and all(job.status == "failed" for job in alive):
            alive = survivors(_settings(reserve), before, options.eta, metric, mode)
            reserve = [job for job in reserve if job not in alive]
            if not alive:
                break
            print(f"all that went on have failed: {len(_settings(alive))} more go on", flush=True)
        if (plan.folder / STOP).exists():
            return
        if until < steps[-1]:
            settings = _settings(alive)
            alive = survivors(settings, until, options.eta, metric, mode)
            reserve = [job for jobs in settings for job in jobs if job not in alive]
            if not alive:
                what = f"no job has {metric} after epoch {until}, and the best are chosen by it"
                raise RequestError(f"sweep.eta={options.eta}: {what}; see sweep.rung, and task.monitor")
            kept = f"{len(_settings(alive))} of {len(settings)} settings go on"
            print(f"epoch {until} of {steps[-1]}: {kept}", flush=True)


def _run_to(until: int, jobs: Sequence[Job], runner: Runner, rung: str) -> bool:
    """Run jobs to the epoch of a rung; whether they got there, as the sweep has not been stopped."""
    for job in jobs:
        job.until = until
    runner.go_on(jobs, rung)
    if not (runner.folder / STOP).exists():
        return True
    if waiting := sum(job.is_due for job in jobs if job.result is not None):
        print(f"{waiting} jobs wait; the same command with sweep.resume={relative(runner.folder)} continues")
    return False


def survivors(settings: Sequence[Sequence[Job]], until: int, eta: int, metric: str, mode: str) -> list[Job]:
    """The jobs of the best settings: one of `eta`, rounded up.

    Args:
        settings: the jobs of each, over seeds and folds. One of which a job has no value is not among the best.
        until: the epoch whose values count; of a job that ended before, its last one's.
        eta: see above.
        metric: by its mean over the jobs; ties by the loss.
        mode: max or min.
    """

    def value(job: Job, name: str) -> float | None:
        known = [each for each in read_history(job.folder).get(name, ())[:until] if math.isfinite(each)]
        return known[-1] if known and job.status != "failed" else None

    values = [[value(job, metric) for job in jobs] for jobs in settings]
    losses = [[value(job, "val/loss") for job in jobs] for jobs in settings]
    return [job for number in best(values, losses, eta, mode) for job in settings[number]]


def _settings(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs that differ only in seed and fold together."""
    found: dict[str, list[Job]] = {}
    for job in jobs:
        found.setdefault(job.setting, []).append(job)
    return list(found.values())
