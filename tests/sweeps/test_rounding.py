"""How many digits of a mean are shown."""

import pytest

from litlab.sweeps.rows import Spread, decimals


@pytest.mark.parametrize(
    ("spreads", "digits"),
    [
        ([Spread(0.97, 0.0029, 3)], 4),
        ([Spread(0.97, 0.0009, 3)], 4),
        ([Spread(0.97, 0.014, 3)], 3),
        ([Spread(0.97, 0.0029, 3), *(Spread(0.4, 0.3, 3) for _ in range(9))], 2),
        ([Spread(0.97, 0.0029, 3), Spread(0.96, 0.0031, 3), *(Spread(0.4, 0.3, 3) for _ in range(9))], 4),
        ([Spread(0.97, 0.0029, 3), Spread(0.4, 0.3, 3)], 4),
        ([Spread(97.2, 12.0, 3)], 0),
        ([Spread(0.97, None, 1), Spread(0.9, None, 1)], 4),
        ([Spread(None, None, 0), Spread(97.2, None, 1)], 2),
        ([Spread(12345.0, None, 1)], 0),
        ([Spread(0.97, 0.0, 3)], 4),
        ([Spread(None, None, 0)], 4),
    ],
)
def test_as_many_decimals_as_the_spread_lets_one_tell(spreads, digits):
    assert decimals(spreads) == digits


def test_a_small_number_keeps_its_digits():
    assert Spread(0.97213, 0.0029, 3).text(4) == "0.9721 ± 0.0029"
    assert Spread(0.000012344, None, 1).text(4) == "0.00001234"
    assert Spread(0.0, None, 1).text(2) == "0.00"
    assert Spread(1.23456e9, 5e8, 2).text(4) == "1.235e+09 ± 5e+08"
    assert Spread(852993792.0, None, 1).text(0) == "8.53e+08"
    assert Spread(852993.79, 1234.5, 2).text(4) == "852993.8 ± 1234.5"
    assert Spread(0.0, None, 1).text(0) == "0" and Spread(1.5, None, 1).text(0) == "1.500"
