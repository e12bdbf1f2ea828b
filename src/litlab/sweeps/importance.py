"""Which settings matter: the share of the metric's variance between settings that one, or two together, explain."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from litlab.plots.canvas import Array
from litlab.plots.sweep import colour_range
from litlab.sweeps.job_result import comparable
from litlab.sweeps.rows import Row

MIN_ROWS = 8  # with a value; of fewer, chance explains as much
MOST_GROUPS = 0.6  # of the number of rows
GROUPS = 4  # of a number with more values than that


def importance(columns: Sequence[str], rows: Sequence[Row], mode: str) -> dict[tuple[str, ...], float]:
    """The share of each setting that differs, from 0 to 1; and what two explain beyond their own shares.

    It is epsilon squared (Kelley 1935) of a one-way analysis of variance: the variance between the groups of a
    setting's values, without the part that chance is expected to have; of two settings, between the groups of their
    pairs of values. Numbers with more than four values are parted into four groups of equal size. Settings that change
    together share what they explain, so that the sum may exceed 1. A value far beyond the others, as of a diverged
    job, counts as the worst of these, see `colour_range`.

    Args:
        columns: the names of the rows' values.
        rows: of one metric; those with seeds missing do not count.
        mode: max or min, what is better.

    Returns:
        by the names of one or two settings, the largest first; empty where fewer than MIN_ROWS rows have a value, fewer
        than two settings differ, or the metric does not. What has too many values for so few rows is left out.
    """
    known = [row for row in rows if row.is_complete and row.best.mean is not None]
    if len(known) < MIN_ROWS:
        return {}
    means = np.array([row.best.mean for row in known], dtype=float)
    low, high = colour_range(means, mode)
    with np.errstate(over="ignore", invalid="ignore"):  # of the largest numbers there are
        means = (means.clip(low, high) - low) / (high - low)
    if not np.isfinite(means).all() or not means.var():
        return {}
    found = {(name,): _groups([row.values[number] for row in known]) for number, name in enumerate(columns)}
    groups: dict[tuple[str, ...], Array]
    groups = {name: each for name, each in found.items() if 1 < each.max() + 1 <= MOST_GROUPS * len(known)}
    if len(groups) < 2:
        return {}
    shares = {name: _epsilon_squared(means, each) for name, each in groups.items()}
    for one, other in combinations(groups, 2):
        pairs = np.unique(np.stack([groups[one], groups[other]]), axis=1, return_inverse=True)[1].ravel()
        if pairs.max() + 1 <= MOST_GROUPS * len(known):
            shares[one + other] = _epsilon_squared(means, pairs) - max(shares[one], 0) - max(shares[other], 0)
    return {name: max(share, 0.0) for name, share in sorted(shares.items(), key=lambda item: -item[1])}


def _groups(values: Sequence[Any]) -> Array:
    """The group of each value, shape (N,), from 0."""
    keys: Any = [comparable([value]) for value in values]
    if all(type(value) in (int, float) for value in values) and len(set(values)) > GROUPS:
        keys = np.searchsorted(np.quantile(values, np.linspace(0, 1, GROUPS + 1)[1:-1]), values)
    return np.unique(keys, return_inverse=True)[1]


def _epsilon_squared(values: Array, groups: Array) -> float:
    """Of N values in groups, both of shape (N,); below 0 where chance would explain more."""
    counts = np.bincount(groups)
    within = float(((values - (np.bincount(groups, values) / counts)[groups]) ** 2).sum())
    total = float(((values - values.mean()) ** 2).sum())
    return 1 - within / (len(values) - len(counts)) * (len(values) - 1) / total
