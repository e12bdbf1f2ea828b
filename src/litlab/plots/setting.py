"""A swept setting as the axis of a picture: numbers on a linear or logarithmic scale, or values in a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from litlab.plots.canvas import MAX_LABELS, Array, is_slanted, label_ticks, log_axis, shortened

if TYPE_CHECKING:
    from matplotlib.axis import Axis

MAX_MARKS = 10  # values that are written along an axis of parallel coordinates
MAX_VALUE = 30  # characters of a value: the sizes of five layers
CHARACTER, LINE = 0.016, 0.05  # width and height of a label's text, as fractions of an axis of five inches
MAX_GAP = 0.85  # fraction of a scale that may lie between two neighbours


class Setting(NamedTuple):
    """A swept setting: its name, and its distinct values in the order to show them in."""

    name: str
    values: Sequence[Any]

    @property
    def is_numeric(self) -> bool:
        """Whether all values are numbers."""
        return all(type(value) in (int, float) for value in self.values)

    @property
    def has_scale(self) -> bool:
        """Whether the axis is a scale: of numbers, unless an outlier such as 1e9 would squeeze all others together."""
        values = self._sorted
        if not self.is_numeric or not np.isfinite(values).all():
            return False
        gaps = np.diff(np.log(values) if _is_geometric(values) else values)
        return len(gaps) < 2 or bool(gaps.max() <= MAX_GAP * gaps.sum())

    @property
    def is_logarithmic(self) -> bool:
        """Whether the values are spaced more evenly by their ratios than by their differences: 0.01, 0.03, 0.1."""
        return self.has_scale and _is_geometric(self._sorted)

    @property
    def _sorted(self) -> Array:
        return np.unique(np.array(self.values, dtype=float)) if self.is_numeric else np.zeros(0)

    @property
    def labels(self) -> list[str]:
        """The values as text, with four digits, as in the leaderboard's table: a search draws numbers with more."""
        texts = (
            f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)
            for value in self.values
        )
        return [shortened(text, MAX_VALUE) for text in texts]

    def positions(self, values: Iterable[Any]) -> Array:
        """Where on the axis `values` are, shape (N,): the number itself on a scale, else the index in the order."""
        if self.is_numeric:
            numbers = np.array(list(values), dtype=float)
            return numbers if self.has_scale else np.searchsorted(self._sorted, numbers).astype(float)
        order = {repr(value): index for index, value in enumerate(self.values)}
        return np.array([order[repr(value)] for value in values], dtype=float)

    def fractions(self, values: Iterable[Any]) -> Array:
        """Where on the axis `values` are, shape (N,), from 0, its lower end, to 1."""
        positions, ends = self.positions(values), self.positions(self.values)
        if self.is_logarithmic:
            positions, ends = np.log(positions), np.log(ends)
        low, high = ends.min(), ends.max()
        return (positions - low) / (high - low) if high > low else np.full(len(positions), 0.5)

    def marks(self) -> list[tuple[float, str]]:
        """Values to write along the axis, as (fraction, label): all, or of many the ends and some between."""
        heights, labels, count = self.fractions(self.values), self.labels, len(self.values)
        if count <= MAX_MARKS:
            return list(zip(heights.tolist(), labels, strict=True))
        if self.is_numeric:  # drawn by a search: their last digits do not matter
            labels = [f"{value:.3g}" for value in self.values]
        return [(float(heights[k]), labels[k]) for k in np.linspace(0, count - 1, MAX_MARKS).astype(int)]

    def draw_ticks(self, axis: Axis, most: int) -> None:
        """Scale and label an axis: up to `most` numbers at their values; more, or too close ones, at round numbers."""
        from matplotlib.ticker import LogLocator

        if self.is_logarithmic:
            log_axis(axis)
            few_decades = max(self.values) <= 100 * min(self.values)
            axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few_decades else (1,)))
        if not self.has_scale or (len(self.values) <= most and self._are_apart(axis)):
            label_ticks(axis, self.positions(self.values), self.labels, 2 * most if self.is_numeric else MAX_LABELS)

    def _are_apart(self, axis: Axis) -> bool:
        """Whether labels at the values would not overlap; of slanted and of vertical ones the height counts."""
        is_flat = axis.axis_name == "x" and not is_slanted(self.labels)
        room = CHARACTER * (max(map(len, self.labels)) + 1) if is_flat else LINE
        return len(self.values) < 2 or bool(np.diff(np.sort(self.fractions(self.values))).min() >= room)


def _is_geometric(values: Array) -> bool:
    """Whether sorted numbers are spaced more evenly by their ratios."""
    if len(values) < 2 or values[0] <= 0:
        return False
    differences, ratios = np.diff(values), np.diff(np.log(values))
    uneven = differences.std() / differences.mean() - ratios.std() / ratios.mean()
    return bool(uneven > 1e-9) if len(values) > 2 else bool(values[1] >= 8 * values[0])
