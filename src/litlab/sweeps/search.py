"""A search with Optuna: earlier trials decide the next one, which starts as soon as a worker is free."""

import functools
import importlib.util
import math
import shlex
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from statistics import fmean

import optuna
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import InstantiationException
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial, TrialState

from litlab import signals
from litlab.compat.instantiation import instantiate
from litlab.distributed.hardware import cores
from litlab.errors import RequestError
from litlab.sweeps.choice_settings import ChoiceSettings
from litlab.sweeps.distributions import combinations, search_ranges, suggest, take_seeds
from litlab.sweeps.job import Job
from litlab.sweeps.naming import key_of
from litlab.sweeps.plan import Plan
from litlab.sweeps.runner import Runner
from litlab.sweeps.sweep import running, set_up
from litlab.sweeps.trial import build_pruner, open_storage

BEST = "optimization_results.yaml"  # in the sweep's folder, once the search is complete
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
DIRECTIONS = {"max": "maximize", "min": "minimize"}  # by task.mode
WORST = 1e9  # the value of a trial before any other has one: finite, for samplers compute with it


@dataclass
class Search:
    """A study of Optuna's, which can be resumed; around it litlab's folder, jobs and leaderboard.

    Attributes:
        sampler: the config of an Optuna sampler, built once the study is known.
        direction: maximize or minimize; None: by task.mode.
        storage: a file for the study, or a database's address; see `open_storage`.
        study_name: its name there.
        pruners: the configs of Optuna pruners, of which sweep.prune names one.
        n_trials: completed or pruned trials of the whole study.
        n_jobs: trials at a time; -1: one per core.
        params: by setting the text of its range, or of its value.
    """

    sampler: DictConfig
    direction: str | None
    storage: str
    study_name: str
    pruners: DictConfig
    n_trials: int
    n_jobs: int
    params: DictConfig | None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Claim the sweep's folder, then set up the launcher.

        Raises:
            RequestError: a setting of the search is wrong.
        """
        for setting, least in {"n_trials": 1, "n_jobs": -1}.items():
            value = getattr(self, setting)
            if not isinstance(value, int) or value < least or value == 0:
                raise RequestError(f"hydra.sweeper.{setting}={value}: must be a whole number from 1, such as 20")
        self.n_jobs = self.n_jobs if self.n_jobs > 0 else cores()  # joblib's -1: all cores
        self.direction = self.direction or DIRECTIONS[config.task.mode]
        if self.direction not in DIRECTIONS.values():
            raise RequestError(f"hydra.sweeper.direction={self.direction}: must be maximize or minimize")
        if config.sweep.dry_run:
            raise RequestError("sweep.dry_run=true: a search plans its jobs as it goes; dry runs work only for grids")
        for name in ("pairs", "exclude", "when", "draw", "eta"):
            if config.sweep.get(name):
                raise RequestError(f"sweep.{name}={config.sweep[name]}: applies only to grids and sweep=random")
        is_stacked = config.hydra.launcher._target_.endswith(".StackedLauncher")
        self._stacks = is_stacked or config.sweep.stack is not None
        if config.sweep.prune is not None:
            if self._stacks:
                right = "choose another hydra/launcher" if is_stacked else "leave out sweep.stack"
                what = f"a stack trains its jobs together, each to its end; {right}"
                raise RequestError(f"sweep.prune={config.sweep.prune}: {what}")
            build_pruner(config.hydra.sweeper, config.sweep.prune)
        self.config, self.hydra_context = config, hydra_context
        self.folder, self.launcher = set_up(hydra_context, task_function, config)
        self.storage = config.hydra.sweeper.storage  # again: it lies in the folder that was claimed

    def sweep(self, arguments: list[str]) -> None:
        """Run trials until the study has n_trials completed ones, summarize them, and print the best.

        Raises:
            RequestError: there is nothing to search, or the study was created with other choices.
            RunError: jobs failed.
        """
        silence_optuna()
        given = [f"{key!s}={text}" for key, text in (self.params or {}).items()] + arguments
        overrides = {each.get_key_element(): each for each in OverridesParser.create().parse_overrides(given)}
        seeds = take_seeds(overrides)
        ranges, fixed = search_ranges(overrides)
        swept = [*map(key_of, ranges), *(["seed"] if seeds else [])]
        jobs_per_trial = max(len(seeds), 1)
        plan = Plan(self.hydra_context, self.config, self.folder, swept, self.n_trials * jobs_per_trial)
        with running(self.launcher, plan) as runner:
            study = self._study()
            trials = self._recover(study, seeds)
            done = sum(trial.state in ENDED for trial in trials)
            if done >= self.n_trials:
                print(f"all {done} trials are done; for more: hydra.sweeper.n_trials={done + self.n_trials}")
                return
            if done:
                print(f"{done} of {self.n_trials} trials are already done", flush=True)
            if self._stacks and self.n_jobs * jobs_per_trial == 1:
                print("each trial is trained alone; hydra.sweeper.n_jobs=8 stacks as many", flush=True)
            is_grid = str(self.sampler._target_).endswith(".BruteForceSampler")
            number = min(self.n_trials, combinations(ranges.values()) if is_grid else math.inf)
            plan.total = max(int(number) - done, 0) * jobs_per_trial
            (self.folder / BEST).unlink(missing_ok=True)
            study.sampler = self._build_sampler(len(trials))
            if self.config.sweep.prune is not None:  # the jobs ask it; the sampler minds Hyperband's brackets
                study.pruner = build_pruner(self.config.hydra.sweeper, self.config.sweep.prune)
            values = {key: each.choices for key, each in ranges.items() if isinstance(each, CategoricalDistribution)}
            typed = [[f"{key}={value}" for value in each] for key, each in values.items()]
            own = ChoiceSettings.of_sweep(self.hydra_context, self.config, [*typed, *([word] for word in fixed)])
            own.check([*ranges, *fixed])
            draw = functools.partial(self._draw, study, ranges, own)
            words = [[*fixed, *seed] for seed in ([f"seed={seed}"] for seed in seeds)] or [fixed]
            try:
                is_complete = self._optimize(study, self.n_trials - done, draw, words, own, runner)
            except ValueError as error:
                if "value space" not in str(error) and "distribution kind" not in str(error):
                    raise
                raise RequestError(
                    f"sweep.resume={self.folder}: the study was created with other choices for a setting; use those"
                ) from error
            if is_complete and any(trial.state == TrialState.COMPLETE for trial in study.get_trials(deepcopy=False)):
                best = {"name": "optuna", "best_params": study.best_params, "best_value": study.best_value}
                OmegaConf.save(OmegaConf.create(best), self.folder / BEST)

    def _build_sampler(self, trials: int) -> BaseSampler:
        """The sampler; its seed depends on the number of earlier trials, which a resumed search must not repeat.

        Raises:
            RequestError: it cannot be built.
        """
        seed, target = self.sampler.get("seed"), str(self.sampler._target_)
        asked = f"hydra/sweeper/sampler={self.config.hydra.runtime.choices.get('hydra/sweeper/sampler')}"
        if target.endswith(".CmaEsSampler") and importlib.util.find_spec("cmaes") is None:
            raise RequestError(f"{asked}: needs the package cmaes, of the extra optuna: pip install -e .[optuna]")
        is_sequence = target.endswith(".QMCSampler")  # which goes on where the study stands, with the same seed
        try:
            return instantiate(self.sampler, **({} if seed is None or is_sequence else {"seed": seed + trials}))
        except InstantiationException as error:
            raise RequestError(f"{asked}: {str(error.__cause__ or error).splitlines()[0]}") from error

    def _draw(self, study: optuna.Study, ranges: Mapping[str, BaseDistribution], own: ChoiceSettings) -> Trial:
        """The next trial: its choices first, then the settings that these have."""
        choices = {key: each for key, each in ranges.items() if key in own.groups}
        trial = study.ask(choices)
        chosen = [f"{key}={trial.params[key]}" for key in choices]
        for key, each in ranges.items():
            if key not in choices and own.fits(chosen, key):
                suggest(trial, key, each)
        return trial

    def _study(self) -> optuna.Study:
        """Load or create the study.

        Raises:
            RequestError: another version of Optuna wrote it.
        """
        try:
            return optuna.create_study(
                study_name=self.study_name,
                storage=open_storage(self.storage),
                direction=self.direction,
                load_if_exists=True,
            )
        except RuntimeError as error:
            if "table schema" not in str(error):
                raise
            is_file = str(self.storage).startswith("sqlite:")  # a server's address may hold a password
            url = shlex.quote(self.storage) if is_file else "URL"
            raise RequestError(
                f"sweep.resume={self.folder}: this study was made by another version of Optuna; upgrade it with"
                f" `optuna storage upgrade --storage {url}`"
            ) from error

    def _recover(self, study: optuna.Study, seeds: list[str]) -> list[FrozenTrial]:
        """Close the trials that a crash left open, and put their settings first in the queue.

        Returns:
            the trials of earlier sessions.

        Raises:
            RequestError: they have other seeds, and means over different seeds cannot be compared.
        """
        trials = study.get_trials(deepcopy=False)
        before = study.user_attrs.get("seeds", []) if trials else seeds
        if before != seeds:
            right = f"use them again: seed={','.join(before)}" if before else f"leave out seed={','.join(seeds)}"
            what = f"the seeds {', '.join(before)}" if before else "one seed each"
            raise RequestError(f"sweep.resume={self.folder}: the trials of the study have {what}; {right}")
        study.set_user_attr("seeds", seeds)
        for trial in trials:
            if trial.state == TrialState.RUNNING:
                study.tell(trial.number, state=TrialState.FAIL)
                if trial.params:  # a job of it that completed does not run again
                    study.enqueue_trial(trial.params)
        return trials

    def _optimize(
        self,
        study: optuna.Study,
        number: int,
        draw: Callable[[], Trial],
        words: Sequence[Sequence[str]],
        own: ChoiceSettings,
        runner: Runner,
    ) -> bool:
        """Run `number` trials, each with a job for each list of fixed overrides in `words`; whether all have ended.

        Each result is reported to the study before the next trial is drawn. A trial that did not start stays open.
        """
        trials: list[Trial] = []
        known = study.get_trials(deepcopy=False)
        earlier = [trial.value for trial in known if trial.state == TrialState.COMPLETE and trial.value is not None]
        is_over = False  # nothing is left to try

        def asked() -> Iterator[list[list[str]]]:
            while len(trials) < number and not is_over:
                with signals.deferred():  # `stream` lets signals raise anywhere, and this writes to a database
                    trials.append(trial := draw())
                drawn = [f"{key}={value}" for key, value in trial.params.items()]
                jobs = [own.fitting([*drawn, *each]) for each in words]
                yield [[*job, f"sweep.trial={trial.number}"] for job in jobs] if self.config.sweep.prune else jobs

        done = 0
        with closing(runner.stream(asked(), self.n_jobs)) as ended:
            for place, jobs in ended:
                try:
                    self._tell(study, trials[place], jobs, runner.plan.jobs, earlier)
                except RuntimeError as error:  # of a grid; the trial has been told
                    if "Study.stop" not in str(error):
                        raise
                    is_over = True
                done += 1
        if is_over and done == len(trials):
            runner.plan.end()
        return done == number or (is_over and done == len(trials))

    def _tell(
        self, study: optuna.Study, trial: Trial, jobs: Sequence[Job], others: Iterable[Job], earlier: Iterable[float]
    ) -> None:
        """Report what has become of a trial; one of which a job was pruned has the value that it last reported.

        Raises:
            RequestError: it has completed without validation, as all others would, and another metric is not monitored.
        """
        completed = [job.final_result for job in jobs if job.final_result and job.final_result["status"] == "completed"]
        metrics = [name for result in completed for name in result.get("metrics") or ()]
        is_judged = any(name.startswith("val/") for name in metrics) or any(job.score is not None for job in jobs)
        if metrics and not is_judged:
            study.tell(trial, state=TrialState.FAIL)
            raise RequestError(
                "sweep=optuna: without validation (data.val_size=0) a search has nothing to compare its trials by; set "
                "data.val_size=0.1"
            )
        if any(job.final_result and job.final_result["status"] == "pruned" for job in jobs):
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, self._value(jobs, others, earlier))

    def _value(self, jobs: Sequence[Job], others: Iterable[Job], earlier: Iterable[float]) -> float:
        """The value of a trial: the mean over its jobs, one per seed; the worst so far if one of them has no value.

        The mean over the surviving jobs would favour settings that hardly train. `others` are the jobs of this session,
        `earlier` the values of previous ones.
        """
        scores = [job.score for job in jobs]
        known = [score for score in scores if score is not None]
        if len(known) == len(scores):
            return fmean(known)
        so_far = [score for job in others if (score := job.score) is not None]
        so_far += [value for value in earlier if abs(value) < WORST]
        return min(so_far, default=-WORST) if self.direction == "maximize" else max(so_far, default=WORST)


def silence_optuna() -> None:
    """Keep Optuna's own messages off the terminal, where the jobs are reported."""
    optuna.logging.disable_default_handler()
    optuna.logging.disable_propagation()
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    warnings.filterwarnings("ignore", message="The distribution is specified by")
    warnings.filterwarnings("ignore", module="optuna|sqlalchemy")
