"""The confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from litlab.plots.canvas import GREY, MAX_LABELS, Array, distinct_names, label_ticks, new_figure, pixels, png

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Confusion:
    """The confusion matrix of a split, which shows itself in a notebook's cell; `numpy.asarray` gives the counts.

    Attributes:
        targets: labels, shape (N,).
        predicted: labels, shape (N,).
        class_names: of the labels 0, 1, ...
        split: that the samples are of, in words.
    """

    targets: Array
    predicted: Array
    class_names: tuple[str, ...]
    split: str

    @property
    def counts(self) -> Array:
        """Samples by actual (rows) and predicted class (columns), int64 of shape (classes, classes)."""
        return count(self.targets, self.predicted, len(self.class_names))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self.counts, dtype)

    def __repr__(self) -> str:
        return (
            f"confusion matrix of {len(self.targets):,} {self.split} samples: actual (rows), predicted\n{self.counts}"
        )

    def _repr_png_(self) -> bytes:
        return png(pixels(confusion_matrix(self.targets, self.predicted, self.class_names, self.split)))


def count(targets: Array, predicted: Array, classes: int) -> Array:
    """The counts of a confusion matrix, as `Confusion.counts`."""
    from torch import as_tensor
    from torchmetrics.functional.classification import multiclass_confusion_matrix  # scikit-learn's takes 0.2 s to load

    return multiclass_confusion_matrix(as_tensor(predicted), as_tensor(targets), classes).numpy()


def confusion_matrix(targets: Array, predicted: Array, class_names: Sequence[str], split: str = "test") -> Figure:
    """Counts of actual (rows) against predicted (columns) classes, coloured by the fraction of the row.

    Args:
        targets: labels, shape (N,).
        predicted: labels, shape (N,).
        class_names: of the labels 0, 1, ...
        split: that the samples are of, in words: test, training.
    """
    from matplotlib.colors import PowerNorm

    classes = len(class_names)
    counts = count(targets, predicted, classes)
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(max(3.5, 0.62 * classes), 11) + 1
    figure, axes = new_figure(side, side)
    axes.imshow(fractions, cmap="Blues", norm=PowerNorm(0.5, 0, 1))  # the root makes small fractions visible
    if classes <= MAX_LABELS:
        between = np.arange(1, classes) - 0.5
        for draw in (axes.hlines, axes.vlines):
            draw(between, -0.5, classes - 0.5, color=GREY, linewidth=0.5)
        for row, column in np.argwhere(counts):
            colour = "white" if fractions[row, column] > 0.35 else "black"
            text = axes.text(column, row, f"{counts[row, column]:,}", color=colour, fontsize=8, in_layout=False)
            text.set(ha="center", va="center")
        for axis in (axes.xaxis, axes.yaxis):
            label_ticks(axis, range(classes), distinct_names(class_names))
    else:
        axes.locator_params(integer=True)
    accuracy = np.trace(counts) / max(counts.sum(), 1)
    axes.set(xlabel="predicted class", ylabel="actual class")
    axes.set_title(
        f"{counts.sum():,} {split} samples, accuracy {accuracy:.2%}\ncolour: fraction of the row", fontsize=10
    )
    return figure
