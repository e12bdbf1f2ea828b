"""How many digits of a measured number are shown: enough to compare, and none that float32 does not have."""

import math

HUGE = 1e7  # from here on, as of a diverged loss, a number has four digits and an exponent
FLOAT32 = 7  # decimal digits that it holds


def number_format(number: float, decimals: int) -> str:
    """The format of a number with so many decimals: of a large one fewer; four digits of one that these would hide."""
    if abs(number) >= HUGE:
        return ".4g"
    size = math.floor(math.log10(abs(number))) if number else 0
    if number and size <= -decimals:
        decimals = 3 - size
    return f".{max(min(decimals, FLOAT32 - 1 - size), 0)}f" if size >= 3 else f".{decimals}f"


def metric_text(value: float | None) -> str:
    """Four decimals, of a large number fewer; three digits of a small one; - for NaN, which result.json has as null."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.3g}" if 0 < abs(value) < 0.001 else f"{value:{number_format(value, 4)}}"
