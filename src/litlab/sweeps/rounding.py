"""How many digits of a mean are shown: the same in the tables and in the pictures of a leaderboard."""

import math
from collections.abc import Sequence
from statistics import median_low

from litlab.sweeps.rows import Spread

TOP = 3  # settings whose deviations count: those of settings that hardly train say nothing of the best


def decimals(spreads: Sequence[Spread]) -> int:
    """How many to show: two digits of the deviation over seeds (one from 8 on: 0.0009); else four of the best.

    Args:
        spreads: the best first.
    """
    deviations = [each.std for each in spreads if each.std][:TOP]
    best = next((abs(each.mean) for each in spreads if each.mean), 1.0)
    digits = 1 - math.log10(1.25 * median_low(deviations)) if deviations else 3 - math.log10(best) + 1e-9
    return min(max(math.ceil(digits), 0), 10)


def spread(of: Spread, digits: int) -> str:
    """Mean ± standard deviation; a number that so few decimals would hide gets four digits."""
    if of.mean is None:
        return "-"
    digits = max(digits, 3 - math.floor(math.log10(abs(of.mean)))) if 0 < abs(of.mean) < 10 ** (1 - digits) else digits
    return f"{of.mean:.{digits}f}" + ("" if of.std is None else f" ± {of.std:.{digits}f}")
