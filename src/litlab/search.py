"""A search with Optuna, by Hydra's plugin for it: what was tried decides what is tried next."""

import logging
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Any

import optuna
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from hydra.utils import instantiate
from hydra_plugins.hydra_optuna_sweeper._impl import OptunaSweeperImpl, create_params_from_overrides
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial, TrialState

from litlab.errors import RequestError
from litlab.sweep import begin, walking
from litlab.sweeps.job import WORST, monitored
from litlab.sweeps.jobs import Jobs
from litlab.sweeps.naming import key_of
from litlab.sweeps.request import FOUND

DIRECTIONS = {"max": "maximize", "min": "minimize"}  # by task.mode


class Search(OptunaSweeperImpl):
    """The plugin's sweeper with litlab's folder, jobs and leaderboard around it, and with a study that can be resumed.

    Args:
        sampler: the config of one of Optuna's, which is made when the study is known.
        direction: maximize or minimize; None: by task.mode.
        settings: as the plugin's: storage, study_name, n_trials, n_jobs, params.
    """

    def __init__(self, *, sampler: DictConfig, direction: str | None, **settings: Any) -> None:
        # No failure ends a study: a job that failed comes with the worst value so far (see litlab.sweeps.jobs).
        settings |= {"max_failure_rate": 1.0, "search_space": None, "custom_search_space": None}
        super().__init__(sampler=None, direction=direction, **settings)
        self.sampler_config = sampler

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
        begin(self, config)
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.storage = config.hydra.sweeper.storage  # anew: it lies in the folder that was claimed

    def sweep(self, arguments: list[str]) -> None:
        """Run trials until the study has n_trials completed ones, summarize them, and print the best.

        Raises:
            RequestError: there is nothing to search, or the study was begun with other choices.
            RunError: jobs failed.
        """
        seeds, arguments = self._seeds(arguments)
        swept = [*self._searched(arguments), *(["seed"] if seeds else [])]
        each = max(len(seeds), 1)  # jobs of a trial
        hush()
        with walking(self, swept, self.n_trials * each) as jobs:
            trials = self._recover(seeds)
            done = sum(trial.state == TrialState.COMPLETE for trial in trials)
            if done >= self.n_trials:
                print(f"all {done} trials are done; for more: hydra.sweeper.n_trials={done + self.n_trials}")
                return
            if done:
                print(f"{done} of {self.n_trials} trials are completed already", flush=True)
            self.n_trials -= done
            jobs.total = self.n_trials * each
            (self.folder / FOUND).unlink(missing_ok=True)
            seed = self.sampler_config.get("seed")
            self.sampler = instantiate(self.sampler_config, **({} if seed is None else {"seed": seed + len(trials)}))
            values = [trial.value for trial in trials if trial.value is not None]
            self.launcher = Trials(jobs, seeds, values, worst=min if self.direction == "maximize" else max)  # type: ignore[assignment]
            try:
                super().sweep(arguments)
            except StoppedError:
                pass
            except ValueError as error:
                if "value space" not in str(error) and "distribution kind" not in str(error):
                    raise
                raise RequestError(
                    f"sweep.resume={self.folder}: the study has other choices for a setting; give it those again"
                ) from error

    def _seeds(self, arguments: Sequence[str]) -> tuple[list[str], list[str]]:
        """The seeds of each trial, which are no setting to search; none for one that is fixed. And the other arguments.

        Raises:
            RequestError: they are a range without an end of steps.
        """
        parsed = OverridesParser.create().parse_overrides([*self._parse_sweeper_params_config(), *arguments])
        given = [each for each in parsed if key_of(each.get_key_element()) == "seed"]
        if not given or not given[-1].is_sweep_override():
            return [], list(arguments)
        if not given[-1].is_discrete_sweep():
            raise RequestError(f"{given[-1].input_line}: each trial runs all of its seeds; list them, as in seed=0,1,2")
        params = {str(key): text for key, text in (self.params or {}).items()}
        self.params = OmegaConf.create({key: text for key, text in params.items() if key_of(key) != "seed"})
        seeds = list(dict.fromkeys(given[-1].sweep_string_iterator()))
        return seeds, [word for word in arguments if key_of(word) != "seed"]

    def _searched(self, arguments: Sequence[str]) -> list[str]:
        """The settings that have a range."""
        try:
            ranges, fixed = create_params_from_overrides([*self._parse_sweeper_params_config(), *arguments])
        except (NotImplementedError, AssertionError, ValueError) as error:
            raise RequestError(
                "sweep=optuna: the range of a setting is choice(A, B, ...), range(LOW, HIGH, STEP), interval(LOW, HIGH)"
                " or, over its logarithm, tag(log, interval(LOW, HIGH))"
            ) from error
        swept = [key_of(key) for key in ranges if key not in fixed]
        if not swept:
            raise RequestError(
                "sweep=optuna: nothing to search; give a setting a range: 'optimizer.lr=tag(log, interval(0.001, 1.0))'"
            )
        return swept

    def _recover(self, seeds: list[str]) -> list[FrozenTrial]:
        """Close the trials that a crash left open, and put their settings first in the queue.

        Args:
            seeds: of each trial.

        Returns:
            the trials that were begun.

        Raises:
            RequestError: they were begun with other seeds, and means over unlike seeds cannot be compared.
        """
        study = optuna.create_study(
            study_name=self.study_name, storage=self.storage, directions=self._get_directions(), load_if_exists=True
        )
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


