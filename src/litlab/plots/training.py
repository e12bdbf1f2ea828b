"""Training curves, and the learning-rate range test."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from litlab.plots.canvas import BLUE, GREY, ORANGE, Array, log_axis, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# The lowest and highest value of a metric; losses may have any.
RANGES = dict.fromkeys(("accuracy", "precision", "recall", "f1", "auroc", "calibration_error"), (0.0, 1.0))
RANGES |= {"r2": (-math.inf, 1.0), "rmse": (0.0, math.inf), "mae": (0.0, math.inf)}


def curves(history: Sequence[Mapping[str, float]], metrics: Sequence[str], best: int | None = None) -> Figure:
    """Metrics over the epochs: a panel each, with a line for training and one for validation.

    Args:
        history: the metrics of each epoch, such as train/loss and val/loss; any may be missing.
        metrics: names without the stage, such as loss; those that no epoch has are left out.
        best: the epoch (from 1) whose weights were kept, if any.
    """
    known = {key.partition("/")[2] for epoch in history for key in epoch}
    names = [name for name in metrics if name in known]
    width = min(3, len(names))
    rows = math.ceil(len(names) / width)
    figure, _ = new_figure(4.6 * width, 3.4 * rows, axes=False)
    panels: Any = figure.subplots(rows, width, squeeze=False).ravel()
    for panel, name in zip(panels, names, strict=False):
        drawn = []
        for stage, colour in (("train", BLUE), ("val", ORANGE)):
            points = [
                (number, epoch[key]) for number, epoch in enumerate(history, 1) if (key := f"{stage}/{name}") in epoch
            ]
            if points:
                marker = "o" if len(points) < 30 else None
                panel.plot(*zip(*points, strict=True), color=colour, label=stage, marker=marker, markersize=3.5)
                drawn += [value for _, value in points]
        if best is not None:
            panel.axvline(best, color=GREY, linestyle=":", label=f"best epoch: {best}")
        if min(drawn) > 0 and max(drawn) > 30 * min(drawn):
            log_axis(panel.yaxis)
        elif name in RANGES and panel.get_ylim()[1] > RANGES[name][1] >= max(drawn):
            panel.set_ylim(top=RANGES[name][1])
            for line in panel.lines:
                line.set_clip_on(False)  # a line along the edge is not cut in half
        panel.set(xlabel="epoch", ylabel=name)
        panel.locator_params("x", integer=True)
        panel.grid(alpha=0.3)
        panel.legend()
    for panel in panels[len(names) :]:
        panel.remove()
    return figure


def lr_range_test(rates: Array, losses: Array, found: float, present: float) -> Figure:
    """The smoothed loss of each step over the rising learning rate, both of shape (N,); the rates found and configured.

    A loss that diverges is cut off: what matters lies below.
    """
    figure, axes = new_figure(6.4, 4.2)
    axes.plot(rates, losses, color=BLUE)
    axes.axvline(found, color=ORANGE, label=f"found: {found:g}")
    axes.axvline(present, color=GREY, linestyle=":", label=f"optimizer.lr was {present:g}")
    finite = losses[np.isfinite(losses)]
    low, start = finite.min(), finite[0]
    room = 0.1 * (start - low) or 0.1 * abs(start) or 1.0
    axes.set(xlabel="learning rate", ylabel="training loss, running mean", title="Learning-rate range test")
    axes.set_ylim(low - room, start + 4 * room)
    log_axis(axes.xaxis)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
