"""A sweep's metric over one setting, two or more, and over the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from litlab.plots.canvas import COLOURS, GREY, ORANGE, Array, is_slanted, label_ticks, new_figure
from litlab.plots.setting import Setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

LINES = ("-", "--", ":", "-.")  # of the named curves: the next when the colours are used up
MAX_BOLD = 20  # rows; of more, those without a name are pale
MAX_CELLS = 20  # rows or columns of a heatmap with numbers in its cells
OUTLIER = 20  # times the median distance from the best; a wider range leaves most settings one colour


def heatmap(
    rows: Setting, columns: Setting, means: Array, texts: Mapping[tuple[int, int], str], metric: str, mode: str
) -> Figure:
    """The metric of each pair of values, darker where it is better, the best ones framed.

    Args:
        rows: the setting of the R rows.
        columns: the setting of the C columns.
        means: shape (R, C); NaN where there is none.
        texts: what to write in a cell, by row and column: the number, or such as `failed`; none where no job is.
        metric: its name.
        mode: max or min, what is better.
    """
    from matplotlib.patches import Rectangle

    height, width = means.shape
    beside, below = (max(map(len, setting.labels)) for setting in (rows, columns))
    room = 0.05 * below if is_slanted(columns.labels) else 0
    figure, axes = new_figure(min(2.4 + 0.08 * beside + 0.75 * width, 14), min(1.5 + room + 0.5 * height, 11))
    low, high = colour_range(means, mode)
    image = axes.imshow(means, cmap=_colours(mode), vmin=low, vmax=high, aspect="auto")
    _explain_colours(axes, image, means, metric, "framed")
    for axis, setting in ((axes.xaxis, columns), (axes.yaxis, rows)):
        label_ticks(axis, range(len(setting.values)), setting.labels, most=40)
    if max(height, width) <= MAX_CELLS:
        middle = (low + high) / 2
        for (row, column), mean in np.ndenumerate(means):
            is_dark = mean > middle if mode == "max" else mean < middle
            colour = ("white" if is_dark else "black") if np.isfinite(mean) else ORANGE
            text = axes.text(column, row, texts.get((row, column), "-"), fontsize=8, color=colour, in_layout=False)
            text.set(ha="center", va="center")
    axes.set_facecolor("#E4E4E4")  # where there is no value
    for row, column in np.argwhere(means == (high if mode == "max" else low)):
        corner = (column - 0.5, row - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=ORANGE, linewidth=2, clip_on=False))
    axes.set(xlabel=columns.name, ylabel=rows.name)
    return figure


def scatter(
    settings: tuple[Setting, Setting], positions: Array, means: Array, marks: Mapping[int, str], metric: str, mode: str
) -> Figure:
    """The metric of each of N trials as the colour of a point: darker where better, the best ones ringed.

    For a search over two settings, where a grid would be mostly empty.

    Args:
        settings: of the horizontal axis, and of the vertical one.
        positions: of the trials on these axes (`Setting.positions`), shape (N, 2).
        means: the metric, shape (N,); NaN where there is none: a cross.
        marks: what to write beside a cross, by the number of the trial, such as `failed`.
        metric: its name.
        mode: max or min, what is better.
    """
    figure, axes = new_figure(7.2, 5.2)
    known, (low, high) = np.isfinite(means), colour_range(means, mode)
    order = np.flatnonzero(known)[np.argsort(means[known] if mode == "max" else -means[known], kind="stable")]
    style: Any = {"cmap": _colours(mode), "vmin": low, "vmax": high, "edgecolors": "black", "linewidths": 0.5}
    points = axes.scatter(positions[order, 0], positions[order, 1], s=60, c=means[order], zorder=2, **style)
    best = positions[means == (high if mode == "max" else low)]
    axes.scatter(best[:, 0], best[:, 1], s=160, facecolors="none", edgecolors=ORANGE, linewidths=2, zorder=3)
    axes.scatter(positions[~known, 0], positions[~known, 1], marker="x", color=ORANGE, zorder=2)
    for number, mark in marks.items():
        axes.annotate(
            mark, positions[number], (0, 6), textcoords="offset points", ha="center", fontsize=8, color=ORANGE
        )
    _explain_colours(axes, points, means, metric, "ringed")
    for axis, setting in zip((axes.xaxis, axes.yaxis), settings, strict=True):
        setting.draw_ticks(axis, most=5)  # of values drawn at random, more labels would overlap
    axes.set(xlabel=settings[0].name, ylabel=settings[1].name)
    axes.grid(alpha=0.3)
    return figure


def line(
    setting: Setting,
    means: Array,
    stds: Array,
    marks: Mapping[int, str],
    metric: str,
    groups: Setting | None = None,
    over: str = "seeds",
) -> Figure:
    """The metric over the values of one setting, with standard deviations: a line on a scale, else points.

    Args:
        setting: its N values.
        means: shape (N,), or (G, N) for `groups`; NaN where there is none.
        stds: of the same shape; NaN or 0 where there is none.
        marks: what to write where there is no mean, by the value's number, such as `failed`.
        metric: its name.
        groups: a setting of G values, which has a line for each of them.
        over: what the means are taken over.
    """
    figure, axes = new_figure(6.4 if setting.has_scale else max(6.0, min(1.5 + 0.6 * len(setting.values), 12)), 4.2)
    positions, bars = setting.positions(setting.values), np.nan_to_num(np.atleast_2d(stds))
    for number, row in enumerate(np.atleast_2d(means)):
        known = np.isfinite(row)
        errors = bars[number][known]
        style: Any = {"marker": "osD^vP"[number % 6], "color": COLOURS[number % len(COLOURS)], "capsize": 3}
        style |= {"linestyle": "-" if setting.has_scale else "none", "markersize": 5}
        label = groups.labels[number] if groups else None
        axes.errorbar(positions[known], row[known], errors if errors.any() else None, label=label, **style)
    for number, mark in marks.items():
        x = positions[number]
        axes.axvline(x, color=GREY, linestyle=":")
        axes.annotate(mark, (x, 0.03), xycoords=("data", "axes fraction"), rotation=90, color=ORANGE, ha="right")
    setting.draw_ticks(axes.xaxis, most=10)
    if not setting.has_scale:
        axes.margins(x=0.5 / len(positions))
    if groups:
        axes.legend(title=groups.name)
    axes.set(xlabel=setting.name, ylabel=metric)
    axes.set_title(f"mean and standard deviation over {over}" if bars.any() else metric, fontsize=10)
    axes.grid(alpha=0.3)
    return figure


def curves(histories: Sequence[Sequence[Array]], labels: Sequence[str], metric: str) -> Figure:
    """A metric over the epochs: the mean of each named row in its own colour, its jobs thin; all other jobs grey.

    Args:
        histories: of each row those of its jobs, each of shape (epochs,), NaN where the metric was not computed.
        labels: of the first rows, the best first; the others are drawn beneath, without a name.
        metric: its name.
    """
    figure, axes = new_figure(8.5 if max(map(len, labels), default=0) > 30 else 7.2, 4.6)
    _draw_curves(axes, histories, labels, metric)
    if any(labels):  # one row of seeds has no name
        axes.legend(reverse=True, fontsize=8)
    return figure


def curves_beside(panels: Mapping[str, Sequence[Sequence[Array]]], labels: Sequence[str]) -> Figure:
    """`curves` of several metrics, a panel each, with one legend beside them.

    Args:
        panels: the histories by metric, as `curves` takes them; a row may have none.
        labels: of all rows.
    """
    figure, _ = new_figure(5.0 * len(panels) + 1.0 + 0.07 * max(map(len, labels)), 4.6, axes=False)
    widths = [5.0] * len(panels) + [0.6 + 0.07 * max(map(len, labels))]
    *all_axes, beside = figure.subplots(1, len(panels) + 1, width_ratios=widths)
    for axes, (metric, histories) in zip(all_axes, panels.items(), strict=True):
        _draw_curves(axes, histories, labels, metric)
    named = {label: line for axes in all_axes for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    beside.set_axis_off()
    shown = [label for label in labels if label in named]
    beside.legend([named[label] for label in shown], shown, loc="center left", fontsize=8, frameon=False)
    return figure


def _draw_curves(axes: Axes, histories: Sequence[Sequence[Array]], labels: Sequence[str], metric: str) -> None:
    for number, row in reversed(list(enumerate(histories))):  # the best lies on top
        named = number < len(labels)
        colour = COLOURS[number % len(COLOURS)] if named else GREY
        for history in row:
            known = np.isfinite(history)
            is_thin = len(row) > 1 if named else len(histories) > MAX_BOLD
            style: dict[str, Any] = {"linewidth": 0.8, "alpha": 0.45} if is_thin else {"linewidth": 1.2}
            style |= {"marker": "."} if known.sum() == 1 else {}
            axes.plot(np.flatnonzero(known) + 1, history[known], color=colour, zorder=1 + named, **style)
        if not named or not row:
            continue
        length = min(map(len, row))  # beyond, the mean would be over fewer jobs
        mean = np.mean([history[:length] for history in row], axis=0)
        known = np.isfinite(mean)
        dashes = LINES[number // len(COLOURS) % len(LINES)]
        style = {"linestyle": dashes, "marker": "." if known.sum() == 1 else None}
        axes.plot(
            np.flatnonzero(known) + 1, mean[known], color=colour, linewidth=2, label=labels[number], zorder=3, **style
        )
    axes.locator_params("x", integer=True)
    axes.set(xlabel="epoch", ylabel=metric)
    notes = ["thick: the mean over a row's jobs"] if any(len(row) > 1 for row in histories) else []
    notes += [f"grey: the {len(histories) - len(labels):,} other rows"] if len(histories) > len(labels) else []
    axes.set_title("; ".join(notes), fontsize=10)
    axes.grid(alpha=0.3)


def parallel_coordinates(
    settings: Sequence[Setting], values: Sequence[Sequence[Any]], means: Array, metric: str, mode: str
) -> Figure:
    """A line for each row through its value of each setting to its metric: darker where better, the best in orange.

    Args:
        settings: the K settings, an axis each.
        values: of each of the N rows its K values.
        means: the metric, shape (N,); NaN where there is none: these lines are grey and end before it.
        metric: its name.
        mode: max or min, what is better.
    """
    from matplotlib.collections import LineCollection

    figure, axes = new_figure(min(2.5 + 1.6 * len(settings), 18), 4.8)
    known, (low, high) = np.isfinite(means), colour_range(means, mode)
    height = np.nan_to_num((means - low) / (high - low)).clip(0, 1)
    better, marks = height if mode == "max" else 1 - height, metric_marks(means, low, high)
    height = height if len(marks) > 1 else np.full(len(means), marks[0][0])
    ranked = np.flatnonzero(known)[::-1]  # of equal ones the first row is the best, which is drawn last, on top
    ranked = ranked[np.argsort(better[ranked], kind="stable")]
    offsets = np.empty(len(means))
    offsets[[*np.flatnonzero(~known), *ranked]] = np.linspace(-0.02, 0.02, len(means))  # equal values side by side
    heights = [setting.fractions([row[k] for row in values]) + offsets for k, setting in enumerate(settings)]
    lines = np.stack(np.broadcast_arrays(np.arange(len(heights) + 1), np.transpose([*heights, height])), axis=2)
    axes.add_collection(LineCollection(list(lines[~known, :-1]), colors=GREY, linestyles=":", linewidths=1))
    palest = 0.25  # paler lines cannot be seen on white
    drawn = LineCollection(list(lines[ranked]), cmap="Blues", linewidths=1.5 if len(means) < 200 else 0.6)
    drawn.set(array=better[ranked] * (1 - palest) + palest, clim=(0, 1))
    axes.add_collection(drawn)
    axes.plot(*lines[ranked[-1]].T, color=ORANGE, linewidth=2.5, marker="o", markersize=5)
    for k, setting in enumerate(settings):
        _draw_coordinate(axes, k, setting.marks())
    _draw_coordinate(axes, len(settings), marks)
    axes.set_xticks(range(len(settings) + 1), [*(setting.name for setting in settings), metric])
    axes.set(xlim=(-0.15, len(settings) + 0.35), ylim=(-0.05, 1.05), yticks=[])
    axes.spines[:].set_visible(False)
    note = "" if known.all() else "; dotted: did not complete"
    axes.set_title(f"{metric}: the best is orange{note}", fontsize=10)
    return figure


def _draw_coordinate(axes: Axes, x: float, marks: Sequence[tuple[float, str]]) -> None:
    from matplotlib.patheffects import withStroke

    axes.axvline(x, color="black", linewidth=0.8)
    for height, label in marks:
        text = axes.annotate(label, (x, height), (5, 0), textcoords="offset points", va="center", fontsize=8)
        text.set_path_effects([withStroke(linewidth=3, foreground="white")])  # legible on top of lines


def metric_marks(means: Array, low: float, high: float) -> list[tuple[float, str]]:
    """What to write along the axis of a metric, as (fraction, label); of equal values the one, in the middle.

    Args:
        means: NaN where there is none.
        low, high: its ends, see `colour_range`, which are apart even if the values are equal.
    """
    lowest, highest = np.nanmin(means), np.nanmax(means)
    if lowest == highest:
        return [(0.5, f"{lowest:.4g}")]
    labels = [f"{low + fraction * (high - low):.4g}" for fraction in np.linspace(0, 1, 5)]
    labels[0] = f"≤ {labels[0]}" if lowest < low else labels[0]
    labels[-1] = f"≥ {labels[-1]}" if highest > high else labels[-1]
    return list(zip(np.linspace(0, 1, 5).tolist(), labels, strict=True))


def colour_range(means: Array, mode: str) -> tuple[float, float]:
    """The lowest and highest value that get colours of their own: from the worst to the best.

    But a diverged setting must not make all others look the same: values farther from the best than OUTLIER times the
    median distance are beyond the colours.
    """
    known, sign = means[np.isfinite(means)], 1 if mode == "max" else -1
    best, middle = float((sign * known).max()) * sign, float(np.median(known))
    usual = abs(best - middle) or (abs(best) or 1.0) / 3
    worst = float((sign * known[abs(known - best) <= OUTLIER * usual]).min()) * sign
    if abs(known - best).max() > OUTLIER * usual and abs(worst - best) < 3 * usual:
        worst = best - sign * 3 * usual
    if worst == best:
        worst = best - sign * 3e-3 * usual
    return (worst, best) if mode == "max" else (best, worst)


def _colours(mode: str) -> str:
    return "Blues" if mode == "max" else "Blues_r"


def _explain_colours(axes: Axes, drawn: ScalarMappable, means: Array, metric: str, mark: str) -> None:
    """A title, and a bar that is pointed where values are beyond its ends; of equal values the title says theirs."""
    if np.nanmin(means) == np.nanmax(means):
        axes.set_title(f"{metric}: {np.nanmax(means):.4g}", fontsize=10)
        return
    axes.set_title(f"{metric}: the best is {mark}", fontsize=10)
    low, high = drawn.get_clim()
    below, above = np.nanmin(means) < low, np.nanmax(means) > high
    extend = "both" if below and above else "min" if below else "max" if above else "neither"
    axes.figure.colorbar(drawn, label=metric, ax=axes, extend=extend)
