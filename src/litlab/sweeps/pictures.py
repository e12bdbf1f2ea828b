"""The pictures of a leaderboard; which one shows the metric depends on how many settings differ between its rows."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from litlab.escape import printable
from litlab.plots.canvas import Array, shortened
from litlab.plots.setting import Setting
from litlab.plots.sweep import curves, heatmap, line, parallel_coordinates, scatter
from litlab.runs.history import read_history
from litlab.sweeps.job_result import JobResult, comparable, sort_key
from litlab.sweeps.leaderboard import Leaderboard
from litlab.sweeps.naming import short_keys, slug
from litlab.sweeps.rows import Row, decimals, replicates

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_SETTINGS = 10  # axes of parallel coordinates
MAX_CURVES = 200  # that are read, of the best rows
MAX_LINES = 6  # in one picture, each in its own colour
FILLED = 0.5  # fraction of a heatmap's cells up to which it is no grid: a search draws its values at random


@dataclass(frozen=True)
class Column:
    """A setting that differs between the rows, and its value in each of them."""

    setting: Setting
    values: list[Any]

    @property
    def indices(self) -> list[int]:
        """The index of each row's value among the setting's values."""
        index = {comparable([value]): number for number, value in enumerate(self.setting.values)}
        return [index[comparable([value])] for value in self.values]


def pictures(board: Leaderboard) -> dict[str, "Figure"]:
    """Figures by file name, for each metric: of the metric over the settings, and over the epochs.

    Rows without a rank are marked, if it is known which metric they are of (or there is but one).
    """
    figures: dict[str, Figure | None] = {}
    for metric, mode, rows in by_metric(board):
        kind, figure = draw(board.columns, rows, metric, mode)
        suffix = "" if len(board.metrics) == 1 else f"_{slug(metric.replace('/', '_'))[:50]}"
        figures |= {f"summary_{kind}{suffix}": figure, f"summary_curves{suffix}": _curves(board, rows, metric)}
    return {name: figure for name, figure in figures.items() if figure is not None}


def by_metric(board: Leaderboard) -> Iterator[tuple[str, str, list[Row]]]:
    """For each winner its metric, the mode, and the metric's rows; a single one has those of an unknown metric, too."""
    alone = len(board.metrics) == 1
    for winner in board.winners:
        rows = [row for row in board.rows if row.metric == winner.metric or (alone and row.metric is None)]
        yield winner.metric or "", winner.mode, rows


def draw(columns: Sequence[str], rows: Sequence[Row], metric: str, mode: str) -> tuple[str, "Figure | None"]:
    """The kind of picture that shows the metric of these rows, and the picture; none where no setting differs."""
    swept = differing(columns, rows)
    if len(swept) == 1:
        return "line", _lines(rows, swept[0], None, metric)
    if len(swept) == 2:
        first, second = swept
        if len(rows) > FILLED * len(first.setting.values) * len(second.setting.values):
            return "heatmap", _heatmap(rows, first, second, metric, mode)
        for across, groups in ((first, second), (second, first)):  # numbers along the axis, a line for each name
            is_named = not groups.setting.is_numeric and len(groups.setting.values) <= MAX_LINES
            if across.setting.is_numeric and is_named:
                return "line", _lines(rows, across, groups, metric)
        positions = np.stack([column.setting.positions(column.values) for column in swept], axis=1)
        settings = first.setting, second.setting
        return "scatter", scatter(settings, positions, means_of(rows), _marks(rows), metric, mode)
    if swept:
        values = list(zip(*(column.values for column in swept), strict=True))
        return "parallel", parallel_coordinates([each.setting for each in swept], values, means_of(rows), metric, mode)
    return "", None


def differing(columns: Sequence[str], rows: Sequence[Row]) -> list[Column]:
    """The columns with several values: numbers are sorted, others are in the order in which their jobs began."""
    found = []
    for number, name in enumerate(columns):
        distinct = {comparable([row.values[number]]): row.values[number] for row in sorted(rows, key=_begun)}
        if len(distinct) > 1:
            ordered = sorted(distinct.values(), key=lambda value: sort_key([value])[0][:2])
            found.append(Column(Setting(printable(name), ordered), [row.values[number] for row in rows]))
    return found[:MAX_SETTINGS]


