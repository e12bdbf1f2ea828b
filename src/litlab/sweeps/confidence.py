"""How certain a leaderboard is: confidence intervals of a row's mean, and of the difference of two rows."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import fmean, stdev

from litlab.plots.training import RANGES
from litlab.sweeps.job_result import REPLICATES, comparable
from litlab.sweeps.rows import Row

LEVEL = 0.95
MIN_VALUES = 3  # of a comparison: two can agree by chance, and their interval would be a point
ROUNDING = 1e-6  # of metrics in float32, relative: smaller differences are none
TOO_FEW = (
    f"too few runs to tell whether the difference is chance: train {MIN_VALUES} seeds of each, or more (-m seed=0,1,2)"
)
Interval = tuple[float, float]


def interval(row: Row) -> Interval | None:
    """The 95% confidence interval of a row's mean validation metric over seeds and folds; None for fewer than two,
    or if all are equal: a spread of zero, as of an accuracy of 1, says nothing about how certain the mean is.

    It is clipped to the values that the metric can have: Student's interval of an accuracy near 1 reaches beyond, and
    the mean cannot lie there, so that clipping costs no coverage.
    """
    if not row.is_complete or row.n < 2:
        return None
    values = list(_values(row).values())
    if _are_equal(values, values):
        return None
    low, high = _of_mean(values, _folds(row))
    lowest, highest = RANGES.get((row.metric or "").partition("/")[2], (-math.inf, math.inf))
    return max(low, lowest), min(high, highest)


def comparison(first: Row, second: Row, names: tuple[str, str] = ("the first row", "the second row")) -> str | None:
    """Whether one row beats another by more than chance, in a sentence; None if either has fewer than three values.

    Paired where both have the same seeds and folds (Student's t), else by Welch's t. The two are usually picked out of
    many rows, so the interval flatters the first.

    Args:
        first: the better one.
        second: the other one.
        names: what the sentence calls them.
    """
    is_comparable = first.metric == second.metric and first.is_complete and second.is_complete
    if not is_comparable or min(first.n, second.n) < MIN_VALUES:
        return None
    ours, theirs = _values(first), _values(second)
    low = high = difference = fmean(ours.values()) - fmean(theirs.values())
    if abs(difference) < ROUNDING * abs(fmean(theirs.values())):
        low = high = difference = 0.0
    paired = ours.keys() == theirs.keys()
    differences = [ours[key] - theirs[key] for key in ours] if paired else [*_residuals(ours), *_residuals(theirs)]
    has_spread = not _are_equal(differences, theirs.values())
    if has_spread and paired:
        low, high = _of_mean(differences, _folds(first))
    elif has_spread:
        from scipy import stats

        test = stats.ttest_ind(list(ours.values()), list(theirs.values()), equal_var=False)
        low, high = test.confidence_interval(LEVEL)
    if first.mode == "min":
        difference, low, high = -difference, -high, -low
    if not has_spread and not difference:
        return f"{names[0]} and {names[1].removesuffix(' row')} do not differ: they are equal in all runs"
    how = f"paired over {len(ours)} {' and '.join(first.replicates)}" if paired else "not paired: the seeds differ"
    sure = f"95% interval {low:.2g} to {high:.2g}" if has_spread else "the same in all runs"
    by = f"{difference:.2g} ({sure}, {how})"
    if low > 0 and difference:
        return f"{names[0]} beats {names[1].removesuffix(' row')} by {by}"
    return f"{names[1]} may be as good: {names[0].removesuffix(' row')} leads by {by}"


def _of_mean(numbers: Sequence[float], folds: int | None) -> Interval:
    """Student's interval of a mean; over folds, which share training samples, corrected (Nadeau and Bengio 2003)."""
    from scipy import stats

    overlap = 1 / (folds - 1) if folds else 0.0  # validation samples per training sample
    error = stdev(numbers) * math.sqrt(1 / len(numbers) + overlap)
    low, high = stats.t.interval(LEVEL, len(numbers) - 1, fmean(numbers), error)
    return float(low), float(high)


def _residuals(values: Mapping[str, float]) -> list[float]:
    return [value - fmean(values.values()) for value in values.values()]


def _are_equal(numbers: Collection[float], metrics: Iterable[float]) -> bool:
    """Whether numbers, of the size of a metric or differences of it, differ by no more than its rounding."""
    return max(numbers) - min(numbers) <= ROUNDING * max(map(abs, metrics))


def _values(row: Row) -> dict[str, float]:
    """The validation metric of each job, by its seed and fold."""
    known = ((comparable(map(job.value, REPLICATES)), job.validation) for job in row.jobs)
    return {replicate: float(value) for replicate, value in known if value is not None}


def _folds(row: Row) -> int | None:
    folds = row.jobs[0].value("data.folds") if "folds" in row.replicates else None
    return folds if isinstance(folds, int) and folds > 1 else None
