"""What a search found over two settings: a point for each trial, where a grid would be mostly empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from litlab.plots.canvas import MAX_LABELS, ORANGE, Array, log_axis, new_figure
from litlab.plots.setting import Setting
from litlab.plots.sweep import colour_bar, shown_range

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_TICKS = 5  # values of a number that are written where they are; drawn at random, more would cover each other


def scatter(
    settings: tuple[Setting, Setting], places: Array, means: Array, marks: Mapping[int, str], metric: str, mode: str
) -> Figure:
    """The metric of each of N trials as the colour of a point: darker where better, the best ones ringed.

    Args:
        settings: of the horizontal axis, and of the vertical one.
        places: where the trials are on these axes (`Setting.places`), shape (N, 2).
        means: the metric, shape (N,); NaN where there is none: a cross.
        marks: what to write beside a cross, by the number of the trial, such as `failed`.
        metric: its name.
        mode: max or min, what is better.
    """
    figure, axes = new_figure(7.2, 5.2)
    known, (low, high) = np.isfinite(means), shown_range(means, mode)
    order = np.flatnonzero(known)[np.argsort(means[known] if mode == "max" else -means[known], kind="stable")]
    points = axes.scatter(
        places[order, 0],
        places[order, 1],
        s=60,
        c=means[order],
        cmap="Blues" if mode == "max" else "Blues_r",
        vmin=low,
        vmax=high,
        edgecolors="black",
        linewidths=0.5,
        zorder=2,
    )
    best = places[means == (high if mode == "max" else low)]
    axes.scatter(best[:, 0], best[:, 1], s=160, facecolors="none", edgecolors=ORANGE, linewidths=2, zorder=3)
    axes.scatter(places[~known, 0], places[~known, 1], marker="x", color=ORANGE, zorder=2)
    for number, mark in marks.items():
        axes.annotate(mark, places[number], (0, 6), textcoords="offset points", ha="center", fontsize=8, color=ORANGE)
    colour_bar(figure, axes, points, means, (low, high), metric)
    _ticks(axes, "x", settings[0])
    _ticks(axes, "y", settings[1])
    axes.set(xlabel=settings[0].name, ylabel=settings[1].name)
    axes.grid(alpha=0.3)
    axes.set_title(f"{metric}: the best is ringed", fontsize=10)
    return figure


def _ticks(axes: Axes, which: Literal["x", "y"], setting: Setting) -> None:
    from matplotlib.ticker import LogLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    if setting.logarithmic:
        log_axis(axes, which)
        few = max(setting.values) <= 100 * min(setting.values)
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    count = len(setting.values)
    if not setting.numeric or count <= MAX_TICKS:
        step = -(-count // (2 * MAX_TICKS if setting.numbers else MAX_LABELS))
        axis.set_ticks(setting.places(setting.values)[::step], setting.labels[::step])