def _begun(row: Row) -> tuple[str, int, str]:
    """Sorts rows by the start of their first job: by the folder's number, as several may start in the same second."""
    jobs = [(job.run_dir, job.started) for job in row.jobs if job.run_dir is not None]
    numbered = [(folder, re.match(r"\d+", folder.name), started) for folder, started in jobs]
    return min((str(folder.parent), int(number[0]) if number else 0, started) for folder, number, started in numbered)


def means_of(rows: Sequence[Row]) -> Array:
    """The metric of N rows, shape (N,), NaN where it has none over all of its seeds and folds."""
    return np.array([row.best.mean if row.is_complete else np.nan for row in rows], dtype=float)


def _marks(rows: Sequence[Row]) -> dict[int, str]:
    """What to write in place of a mean, by the number of the row."""
    return {
        number: f"{row.best.n} of {len(row.jobs)}" if row.completed and row.best.n else row.status.partition(":")[0]
        for number, row in enumerate(rows)
        if not row.is_complete
    }


def _heatmap(rows: Sequence[Row], first: Column, second: Column, metric: str, mode: str) -> "Figure":
    grid = np.full((len(first.setting.values), len(second.setting.values)), np.nan)
    grid[first.indices, second.indices] = means_of(rows)
    digits = decimals([row.best for row in rows])
    texts = {number: replace(row.best, std=None).text(digits) for number, row in enumerate(rows)} | _marks(rows)
    cells = zip(first.indices, second.indices, strict=True)
    return heatmap(first.setting, second.setting, grid, dict(zip(cells, texts.values(), strict=True)), metric, mode)


def _lines(rows: Sequence[Row], across: Column, groups: Column | None, metric: str) -> "Figure":
    """The metric over the setting of `across`: one line, or one for each value of `groups`."""
    of_group, labels = (groups.indices, groups.setting.labels) if groups else ([0] * len(rows), [""])
    cells = list(zip(of_group, across.indices, strict=True))
    means, stds = np.full((2, len(labels), len(across.setting.values)), np.nan)
    for cell, mean, row in zip(cells, means_of(rows), rows, strict=True):
        means[cell], stds[cell] = mean, np.nan if row.best.std is None else row.best.std
    texts: dict[int, dict[str, None]] = defaultdict(dict)  # an ordered set of them by index
    for number, mark in _marks(rows).items():
        group, index = cells[number]
        texts[index][f"{labels[group]}: {mark}" if groups else mark] = None
    joined = {index: ", ".join(marked) for index, marked in texts.items()}
    named = groups.setting if groups else None
    return line(across.setting, means, stds, joined, metric, named, replicates(rows))


def _curves(board: Leaderboard, rows: Sequence[Row], metric: str) -> "Figure | None":
    """The metric of the jobs over their epochs; None without two curves of two epochs."""
    ranked = sorted(rows, key=lambda row: row.rank or len(rows) + 1)
    known = ((number, job_history(job, metric)) for number, row in enumerate(ranked) for job in row.started_jobs)
    histories: dict[int, list[Array]] = defaultdict(list)  # by row
    for number, history in islice((each for each in known if len(each[1]) > 1), MAX_CURVES):
        histories[number].append(history)
    if sum(map(len, histories.values())) < 2:
        return None
    labels = [shortened(label(board, ranked[number]), 60) for number in islice(histories, MAX_LINES)]
    return curves(list(histories.values()), labels, metric)


def label(board: Leaderboard, row: Row) -> str:
    """The settings of a row: lr=0.1, batch_size=64."""
    short, values = short_keys(board.columns), zip(board.columns, row.values, strict=True)
    return ", ".join(f"{short[name]}={Setting(name, [value]).labels[0]}" for name, value in values)


def job_history(job: JobResult, metric: str) -> Array:
    """The metric of each epoch of a job, shape (epochs,), NaN where it was not computed; empty if it is unknown."""
    values = np.array(read_history(Path(str(job.run_dir))).get(metric, ()), dtype=float)
    return values if np.isfinite(values).any() else np.empty(0)
