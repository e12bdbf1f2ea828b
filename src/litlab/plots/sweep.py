"""What a sweep found: a metric over one swept setting, over two, over more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from litlab.plots.canvas import COLOURS, GREY, MAX_LABELS, ORANGE, Array, log_axis, new_figure
from litlab.plots.setting import Setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

MAX_CELLS = 20  # rows or columns of a heatmap whose cells have numbers in them
OUTLIER = (
    20  # beyond so many times the usual distance from the best, half of the settings would share 5 % of the colours
)


def heatmap(
    rows: Setting, columns: Setting, means: Array, texts: Mapping[tuple[int, int], str], metric: str, mode: str
) -> Figure:
    """The metric of each pair of values, darker where it is better, the best ones framed.

    Args:
        rows: the setting of the R rows.
        columns: the setting of the C columns.
        means: shape (R, C); NaN where there is none.
        texts: what to write, by row and column: the number, or such as `failed`; nothing: there is no job.
        metric: its name.
        mode: max or min, what is better.
    """
    height, width = means.shape
    beside, below = (max(map(len, setting.labels)) for setting in (rows, columns))
    slanted = below > 7
    room = 0.05 * below if slanted else 0
    figure, axes = new_figure(min(2.4 + 0.08 * beside + 0.75 * width, 14), min(1.5 + room + 0.5 * height, 11))
    low, high = shown_range(means, mode)
    image = axes.imshow(means, cmap="Blues" if mode == "max" else "Blues_r", vmin=low, vmax=high, aspect="auto")
    colour_bar(figure, axes, image, means, (low, high), metric)
    for axis, setting, count in ((axes.xaxis, columns, width), (axes.yaxis, rows, height)):
        step = -(-count // 40)  # more labels than this would cover each other
        axis.set_ticks(range(0, count, step), setting.labels[::step])
    if slanted:
        axes.tick_params("x", rotation=40, rotation_mode="xtick")
    if max(height, width) <= MAX_CELLS:
        middle = (low + high) / 2
        for place, mean in np.ndenumerate(means):
            dark = mean > middle if mode == "max" else mean < middle
            colour = ("white" if dark else "black") if np.isfinite(mean) else ORANGE
            text = texts.get(place, "-")
            axes.text(place[1], place[0], text, ha="center", va="center", fontsize=8, color=colour, in_layout=False)
    axes.set_facecolor("#E4E4E4")  # where there is no value
    for row, column in np.argwhere(means == (high if mode == "max" else low)):
        axes.plot(
            column + np.array((-0.5, 0.5, 0.5, -0.5, -0.5)),
            row + np.array((-0.5, -0.5, 0.5, 0.5, -0.5)),
            color=ORANGE,
            linewidth=2,
            clip_on=False,
        )
    axes.set(xlabel=columns.name, ylabel=rows.name)
    axes.set_title(f"{metric}: the best is framed", fontsize=10)
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
    """The metric over the values of one setting, with standard deviations: a line over numbers, else points.

    Args:
        setting: its N values.
        means: shape (N,), or (G, N) for `groups`; NaN where there is none.
        stds: of the same shape; NaN or 0 where there is none.
        marks: what to write where there is no mean, by the value's number, such as `failed`.
        metric: its name.
        groups: a setting of G values, which has a line for each of them.
        over: of what the means are.
    """
    width = max(6.0, min(1.5 + 0.6 * len(setting.values), 12)) if not setting.numeric else 6.4
    figure, axes = new_figure(width, 4.2)
    places, bars = setting.places(setting.values), np.nan_to_num(np.atleast_2d(stds))
    for number, row in enumerate(np.atleast_2d(means)):
        known = np.isfinite(row)
        errors = bars[number][known]
        axes.errorbar(
            places[known],
            row[known],
            errors if errors.any() else None,
            color=COLOURS[number % len(COLOURS)],
            capsize=3,
            linestyle="-" if setting.numeric else "none",
            marker="osD^vP"[number % 6],
            markersize=5,
            label=groups.labels[number] if groups else None,
        )
    for number, mark in marks.items():
        axes.axvline(places[number], color=GREY, linestyle=":")
        axes.annotate(
            mark, (places[number], 0.03), xycoords=("data", "axes fraction"), rotation=90, color=ORANGE, ha="right"
        )
    _ticks(axes, setting, places)
    if groups:
        axes.legend(title=groups.name)
    axes.set(xlabel=setting.name, ylabel=metric)
    axes.set_title(f"mean and standard deviation over {over}" if bars.any() else metric, fontsize=10)
    axes.grid(alpha=0.3)
    return figure


def curves(histories: Sequence[Sequence[Array]], labels: Sequence[str], metric: str) -> Figure:
    """A metric over the epochs: the mean of each named row in a colour of its own, its jobs thin; the others grey.

    Args:
        histories: of each row those of its jobs, each of shape (epochs,), NaN where the metric was not computed.
        labels: of the first rows, the best first; the others are drawn beneath, without a name.
        metric: its name.
    """
    figure, axes = new_figure(8.5 if max(map(len, labels), default=0) > 30 else 7.2, 4.6)
    for number, row in reversed(list(enumerate(histories))):  # the best lies on top
        named = number < len(labels)
        colour = COLOURS[number % len(COLOURS)] if named else GREY
        for history in row:
            known = np.isfinite(history)
            style: dict[str, Any] = {"linewidth": 0.8, "alpha": 0.45} if named and len(row) > 1 else {"linewidth": 1.2}
            style |= {"marker": "."} if known.sum() == 1 else {}
            axes.plot(np.flatnonzero(known) + 1, history[known], color=colour, zorder=1 + named, **style)
        if not named:
            continue
        length = min(map(len, row))  # a mean over fewer jobs, of those that took longest, would be another's
        mean = np.mean([history[:length] for history in row], axis=0)
        known = np.isfinite(mean)
        axes.plot(np.flatnonzero(known) + 1, mean[known], color=colour, linewidth=2, label=labels[number], zorder=3)
    locator: Any = axes.xaxis.get_major_locator()
    locator.set_params(integer=True)
    axes.set(xlabel="epoch", ylabel=metric)
    if any(len(row) > 1 for row in histories):
        axes.set_title("thick: the mean over a row's jobs", fontsize=10)
    axes.grid(alpha=0.3)
    handles, names = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], names[::-1], fontsize=8)
    return figure


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
    known, (low, high) = np.isfinite(means), shown_range(means, mode)
    better = np.nan_to_num((means - low) / (high - low) if mode == "max" else (high - means) / (high - low)).clip(0, 1)
    order = [
        *np.flatnonzero(~known),
        *np.flatnonzero(known)[np.argsort(better[known], kind="stable")],
    ]  # the best on top
    apart = np.empty(len(means))
    apart[order] = np.linspace(-0.02, 0.02, len(means))  # lines through the same values side by side
    heights = [setting.shares([row[k] for row in values]) + apart for k, setting in enumerate(settings)]
    heights.append(better if mode == "max" else 1 - better)
    lines = np.stack(np.broadcast_arrays(np.arange(len(heights)), np.transpose(heights)), axis=2)  # (N, K + 1, 2)
    axes.add_collection(LineCollection(list(lines[~known, :-1]), colors=GREY, linestyles=":", linewidths=1))
    thin, palest = (1.5 if len(means) < 200 else 0.6), 0.25  # paler ones are no lines to see on white
    drawn = LineCollection(list(lines[order][-known.sum() :]), cmap="Blues", linewidths=thin)
    drawn.set(array=better[order][-known.sum() :] * (1 - palest) + palest, clim=(0, 1))
    axes.add_collection(drawn)
    axes.plot(*lines[order[-1]].T, color=ORANGE, linewidth=2.5, marker="o", markersize=5)
    for k, setting in enumerate(settings):
        _label_axis(axes, k, setting.marked())
    labels = [f"{low + share * (high - low):.4g}" for share in np.linspace(0, 1, 5)]
    labels[0] = f"≤ {labels[0]}" if means[known].min() < low else labels[0]
    labels[-1] = f"≥ {labels[-1]}" if means[known].max() > high else labels[-1]
    _label_axis(axes, len(settings), list(zip(np.linspace(0, 1, 5), labels, strict=True)))
    axes.set_xticks(range(len(settings) + 1), [*(setting.name for setting in settings), metric])
    axes.set(xlim=(-0.15, len(settings) + 0.35), ylim=(-0.05, 1.05), yticks=[])
    axes.spines[:].set_visible(False)
    axes.set_title(f"{metric}: the best is orange" + ("; dotted: no value" if not known.all() else ""), fontsize=10)
    return figure


def _label_axis(axes: Axes, place: int, labels: Sequence[tuple[float, str]]) -> None:
    from matplotlib.patheffects import withStroke

    axes.axvline(place, color="black", linewidth=0.8)
    for height, label in labels:
        text = axes.annotate(label, (place, height), (5, 0), textcoords="offset points", va="center", fontsize=8)
        text.set_path_effects([withStroke(linewidth=3, foreground="white")])  # to be read on lines


def shown_range(means: Array, mode: str) -> tuple[float, float]:
    """From where to where a metric is worth its colours: from its worst to its best value.

    But a diverged setting does not make all others look the same: what is farther from the best value than OUTLIER
    times the median is beyond the colours.
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


def colour_bar(
    figure: Figure, axes: Axes, drawn: ScalarMappable, means: Array, ends: tuple[float, float], metric: str
) -> None:
    """What the colours mean; the bar is pointed where values are beyond its ends."""
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    beyond = bool(np.nanmin(means) < ends[0]), bool(np.nanmax(means) > ends[1])
    figure.colorbar(drawn, label=metric, ax=axes, extend=extend[beyond])


def _ticks(axes: Axes, setting: Setting, places: Array) -> None:
    if setting.logarithmic:
        log_axis(axes, "x")
    if not setting.numeric or len(places) <= MAX_LABELS // 2:
        step = -(-len(places) // MAX_LABELS)
        axes.set_xticks(places[::step], setting.labels[::step])
    if not setting.numeric:
        axes.margins(x=0.5 / len(places))
        if max(map(len, setting.labels)) > 7:
            axes.tick_params("x", rotation=40, rotation_mode="xtick")
