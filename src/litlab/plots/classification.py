"""What a classifier is right and wrong about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from litlab.plots.canvas import GREY, MAX_LABELS, Array, new_figure, told_apart, whole_numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def confusion_matrix(targets: Array, predicted: Array, class_names: Sequence[str], split: str = "test") -> Figure:
    """Counts of actual (rows) against predicted (columns) classes, coloured by the share of the row.

    Args:
        targets: labels, shape (N,).
        predicted: labels, shape (N,).
        class_names: of the labels 0, 1, ...
        split: that the samples are of, in words: test, training.
    """
    from matplotlib.colors import PowerNorm
    from torch import as_tensor
    from torchmetrics.functional.classification import multiclass_confusion_matrix  # scikit-learn's takes 0.2 s to load

    classes = len(class_names)
    counts = multiclass_confusion_matrix(as_tensor(predicted), as_tensor(targets), classes).numpy()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(max(3.5, 0.62 * classes), 11)
    figure, axes = new_figure(side + 1, side + 1)
    axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1))  # the root shows also small shares
    if classes <= MAX_LABELS:
        between = np.arange(1, classes) - 0.5
        for draw in (axes.hlines, axes.vlines):
            draw(between, -0.5, classes - 0.5, color=GREY, linewidth=0.5)
        for row, column in np.argwhere(counts):
            colour = "white" if shares[row, column] > 0.35 else "black"
            axes.text(
                column,
                row,
                f"{counts[row, column]:,}",
                ha="center",
                va="center",
                color=colour,
                fontsize=8,
                in_layout=False,
            )
        names = told_apart(class_names)
        axes.set_xticks(range(classes), names)
        if max(map(len, names)) > 3:
            axes.tick_params("x", rotation=40, rotation_mode="xtick")
        axes.set_yticks(range(classes), names)
    else:
        whole_numbers(axes, "x")
        whole_numbers(axes, "y")
    accuracy = np.trace(counts) / max(counts.sum(), 1)
    axes.set(xlabel="predicted class", ylabel="actual class")
    axes.set_title(f"{counts.sum():,} {split} samples, {accuracy:.2%} right\ncolour: share of the row", fontsize=10)
    return figure
