"""Predictions and residuals of a regression model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from litlab.plots.canvas import BLUE, GREY, ORANGE, Array, new_figure, shortened
from litlab.plots.histogram import histogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MAX_POINTS = 2000  # drawn one by one; more are counted in hexagons
FEW_POINTS = 30  # up to here they are large
MAX_UNIT = 36  # characters along an axis, beside "predicted"


def predicted_vs_actual(targets: Array, predicted: Array, unit: str = "target", split: str = "test") -> Figure:
    """Predictions against the truth; the diagonal is a perfect prediction. Outliers may lie outside (`in_view`).

    Args:
        targets: shape (N,).
        predicted: shape (N,).
        unit: what they are and in which unit.
        split: that the samples are of, in words: test, training.
    """
    figure, axes = new_figure(6, 5.2)
    seen = in_view(targets, predicted)
    low, high = (f(np.append(targets, predicted[seen])) for f in (np.min, np.max))
    axes.plot((low, high), (low, high), color=ORANGE, linewidth=1.5, label="predicted = actual")
    _cloud(figure, axes, targets[seen], predicted[seen], split)
    error = np.sqrt(np.mean((predicted - targets) ** 2))
    unit = shortened(unit, MAX_UNIT)
    axes.set(xlabel=f"actual {unit}", ylabel=f"predicted {unit}")
    axes.set_title(f"{len(targets):,} {split} samples, RMSE {error:.4g}{_outside(seen)}", fontsize=11)
    axes.legend(loc="best")
    return figure


def residuals(targets: Array, predicted: Array, unit: str = "target", split: str = "test") -> Figure:
    """Residuals, predicted minus actual: against the prediction, and their histogram. See `in_view`.

    Args:
        targets: shape (N,).
        predicted: shape (N,).
        unit: what they are and in which unit.
        split: that the samples are of, in words: test, training.
    """
    rest = predicted - targets
    figure, _ = new_figure(9, 4.2, axes=False)
    cloud, bars = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    seen = in_view(targets, predicted)
    cloud.axhline(0, color=ORANGE, linewidth=1.5)
    _cloud(figure, cloud, predicted[seen], rest[seen], split)
    cloud.set(xlabel=f"predicted {shortened(unit, MAX_UNIT)}", ylabel="residual: predicted - actual")
    cloud.set_title(f"mean {rest.mean():.3g}, standard deviation {rest.std():.3g}{_outside(seen)}", fontsize=11)
    counts, edges = histogram(rest[seen])
    bars.stairs(counts, edges, orientation="horizontal", fill=True, color=BLUE)
    bars.axhline(0, color=ORANGE, linewidth=1.5)
    bars.set_xlabel(f"{split} samples")
    bars.locator_params("x", integer=True)
    return figure


def in_view(targets: Array, predicted: Array) -> Array:
    """Which predictions to draw, shape (N,): a few outliers must not shrink all others to one blob.

    Two ranges, each widened by half of its width on both sides, are drawn: that of the truth, and that of the
    predictions without the outermost 1% on each side (with few points: of all).
    """
    finite = np.sort(predicted[np.isfinite(predicted)]).astype(float)
    outermost = -(-len(finite) // 100) if len(finite) > FEW_POINTS else 0
    ends = (finite[outermost], finite[-1 - outermost]), (float(targets.min()), float(targets.max()))
    low, high = min(a - (b - a) / 2 for a, b in ends), max(b + (b - a) / 2 for a, b in ends)
    return np.asarray((predicted >= low) & (predicted <= high))


def _outside(seen: Array) -> str:
    far = int((~seen).sum())
    return f"\n{far:,} of {len(seen):,} predictions lie outside the picture" if far else ""


def fit(
    inputs: Array,
    targets: Array,
    before: Array | None,
    after: Array,
    name: str = "input",
    unit: str = "target",
    split: str = "test",
) -> Figure:
    """The curve of a model with one input column, untrained and trained, and the truth; each of shape (N,)."""
    order = np.argsort(inputs, kind="stable")
    figure, axes = new_figure(7, 4.5)
    points: Any = {"linewidth": 5, "alpha": 0.6} if len(inputs) >= 500 else _points(len(inputs))
    axes.plot(inputs[order], targets[order], label="truth", **points | {"color": GREY})
    error = f"RMSE {np.sqrt(np.mean((after - targets) ** 2)):.4g}"
    if before is not None:
        axes.plot(inputs[order], before[order], color=ORANGE, linestyle="--", label="before training")
        error = f"RMSE {np.sqrt(np.mean((before - targets) ** 2)):.4g} before training, {error[5:]} after"
    axes.plot(inputs[order], after[order], color=BLUE, linewidth=2, label="after training")
    shown = np.concatenate((targets, after))  # an untrained curve may lie far off: it is cut
    room = 0.6 * (shown.max() - shown.min())
    axes.set(xlabel=shortened(name, MAX_UNIT), ylabel=shortened(unit, MAX_UNIT))
    axes.set_ylim((shown.min() - room, shown.max() + room) if room else None)
    axes.set_title(f"{error}; {split} samples")
    axes.legend()
    return figure


def _cloud(figure: Figure, axes: Axes, x: Array, y: Array, split: str) -> None:
    """Points; where they would cover each other, their density."""
    from matplotlib.ticker import LogFormatter

    if len(x) <= MAX_POINTS:
        axes.plot(x, y, color=BLUE, **_points(len(x)))
    else:
        hexagons = axes.hexbin(x, y, gridsize=50, bins="log", cmap="Blues", mincnt=1, linewidths=0.1)
        bar = figure.colorbar(hexagons, label=f"{split} samples", ax=axes)
        bar.formatter, bar.minorformatter = LogFormatter(), LogFormatter()  # plain numbers, as in `log_axis`


def _points(count: int) -> dict[str, Any]:
    """The style of so many points: few are large, solid and above lines, many are small, pale and below them."""
    few = count <= FEW_POINTS
    size, alpha = (8.0, 0.9) if few else (5.0, 0.7) if count <= 300 else (4.0, 0.5)
    return {
        "linestyle": "none", "marker": "o", "markersize": size, "alpha": alpha, "markeredgewidth": 0,
        "zorder": 3 if few else 1.5,
    }  # fmt: skip
