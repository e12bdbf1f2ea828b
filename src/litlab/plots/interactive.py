"""A sweep's charts for a browser, by plotly: their lines, points and texts carry the number of a row or job.

Texts are shown as they are: plotly would read markup, such as links, in them.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from litlab.escape import printable
from litlab.plots.canvas import BLUE, COLOURS, GREY, ORANGE, Array, shortened
from litlab.plots.setting import Setting
from litlab.plots.sweep import colour_range, metric_marks

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PALE, INK, GRID = "#C3CAD3", "#1C2733", "#E6EAEF"
STEPS = 8  # points of a line between two axes, where it can be hovered over
BINS = 12  # of colours
POINT = 5  # pixels of a curve of one epoch
MAX_TICKS = 12  # epochs that are labelled one by one
APART = 0.05  # fraction of an axis between two labels
MAX_POINTS = 100_000  # of curves; of more, every second or third epoch is shown
HOVER = "%{text}<extra></extra>"  # the page fills in the texts by the numbers in customdata
HOVER_EPOCH = "%{text}<br>epoch %{x}: %{y:.4g}<extra></extra>"


def plain(text: str) -> str:
    """A text that plotly shows as it is."""
    return html.escape(printable(text), quote=False)


def parallel_coordinates(
    settings: Sequence[Setting], values: Sequence[Sequence[Any]], means: Array, unranked: Array, metric: str, mode: str
) -> Figure:
    """A line for each row through its value of each setting to its metric: darker where better, the best in orange.

    Args:
        settings: the K settings, an axis each.
        values: of each of the N rows its K values.
        means: the metric, shape (N,); NaN where there is none. Of equal ones the first is the best.
        unranked: bool, shape (N,): rows that did not complete, whose lines are grey and dotted, as are those without a
            metric, which end before its axis.
        metric: its name.
        mode: max or min, what is better.
    """
    from plotly.colors import sample_colorscale
    from plotly.graph_objects import Figure

    known, (low, high) = np.isfinite(means), colour_range(means, mode)
    height = np.nan_to_num((means - low) / (high - low)).clip(0, 1)
    better, complete = height if mode == "max" else 1 - height, known & ~unranked
    of_metric = metric_marks(means, low, high)
    height = height if len(of_metric) > 1 else np.full(len(means), of_metric[0][0])
    ranked = np.flatnonzero(complete)[::-1]  # of equal ones the first row is the best, which is drawn last, on top
    ranked = ranked[np.argsort(better[ranked], kind="stable")]
    offsets = np.zeros(len(means))
    offsets[ranked] = np.linspace(-0.015, 0.015, len(ranked))  # equal values side by side
    axes = [_Axis.of(setting) for setting in settings]
    at = np.array([axis.fractions([row[k] for row in values]) + offsets for k, axis in enumerate(axes)])
    lines, figure = np.vstack([at, height]).T, Figure()
    bins = (better[ranked] * (BINS - 1)).round().astype(int)
    colours = sample_colorscale("Blues", np.linspace(0.3, 1, BINS).tolist())
    for rows, axis_count in ((~known, len(settings)), (known & unranked, len(settings) + 1)):
        dotted = {"color": GREY, "dash": "dot", "width": 1}
        _add_lines(figure, lines[rows, :axis_count], np.flatnonzero(rows), dotted)
    for number in np.unique(bins):
        rows = ranked[bins == number]
        _add_lines(figure, lines[rows], rows, {"color": colours[number], "width": 1.3})
    _add_lines(figure, lines[ranked[-1:]], ranked[-1:], {"color": ORANGE, "width": 3})
    marks = [*(axis.marks() for axis in axes), of_metric]
    style: dict[str, Any] = {"showarrow": False, "xanchor": "left", "xshift": 4, "font": {"size": 11}}
    style |= {"bgcolor": "rgba(255,255,255,0.75)", "borderpad": 1}
    figure.update_layout(  # all at once: to add them one by one takes a second
        annotations=[
            {"x": place, "y": fraction, "text": plain(shortened(text, 16)), **style}
            for place, labels in enumerate(marks) for fraction, text in labels
        ],
        shapes=[{"type": "line", "x0": place, "x1": place, "y0": -0.05, "y1": 1.05, "line": {"color": INK, "width": 1}}
                for place in range(len(marks))],
    )  # fmt: skip
    names = [*(axis.title for axis in axes), f"<b>{plain(metric)}</b>"]
    figure.update_xaxes(
        tickvals=list(range(len(names))), ticktext=names, range=[-0.02 * len(settings), 1.02 * len(settings)]
    )
    figure.update_xaxes(side="top", showgrid=False, zeroline=False, fixedrange=True, tickangle=0)
    figure.update_yaxes(visible=False, range=[-0.06, 1.06], fixedrange=True)
    margin = {"l": 48, "r": 64, "t": 48, "b": 8}
    return _styled(figure, 400, margin, showlegend=False, dragmode="select")


class _Axis(NamedTuple):
    """Of a setting, with room below for the rows that do not have it: those of other choices."""

    setting: Setting
    bottom: float  # fraction at which its scale begins

    @classmethod
    def of(cls, setting: Setting) -> _Axis:
        known = [value for value in setting.values if value is not None]
        return cls(Setting(setting.name, known or [None]), 0.15 if known and len(known) < len(setting.values) else 0.0)

    def fractions(self, values: Sequence[Any]) -> Array:
        """As `Setting.fractions`."""
        if not self.bottom:
            return self.setting.fractions(values)
        known = np.array([value is not None for value in values])
        found = np.zeros(len(values))
        scaled = self.setting.fractions([value for value in values if value is not None])
        found[known] = self.bottom + (1 - self.bottom) * scaled
        return found

    def marks(self) -> list[tuple[float, str]]:
        """As `Setting.marks`, without labels that would overlap."""
        marks = [(0.0, "none")] if self.bottom else []
        for fraction, label in self.setting.marks():
            height = self.bottom + (1 - self.bottom) * fraction
            if not marks or height - marks[-1][0] >= APART:
                marks.append((height, label))
        return marks

    @property
    def title(self) -> str:
        """The setting's name, and whether the scale is logarithmic."""
        name = plain(shortened(self.setting.name, 24))
        return f"{name}<br><sup>log scale</sup>" if self.setting.is_logarithmic else name


