"""The leaderboard of a sweep, from its jobs' result.json alone: one row per setting, ranked by validation."""

import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from litlab.config.column_names import decoded
from litlab.errors import RequestError
from litlab.escape import one_line
from litlab.runs import reading
from litlab.runs.heartbeat import is_alive
from litlab.runs.result import FILE
from litlab.sweeps.columns import distinguishing_settings
from litlab.sweeps.job_result import NOT_STARTED, UNREADABLE, JobResult, sort_key
from litlab.sweeps.planned import not_started
from litlab.sweeps.rows import UNFINISHED, Row

MAX_COLUMNS = 30
MAX_FILES = 5  # that warnings name


@dataclass(frozen=True)
class Leaderboard:
    """Rows: the ranked ones, the best first; then those with values of some seeds only; then those without any."""

    columns: list[str]
    rows: list[Row]
    jobs: Counter[str]  # count by status
    warnings: list[str] = field(default_factory=list)
    made: datetime = field(default_factory=lambda: datetime.now().astimezone())
    unstarted: int = 0  # planned settings of which no job has started, which have no row

    @property
    def metrics(self) -> list[tuple[str, str]]:
        """The metrics that the rows are ranked by, with their modes: one, unless several sweeps are joined."""
        return list(dict.fromkeys((row.metric, row.mode) for row in self.rows if row.metric and row.best.n))

    @property
    def winners(self) -> list[Row]:
        """The best row of each metric, if one is ranked."""
        first = {row.metric: row for row in reversed(self.rows) if row.rank}
        return [first[metric] for metric, _ in self.metrics if metric in first]

    @property
    def has_test_on_train(self) -> bool:
        """Whether the test metrics of any row are on the training split."""
        return any(row.is_tested_on_train for row in self.rows)


def read_and_rank(folders: Sequence[Path]) -> Leaderboard:
    """The leaderboard of the sweeps in these folders.

    Raises:
        RequestError: there is no such folder, or no result below it.
    """
    results = read(folders)
    sweeps = defaultdict(list)
    for result in results:
        if result.run_dir and result.status != UNREADABLE:
            sweeps[result.run_dir.parent].append(result)
    planned = [not_started(folder, started) for folder, started in sweeps.items()]
    board = rank([*results, *(job for jobs, *_ in planned for job in jobs)])
    del board.jobs[NOT_STARTED]  # only those whose setting has started
    if count := sum(count for _, count, _ in planned):
        board.jobs[NOT_STARTED] = count
    return replace(board, unstarted=sum(settings for *_, settings in planned))


def read(folders: Sequence[Path]) -> list[JobResult]:
    """The results below these folders; a job marked as running whose process is gone has the status died.

    A file that is not the result of a training has the status unreadable, and the reason in `error`.

    Raises:
        RequestError: there is no such folder, or no result below it.
    """
    files = []
    for folder in folders:
        found = list(_find(folder)) if folder.is_dir() else []
        if not found:
            what = f"no {FILE} below it" if folder.is_dir() else "no such folder"
            raise RequestError(f"{folder}: {what}; name the folder of a sweep, such as logs/train/multiruns/DATE_TIME")
        files += found
    return [_read(file) for file in dict.fromkeys(files)]


def _find(folder: Path) -> Iterator[Path]:
    """Every result.json; folders below one are skipped: runs do not lie in runs, but have many files."""
    for above, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        if FILE in files:
            below.clear()
            yield Path(above, FILE)


def _read(file: Path) -> JobResult:
    try:
        stored = reading.read(file)
        if "question" in stored:  # of describe.py
            raise ValueError("not the result of a training")
    except (OSError, ValueError) as error:
        return JobResult(UNREADABLE, file.parent, one_line(error))
    result = JobResult.of(stored, file.parent)
    is_dead = result.status == "running" and not is_alive(stored, file)
    return replace(result, status="died") if is_dead else result


