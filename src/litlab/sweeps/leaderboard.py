"""The leaderboard of a sweep, from its jobs' result.json alone: one row per setting, ranked by validation."""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from litlab.errors import RequestError
from litlab.results import FILE, Result, is_alive
from litlab.sweeps.columns import columns, identity, order
from litlab.sweeps.rows import UNFINISHED, Row, row_of

UNREADABLE = "unreadable"  # the status of a file that is no result of a training


@dataclass(frozen=True)
class Leaderboard:
    """Rows: the ranked ones, the best first; then those without a value, then those that did not complete."""

    columns: list[str]
    rows: list[Row]
    jobs: Counter[str]  # how many there are of each status
    remarks: list[str] = field(default_factory=list)
    made: datetime = field(default_factory=lambda: datetime.now().astimezone())

    @property
    def metrics(self) -> list[tuple[str, str]]:
        """What the rows are ranked by, each with its mode: one, if not several sweeps are joined."""
        return list(dict.fromkeys((row.metric, row.mode) for row in self.rows if row.metric and row.rank))

    @property
    def winners(self) -> list[Row]:
        """The first row of each metric."""
        return [next(row for row in self.rows if row.rank and row.metric == metric) for metric, _ in self.metrics]

    def write(self, folder: Path) -> None:
        """Write summary.csv, summary.md and the pictures to `folder`, each whole or not at all."""
        from litlab.sweeps.summary import write

        write(self, folder)


def summarize(folders: Sequence[Path], out: Path | None = None, not_begun: int = 0) -> Leaderboard:
    """Read, rank and write to `out`, or else to the first folder.

    Args:
        folders: of sweeps.
        out: where to write.
        not_begun: jobs that left no result, because the sweep was stopped before.

    Raises:
        RequestError: there is no such folder, or no result below it.
    """
    board = rank(read(folders))
    if not_begun:
        board.jobs["not begun"] = not_begun
    board.write(out or folders[0])
    return board


def read(folders: Sequence[Path]) -> list[Result]:
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


def _read(file: Path) -> Result:
    try:
        result = json.loads(file.read_bytes())
        known = isinstance(result, dict) and isinstance(result.get("status"), str) and "question" not in result
        error = None if known else "not the result of a training"
    except (OSError, ValueError) as fault:
        error = " ".join(str(fault).split())
    if error:
        return {"status": UNREADABLE, "error": error, "run_dir": str(file.parent)}
    if result["status"] == "running" and not is_alive(result, file):
        result["status"] = "died"
    return result | {"run_dir": str(file.parent)}


def rank(results: Sequence[Result]) -> Leaderboard:
    """One row per setting, over its seeds; ranked by the mean of the monitored metric, never by a test metric."""
    unreadable = [result for result in results if result["status"] == UNREADABLE]
    jobs = counted([result for result in results if result["status"] != UNREADABLE])
    settings = defaultdict(list)
    for job in jobs:
        settings[identity(job, seed=False)].append(job)
    names = columns([group[0] for group in settings.values()])
    rows = [row_of(group, names) for group in settings.values()]
    metrics = list(dict.fromkeys(row.metric for row in rows))
    rows.sort(key=lambda row: _place(row, metrics))
    remarks = [f"{result['run_dir']}/{FILE} is left out: {result['error']}" for result in unreadable]
    if unranked := sum(bool(row.completed) and row.best.mean is None for row in rows):
        one, verb = ("setting", "is") if unranked == 1 else ("settings", "are")
        remarks.append(
            f"{unranked} {one} {verb} not ranked: without validation (data.val_size=0) there is nothing to select by, "
            "and the test split is not for that"
        )
    return Leaderboard(names, list(_ranked(rows)), Counter(job["status"] for job in jobs), remarks)


def counted(results: Sequence[Result]) -> list[Result]:
    """Of results of the same settings and seed one: the completed one, else the newest.

    A job that could not be composed has no settings: it is the same as a later one of the same overrides.
    """
    composed: dict[tuple[str, ...], str] = {}
    chosen: dict[str, Result] = {}
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
    """Sorts rows: ranked, without a value, unfinished; within each metric the best first; then by setting."""
    if row.best.mean is not None:
        return 0, metrics.index(row.metric), -row.best.mean if row.mode == "max" else row.best.mean, order(row.values)
    status = row.status.partition(":")[0]
    return 1 + (UNFINISHED.index(status) + 1 if status in UNFINISHED else 0), 0, 0.0, order(row.values)


def _ranked(rows: Sequence[Row]) -> Iterator[Row]:
    """Sorted rows with their ranks, which begin anew with each metric."""
    for (has_value, _), group in groupby(rows, key=lambda row: (row.best.mean is not None, row.metric)):
        place, mean = 0, None
        for number, row in enumerate(group, 1):
            if row.best.mean != mean:
                place, mean = number, row.best.mean
            yield replace(row, rank=place) if has_value else row