class StoppedError(Exception):
    """Jobs are not to begin any more (sweep.on_failure=stop)."""


class Trials:
    """Launches trials as jobs, one for each seed; one that did not begin ends the search, for it has no value.

    The value of a trial is the mean over its seeds. One of which a seed failed has the worst value so far: a mean over
    those that survived would draw the search to settings that hardly train.

    Args:
        jobs: what runs them.
        seeds: of each trial; nothing: the one that its overrides have.
        values: of the trials that an earlier session completed.
        worst: chooses the worst of several values: min or max.
    """

    def __init__(
        self,
        jobs: Jobs,
        seeds: Sequence[str],
        values: Sequence[float],
        worst: Callable[[Iterable[float]], float],
    ) -> None:
        self.jobs = jobs
        self.seeds = seeds
        self.values = [value for value in values if abs(value) < WORST]
        self.worst = worst

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """As a launcher does: for each trial its value.

        Raises:
            StoppedError: a job failed, and no other one is to begin.
        """
        own = [[f"seed={seed}"] for seed in self.seeds] or [[]]
        words = [[*trial, *seed] for trial in job_overrides for seed in own]
        returns = self.jobs.launch(words, initial_job_idx)
        if self.jobs.waiting:
            raise StoppedError
        found = [monitored((job.twin or job).result) for job in self.jobs.jobs[-len(words) :]]
        trials = []
        for number, overrides in enumerate(job_overrides):
            part = slice(number * len(own), (number + 1) * len(own))
            value = self._value([each.return_value for each in returns[part]], found[part])
            trials.append(JobReturn(overrides=overrides, status=JobStatus.COMPLETED, _return_value=value))
        return trials

    def _value(self, returned: Sequence[float], found: Sequence[float | None]) -> float:
        """Of a trial, from what Jobs returned for its seeds and from their own values: None for one that failed."""
        if None not in found:
            return fmean(returned)
        known = [each for each in returned if abs(each) < WORST]  # the worst of this session is among them
        return self.worst([*known, *self.values]) if known or self.values else returned[found.index(None)]


def hush() -> None:
    """What Optuna and the plugin say of themselves does not belong on the terminal, where the jobs are told."""
    optuna.logging.disable_default_handler()
    optuna.logging.disable_propagation()
    logging.getLogger("hydra_plugins.hydra_optuna_sweeper").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    warnings.filterwarnings("ignore", module="optuna|sqlalchemy")
