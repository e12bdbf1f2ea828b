"""A row of the leaderboard: one setting over its seeds and folds."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from litlab.runs.result import StoredResult
from litlab.sweeps.columns import REPLICATES, comparable, order, own_overrides, value
from litlab.sweeps.naming import key_of

UNREADABLE = "unreadable"  # the status of a file that is no result of a training
UNFINISHED = ("running", "died", "interrupted", "failed", UNREADABLE)  # rows without a completed job; in this order

NAMES = dict(zip(REPLICATES, ("seeds", "folds"), strict=True))


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of n numbers; `std` is None for one, both for none."""

    mean: float | None
    std: float | None
    n: int

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Spread":
        """Of finite numbers. (statistics.stdev takes fifty times as long, to be exact to the last bit.)"""
        if not numbers:
            return cls(None, None, 0)
        mean, n = fmean(numbers), len(numbers)
        return cls(mean, math.sqrt(math.fsum((each - mean) ** 2 for each in numbers) / (n - 1)) if n > 1 else None, n)


@dataclass(frozen=True)
class Row:
    """One setting: what it was, and what came out over its seeds and folds."""

    values: tuple[Any, ...]  # of the board's columns
    metric: str | None  # such as val/accuracy; None where no job came so far
    mode: str  # max or min
    best: Spread  # of the metric, in each job at its best epoch
    loss: float | None  # of validation, the mean: it decides between equal values of the metric
    test: Spread  # of the same metric of the test split
    seconds: float | None  # mean of a job's training; the start-up, which a process has once, is not in it
    status: str  # completed, 2 of 3 completed, 2 of 3 have a value, running, died, interrupted, failed: <error>
    error: str | None  # of the jobs that did not complete
    jobs: tuple[StoredResult, ...]
    rank: int | None = None  # from 1 within a metric; equal means share one; None unless `is_whole`

    @property
    def completed(self) -> list[StoredResult]:
        """The jobs that came to their end."""
        return [job for job in self.jobs if job["status"] == "completed"]

    @property
    def is_tested_on_train(self) -> bool:
        """Whether the test metrics are on the training split, of one job at least."""
        return any(job.get("test_split") == "train" for job in self.completed)

    @property
    def begun(self) -> list[StoredResult]:
        """The jobs that left a result."""
        return [job for job in self.jobs if job.get("run_dir") is not None]

    @property
    def is_whole(self) -> bool:
        """Whether all of its jobs completed with a value: the mean of those that survived is no setting's mean."""
        return self.best.n == len(self.jobs)

    @property
    def n(self) -> int:
        """Of how many values the means are."""
        return self.best.n or self.test.n

    @property
    def best_job(self) -> StoredResult | None:
        """The completed job of the best validation, which has the weights that one would take; None without."""
        known = [(found, job) for job in self.completed for found in _numbers([validation(job)])]
        choose = max if self.mode == "max" else min
        return choose(known, key=lambda each: each[0])[1] if known else None

    @property
    def overrides(self) -> list[str]:
        """What trains this setting: as typed; of several seeds or folds, without them."""
        words = own_overrides((self.completed or self.jobs)[0])
        return [word for word in words if len(self.jobs) == 1 or key_of(word) not in REPLICATES]

    @property
    def replicates(self) -> list[str]:
        """Of what the means are: seeds, folds, both, or nothing where there is one job."""
        return [names for key, names in NAMES.items() if len({comparable([value(job, key)]) for job in self.jobs}) > 1]


def replicates(rows: Iterable[Row]) -> str:
    """What the means of these rows are taken over: `seeds`, `folds`, `seeds and folds`, or nothing."""
    return " and ".join(dict.fromkeys(name for row in rows for name in row.replicates))


def row_of(jobs: Sequence[StoredResult], names: Sequence[str]) -> Row:
    """The row of one setting's jobs; `names` are the columns."""
    jobs = sorted(jobs, key=lambda job: order(value(job, key) for key in REPLICATES))
    statuses = Counter(job["status"] for job in jobs)
    completed = [job for job in jobs if job["status"] == "completed"]
    monitor: dict[str, Any] = next((job["monitor"] for job in [*completed, *jobs] if job.get("monitor")), {})
    metric = monitor.get("metric")
    errors = dict.fromkeys(
        " ".join(str(job["error"]).split()) for job in jobs if job["status"] != "completed" and job.get("error")
    )
    error = "; ".join(errors) or None
    best = Spread.of(_numbers(validation(job) for job in completed))
    if not completed:
        status = next((word for word in UNFINISHED if statuses[word]), "failed")
        status = f"{status}: {error}" if status in ("failed", UNREADABLE) and error else status
    elif len(completed) < len(jobs):
        status = f"{len(completed)} of {len(jobs)} completed"
    else:
        status = f"{best.n} of {len(jobs)} have a value" if 0 < best.n < len(jobs) else "completed"
    return Row(
        values=tuple(value(jobs[0], name) for name in names),
        metric=metric,
        mode=monitor.get("mode") or "max",
        best=best,
        loss=Spread.of(_numbers((job.get("metrics") or {}).get("val/loss") for job in completed)).mean,
        test=Spread.of(_numbers((job.get("metrics") or {}).get(test_metric(metric)) for job in completed)),
        seconds=Spread.of(_numbers(map(_seconds, completed))).mean,
        status=status,
        error=error,
        jobs=tuple(jobs),
    )


def validation(result: StoredResult) -> float | None:
    """The monitored metric: at the best epoch, else at the end; None where validation did not take place."""
    monitor = result.get("monitor") or {}
    metric, best = str(monitor.get("metric")), monitor.get("best")
    if metric.startswith("test/"):
        return None
    return (result.get("metrics") or {}).get(metric) if best is None else best


def checkpoint(job: StoredResult) -> Path | None:
    """The file of the weights that a job was tested with; None if it is not there (any more).

    It is looked for in the job's own folder, wherever that lies now, not where the result says.
    """
    name = Path(str(job.get("checkpoint") or "")).name
    file = Path(str(job.get("run_dir")), "checkpoints", name)
    return file if name and file.is_file() else None


def test_metric(metric: str | None) -> str:
    """The name of a metric on the test split: val/accuracy is test/accuracy."""
    return f"test/{(metric or '').partition('/')[2]}"


def _seconds(result: StoredResult) -> float | None:
    """Of training; results of earlier versions have the whole time alone."""
    return result.get("seconds") if result.get("seconds_training") is None else result["seconds_training"]


def _numbers(values: Iterable[Any]) -> list[float]:
    return [float(each) for each in values if isinstance(each, int | float) and math.isfinite(each)]
