"""What a model of numbers predicts, and what it misses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from litlab.plots.canvas import BLUE, GREY, ORANGE, Array, histogram, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MAX_POINTS = 2000  # points drawn singly; more are counted in hexagons


def predicted_vs_actual(targets: Array, predicted: Array, unit: str = "target") -> Figure:
    """Predictions against the truth; on the diagonal they are equal.

    Args:
        targets: shape (N,).
        predicted: shape (N,).
        unit: what they are and in which unit.
    """
    figure, axes = new_figure(6, 5.2)
    _cloud(figure, axes, targets, predicted)
    low, high = min(targets.min(), predicted.min()), max(targets.max(), predicted.max())
    axes.plot((low, high), (low, high), color=ORANGE, linewidth=1.5, label="predicted = actual")
    error = np.sqrt(np.mean((predicted - targets) ** 2))
    axes.set(xlabel=f"actual {unit}", ylabel=f"predicted {unit}")
    axes.set_title(f"{len(targets):,} test samples, RMSE {error:.4g}")
    axes.legend(loc="upper left")
    return figure


def residuals(targets: Array, predicted: Array, unit: str = "target") -> Figure:
    """What is left, predicted minus actual: against the prediction, and how often.

    Args:
        targets: shape (N,).
        predicted: shape (N,).
        unit: what they are and in which unit.
    """
    rest = predicted - targets
    figure, _ = new_figure(9, 4.2, axes=False)
    cloud, bars = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    _cloud(figure, cloud, predicted, rest, bar=False)
    cloud.axhline(0, color=ORANGE, linewidth=1.5)
    cloud.set(xlabel=f"predicted {unit}", ylabel="residual: predicted - actual")
    cloud.set_title(f"mean {rest.mean():.3g}, standard deviation {rest.std():.3g}")
    counts, edges = histogram(rest)
    bars.stairs(counts, edges, orientation="horizontal", fill=True, color=BLUE)
    bars.axhline(0, color=ORANGE, linewidth=1.5)
    bars.set_xlabel("test samples")
    return figure


def fit(
    inputs: Array, targets: Array, before: Array, after: Array, name: str = "input", unit: str = "target"
) -> Figure:
    """The curve that a model of one input column draws, untrained and trained, and the truth; each of shape (N,)."""
    order = np.argsort(inputs, kind="stable")
    figure, axes = new_figure(7, 4.5)
    points = {"marker": "o", "markersize": 3, "linestyle": "none"} if len(inputs) < 500 else {"linewidth": 5}
    axes.plot(inputs[order], targets[order], color=GREY, alpha=0.6, label="truth", **points)
    axes.plot(inputs[order], before[order], color=ORANGE, linestyle="--", label="before training")
    axes.plot(inputs[order], after[order], color=BLUE, linewidth=2, label="after training")
    shown = np.concatenate((targets, after))  # an untrained curve may lie far off: it leaves the picture
    room = 0.6 * (shown.max() - shown.min())
    axes.set(xlabel=name, ylabel=unit, ylim=(shown.min() - room, shown.max() + room) if room else None)
    axes.set_title(
        f"RMSE {np.sqrt(np.mean((before - targets) ** 2)):.4g} before training, "
        f"{np.sqrt(np.mean((after - targets) ** 2)):.4g} after"
    )
    axes.legend()
    return figure


def _cloud(figure: Figure, axes: Axes, x: Array, y: Array, bar: bool = True) -> None:
    """Points; where they would cover each other, how many there are."""
    if len(x) <= MAX_POINTS:
        axes.plot(x, y, "o", color=BLUE, markersize=4, alpha=0.5, markeredgewidth=0)
    else:
        hexagons = axes.hexbin(x, y, gridsize=50, bins="log", cmap="Blues", mincnt=1, linewidths=0.1)
        if bar:
            figure.colorbar(hexagons, label="test samples", ax=axes)
