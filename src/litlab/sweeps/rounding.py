"""How many digits of a mean are shown, in the tables and in the pictures of a leaderboard alike."""

import math
from collections.abc import Sequence
from statistics import median_low

from litlab.sweeps.rows import Spread

TOP = 3  # settings whose deviations count: those of the worst say nothing about the best
HUGE = 1e9  # from here on, as of a diverged loss, a number has four digits and an exponent


def decimals(spreads: Sequence[Spread]) -> int:
    """How many decimals to show: two digits of the deviation over seeds (one from 8 on: 0.0009), else four of the best.

    Args:
        spreads: the best first.
    """
    deviations = [each.std for each in spreads if each.std][:TOP]
    best = next((abs(each.mean) for each in spreads if each.mean), 1.0)
    digits = 1 - math.log10(1.25 * median_low(deviations)) if deviations else 3 - math.log10(best) + 1e-9
    return min(max(math.ceil(digits), 0), 10)


def spread(of: Spread, digits: int) -> str:
    """Mean ± standard deviation; a mean that so few decimals would hide gets four digits."""
    if of.mean is None:
        return "-"
    digits = max(digits, 3 - math.floor(math.log10(abs(of.mean)))) if 0 < abs(of.mean) < 10 ** (1 - digits) else digits
    form = ".4g" if abs(of.mean) >= HUGE else f".{digits}f"
    return f"{of.mean:{form}}" + ("" if of.std is None else f" ± {of.std:{form}}")