def _add_lines(figure: Figure, lines: Array, rows: Array, style: dict[str, Any]) -> None:
    """Lines through their heights at 0, 1, 2, ..., as one trace.

    Args:
        figure: to which it is added.
        lines: shape (N, K).
        rows: their numbers, shape (N,).
        style: of the trace's lines.
    """
    if not len(lines):
        return
    places = np.linspace(0, lines.shape[1] - 1, (lines.shape[1] - 1) * STEPS + 1)
    heights = [np.interp(places, np.arange(lines.shape[1]), line) for line in lines]
    _add_curves(figure, [places] * len(lines), heights, rows, line=style)


def _add_curves(figure: Figure, xs: Sequence[Array], ys: Sequence[Array], numbers: Iterable[int], **style: Any) -> None:
    """Curves as one trace, with a gap behind each; its points carry the curve's number."""
    x, y, of = [], [], []
    for each, heights, number in zip(xs, ys, numbers, strict=True):
        x += [*each.tolist(), None]
        y += [*heights.tolist(), None]
        of += [int(number)] * (len(each) + 1)
    style = {"hovertemplate": HOVER, "showlegend": False, "mode": "lines"} | style
    figure.add_scatter(x=x, y=y, customdata=of, **style)


def curves(
    histories: Sequence[Array], named: Sequence[tuple[str, Sequence[int]]], unranked: set[int], metric: str
) -> Figure:
    """A metric over the epochs, a curve for each job: of the named rows in their colours, of others grey.

    Args:
        histories: of the N jobs, each of shape (epochs,), NaN where the metric was not computed.
        named: the names of the first rows, the best first, each with the numbers of its jobs.
        unranked: the numbers of jobs that failed, were pruned, or did not end: a darker grey, dotted.
        metric: its name.
    """
    from plotly.graph_objects import Figure

    figure, step = Figure(), 1 + sum(map(len, histories)) // MAX_POINTS
    shown = {number for _, numbers in named for number in numbers}
    others = [number for number in range(len(histories)) if number not in shown | unranked]
    groups: list[tuple[str, Sequence[int], dict[str, Any]]] = [
        ("other settings", others, {"line": {"color": PALE, "width": 1}, "showlegend": bool(named)}),
        (
            "not completed",
            sorted(unranked - shown),
            {"line": {"color": GREY, "width": 1, "dash": "dot"}, "showlegend": True},
        ),
    ]
    for rank, (name, numbers) in reversed(list(enumerate(named))):
        line = {"color": COLOURS[rank % len(COLOURS)], "width": 2}
        groups.append((plain(name), numbers, {"line": line, "showlegend": True, "legendrank": rank}))
    known = [np.flatnonzero(np.isfinite(history))[::step] for history in histories]
    for name, numbers, style in groups:
        lines = [number for number in numbers if len(known[number]) > 1]
        points = [number for number in numbers if len(known[number]) == 1]  # no line is drawn through one
        style |= {"name": name, "legendgroup": name, "hovertemplate": HOVER_EPOCH}
        for part, more in (
            (lines, {"mode": "lines"}),
            (points, {"mode": "markers", "marker": {"color": style["line"]["color"], "size": POINT}}),
        ):
            if part:
                epochs, heights = [known[number] + 1 for number in part], [histories[n][known[n]] for n in part]
                _add_curves(figure, epochs, heights, part, **style | more)
                style["showlegend"] = False  # one entry for both
    below = 20 * sum(bool(trace.showlegend) for trace in figure.data) + 16  # pixels for the legend
    figure.update_xaxes(title={"text": "epoch", "standoff": 8}, tickformat="d")
    if max(map(len, histories)) <= MAX_TICKS:
        figure.update_xaxes(dtick=1)
    figure.update_yaxes(title=plain(metric))
    legend = {"yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "font": {"size": 12}}
    return _styled(figure, 400 + below, {"l": 56, "r": 24, "t": 16, "b": 48 + below}, legend=legend)


def intervals(
    labels: Sequence[str], values: Sequence[Sequence[float]], ends: Sequence[tuple[float, float]], metric: str
) -> Figure:
    """Of each row, from the top, its values over seeds as pale points, their mean, and the mean's interval.

    Args:
        labels: of the N rows.
        values: of each row.
        ends: of each row the lower and the upper end of the interval; NaN where there is none.
        metric: its name.
    """
    from plotly.graph_objects import Figure

    figure, rows = Figure(), range(len(labels))
    points = [(value, row) for row in rows for value in values[row]]
    style: dict[str, Any] = {"color": PALE, "size": 7, "line": {"color": GREY, "width": 1}}
    figure.add_scatter(
        x=[value for value, _ in points], y=[row for _, row in points], mode="markers", marker=style, name="a job",
        customdata=[row for _, row in points], hovertemplate="%{x}<extra></extra>",
    )  # fmt: skip
    means = np.array([np.mean(each) for each in values])
    above, below = np.array([high for _, high in ends]) - means, means - np.array([low for low, _ in ends])
    figure.add_scatter(
        x=means.tolist(), y=list(rows), mode="markers", marker={"color": BLUE, "size": 9}, name="mean, 95% interval",
        error_x={"type": "data", "array": above.tolist(), "arrayminus": below.tolist(), "color": BLUE, "thickness": 2},
        customdata=list(rows), hovertemplate=HOVER,
    )  # fmt: skip
    figure.update_xaxes(title=plain(metric))
    names = [plain(shortened(label, 48)) for label in labels]
    figure.update_yaxes(tickvals=list(rows), ticktext=names, range=[len(labels) - 0.4, -0.6], automargin=True)
    margin = {"l": 56, "r": 24, "t": 32, "b": 48}
    return _styled(
        figure, 110 + 26 * len(labels), margin, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    )


def shares(names: Sequence[str], fractions: Sequence[float], metric: str) -> Figure:
    """Bars from the top: how much of a metric's variance each name explains, from 0 to 1."""
    from plotly.graph_objects import Figure

    texts = [f"{fraction:.0%}" for fraction in fractions]
    figure = Figure()
    figure.add_bar(
        x=list(fractions), y=list(range(len(names))), orientation="h", marker={"color": BLUE}, text=texts,
        textposition="outside", cliponaxis=False, hoverinfo="skip", width=0.6,
    )  # fmt: skip
    figure.update_xaxes(range=[0, 1.05], tickformat=".0%", title=f"share of the variance of {plain(metric)}")
    labels = [plain(shortened(name, 48)) for name in names]
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=labels, automargin=True, showgrid=False)
    figure.update_yaxes(range=[len(names) - 0.4, -0.6])
    return _styled(figure, 70 + 30 * len(names), {"l": 56, "r": 24, "t": 8, "b": 48}, showlegend=False)


def _styled(figure: Figure, height: int, margin: dict[str, int], **layout: Any) -> Figure:
    font = {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": 13, "color": INK}
    figure.update_layout(
        template="none", height=height, margin=margin, font=font, hovermode="closest",
        hoverlabel={"bgcolor": "white", "bordercolor": GREY, "font": {"color": INK}, "align": "left", "namelength": -1},
        hoverdistance=12, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", **layout,
    )  # fmt: skip
    figure.update_xaxes(gridcolor=GRID, zeroline=False, automargin=True)
    figure.update_yaxes(gridcolor=GRID, zeroline=False, automargin=True)
    return figure
