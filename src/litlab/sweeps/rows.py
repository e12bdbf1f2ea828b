"""A row of the leaderboard: one setting over its seeds and folds, and the mean and deviation over these."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median_low
from typing import Any

from litlab.config.column_names import decoded
from litlab.escape import one_line
from litlab.runs.number_format import number_format
from litlab.sweeps.job_result import REPLICATES, UNREADABLE, JobResult, comparable, sort_key
from litlab.sweeps.naming import key_of

# The status of rows without a completed job, in this order.
UNFINISHED = ("running", "pruned", "died", "interrupted", "failed", UNREADABLE)
MAX_DEVIATIONS = 3  # settings whose deviations count: those of the worst say nothing about the best


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of n numbers; `std` is None for one, both for none."""

    mean: float | None
    std: float | None
    n: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "Spread":
        """Of the finite values. (statistics.stdev takes fifty times as long, to be exact to the last bit.)"""
        numbers = [float(each) for each in values if each is not None and math.isfinite(each)]
        if not numbers:
            return cls(None, None, 0)
        mean, n = fmean(numbers), len(numbers)
        return cls(mean, math.sqrt(math.fsum((each - mean) ** 2 for each in numbers) / (n - 1)) if n > 1 else None, n)

    def text(self, digits: int) -> str:
        """With so many decimals, as `number_format` of the mean: mean ± standard deviation."""
        if self.mean is None:
            return "-"
        form = number_format(self.mean, digits)
        return f"{self.mean:{form}}" + ("" if self.std is None else f" ± {self.std:{form}}")


def decimals(spreads: Sequence[Spread]) -> int:
    """How many decimals to show: two digits of the deviation over seeds (one from 8 on: 0.0009), else four of the best.

    Args:
        spreads: the best first.
    """
    deviations = [each.std for each in spreads if each.std][:MAX_DEVIATIONS]
    best = next((abs(each.mean) for each in spreads if each.mean), 1.0)
    digits = 1 - math.log10(1.25 * median_low(deviations)) if deviations else 3 - math.log10(best) + 1e-9
    return min(max(math.ceil(digits), 0), 10)


@dataclass(frozen=True)
class Row:
    """One setting: its values, and the results over its seeds and folds."""

    values: tuple[Any, ...]  # of the board's columns
    metric: str | None  # such as val/accuracy; None if no job got that far
    mode: str  # max or min
    best: Spread  # of the metric, in each job at its best epoch; of pruned jobs alone, at their last
    loss: float | None  # mean of val/loss: it breaks ties of the metric
    test: Spread  # of the same metric on the test split
    seconds: float | None  # mean of a job's training; without the start-up, which a process has once
    status: str  # completed, 2 of 3 completed, 2 of 3 have a value, running, pruned, died, interrupted, failed: <error>
    error: str | None  # of the jobs that did not complete
    jobs: tuple[JobResult, ...]
    rank: int | None = None  # from 1 within a metric; equal means share one; None unless `is_complete`

    @classmethod
    def of(cls, jobs: Sequence[JobResult], columns: Sequence[str]) -> "Row":
        """The row of one setting's jobs."""
        jobs = sorted(jobs, key=lambda job: sort_key(map(job.value, REPLICATES)))
        completed = [job for job in jobs if job.is_completed]
        monitored = next((job for job in [*completed, *jobs] if job.metric), jobs[0])
        measured = completed or [job for job in jobs if job.is_pruned]
        best = Spread.of(job.validation for job in measured)
        errors = dict.fromkeys(one_line(job.error) for job in jobs if job.error and not job.is_completed)
        error = "; ".join(errors) or None
        return cls(
            values=tuple(map(jobs[0].value, columns)),
            metric=monitored.metric,
            mode=monitored.mode or "max",
            best=best,
            loss=Spread.of(job.metrics.get("val/loss") for job in completed).mean,
            test=Spread.of(job.metrics.get(test_metric(monitored.metric)) for job in completed),
            seconds=Spread.of(
                job.seconds if job.seconds_training is None else job.seconds_training for job in measured
            ).mean,
            status=_status(jobs, best.n, error),
            error=error,
            jobs=tuple(jobs),
        )

    @property
    def completed(self) -> list[JobResult]:
        """The completed jobs."""
        return [job for job in self.jobs if job.is_completed]

    @property
    def is_tested_on_train(self) -> bool:
        """Whether the test metrics of at least one job are on the training split."""
        return any(job.test_split == "train" for job in self.completed)

    @property
    def started_jobs(self) -> list[JobResult]:
        """The jobs that left a result."""
        return [job for job in self.jobs if job.run_dir is not None]

    @property
    def is_complete(self) -> bool:
        """Whether all of its jobs completed with a value: a mean over survivors is not the setting's mean."""
        return self.best.n == len(self.completed) == len(self.jobs)

    @property
    def n(self) -> int:
        """The number of values behind the means."""
        return self.best.n or self.test.n

    @property
    def best_job(self) -> JobResult | None:
        """The completed job with the best validation, whose weights one would take; None without."""
        known = [job for job in self.completed if Spread.of([job.validation]).n]
        return min(known, key=lambda job: job.standing, default=None)

    @property
    def overrides(self) -> list[str]:
        """What to type to train this setting; without the seeds and folds, if there are several."""
        words = (self.completed or self.jobs)[0].own_overrides
        return [decoded(word) for word in words if len(self.jobs) == 1 or key_of(word) not in REPLICATES]

    @property
    def replicates(self) -> list[str]:
        """What the means are over: seeds, folds, both, or nothing for a single job."""
        values = {name: {comparable([job.value(key)]) for job in self.jobs} for key, name in REPLICATES.items()}
        return [name for name, distinct in values.items() if len(distinct) > 1]


def _status(jobs: Sequence[JobResult], values: int, error: str | None) -> str:
    statuses = Counter(job.status for job in jobs)
    if completed := statuses["completed"]:
        if completed < len(jobs):
            return f"{completed} of {len(jobs)} completed"
        return f"{values} of {len(jobs)} have a value" if 0 < values < len(jobs) else "completed"
    status = next((each for each in UNFINISHED if statuses[each]), "failed")
    return f"{status}: {error}" if status in ("failed", "pruned", UNREADABLE) and error else status


def replicates(rows: Iterable[Row]) -> str:
    """What the means of these rows are over: `seeds`, `folds`, `seeds and folds`, or nothing."""
    return " and ".join(dict.fromkeys(name for row in rows for name in row.replicates))


def test_metric(metric: str | None) -> str:
    """The name of a metric on the test split: val/accuracy is test/accuracy."""
    return f"test/{(metric or '').partition('/')[2]}"
