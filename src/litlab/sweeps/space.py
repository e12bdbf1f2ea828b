"""The settings that a sweep tries: from the values on the command line to the overrides of each job."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from litlab.errors import RequestError
from litlab.sweeps.condition import Condition
from litlab.sweeps.job_result import REPLICATES, parse
from litlab.sweeps.naming import key_of

TRIES = 100  # draws for each wanted job: all but one may be excluded or repeated
DIGITS = 4  # significant ones of a drawn number: a rate of 0.01234 fits into a folder's name, and can be typed

Job = dict[str, str]  # by setting, its override


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

    @property
    def given(self) -> tuple[str, ...]:
        """The settings as they were given: an override of each, or the name of an interval's."""
        return (self.key,) if self.interval is not None else self.words[0]

    @property
    def varies(self) -> bool:
        """Whether there is more than one alternative."""
        return self.interval is not None or len(self.words) > 1

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
            raise RequestError(f"{key}=interval({low}, {high}): must run from a smaller to a larger number")
        if "log" in self.interval.tags and low <= 0:
            raise RequestError(f"{key}=tag(log, interval({low}, {high})): a logarithm needs positive numbers")


class Space:
    """The settings of a sweep and their values.

    Args:
        overrides: of the whole sweep; if a setting is given twice, the last one counts.
        options: conf/sweep: `pairs`, `exclude`, `when`, `draw`, `jobs`, `draw_seed`, `max_jobs`.
        choices: the default choice of each group.

    Raises:
        RequestError: an option does not fit the overrides, or a setting has no value, or far too many.
    """

    def __init__(self, overrides: Sequence[Override], options: DictConfig, choices: Mapping[str, Any]) -> None:
        self.options, self.choices = options, choices
        self.limit = options.get("max_jobs") or math.inf
        self.axes = parse_axes(overrides, self.limit)
        self.when = self._conditional()
        self._pair()
        several = [axis for axis in self.axes.values() if axis.varies]
        own = [key for _, _, axes in self.when for key in axes]
        self.swept = list(dict.fromkeys([*(key for axis in several for key in axis.keys), *own]))
        known = list(dict.fromkeys([*(key for axis in self.axes.values() for key in axis.keys), *own]))
        exclude = options.get("exclude")
        texts = [exclude] if isinstance(exclude, str) else list(exclude or ())
        self.excluded = [Condition(str(text), known, "sweep.exclude") for text in texts]

    def jobs(self, fitting: Callable[[Sequence[str]], Sequence[str]] = list) -> list[list[str]]:
        """The overrides of each job.

        Args:
            fitting: leaves out of a job's overrides what the job does not have.

        Raises:
            RequestError: there are too many, or all are excluded.
            HydraException: a grid has an interval, which is no list of values.
        """
        draw = self.options.get("draw")
        self._fitting = fitting
        jobs = self._draw(str(draw)) if draw else self._grid()
        if not jobs:
            raise RequestError(f"sweep.exclude={self.options.exclude}: leaves no job")
        return [list(job.values()) for job in jobs]

    def _grid(self) -> list[Job]:
        for key, axis in [*self.axes.items(), *(item for _, _, own in self.when for item in own.items())]:
            if axis.interval is not None:
                raise HydraException(
                    f"{key}: a grid needs values, as in {key}=1,2,3; or take sweep=random, or sweep=optuna"
                )
        sizes = {" with ".join(axis.keys): len(axis.words) for axis in self.axes.values() if len(axis.words) > 1}
        if (total := math.prod(sizes.values())) > self.limit:
            product = " x ".join(f"{key} ({size:,})" for key, size in sizes.items())
            what = f"makes {total:,} jobs, more than sweep.max_jobs={self.limit}; give fewer values, or raise that"
            raise RequestError(f"{product}: {what}")
        jobs: list[Job] = []
        seen: set[tuple[str, ...]] = set()
        for words in itertools.product(*(axis.words for axis in self.axes.values())):
            general = _job(itertools.chain(*words))
            own = self._own(general)
            for chosen in itertools.product(*(axis.words for axis in own.values())):
                whole = general | _job(itertools.chain(*chosen))
                job = _job(self._fitting(list(whole.values())))
                # The values in which the two differed have been replaced by `when`, or left out.
                repeated = (own or len(job) < len(whole)) and tuple(job.values()) in seen
                if not repeated and not self._is_excluded(job):
                    jobs.append(job)
                    seen.add(tuple(job.values()))
        return jobs

    def _draw(self, kind: str) -> list[Job]:
        number = self.options.get("jobs")
        if number is None:
            raise RequestError(f"sweep.jobs={number}: must be a whole number from 1, such as 20")
        drawn = {key: axis for key, axis in self.axes.items() if key not in REPLICATES}  # each runs with every seed
        conditional = [axis for _, _, own in self.when for axis in own.values()]
        for axis in [*drawn.values(), *conditional]:
            axis.check_interval()
        found: dict[tuple[str, ...], Job] = {}
        # Words of one value do not count: with one more, such as sweep.resume, all draws would be others.
        dimensions = sum(axis.varies for axis in drawn.values()) + len(conditional)
        for point in itertools.islice(self._points(kind, dimensions), TRIES * number):
            positions = iter(point)
            general = _job(
                itertools.chain(*(axis.at(next(positions) if axis.varies else 0.0) for axis in drawn.values()))
            )
            for group, choice, own in self.when:
                words = [axis.at(next(positions)) for axis in own.values()]
                if self._choice(general, group) == choice:
                    general |= _job(itertools.chain(*words))
            general = _job(self._fitting(list(general.values())))
            if not self._is_excluded(general):
                found.setdefault(tuple(general.values()), general)
            if len(found) == number:
                break
        replicates = list(itertools.product(*(axis.words for key, axis in self.axes.items() if key in REPLICATES)))
        return [job | _job(itertools.chain(*words)) for job in found.values() for words in replicates]

    def _points(self, kind: str, dimensions: int) -> Iterator[list[float]]:
        """Endless points of the unit cube, the same for the same seed."""
        import numpy as np

        seed, size = int(self.options.get("draw_seed") or 0), max(dimensions, 1)
        if kind == "random":
            generator = np.random.default_rng(seed)
            while True:
                yield generator.random(size).tolist()
        from scipy.stats import qmc

        sequence = qmc.Halton(size, scramble=True, rng=seed)
        while True:
            yield sequence.random(1)[0].tolist()

    def _own(self, job: Job) -> dict[str, Axis]:
        """The axes that only jobs of this one's choices have."""
        fitting = (own for group, choice, own in self.when if self._choice(job, group) == choice)
        return {key: axis for own in fitting for key, axis in own.items()}

    def _choice(self, job: Job, group: str) -> str:
        return job[group].partition("=")[2] if group in job else str(self.choices.get(group))

    def _conditional(self) -> list[tuple[str, str, dict[str, Axis]]]:
        """`when`: a group, a choice, and the axes that only jobs of that choice have."""
        when = self.options.get("when") or {}
        when = OmegaConf.to_container(when) if OmegaConf.is_config(when) else when
        example = '{model: {cnn: {optimizer.lr: "0.01,0.03"}}}'
        found = []
        for group, choices in when.items() if isinstance(when, dict) else [("", None)]:
            if not isinstance(choices, dict) or not all(isinstance(each, dict) for each in choices.values()):
                raise RequestError(f"sweep.when={when}: must name choices and their values, as in {example}")
            for choice, settings in choices.items():
                words = [f"{key}={_text(value)}" for key, value in settings.items()]
                found.append(
                    (str(group), str(choice), parse_axes(OverridesParser.create().parse_overrides(words), self.limit))
                )
        return found

    def _pair(self) -> None:
        """Join the axes of paired settings: first value with first."""
        given = self.options.get("pairs") or []
        if isinstance(given, str):
            raise RequestError(f"sweep.pairs={given}: must be a list of settings, as in [optimizer.lr,data.batch_size]")
        pairs = [list(each) for each in given] if given and not isinstance(given[0], str) else [list(given)]
        for keys in filter(None, pairs):
            axes = [self.axes.get(key) for key in keys]
            for key, axis in zip(keys, axes, strict=True):
                if axis is None or axis.interval is not None:
                    raise RequestError(f"sweep.pairs: {key} has no list of values; give it one, as in {key}=1,2")
            sizes = {key: len(axis.words) for key, axis in zip(keys, axes, strict=True) if axis}
            if len(set(sizes.values())) > 1:
                counts = ", ".join(f"{key} has {size}" for key, size in sizes.items())
                raise RequestError(f"sweep.pairs: paired settings need the same number of values; {counts}")
            joined = zip(*(axis.words for axis in axes if axis), strict=True)
            together = Axis(tuple(tuple(itertools.chain(*words)) for words in joined))
            self.axes = {
                key: together if key == keys[0] else axis
                for key, axis in self.axes.items()
                if key == keys[0] or key not in keys
            }

    def _is_excluded(self, job: Job) -> bool:
        if not self.excluded:
            return False
        values = {key: parse(word.partition("=")[2]) for key, word in job.items()}
        return any(condition.holds(values) for condition in self.excluded)


def _job(words: Iterator[str] | Sequence[str]) -> Job:
    return {key_of(word): word for word in words}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value)


def parse_axes(overrides: Sequence[Override], limit: float) -> dict[str, Axis]:
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
    """The values of a setting; their number is checked before they are listed."""
    value = override.value()
    if isinstance(value, RangeSweep):
        start, stop, step = (Decimal(str(each)) for each in (value.start, value.stop, value.step))
        try:
            size = math.ceil((stop - start) / step)
        except (ArithmeticError, ValueError) as error:  # a step of 0; nan and inf
            what = "is not a valid range; write range(START, STOP, STEP)"
            raise RequestError(f"{override.input_line}: {what}") from error
        if size > limit:
            what = f"gives {size:,} values, more than sweep.max_jobs={limit}; give fewer, or raise that"
            raise RequestError(f"{override.input_line}: {what}")
    values = list(override.sweep_string_iterator())
    if not values:
        raise RequestError(f"{override.input_line}: yields no value; use range(0, 5), or glob(*) for all choices")
    return values
