"""A search with Optuna: what was tried decides what is tried next, which begins as soon as a worker is free."""

import os
import shlex
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from statistics import fmean
from typing import Any

import optuna
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep, Transformer
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, Trial, TrialState

from litlab import signals
from litlab.compat.hydra import instantiate
from litlab.errors import RequestError
from litlab.sweeps.job import WORST, Job, monitored
from litlab.sweeps.jobs import Jobs
from litlab.sweeps.naming import key_of
from litlab.sweeps.sweep import begin, walking

FOUND = "optimization_results.yaml"  # in the sweep's folder, when the search has come to its end
DIRECTIONS = {"max": "maximize", "min": "minimize"}  # by task.mode


class Search:
    """A study of Optuna's, which can be resumed, by ask and tell; around it litlab's folder, jobs and leaderboard.

    Args:
        sampler: the config of one of Optuna's, which is made when the study is known.
        direction: maximize or minimize; None: by task.mode.
        storage: the address where Optuna keeps the study; see `optuna.create_study`.
        study_name: its name there.
        n_trials: that the study is to have, completed.
        n_jobs: how many trials run at a time; -1: one per core.
        params: by setting the text of its range, or of its value.
    """

    def __init__(
        self,
        *,
        sampler: DictConfig,
        direction: str | None,
        storage: str,
        study_name: str,
        n_trials: int,
        n_jobs: int,
        params: DictConfig | None,
    ) -> None:
        self.sampler = sampler
        self.direction = direction
        self.storage = storage
        self.study_name = study_name
        self.n_trials = n_trials
        self.n_jobs = n_jobs
        self.params = {str(key): text for key, text in (params or {}).items()}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Claim the sweep's folder, then set up the launcher.

        Raises:
            RequestError: a setting of the search is wrong.
        """
        for setting, least in {"n_trials": 1, "n_jobs": -1}.items():
            value = getattr(self, setting)
            if not isinstance(value, int) or value < least or value == 0:
                raise RequestError(f"hydra.sweeper.{setting}={value}: must be a whole number from 1, such as 20")
        self.n_jobs = self.n_jobs if self.n_jobs > 0 else os.cpu_count() or 1  # joblib's -1: all cores
        self.direction = self.direction or DIRECTIONS[config.task.mode]
        if self.direction not in DIRECTIONS.values():
            raise RequestError(f"hydra.sweeper.direction={self.direction}: must be maximize or minimize")
        if config.sweep.dry_run:
            raise RequestError("sweep.dry_run=true: a search learns its jobs as it goes; it works for grids alone")
        for name in ("pairs", "exclude", "when", "draw"):
            if config.sweep.get(name):
                raise RequestError(f"sweep.{name}={config.sweep[name]}: is for grids and for sweep=random")
        begin(self, hydra_context, task_function, config)
        self.storage = config.hydra.sweeper.storage  # anew: it lies in the folder that was claimed

    def sweep(self, arguments: list[str]) -> None:
        """Run trials until the study has n_trials completed ones, summarize them, and print the best.

        Raises:
            RequestError: there is nothing to search, or the study was begun with other choices.
            RunError: jobs failed.
        """
        hush()
        given = [f"{key}={text}" for key, text in self.params.items()] + arguments
        overrides = {each.get_key_element(): each for each in OverridesParser.create().parse_overrides(given)}
        seeds = self._seeds(overrides)
        ranges, words = self._ranges(overrides)
        swept = [*map(key_of, ranges), *(["seed"] if seeds else [])]
        each = max(len(seeds), 1)  # jobs of a trial
        with walking(self, swept, self.n_trials * each) as jobs:
            study = self._study()
            trials = self._recover(study, seeds)
            done = sum(trial.state == TrialState.COMPLETE for trial in trials)
            if done >= self.n_trials:
                print(f"all {done} trials are done; for more: hydra.sweeper.n_trials={done + self.n_trials}")
                return
            if done:
                print(f"{done} of {self.n_trials} trials are completed already", flush=True)
            jobs.total = (self.n_trials - done) * each
            (self.folder / FOUND).unlink(missing_ok=True)
            seed = self.sampler.get("seed")
            study.sampler = instantiate(self.sampler, **({} if seed is None else {"seed": seed + len(trials)}))
            values = [trial.value for trial in trials if trial.value is not None]
            value = Value(jobs, values, worst=min if self.direction == "maximize" else max)
            try:
                done += self._ask_and_tell(study, self.n_trials - done, ranges, words, jobs, seeds, value)
            except ValueError as error:
                if "value space" not in str(error) and "distribution kind" not in str(error):
                    raise
                raise RequestError(
                    f"sweep.resume={self.folder}: the study has other choices for a setting; give it those again"
                ) from error
            if done == self.n_trials:
                best = {"name": "optuna", "best_params": study.best_params, "best_value": study.best_value}
                OmegaConf.save(OmegaConf.create(best), self.folder / FOUND)

    def _seeds(self, overrides: dict[str, Override]) -> list[str]:
        """Take out the seeds of each trial, which are no setting to search; none for a seed that is fixed.

        Raises:
            RequestError: they are a range without an end of steps.
        """
        given = overrides.get("seed")
        if given is None or not given.is_sweep_override():
            return []
        if not given.is_discrete_sweep():
            raise RequestError(f"{given.input_line}: each trial runs all of its seeds; list them, as in seed=0,1,2")
        del overrides["seed"]
        return list(dict.fromkeys(given.sweep_string_iterator()))

    def _ranges(self, overrides: dict[str, Override]) -> tuple[dict[str, BaseDistribution], list[str]]:
        """The settings that have a range, and the other overrides.

        Raises:
            RequestError: a range is none for a search, or there is none.
        """
        swept = {key: each for key, each in overrides.items() if each.is_sweep_override()}
        try:
            ranges = {key: distribution(each) for key, each in swept.items()}
        except (NotImplementedError, AssertionError, ValueError) as error:
            raise RequestError(
                "sweep=optuna: the range of a setting is choice(A, B, ...), range(LOW, HIGH, STEP), interval(LOW, HIGH)"
                " or, over its logarithm, tag(log, interval(LOW, HIGH))"
            ) from error
        if not ranges:
            raise RequestError(
                "sweep=optuna: nothing to search; give a setting a range: 'optimizer.lr=tag(log, interval(0.001, 1.0))'"
            )
        return ranges, [each.input_line or "" for key, each in overrides.items() if key not in swept]

    def _study(self) -> optuna.Study:
        """The study, which is made where there is none.

        Raises:
            RequestError: another version of Optuna made it, which kept it otherwise.
        """
        try:
            return optuna.create_study(
                study_name=self.study_name, storage=self.storage, direction=self.direction, load_if_exists=True
            )
        except RuntimeError as error:
            if "table schema" not in str(error):
                raise
            is_file = str(self.storage).startswith("sqlite:")  # a server's address may hold a password
            url = shlex.quote(self.storage) if is_file else "URL"
            raise RequestError(
                f"sweep.resume={self.folder}: another version of Optuna made this study; bring it up to date with"
                f" `optuna storage upgrade --storage {url}`"
            ) from error

    def _recover(self, study: optuna.Study, seeds: list[str]) -> list[FrozenTrial]:
        """Close the trials that a crash left open, and put their settings first in the queue.

        Args:
            study: what it has.
            seeds: of each trial.

        Returns:
            the trials that were begun.

        Raises:
            RequestError: they were begun with other seeds, and means over unlike seeds cannot be compared.
        """
        trials = study.get_trials(deepcopy=False)
        before = study.user_attrs.get("seeds", []) if trials else seeds
        if before != seeds:
            right = f"give them again: seed={','.join(before)}" if before else f"leave out seed={','.join(seeds)}"
            what = f"the seeds {', '.join(before)}" if before else "one seed each"
            raise RequestError(f"sweep.resume={self.folder}: the trials of the study have {what}; {right}")
        study.set_user_attr("seeds", seeds)
        for trial in trials:
            if trial.state == TrialState.RUNNING:
                study.tell(trial.number, state=TrialState.FAIL)
                if trial.params:  # what its job completed nonetheless, Jobs does not run again
                    study.enqueue_trial(trial.params)
        return trials

    def _ask_and_tell(
        self,
        study: optuna.Study,
        number: int,
        ranges: dict[str, BaseDistribution],
        words: Sequence[str],
        jobs: Jobs,
        seeds: Sequence[str],
        value: "Value",
    ) -> int:
        """Run so many trials, each as one job per seed; the next one is asked for when another one was told.

        A trial that did not begin stays open: it has no value.

        Returns:
            how many have a value.
        """
        trials: list[Trial] = []
        own = [[f"seed={seed}"] for seed in seeds] or [[]]

        def asked() -> Iterator[list[list[str]]]:
            while len(trials) < number:
                with signals.deferred():  # what asks lets signals raise anywhere, and this writes to a database
                    trials.append(trial := study.ask(ranges))
                drawn = [f"{key}={trial.params[key]}" for key in ranges]
                yield [[*drawn, *words, *seed] for seed in own]

        told = 0
        with closing(jobs.stream(asked(), self.n_jobs)) as ended:
            for place, group in ended:
                study.tell(trials[place], value(group))
                told += 1
        return told


def distribution(override: Override) -> BaseDistribution:
    """What Optuna draws from for a setting with a range; both ends are included.

    Raises:
        NotImplementedError: there is none, as for glob().
        ValueError: it is empty.
    """
    given = override.value()
    if isinstance(given, ChoiceSweep) or (isinstance(given, RangeSweep) and given.shuffle):
        choices: list[Any] = list(override.sweep_iterator(transformer=Transformer.encode))
        return CategoricalDistribution(choices)
    if isinstance(given, RangeSweep):
        assert given.start is not None and given.stop is not None
        low, high, step, log = given.start, given.stop, given.step, False
    elif isinstance(given, IntervalSweep):
        assert given.start is not None and given.end is not None
        low, high, step, log = given.start, given.end, None, "log" in given.tags
    else:
        raise NotImplementedError(override.input_line)
    if isinstance(low, int) and isinstance(high, int) and not isinstance(step, float):
        return IntDistribution(low, high, log=log, step=step or 1)
    return FloatDistribution(low, high, log=log, step=step)


class Value:
    """The value of a trial is the mean over its seeds.

    One of which a seed failed has the worst value so far: a mean over those that survived would draw the search to
    settings that hardly train.

    Args:
        jobs: that ran.
        values: of the trials that an earlier session completed.
        worst: chooses the worst of several values: min or max.
    """

    def __init__(self, jobs: Jobs, values: Sequence[float], worst: Callable[[Iterable[float]], float]) -> None:
        self.jobs = jobs
        self.values = [value for value in values if abs(value) < WORST]
        self.worst = worst

    def __call__(self, group: Sequence[Job]) -> float:
        """Of a trial from its jobs, which have ended."""
        returned = [self.jobs.value(job) for job in group]
        found = [monitored((job.twin or job).result) for job in group]
        if None not in found:
            return fmean(returned)
        known = [each for each in returned if abs(each) < WORST]  # the worst of this session is among them
        return self.worst([*known, *self.values]) if known or self.values else returned[found.index(None)]


def hush() -> None:
    """What Optuna says of itself does not belong on the terminal, where the jobs are told."""
    optuna.logging.disable_default_handler()
    optuna.logging.disable_propagation()
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    warnings.filterwarnings("ignore", message="The distribution is specified by")
    warnings.filterwarnings("ignore", module="optuna|sqlalchemy")
