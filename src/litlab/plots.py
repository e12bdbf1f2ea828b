"""Pictures: arrays in, a matplotlib Figure out; no window, no global state, matplotlib imported when one is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]

# Okabe and Ito's colours, which stay apart for colour-blind eyes (https://jfly.uni-koeln.de/color/).
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#8C8C8C"
MAX_LABELS = 20  # classes that are named and counted one by one
MAX_POINTS = 2000  # points drawn singly; more are counted in hexagons
BINS = 50


def confusion_matrix(targets: Array, predicted: Array, class_names: Sequence[str]) -> Figure:
    """Counts of actual (rows) against predicted (columns) classes, coloured by the share of the row.

    Args:
        targets: labels, shape (N,).
        predicted: labels, shape (N,).
        class_names: of the labels 0, 1, ...
    """
    from matplotlib.colors import PowerNorm
    from torch import as_tensor
    from torchmetrics.functional.classification import multiclass_confusion_matrix  # scikit-learn's takes 0.2 s to load

    classes = len(class_names)
    counts = multiclass_confusion_matrix(as_tensor(predicted), as_tensor(targets), classes).numpy()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(max(3.5, 0.62 * classes), 11)
    figure, axes = _figure(side + 1, side + 1)
    axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1))  # the root shows also small shares
    if classes <= MAX_LABELS:
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
        axes.set_xticks(range(classes), class_names)
        if max(map(len, class_names)) > 3:
            axes.tick_params("x", rotation=40, rotation_mode="xtick")
        axes.set_yticks(range(classes), class_names)
    accuracy = np.trace(counts) / max(counts.sum(), 1)
    axes.set(xlabel="predicted class", ylabel="actual class")
    axes.set_title(f"{counts.sum():,} test samples, {accuracy:.2%} right\ncolour: share of the row", fontsize=10)
    return figure


def image_grid(images: Array, titles: Sequence[str], heading: str, columns: int = 6) -> Figure:
    """Images with a title above each; their values are stretched to the full range, each image by itself.

    Args:
        images: shape (N, C, H, W), C is 1 (grey) or 3 (red, green, blue).
        titles: N lines.
        heading: above all.
        columns: images in a row.
    """
    number, channels = len(images), 3 if images.shape[1] == 3 else 1
    columns = min(columns, number)
    rows = math.ceil(number / columns)
    low, high = (f(images, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    scaled = (images[:, :channels] - low) / np.maximum(high - low, 1e-12)
    lines = max(title.count("\n") for title in titles) + 1
    figure, _ = _figure(1.45 * columns, (1.3 + 0.19 * lines) * rows + 0.4, axes=False, layout=None)
    figure.suptitle(heading, y=0.99, va="top")
    # One axes for all: an axes costs 10 ms, an image in it next to nothing. A cell is 1 wide, its picture 0.86.
    axes, height, edge = figure.add_axes((0.0, 0.0, 1.0, 1 - 0.4 / figure.get_figheight())), 1 + 0.15 * lines, 0.86
    for position, (image, title) in enumerate(zip(scaled, titles, strict=True)):
        left, top = position % columns + (1 - edge) / 2, position // columns * height + 0.15 * lines
        extent = (left, left + edge, top + edge, top)
        axes.imshow(image.transpose(1, 2, 0).squeeze(), cmap="gray", extent=extent, interpolation="nearest", vmin=0)
        axes.text(left + edge / 2, top - 0.03, title, ha="center", va="bottom", fontsize=8, linespacing=1.15)
    axes.set(xlim=(0, columns), ylim=(rows * height, 0), aspect="equal")
    axes.axis("off")
    return figure


def class_histogram(counts: Mapping[str, Array], class_names: Sequence[str]) -> Figure:
    """How many samples each class has in each split.

    Args:
        counts: by split, shape (C,); a split without samples is left out.
        class_names: of the C classes.
    """
    shown = {split: values for split, values in counts.items() if values.sum()}
    classes, named = len(class_names), len(class_names) <= MAX_LABELS
    figure, axes = _figure(7, min(1.4 + 0.42 * classes, 9) if named else 5)
    width = 0.8 / len(shown)
    for number, ((split, values), colour) in enumerate(zip(shown.items(), (BLUE, ORANGE, GREEN), strict=False)):
        places = np.arange(classes) + (number - (len(shown) - 1) / 2) * width
        bars = axes.barh(places, values, height=width, color=colour, label=f"{split} ({values.sum():,})")
        if named:
            labels = [f"{value:,}" for value in values]
            axes.bar_label(bars, labels, fontsize=7, padding=2)
    if named:
        axes.set_yticks(range(classes), class_names)
    axes.set(xlabel="samples", ylabel="class", title="Samples per class")
    axes.invert_yaxis()
    axes.margins(x=0.1, y=0.02)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure


def feature_histograms(columns: Mapping[str, Array], heading: str = "Values of the training split") -> Figure:
    """A histogram per column, over its whole range; those with a long tail have a logarithmic count axis.

    Args:
        columns: values by name, any shape; what is not finite is left out.
        heading: above all.
    """
    width = min(4, len(columns))
    rows = math.ceil(len(columns) / width)
    figure, _ = _figure(max(2.6 * width, 5), 2.1 * rows + 0.5, axes=False)
    panels: Any = figure.subplots(rows, width, squeeze=False).ravel()
    for panel, (name, values) in zip(panels, columns.items(), strict=False):
        flat = values[np.isfinite(values)]
        counts, edges = _histogram(flat)
        panel.stairs(counts, edges, fill=True, color=BLUE)
        long_tail = 0 < counts[counts > 0].min() < counts.max() / 1000 if counts.any() else False
        if long_tail:
            _log_axis(panel)
        short = name if len(name) < 24 else f"{name[:22]}..."
        panel.set_title(f"{short} (log count)" if long_tail else short, fontsize=9)
        panel.tick_params(labelsize=7)
        panel.margins(x=0.02)
    for panel in panels[len(columns) :]:
        panel.remove()
    figure.suptitle(heading)
    figure.supylabel("count", fontsize=9)
    figure.supxlabel("value", fontsize=9)
    return figure


def predicted_vs_actual(targets: Array, predicted: Array, unit: str = "target") -> Figure:
    """Predictions against the truth; on the diagonal they are equal.

    Args:
        targets: shape (N,).
        predicted: shape (N,).
        unit: what they are and in which unit.
    """
    figure, axes = _figure(6, 5.2)
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
    figure, _ = _figure(9, 4.2, axes=False)
    cloud, histogram = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    _cloud(figure, cloud, predicted, rest, bar=False)
    cloud.axhline(0, color=ORANGE, linewidth=1.5)
    cloud.set(xlabel=f"predicted {unit}", ylabel="residual: predicted - actual")
    cloud.set_title(f"mean {rest.mean():.3g}, standard deviation {rest.std():.3g}")
    counts, edges = _histogram(rest)
    histogram.stairs(counts, edges, orientation="horizontal", fill=True, color=BLUE)
    histogram.axhline(0, color=ORANGE, linewidth=1.5)
    histogram.set_xlabel("test samples")
    return figure


def fit(
    inputs: Array, targets: Array, before: Array, after: Array, name: str = "input", unit: str = "target"
) -> Figure:
    """The curve that a model of one input column draws, untrained and trained, and the truth; each of shape (N,)."""
    order = np.argsort(inputs, kind="stable")
    figure, axes = _figure(7, 4.5)
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


def curves(history: Sequence[Mapping[str, float]], metrics: Sequence[str], best: int | None = None) -> Figure:
    """Metrics over the epochs, a panel each, with training and validation in it.

    Args:
        history: of each epoch its metrics, with names such as train/loss and val/loss; one may be missing.
        metrics: their names without the stage, such as loss; one that no epoch has is left out.
        best: the epoch (from 1) whose weights were kept, where one was chosen.
    """
    known = {key.partition("/")[2] for epoch in history for key in epoch}
    names = [name for name in metrics if name in known]
    width = min(3, len(names))
    rows = math.ceil(len(names) / width)
    figure, _ = _figure(4.6 * width, 3.4 * rows, axes=False)
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
            _log_axis(panel)
        panel.set(xlabel="epoch", ylabel=name)
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(alpha=0.3)
        panel.legend()
    for panel in panels[len(names) :]:
        panel.remove()
    return figure


def pixels(figure: Figure) -> Array:
    """The figure drawn: shape (H, W, 3), 0 to 255."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def save(image: Array, path: Path) -> None:
    """Write what `pixels` gives as a PNG file."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, compress_level=4)


def _figure(
    width: float, height: float, axes: bool = True, layout: Literal["tight"] | None = "tight"
) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout=layout)  # "constrained" takes twice the time
    return figure, figure.add_subplot() if axes else None  # type: ignore[return-value]


def _histogram(values: Array) -> tuple[Array, Array]:
    """Counts and edges; numpy refuses bins narrower than a float can tell."""
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    room = 1e-6 * max(abs(low), abs(high), 1e-6)
    return np.histogram(values, BINS, range=(low - room, high + room) if high - low < room else (low, high))


def _log_axis(axes: Axes) -> None:
    """A logarithmic vertical axis with plain numbers; powers of ten as mathematics take a tenth of a second to set."""
    from matplotlib.ticker import NullFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def _cloud(figure: Figure, axes: Axes, x: Array, y: Array, bar: bool = True) -> None:
    """Points; where they would cover each other, how many there are."""
    if len(x) <= MAX_POINTS:
        axes.plot(x, y, "o", color=BLUE, markersize=4, alpha=0.5, markeredgewidth=0)
    else:
        hexagons = axes.hexbin(x, y, gridsize=50, bins="log", cmap="Blues", mincnt=1, linewidths=0.1)
        if bar:
            figure.colorbar(hexagons, label="test samples", ax=axes)
