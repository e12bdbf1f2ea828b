"""Counts of values in bins that fit them."""

from __future__ import annotations

import numpy as np

from litlab.plots.canvas import Array

BINS = 50
MAX_LEVELS = 512  # evenly spaced values that bins are fitted to; of more, some in one bin or the next do not matter
SAMPLE = 10_000  # values looked at for levels


def histogram(values: Array) -> tuple[Array, Array]:
    """Counts (B,) and edges (B + 1,) of the finite ones among `values`.

    Values that are whole multiples of a step, as bytes are and counts, get bins with as many levels in each.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.zeros(1, dtype=int), np.array([0.0, 1.0])
    low, high = float(finite.min()), float(finite.max())
    bins, ends = BINS, (low, high)
    if high - low <= max(1e-6 * max(abs(low), abs(high)), 1e-300):  # finer than a float32 can tell: as good as constant
        room = max(abs(low), abs(high)) / 2 or 0.5
        bins, ends = BINS + 1, (low - room, high + room)
    elif levels := _levels(finite, low, high):
        bins, ends = _level_bins(levels, low, high)
    return np.histogram(finite, bins, range=(np.float64(ends[0]), np.float64(ends[1])))  # a float32's bins are coarse


def _levels(values: Array, low: float, high: float) -> int:
    """How many evenly spaced levels there are from `low` to `high` that all values lie on; 0: there are none such."""
    sample = np.unique(np.append(values[:: max(1, len(values) // SAMPLE)], (low, high)).astype(float))
    step = float(np.diff(sample).min())
    if high - low > (MAX_LEVELS - 1) * step:
        return 0
    steps = round((high - low) / step)
    places = (sample - low) / ((high - low) / steps)
    return steps + 1 if (abs(places - places.round()) < 0.02).all() else 0


def _level_bins(levels: int, low: float, high: float) -> tuple[int, tuple[float, float]]:
    """The number of bins and their ends: several levels in each bin; of few levels each in the middle of some bins."""
    step = (high - low) / (levels - 1)
    together, apart = -(-levels // 64), BINS // levels | 1  # an odd number, so that there is a middle
    first, bins = low - step / 2, -(-levels // together) * (apart if together == 1 else 1)
    return bins, (first, first + -(-levels // together) * together * step)
