"""The values of one setting of a sweep, or of several that are paired."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from litlab.errors import RequestError
from litlab.sweeps.naming import key_of

DIGITS = 4  # significant ones of a drawn number: a rate of 0.01234 fits into a folder's name, and can be typed


@dataclass(frozen=True)
class Axis:
    """Alternatives of which each job has one: words of one setting, or of several that are paired."""

    words: tuple[tuple[str, ...], ...] = ()  # the discrete alternatives
    key: str = ""  # of an interval
    interval: IntervalSweep | None = None

    @property
    def keys(self) -> list[str]:
        """The settings."""
        return [key_of(self.key)] if self.interval is not None else [key_of(word) for word in self.words[0]]

    def at(self, position: float) -> tuple[str, ...]:
        """The alternative at a position in [0, 1)."""
        if self.interval is None:
            return self.words[int(position * len(self.words))]
        low, high = self.interval.start, self.interval.end
        assert low is not None and high is not None
        whole = isinstance(low, int)  # int(interval(1, 8)), both ends included
        high += whole
        if "log" in self.interval.tags:
            value = math.exp(math.log(low) + position * (math.log(high) - math.log(low)))
        else:
            value = low + position * (high - low)
        return (f"{self.key}={math.floor(value) if whole else float(f'{value:.{DIGITS}g}')}",)

    def check_interval(self) -> None:
        """Refuse what nothing can be drawn from.

        Raises:
            RequestError: an interval is empty or infinite, or has no logarithm.
        """
        if self.interval is None:
            return
        key, low, high = self.key.lstrip("+"), self.interval.start, self.interval.end
        if low is None or high is None or not -math.inf < low < high < math.inf:
            raise RequestError(f"{key}=interval({low}, {high}): must go from a smaller to a larger number")
        if "log" in self.interval.tags and low <= 0:
            raise RequestError(f"{key}=tag(log, interval({low}, {high})): a logarithm needs numbers above 0")


def axes_of(overrides: Sequence[Override], limit: float) -> dict[str, Axis]:
    """By setting the axis of an override; of a setting that is given twice, the last one counts.

    Raises:
        RequestError: a setting has no value, or more than `limit`.
    """
    axes = {}
    for override in overrides:
        word = override.get_key_element()
        key = word.lstrip("+")
        if not override.is_sweep_override():
            axes[key] = Axis(((override.input_line or "",),))
        elif override.is_discrete_sweep():
            axes[key] = Axis(tuple((f"{word}={value}",) for value in _values(override, limit)))
        else:
            interval = override.value()
            assert isinstance(interval, IntervalSweep)
            axes[key] = Axis(key=word, interval=interval)
    return axes


def _values(override: Override, limit: float) -> list[str]:
    """The values of a setting, which are counted before they are listed."""
    value = override.value()
    if isinstance(value, RangeSweep):
        start, stop, step = (Decimal(str(each)) for each in (value.start, value.stop, value.step))
        try:
            size = math.ceil((stop - start) / step)
        except (ArithmeticError, ValueError) as error:  # a step of 0; nan and inf
            what = "is no range of values; write range(START, STOP, STEP)"
            raise RequestError(f"{override.input_line}: {what}") from error
        if size > limit:
            what = f"gives {size:,} values, more than sweep.max_jobs={limit}; give fewer, or raise that"
            raise RequestError(f"{override.input_line}: {what}")
    values = list(override.sweep_string_iterator())
    if not values:
        raise RequestError(f"{override.input_line}: gives no value; such as range(0, 5), or glob(*) for all choices")
    return values
