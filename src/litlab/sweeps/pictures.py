"""Which picture shows a leaderboard: it depends on how many settings differ between its rows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from litlab.plots.setting import Setting
from litlab.plots.sweep import heatmap, line, parallel_coordinates
from litlab.sweeps.columns import comparable, order
from litlab.sweeps.rows import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from litlab.sweeps.leaderboard import Leaderboard

MAX_SETTINGS = 10  # axes of parallel coordinates
SPARSE = 2  # times as many cells as rows: a search draws its values at random, and a heatmap would be mostly empty


def pictures(board: "Leaderboard") -> dict[str, "Figure"]:
    """Figures by file name, one for each metric: a line, a heatmap, parallel coordinates; none where nothing differs.

    A row without a value has a mark, if it is known which metric it is of (or there is but one).
    """
    figures = {}
    for metric, mode in board.metrics:
        alone = len(board.metrics) == 1
        rows = [row for row in board.rows if row.metric == metric or (alone and row.metric is None)]
        name, figure = draw(board.columns, rows, metric, mode)
        if figure is not None:
            figures[f"summary_{name}" + ("" if alone else f"_{metric.replace('/', '_')}")] = figure
    return figures


def draw(columns: Sequence[str], rows: Sequence[Row], metric: str, mode: str) -> tuple[str, "Figure | None"]:
    """What kind of picture these rows make, and the picture."""
    settings = {number: _setting(name, [row.values[number] for row in rows]) for number, name in enumerate(columns)}
    settings = {number: setting for number, setting in settings.items() if len(setting.values) > 1}
    numbers = list(settings)[:MAX_SETTINGS]
    means = np.array([np.nan if row.best.mean is None else row.best.mean for row in rows])
    if len(numbers) == 1:
        (setting,) = settings.values()
        places = [_number(setting, row.values[numbers[0]]) for row in rows]
        line_means, stds = np.full((2, len(setting.values)), np.nan)
        line_means[places], stds[places] = means, [np.nan if row.best.std is None else row.best.std for row in rows]
        marks = {place: _mark(row) for place, row in zip(places, rows, strict=True) if row.best.mean is None}
        return "line", line(setting, line_means, stds, marks, metric)
    if len(numbers) == 2:
        first, second = settings.values()
        if len(first.values) * len(second.values) < SPARSE * len(rows) + 8:
            cells = [tuple(_number(settings[n], row.values[n]) for n in numbers) for row in rows]
            grid = np.full((len(first.values), len(second.values)), np.nan)
            grid[tuple(np.transpose(cells))] = means
            marked = {cell: _mark(row) for cell, row in zip(cells, rows, strict=True) if row.best.mean is None}
            return "heatmap", heatmap(first, second, grid, marked, metric, mode)  # type: ignore[arg-type]
    if len(numbers) >= 2:
        values = [[row.values[number] for number in numbers] for row in rows]
        return "parallel", parallel_coordinates([settings[n] for n in numbers], values, means, metric, mode)
    return "", None


def _setting(name: str, values: Sequence[Any]) -> Setting:
    distinct = {comparable([value]): value for value in values}
    return Setting(name, sorted(distinct.values(), key=lambda value: order([value])))


def _number(setting: Setting, value: Any) -> int:
    return [comparable([each]) for each in setting.values].index(comparable([value]))


def _mark(row: Row) -> str:
    return row.status.partition(":")[0]
