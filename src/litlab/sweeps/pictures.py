"""Which picture shows a leaderboard: it depends on how many settings differ between its rows."""

import csv
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from litlab.escape import printable
from litlab.plots.canvas import Array, shortened
from litlab.plots.setting import Setting
from litlab.plots.sweep import curves, heatmap, line, parallel_coordinates, scatter
from litlab.runs.result import HISTORY, StoredResult
from litlab.sweeps.columns import comparable, order
from litlab.sweeps.leaderboard import Leaderboard
from litlab.sweeps.naming import plain, short_keys
from litlab.sweeps.reading import read_file
from litlab.sweeps.rounding import decimals, spread
from litlab.sweeps.rows import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_SETTINGS = 10  # axes of parallel coordinates
MAX_CURVES = 200  # that are read, of the best rows
MAX_LINES = 6  # in one picture, each of its own colour
FILLED = 0.5  # share of a heatmap's cells up to which it is no grid: a search draws its values at random


def pictures(board: Leaderboard) -> dict[str, "Figure"]:
    """Figures by file name, one for each metric: a line, a heatmap or points, parallel coordinates; or none.

    A row without a rank has a mark instead of its value, if it is known which metric it is of (or there is but one).
    """
    figures: dict[str, Figure] = {}
    alone = len(board.metrics) == 1
    for metric, mode in [(row.metric or "", row.mode) for row in board.winners]:
        rows = [row for row in board.rows if row.metric == metric or (alone and row.metric is None)]
        name, figure = draw(board.columns, rows, metric, mode)
        suffix = "" if alone else f"_{plain(metric.replace('/', '_'))[:50]}"
        if figure is not None:
            figures[f"summary_{name}" + suffix] = figure
        if (figure := _curves(board, rows, metric)) is not None:
            figures[f"summary_curves{suffix}"] = figure
    return figures


def _curves(board: Leaderboard, rows: Sequence[Row], metric: str) -> "Figure | None":
    """The metric of all jobs over their epochs; None where there are not two curves of two epochs."""
    found: list[tuple[Row, list[Array]]] = []
    for row in sorted(rows, key=lambda row: row.rank or len(rows) + 1):
        told = [history for job in row.begun[:MAX_CURVES] if len(history := _history(job, metric)) > 1]
        if told:
            found.append((row, told))
        if sum(len(histories) for _, histories in found) >= MAX_CURVES:
            break
    if sum(len(histories) for _, histories in found) < 2:
        return None
    short = short_keys(board.columns)
    labels = [
        ", ".join(
            f"{short[name]}={Setting(name, [v]).labels[0]}" for name, v in zip(board.columns, row.values, strict=True)
        )
        for row, _ in found[:MAX_LINES]
    ]
    return curves([histories for _, histories in found], [shortened(each, 60) for each in labels], metric)


def _history(job: StoredResult, metric: str) -> Array:
    """The metric of each epoch of a job, shape (epochs,), NaN where there is none; empty where nothing tells."""
    try:
        lines = list(csv.DictReader(read_file(Path(job["run_dir"], HISTORY)).decode().splitlines()))
        values = [float(line.get(metric) or "nan") for line in lines]
    except (OSError, ValueError, csv.Error):  # of an earlier version, or anyone's
        return np.empty(0)
    return np.array(values) if np.isfinite(values).any() else np.empty(0)


def draw(columns: Sequence[str], rows: Sequence[Row], metric: str, mode: str) -> tuple[str, "Figure | None"]:
    """What kind of picture these rows make, and the picture."""
    ran = sorted(rows, key=_begun)
    settings = {number: _setting(name, [row.values[number] for row in ran]) for number, name in enumerate(columns)}
    settings = {number: setting for number, setting in settings.items() if len(setting.values) > 1}
    numbers = list(settings)[:MAX_SETTINGS]
    means = np.array([np.nan if row.best.mean is None or not row.is_whole else row.best.mean for row in rows])
    marks = {number: _mark(row) for number, row in enumerate(rows) if not row.is_whole}
    if len(numbers) == 1:
        return "line", _lines(rows, numbers[0], settings[numbers[0]], means, marks, metric)
    if len(numbers) == 2:
        first, second = settings.values()
        if len(rows) <= FILLED * len(first.values) * len(second.values):
            for across, names in (numbers, numbers[::-1]):  # numbers along the axis, a line for each name
                setting, groups = settings[across], settings[names]
                if setting.is_numeric and not groups.is_numeric and len(groups.values) <= MAX_LINES:
                    return "line", _lines(rows, across, setting, means, marks, metric, (names, groups))
            points = np.stack([settings[n].positions(row.values[n] for row in rows) for n in numbers], axis=1)
            return "scatter", scatter((first, second), points, means, marks, metric, mode)
        cells = [(_number(first, row.values[numbers[0]]), _number(second, row.values[numbers[1]])) for row in rows]
        grid = np.full((len(first.values), len(second.values)), np.nan)
        grid[tuple(np.transpose(cells))] = means
        digits = decimals([row.best for row in rows])
        texts = [marks.get(number) or spread(replace(row.best, std=None), digits) for number, row in enumerate(rows)]
        return "heatmap", heatmap(first, second, grid, dict(zip(cells, texts, strict=True)), metric, mode)
    if len(numbers) >= 2:
        values = [[row.values[number] for number in numbers] for row in rows]
        return "parallel", parallel_coordinates([settings[n] for n in numbers], values, means, metric, mode)
    return "", None


def _lines(
    rows: Sequence[Row],
    across: int,
    setting: Setting,
    means: Array,
    marks: Mapping[int, str],
    metric: str,
    of: tuple[int, Setting] | None = None,
) -> "Figure":
    """A line of the rows over the setting of column `across`; `of` another column, one for each of its values."""
    number, groups = of or (across, None)
    shape = (len(groups.values) if groups else 1, len(setting.values))
    line_means, stds = np.full((2, *shape), np.nan)
    group_of = [_number(groups, row.values[number]) if groups else 0 for row in rows]
    places = [(group, _number(setting, row.values[across])) for group, row in zip(group_of, rows, strict=True)]
    for cell, mean, row in zip(places, means, rows, strict=True):
        line_means[cell], stds[cell] = mean, np.nan if row.best.std is None else row.best.std
    words: dict[int, dict[str, None]] = defaultdict(dict)
    for marked, mark in marks.items():
        group, place = places[marked]
        words[place][f"{groups.labels[group]}: {mark}" if groups else mark] = None
    texts = {place: ", ".join(told) for place, told in words.items()}
    over = " and ".join(dict.fromkeys(name for row in rows for name in row.replicates))
    return line(setting, line_means, stds, texts, metric, groups, over)


def _setting(name: str, values: Sequence[Any]) -> Setting:
    """Its distinct values: numbers by size, others in the order given."""
    distinct = {comparable([value]): value for value in values}
    return Setting(printable(name), sorted(distinct.values(), key=lambda value: order([value])[0][:2]))


def _begun(row: Row) -> tuple[str, int, str]:
    """Sorts rows as their first jobs were begun: by the number of its folder, for several may begin in one second."""
    jobs = [(Path(job["run_dir"]), str(job.get("started") or "")) for job in row.begun]
    return min(
        (str(path.parent), int(number[0] if (number := re.match(r"\d+", path.name)) else 0), when)
        for path, when in jobs
    )


def _number(setting: Setting, value: Any) -> int:
    return [comparable([each]) for each in setting.values].index(comparable([value]))


def _mark(row: Row) -> str:
    return f"{row.best.n} of {len(row.jobs)}" if row.best.n else row.status.partition(":")[0]
