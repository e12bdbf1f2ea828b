"""Mean and standard deviation of a few numbers, rounded alike in the tables and the pictures of a leaderboard."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median_low

TOP = 3  # settings whose deviations count: those of the worst say nothing about the best
HUGE = 1e9  # from here on, as of a diverged loss, a number has four digits and an exponent


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of n numbers; `std` is None for one, both for none."""

    mean: float | None
    std: float | None
    n: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "Spread":
        """Of the finite ones. (statistics.stdev takes fifty times as long, to be exact to the last bit.)"""
        numbers = [float(each) for each in values if each is not None and math.isfinite(each)]
        if not numbers:
            return cls(None, None, 0)
        mean, n = fmean(numbers), len(numbers)
        return cls(mean, math.sqrt(math.fsum((each - mean) ** 2 for each in numbers) / (n - 1)) if n > 1 else None, n)

    def text(self, digits: int) -> str:
        """With so many decimals: mean ± standard deviation; a mean that these would hide gets four digits."""
        if self.mean is None:
            return "-"
        if 0 < abs(self.mean) < 10 ** (1 - digits):
            digits = max(digits, 3 - math.floor(math.log10(abs(self.mean))))
        form = ".4g" if abs(self.mean) >= HUGE else f".{digits}f"
        return f"{self.mean:{form}}" + ("" if self.std is None else f" ± {self.std:{form}}")


def decimals(spreads: Sequence[Spread]) -> int:
    """How many decimals to show: two digits of the deviation over seeds (one from 8 on: 0.0009), else four of the best.

    Args:
        spreads: the best first.
    """
    deviations = [each.std for each in spreads if each.std][:TOP]
    best = next((abs(each.mean) for each in spreads if each.mean), 1.0)
    digits = 1 - math.log10(1.25 * median_low(deviations)) if deviations else 3 - math.log10(best) + 1e-9
    return min(max(math.ceil(digits), 0), 10)
