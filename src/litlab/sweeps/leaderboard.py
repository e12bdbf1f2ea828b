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

from litlab.errors import RequestError
from litlab.runs.heartbeat import is_alive
from litlab.runs.result import FILE, StoredResult
from litlab.sweeps import reading
from litlab.sweeps.columns import columns, identity, order
from litlab.sweeps.planned import NOT_BEGUN, not_begun
from litlab.sweeps.rows import UNFINISHED, UNREADABLE, Row, row_of

MAX_COLUMNS = 30
MAX_FILES = 5  # that a remark names


@dataclass(frozen=True)
class Leaderboard:
    """Rows: the ranked ones, the best first; then those of which some seeds have no value; then those without any."""

    columns: list[str]
    rows: list[Row]
    jobs: Counter[str]  # how many there are of each status
    remarks: list[str] = field(default_factory=list)
    made: datetime = field(default_factory=lambda: datetime.now().astimezone())

    @property
    def metrics(self) -> list[tuple[str, str]]:
        """What the rows are ranked by, each with its mode: one, if not several sweeps are joined."""
        return list(dict.fromkeys((row.metric, row.mode) for row in self.rows if row.metric and row.best.n))

    @property
    def winners(self) -> list[Row]:
        """The first row of each metric, where one is ranked."""
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
        if result["status"] != UNREADABLE:
            sweeps[Path(result["run_dir"]).parent].append(result)
    lacking = [not_begun(folder, there) for folder, there in sweeps.items()]
    board = rank([*results, *(job for jobs, _ in lacking for job in jobs)])
    del board.jobs[NOT_BEGUN]
    if count := sum(count for _, count in lacking):
        board.jobs[NOT_BEGUN] = count
    return board


def read(folders: Sequence[Path]) -> list[StoredResult]:
    """The results below these folders, each with its `run_dir`; one that says it runs but does not, `died`.

    Of a file that is no result of a training there is the `status` unreadable, and why in `error`.

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
    """Every result.json, not below a folder that has one: runs do not lie in runs, but have many files."""
    for above, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        if FILE in files:
            below.clear()
            yield Path(above, FILE)


def _read(file: Path) -> StoredResult:
    try:
        result = reading.read(file)
        if "question" in result:  # of describe.py
            raise ValueError("not the result of a training")
    except (OSError, ValueError) as error:
        return {"status": UNREADABLE, "error": " ".join(str(error).split()), "run_dir": str(file.parent)}
    if result["status"] == "running" and not is_alive(result, file):
        result["status"] = "died"
    return result | {"run_dir": str(file.parent)}


def rank(results: Sequence[StoredResult]) -> Leaderboard:
    """One row per setting, over its seeds and folds; ranked by the mean of the monitored metric, never by the test."""
    unreadable = [result for result in results if result["status"] == UNREADABLE]
    jobs = counted([result for result in results if result["status"] != UNREADABLE])
    settings = defaultdict(list)
    for job in jobs:
        settings[identity(job, replicates=False)].append(job)
    names = columns([group[0] for group in settings.values()])
    shown = names[:MAX_COLUMNS]
    rows = [row_of(group, shown) for group in [*settings.values(), *([each] for each in unreadable)]]
    metrics = list(dict.fromkeys(row.metric for row in rows))
    rows = list(_ranked(sorted(rows, key=lambda row: _place(row, metrics))))
    remarks = [f"{each['run_dir']}/{FILE} cannot be read: {each['error']}" for each in unreadable[:MAX_FILES]]
    if more := len(unreadable) - len(remarks):
        remarks.append(f"nor can {more:,} more, which jobs.csv names")
    if more := len(names) - len(shown):
        remarks.append(f"{more:,} more settings differ, and have no column")
    remarks += _unranked(rows) + [_tie(rows, metric) for metric in metrics if metric and _tied(rows, metric)]
    if on_train := sum(row.is_tested_on_train for row in rows):
        remarks.append(f"the test of {_settings_are(on_train)} on the training split (data.test_on_train=true)")
    return Leaderboard(shown, rows, Counter(job["status"] for job in [*jobs, *unreadable]), remarks)


def _unranked(rows: Sequence[Row]) -> list[str]:
    """Why rows that completed have no rank."""
    told = []
    partly = sum(row.best.n > 0 and not row.is_whole for row in rows)
    without = sum(bool(row.completed) and not row.best.n for row in rows)
    if partly:
        told.append(
            f"{_settings_are(partly)} not ranked, because not all of {'its' if partly == 1 else 'their'} seeds have a "
            "value: a mean over those that survived flatters"
        )
    if without:
        told.append(
            f"{_settings_are(without)} not ranked: without validation (data.val_size=0) there is nothing to select by, "
            "and the test split is not for that"
        )
    return told


def _settings_are(count: int) -> str:
    return "1 setting is" if count == 1 else f"{count:,} settings are"


def _tied(rows: Sequence[Row], metric: str) -> list[Row]:
    """The rows that share the first rank, if there are several."""
    first = [row for row in rows if row.rank == 1 and row.metric == metric]
    return first if len(first) > 1 else []


def _tie(rows: Sequence[Row], metric: str) -> str:
    first, second, *_ = tied = _tied(rows, metric)
    text = f"{len(tied)} settings share the best {metric}; the first of them "
    if first.loss is not None and (second.loss is None or first.loss < second.loss):
        return f"{text}has the lowest val/loss"
    return f"{text}is no better than the others: val/loss does not tell them apart either"


def counted(results: Sequence[StoredResult]) -> list[StoredResult]:
    """Of results of the same settings and seed one: the completed one, else the newest.

    A job that could not be composed has no settings: it is the same as a later one of the same overrides.
    """
    composed: dict[tuple[str, ...], str] = {}
    chosen: dict[str, StoredResult] = {}
    settled = sorted(results, key=lambda each: (each["status"] == "completed", each.get("started") or ""))
    for result in sorted(settled, key=lambda each: not each.get("settings")):
        same, overrides = identity(result), tuple(result.get("overrides") or ())
        if result.get("settings"):
            composed[overrides] = same
        elif result["status"] != "completed" and overrides in composed:
            continue
        chosen[same] = result
    return sorted(chosen.values(), key=lambda each: each.get("started") or "")


def _place(row: Row, metrics: Sequence[str | None]) -> tuple[Any, ...]:
    """Sorts rows: whole, with some values, without one, unfinished; of a metric the best first; then by setting."""
    if row.best.mean is not None:
        mean = -row.best.mean if row.mode == "max" else row.best.mean
        loss = math.inf if row.loss is None else row.loss
        return 0 if row.is_whole else 1, metrics.index(row.metric), mean, loss, order(row.values)
    status = row.status.partition(":")[0]
    return 2 + (UNFINISHED.index(status) + 1 if status in UNFINISHED else 0), 0, 0.0, 0.0, order(row.values)


def _ranked(rows: Sequence[Row]) -> Iterator[Row]:
    """Sorted rows with their ranks, which begin anew with each metric."""
    for (is_whole, _), group in groupby(rows, key=lambda row: (row.is_whole, row.metric)):
        place, mean = 0, None
        for number, row in enumerate(group, 1):
            if row.best.mean != mean:
                place, mean = number, row.best.mean
            yield replace(row, rank=place) if is_whole else row
