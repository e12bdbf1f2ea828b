"""Counts of values in bins that fit them."""

from __future__ import annotations

import numpy as np

from litlab.plots.canvas import Array

BINS = 50
MAX_LEVELS = 512  # evenly spaced values that bins are aligned with; with more, misaligned bins do not show
SAMPLE = 10_000  # values searched for levels


def histogram(values: Array) -> tuple[Array, Array]:
    """Counts (B,) and edges (B + 1,) of the finite ones among `values`.

    Where values are whole multiples of a step, such as bytes and counts, each bin holds the same number of levels.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.zeros(1, dtype=int), np.array([0.0, 1.0])
    low, high = float(finite.min()), float(finite.max())
    bins, ends = BINS, (low, high)
    if high - low <= max(1e-6 * max(abs(low), abs(high)), 1e-300):  # finer than float32 resolves: constant
        room = max(abs(low), abs(high)) / 2 or 0.5
        bins, ends = BINS + 1, (low - room, high + room)
    elif levels := _levels(finite, low, high):
        bins, ends = _level_bins(levels, low, high)
    return np.histogram(finite, bins, range=(np.float64(ends[0]), np.float64(ends[1])))  # float32 edges are coarse


def _levels(values: Array, low: float, high: float) -> int:
    """The number of evenly spaced levels from `low` to `high` that all values lie on; 0 if there are none."""
    sample = np.unique(np.append(values[:: max(1, len(values) // SAMPLE)], (low, high)).astype(float))
    step = float(np.diff(sample).min())
    if high - low > (MAX_LEVELS - 1) * step:
        return 0
    steps = round((high - low) / step)
    positions = (sample - low) / ((high - low) / steps)
    return steps + 1 if (abs(positions - positions.round()) < 0.02).all() else 0


def _level_bins(levels: int, low: float, high: float) -> tuple[int, tuple[float, float]]:
    """The number of bins and their ends: several levels per bin; few levels are each in the middle of several bins."""
    step = (high - low) / (levels - 1)
    levels_per_bin, bins_per_level = -(-levels // 64), BINS // levels | 1  # odd, so that there is a middle
    groups = -(-levels // levels_per_bin)
    first = low - step / 2
    bins = groups * (bins_per_level if levels_per_bin == 1 else 1)
    return bins, (first, first + groups * levels_per_bin * step)
