"""A swept setting as the axis of a picture: numbers, evenly spaced or by ratios, or names in an order."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from litlab.plots.canvas import Array, shortened

MAX_MARKS = 10  # values of a setting that are written at its axis of parallel coordinates
MAX_VALUE = 30  # characters of a value: the sizes of five layers
MAX_GAP = 0.85  # share of a scale that may lie between two neighbours


class Setting(NamedTuple):
    """A swept setting: its name, and its values in the order to show them in."""

    name: str
    values: Sequence[Any]

    @property
    def numbers(self) -> bool:
        """Whether all values are numbers."""
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)

    @property
    def numeric(self) -> bool:
        """Whether the axis is a scale: of numbers, unless one as 1e9 would drive the others into a corner of it."""
        values = self._distinct
        if not self.numbers or not np.isfinite(values).all():
            return False
        gaps = np.diff(np.log(values) if _by_ratios(values) else values)
        return len(gaps) < 2 or bool(gaps.max() <= MAX_GAP * gaps.sum())

    @property
    def logarithmic(self) -> bool:
        """Whether the values are spaced more evenly by their ratios than by their differences: 0.01, 0.03, 0.1."""
        return self.numeric and _by_ratios(self._distinct)

    @property
    def _distinct(self) -> Array:
        return np.unique(np.array(self.values, dtype=float)) if self.numbers else np.zeros(0)

    @property
    def labels(self) -> list[str]:
        """The values as text."""
        texts = (
            f"{value:g}" if isinstance(value, float) else "-" if value is None else str(value) for value in self.values
        )
        return [shortened(text, MAX_VALUE) for text in texts]

    def places(self, values: Iterable[Any]) -> Array:
        """Where on the axis `values` are, shape (N,): a number where it is on a scale, else its position in order."""
        if self.numbers:
            places, distinct = np.array(list(values), dtype=float), self._distinct
            return places if self.numeric else np.searchsorted(distinct, places).astype(float)
        order = {repr(value): place for place, value in enumerate(self.values)}
        return np.array([order[repr(value)] for value in values], dtype=float)

    def shares(self, values: Iterable[Any]) -> Array:
        """Where on the axis `values` are, shape (N,), from 0, its lower end, to 1."""
        places, ends = self.places(values), self.places(self.values)
        if self.logarithmic:
            places, ends = np.log(places), np.log(ends)
        low, high = ends.min(), ends.max()
        return (places - low) / (high - low) if high > low else np.full(len(places), 0.5)

    def marked(self) -> list[tuple[float, str]]:
        """Values to write at the axis and their shares of it: all, or of many the ends and some between."""
        heights, labels, count = self.shares(self.values), self.labels, len(self.values)
        if count <= MAX_MARKS:
            return list(zip(heights.tolist(), labels, strict=True))
        if self.numbers:  # of a search, say: their last digits do not matter
            labels = [f"{value:.3g}" for value in self.values]
        return [(float(heights[k]), labels[k]) for k in np.linspace(0, count - 1, MAX_MARKS).astype(int)]


def _by_ratios(values: Array) -> bool:
    """Whether sorted numbers are spaced more evenly by their ratios."""
    if len(values) < 2 or values[0] <= 0:
        return False
    differences, ratios = np.diff(values), np.diff(np.log(values))
    uneven = differences.std() / differences.mean() - ratios.std() / ratios.mean()
    return bool(uneven > 1e-9) if len(values) > 2 else bool(values[1] >= 8 * values[0])
