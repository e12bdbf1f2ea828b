"""What a search draws from: Optuna's distributions, from ranges in Hydra's grammar."""

import math
from collections.abc import Iterable
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep, Transformer
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial

from litlab.errors import RequestError


def take_seeds(overrides: dict[str, Override]) -> list[str]:
    """Take the seeds of each trial out of the overrides: they are not searched. None where the seed is fixed.

    Raises:
        RequestError: they are an interval.
    """
    given = overrides.get("seed")
    if given is None or not given.is_sweep_override():
        return []
    if not given.is_discrete_sweep():
        raise RequestError(f"{given.input_line}: each trial runs all of its seeds; list them, as in seed=0,1,2")
    del overrides["seed"]
    return list(dict.fromkeys(given.sweep_string_iterator()))


def search_ranges(overrides: dict[str, Override]) -> tuple[dict[str, BaseDistribution], list[str]]:
    """What each setting with a range is drawn from; and the other overrides.

    Raises:
        RequestError: a search cannot draw from a range, or there is none.
    """
    swept = {key: each for key, each in overrides.items() if each.is_sweep_override()}
    try:
        ranges = {key: distribution(each) for key, each in swept.items()}
    except (NotImplementedError, AssertionError, ValueError, LookupError) as error:
        raise RequestError(
            "sweep=optuna: the range of a setting is choice(A, B, ...), range(LOW, HIGH, STEP), interval(LOW, HIGH)"
            " or, over its logarithm, tag(log, interval(LOW, HIGH))"
        ) from error
    if not ranges:
        raise RequestError(
            "sweep=optuna: nothing to search; give a setting a range: 'optimizer.lr=tag(log, interval(0.001, 1.0))'"
        )
    return ranges, [each.input_line or "" for key, each in overrides.items() if key not in swept]


def combinations(ranges: Iterable[BaseDistribution]) -> float:
    """How many there are of the values of these; infinitely many of an interval's."""
    number = 1.0
    for each in ranges:
        if isinstance(each, CategoricalDistribution):
            number *= len(each.choices)
        elif isinstance(each, IntDistribution | FloatDistribution) and each.step:
            number *= round((each.high - each.low) / each.step) + 1
        else:
            return math.inf
    return number


def distribution(override: Override) -> BaseDistribution:
    """What Optuna draws from for a setting with a range: interval() has both ends, range() lacks HIGH as in a grid.

    Raises:
        NotImplementedError: there is none, as for glob().
        ValueError, LookupError: it is empty.
    """
    given = override.value()
    if isinstance(given, ChoiceSweep) or (isinstance(given, RangeSweep) and given.shuffle):
        choices: list[Any] = list(override.sweep_iterator(transformer=Transformer.encode))
        return CategoricalDistribution(choices)
    if isinstance(given, RangeSweep):
        assert given.start is not None
        values = given.range()
        last = values[-1] if isinstance(values, range) else list(values)[-1]
        low, high, step, log = given.start, last, given.step, False
    elif isinstance(given, IntervalSweep):
        assert given.start is not None and given.end is not None
        low, high, step, log = given.start, given.end, None, "log" in given.tags
    else:
        raise NotImplementedError(override.input_line)
    if isinstance(low, int) and isinstance(high, int) and not isinstance(step, float):
        return IntDistribution(low, high, log=log, step=step or 1)
    return FloatDistribution(low, high, log=log, step=step)


def suggest(trial: Trial, key: str, given: BaseDistribution) -> None:
    """Draw a setting of a trial."""
    match given:
        case CategoricalDistribution():
            trial.suggest_categorical(key, given.choices)
        case IntDistribution():
            trial.suggest_int(key, given.low, given.high, step=given.step, log=given.log)
        case FloatDistribution():
            trial.suggest_float(key, given.low, given.high, step=given.step, log=given.log)
