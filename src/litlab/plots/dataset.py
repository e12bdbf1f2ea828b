"""Pictures of a data set: images, classes and columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from litlab.plots.canvas import (
    BLUE,
    MAX_LABELS,
    SPLITS,
    Array,
    distinct_names,
    label_ticks,
    log_axis,
    new_figure,
    shortened,
)
from litlab.plots.histogram import histogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DWARFED = 30  # times lower than the highest bar: hardly visible; where half of the bars are, counts are logarithmic


def image_grid(images: Array, titles: Sequence[str], heading: str, columns: int = 6) -> Figure:
    """Images with a title above each; the values of each image are stretched to the full range.

    Args:
        images: shape (N, C, H, W), C is 1 (grey) or 3 (red, green, blue).
        titles: N texts of one line or more.
        heading: above all.
        columns: images in a row.
    """
    number, channels = len(images), 3 if images.shape[1] == 3 else 1
    columns = min(columns, number)
    rows = math.ceil(number / columns)
    low, high = (f(images, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    scaled = (images[:, :channels] - low) / np.maximum(high - low, 1e-12)
    titles = ["\n".join(map(shortened, title.split("\n"))) for title in titles]
    lines = max(title.count("\n") for title in titles) + 1
    figure, _ = new_figure(1.45 * columns, (1.3 + 0.19 * lines) * rows + 0.4, axes=False, tight=False)
    figure.suptitle(heading, y=0.99, va="top")
    # One axes for all: an axes costs 10 ms, an image in it next to nothing. A cell is 1 wide, its image 0.86.
    axes, height, edge = figure.add_axes((0.0, 0.0, 1.0, 1 - 0.4 / figure.get_figheight())), 1 + 0.15 * lines, 0.86
    for position, (image, title) in enumerate(zip(scaled, titles, strict=True)):
        left, top = position % columns + (1 - edge) / 2, position // columns * height + 0.15 * lines
        extent = (left, left + edge, top + edge, top)
        axes.imshow(image.transpose(1, 2, 0).squeeze(), cmap="gray", extent=extent, interpolation="nearest", vmin=0)
        axes.text(left + edge / 2, top - 0.03, title, ha="center", va="bottom", fontsize=8, linespacing=1.15)
    axes.set(xlim=(0, columns), ylim=(rows * height, 0), xticks=(), yticks=(), aspect="equal")
    axes.axis("off")
    return figure


def class_histogram(counts: Mapping[str, Array], class_names: Sequence[str]) -> Figure:
    """How many samples each class has in each split.

    Args:
        counts: by split, shape (C,); a split without samples is left out.
        class_names: of the C classes.
    """
    shown, classes = {split: values for split, values in counts.items() if values.sum()}, len(class_names)
    if classes > MAX_LABELS:
        return _many_classes(shown)
    figure, axes = new_figure(7, min(1.4 + 0.42 * classes, 9))
    width = 0.8 / max(len(shown), 1)  # no split: all labels lie outside the classes
    for number, ((split, values), colour) in enumerate(zip(shown.items(), SPLITS, strict=False)):
        positions = np.arange(classes) + (number - (len(shown) - 1) / 2) * width
        bars = axes.barh(positions, values, height=width, color=colour, label=f"{split} ({values.sum():,})")
        axes.bar_label(bars, [f"{value:,}" for value in values], fontsize=7, padding=2)
    label_ticks(axes.yaxis, range(classes), distinct_names(class_names))
    axes.set(xlabel="samples", ylabel="class", title="Samples per class")
    axes.locator_params("x", integer=True)
    axes.invert_yaxis()
    axes.margins(x=0.1, y=0.02)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure


def correlation_map(names: Sequence[str], matrix: Array) -> Figure:
    """Correlations as colours, with their numbers where there is room.

    Args:
        names: of the K columns.
        matrix: (K, K), -1 to 1.
    """
    count = len(names)
    figure, axes = new_figure(3 + 0.42 * count, 2 + 0.36 * count)
    image = axes.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1)
    for row, column in np.ndindex(matrix.shape):
        value = float(matrix[row, column])
        colour = "white" if abs(value) > 0.6 else "black"
        text = f"{round(value, 2) + 0.0:.2f}".replace("0.", ".").removesuffix(".00")  # + 0.0: no minus zero
        axes.text(column, row, text or "0", ha="center", va="center", fontsize=7, color=colour)
    labels = distinct_names(names)
    axes.set_xticks(range(count), labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_yticks(range(count), labels, fontsize=8)
    axes.set_title("Correlations (training split)")
    figure.colorbar(image, ax=axes, shrink=0.8)
    return figure


def _many_classes(counts: Mapping[str, Array]) -> Figure:
    """A panel for each split: the colours of bars thinner than a pixel would mix in a common one."""
    figure, _ = new_figure(7, 5, axes=False)
    panels: Any = figure.subplots(1, max(len(counts), 1), sharey=True, squeeze=False)[0]
    for panel, (split, values), colour in zip(panels, counts.items(), SPLITS, strict=False):
        panel.stairs(values, np.arange(len(values) + 1) - 0.5, orientation="horizontal", fill=True, color=colour)
        panel.set_title(f"{split} ({values.sum():,})", fontsize=10)
        panel.locator_params(integer=True)
    panels[0].set_ylabel("class, by number")
    panels[0].invert_yaxis()
    panels[0].margins(y=0)
    figure.suptitle("Samples per class")
    figure.supxlabel("samples", fontsize=10)
    return figure


def feature_histograms(columns: Mapping[str, Array], heading: str = "Values of the training split") -> Figure:
    """A histogram per column, over its whole range; counts are logarithmic where one bar would dwarf most others.

    Args:
        columns: values by name, any shape; values that are not finite are left out.
        heading: above all.
    """
    width = min(4 if len(columns) <= 24 else 6, len(columns))
    rows = math.ceil(len(columns) / width)
    figure, _ = new_figure(max(2.6 * width, 5), 2.1 * rows + 0.7, axes=False)
    panels: Any = figure.subplots(rows, width, squeeze=False).ravel()
    is_log = [_feature(panel, name, values) for panel, (name, values) in zip(panels, columns.items(), strict=False)]
    for panel in panels[len(columns) :]:
        panel.remove()
    across, high = figure.get_size_inches()
    figure.suptitle(heading, y=1 - 0.1 / high, va="top")
    figure.set_layout_engine("tight", rect=(0, 0, 1, 1 - 0.15 / high))
    figure.supylabel("count", x=0.1 / across, fontsize=9)
    low = "value; counts are logarithmic where most bars would be too low to see"
    figure.supxlabel(low if any(is_log) else "value", fontsize=9)
    return figure


def _feature(panel: Axes, name: str, values: Array) -> bool:
    """Draw the histogram of one column; whether its counts are logarithmic."""
    counts, edges = histogram(values)
    filled = counts[counts > 0]
    dwarfed = len(filled) > 0 and bool(np.mean(filled < counts.max() / DWARFED) >= 0.5)
    panel.stairs(counts, edges, fill=True, color=BLUE)
    if not len(filled):
        panel.set(xticks=(), yticks=())
        panel.text(0.5, 0.5, "no finite value", transform=panel.transAxes, ha="center", va="center", fontsize=8)
    elif dwarfed:
        log_axis(panel.yaxis)
    else:
        panel.locator_params("y", integer=True)
    title = shortened(name, 25) + " (log count)" if dwarfed else shortened(name, 36)
    panel.set_title(title, fontsize=9 if len(title) < 30 else 8)
    panel.tick_params(labelsize=7)
    panel.margins(x=0.02)
    return dwarfed