def rank(results: Sequence[JobResult]) -> Leaderboard:
    """One row per setting, over its seeds and folds; ranked by the mean of the monitored metric, never by the test."""
    unreadable = [result for result in results if result.status == UNREADABLE]
    jobs = without_duplicates([result for result in results if result.status != UNREADABLE])
    settings = defaultdict(list)
    for job in jobs:
        settings[job.identity(replicates=False)].append(job)
    names = distinguishing_settings([group[0] for group in settings.values()])
    shown = names[:MAX_COLUMNS]
    rows = [Row.of(group, shown) for group in [*settings.values(), *([each] for each in unreadable)]]
    metrics = list(dict.fromkeys(row.metric for row in rows))
    rows = list(_ranked(sorted(rows, key=lambda row: _sort_key(row, metrics))))
    warnings = [f"{each.run_dir}/{FILE} cannot be read: {each.error}" for each in unreadable[:MAX_FILES]]
    if more := len(unreadable) - len(warnings):
        warnings.append(f"{more:,} more files cannot be read; jobs.csv lists them")
    if more := len(names) - len(shown):
        warnings.append(f"{more:,} more settings differ, but have no column")
    warnings += _warnings(rows)
    return Leaderboard([*map(decoded, shown)], rows, Counter(job.status for job in [*jobs, *unreadable]), warnings)


def without_duplicates(results: Sequence[JobResult]) -> list[JobResult]:
    """Keep one of the results with the same settings and seed: the completed one, else the newest.

    A job that could not be composed has no settings: it is the same as a later one of the same overrides.
    """
    composed: dict[tuple[str, ...], str] = {}
    chosen: dict[str, JobResult] = {}
    settled = sorted(results, key=lambda each: (each.is_completed, each.started))
    for result in sorted(settled, key=lambda each: not each.settings):
        identity, overrides = result.identity(), tuple(result.overrides)
        if result.settings:
            composed[overrides] = identity
        elif not result.is_completed and overrides in composed:
            continue
        chosen[identity] = result
    return sorted(chosen.values(), key=lambda each: each.started)


def _sort_key(row: Row, metrics: Sequence[str | None]) -> tuple[Any, ...]:
    """Whole rows, those with some values, those without, unfinished ones; within a metric the best, as `standing`."""
    if row.best.mean is not None:
        mean = -row.best.mean if row.mode == "max" else row.best.mean
        loss = math.inf if row.loss is None else row.loss
        started = min(job.started for job in row.jobs)
        return 0 if row.is_complete else 1, metrics.index(row.metric), mean, loss, started, sort_key(row.values)
    status = row.status.partition(":")[0]
    return 2 + (UNFINISHED.index(status) + 1 if status in UNFINISHED else 0), 0, 0.0, 0.0, "", sort_key(row.values)


def _ranked(rows: Sequence[Row]) -> Iterator[Row]:
    """Sorted rows with their ranks, which restart with each metric."""
    for (is_complete, _), group in groupby(rows, key=lambda row: (row.is_complete, row.metric)):
        rank, mean = 0, None
        for number, row in enumerate(group, 1):
            if row.best.mean != mean:
                rank, mean = number, row.best.mean
            yield replace(row, rank=rank) if is_complete else row


def _warnings(rows: Sequence[Row]) -> Iterator[str]:
    """Why rows that completed have no rank, which share the first one, and which were tested on the training split."""
    if partly := sum(bool(row.completed) and row.best.n > 0 and not row.is_complete for row in rows):
        yield (
            f"{_settings_are(partly)} not ranked: some of {'its' if partly == 1 else 'their'} seeds have no value, and "
            "the mean of the others would be too good"
        )
    if without := sum(bool(row.completed) and not row.best.n for row in rows):
        yield (
            f"{_settings_are(without)} not ranked: without validation (data.val_size=0) there is nothing to rank by, "
            "and the test split must not be used for it"
        )
    for metric in dict.fromkeys(row.metric for row in rows):
        first = [row for row in rows if row.rank == 1 and row.metric == metric]
        if len(first) > 1:
            losses = [math.inf if row.loss is None else row.loss for row in first[:2]]
            is_lower = losses[0] < losses[1]
            yield f"{len(first)} settings tie for the best {metric}; " + (
                "the first has the lowest val/loss" if is_lower else "val/loss does not separate the first two either"
            )
    if on_train := sum(row.is_tested_on_train for row in rows):
        yield f"{_settings_are(on_train)} tested on the training split (data.test_on_train=true)"


def _settings_are(count: int) -> str:
    return "1 setting is" if count == 1 else f"{count:,} settings are"
