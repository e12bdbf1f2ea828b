"""Which picture shows a leaderboard: it depends on how many settings differ between its rows."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from litlab.plots.search import scatter
from litlab.plots.setting import Setting
from litlab.plots.sweep import heatmap, line, parallel_coordinates
from litlab.sweeps.columns import comparable, order
from litlab.sweeps.digits import decimals, spread
from litlab.sweeps.rows import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from litlab.sweeps.leaderboard import Leaderboard

MAX_SETTINGS = 10  # axes of parallel coordinates
FILLED = 0.5  # share of a heatmap's cells up to which it is no grid: a search draws its values at random


def pictures(board: "Leaderboard") -> dict[str, "Figure"]:
    """Figures by file name, one for each metric: a line, a heatmap or points, parallel coordinates; or none.

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
    ran = sorted(rows, key=_begun)
    settings = {number: _setting(name, [row.values[number] for row in ran]) for number, name in enumerate(columns)}
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
        marks = {number: _mark(row) for number, row in enumerate(rows) if row.best.mean is None}
        if len(rows) <= FILLED * len(first.values) * len(second.values):
            points = np.stack([settings[n].places(row.values[n] for row in rows) for n in numbers], axis=1)
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


def _setting(name: str, values: Sequence[Any]) -> Setting:
    """Its distinct values: numbers by size, others in the order given."""
    distinct = {comparable([value]): value for value in values}
    return Setting(name, sorted(distinct.values(), key=lambda value: order([value])[0][:2]))


def _begun(row: Row) -> tuple[str, int, str]:
    """Sorts rows as their first jobs were begun: by the number of its folder, for several may begin in one second."""
    jobs = [(Path(job.get("run_dir") or "."), str(job.get("started") or "")) for job in row.jobs]
    return min(
        (str(path.parent), int(number[0] if (number := re.match(r"\d+", path.name)) else 0), when)
        for path, when in jobs
    )


def _number(setting: Setting, value: Any) -> int:
    return [comparable([each]) for each in setting.values].index(comparable([value]))


def _mark(row: Row) -> str:
    return row.status.partition(":")[0]
