"""A sweep from its first job to its leaderboard; what litlab's sweepers for Hydra have in common."""

import contextlib
import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from litlab import signals
from litlab.config.checks import check
from litlab.errors import RequestError, RunError
from litlab.escape import printable
from litlab.files import write_whole
from litlab.sweeps.estimate import estimate, list_jobs, spoken
from litlab.sweeps.folder import REQUEST, claim, clear, held, is_late, results, resumed
from litlab.sweeps.jobs import Jobs
from litlab.sweeps.naming import key_of, short
from litlab.sweeps.plan import Planner
from litlab.sweeps.planned import NOT_BEGUN, PLANNED
from litlab.sweeps.report import print_leaderboard
from litlab.sweeps.stop import bury
from litlab.sweeps.summary import summarize
from litlab.sweeps.worker import is_sweeper


def begin(sweeper: Any, context: HydraContext, task: TaskFunction, config: DictConfig) -> None:
    """A sweeper's `setup`: claim the sweep's folder and make the launcher, which takes that from the config.

    Raises:
        RequestError: a setting of the sweep is wrong.
    """
    check(config, only="sweep.")
    if (folder := resumed(config)) is not None:
        _refuse_nothing_asked(config, folder)
    sweeper.folder = None if config.sweep.dry_run else claim(config)
    sweeper.config, sweeper.hydra_context, sweeper.task_function = config, context, task
    sweeper.launcher = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=task, config=config)


def _refuse_nothing_asked(config: DictConfig, folder: Path) -> None:
    """The folder alone does not say what to sweep: a run of the defaults would join it."""
    if any(not key_of(word).startswith(("sweep.", "paths.")) for word in config.hydra.overrides.task):
        return
    try:
        words = [str(word) for word in OmegaConf.load(folder / REQUEST).hydra.overrides.task]
    except (AttributeError, ValueError, YAMLError):  # it may be anyone's
        words = ["..."]
    own = [shlex.quote(word) for word in words if not key_of(word).startswith("sweep.resume")]
    command = printable(f"python scripts/train.py -m {' '.join(own)} sweep.resume={shlex.quote(str(folder))}")
    raise RequestError(f"sweep.resume={folder}: goes with the command of the sweep: {command}")


@contextlib.contextmanager
def walking(sweeper: Any, swept: Sequence[str], total: int = 0) -> Iterator[Jobs]:
    """Put Jobs into the place of `sweeper.launcher` while the body launches; then write and print the leaderboard.

    That happens also if the body raises, when jobs have begun.

    Args:
        sweeper: after `begin`, with `launcher`, `hydra_context` and `config`.
        swept: the settings that differ between the jobs, as in `optimizer.lr`.
        total: how many jobs there will be; 0: not known.

    Raises:
        RequestError: another sweep is at work in the folder; nothing is written or printed.
        RunError: jobs failed, or did not begin.
    """
    jobs = Jobs(sweeper.launcher, sweeper.hydra_context, sweeper.config, sweeper.folder)
    sweeper.launcher = jobs
    with held(jobs.folder):
        if sweeper.config.sweep.resume is not None:
            bury(jobs.folder)
        request = jobs.folder / REQUEST
        write_whole(request, OmegaConf.to_yaml(sweeper.config).encode())
        try:
            with jobs.sweep(swept, total):
                yield jobs
        except BaseException:
            if jobs.jobs and results(jobs.folder):
                with contextlib.suppress(Exception):  # it must not hide what ended the sweep
                    _conclude(jobs)
            elif sweeper.config.sweep.resume is None:
                clear(jobs.folder, request, jobs.folder / PLANNED)
            raise
        not_begun = _conclude(jobs)
        late = is_late(jobs.folder)
    what = []
    if jobs.failed:
        what += [f"{len(jobs.failed)} of {len(jobs.jobs)} jobs failed"]
    if late and not_begun:
        minutes = sweeper.config.sweep.minutes
        print(
            f"the time of sweep.minutes={minutes:g} is used up; {not_begun} jobs did not begin; "
            f"the same command with sweep.resume={short(jobs.folder)} goes on"
        )
    elif not_begun:
        what += [f"{not_begun} did not begin (sweep.on_failure=stop)"]
    if what:
        raise RunError(f"{', '.join(what)}; see {short(jobs.folder / 'summary.md')}")


def dry_run(sweeper: Any, task: TaskFunction, swept: Sequence[str], overrides: Sequence[Sequence[str]]) -> None:
    """List the jobs and print how long they would take; nothing is left.

    Args:
        sweeper: after `begin`.
        task: what Hydra runs.
        swept: the settings that differ between the jobs.
        overrides: of each job.

    Raises:
        RunError: none of the measured jobs came through.
        Exception: no job could be composed: what is wrong with the first.
    """
    planner = Planner(sweeper.hydra_context, sweeper.config)
    jobs = [planner.plan(words) for words in overrides]
    if all(job.mistake for job in jobs):
        raise next(job.mistake for job in jobs if job.mistake)
    pending = list_jobs(jobs, swept, resumed(sweeper.config))
    if not pending:
        print("nothing is left to run")
        return
    is_sweeper()
    with signals.handled(), signals.at_once():
        seconds = estimate(pending, sweeper.hydra_context, task, sweeper.config)
    at_once = min(sweeper.config.hydra.launcher.get("n_jobs") or 1, len(pending))
    at_once = at_once if at_once > 0 else os.cpu_count() or 1  # joblib's -1: all cores
    each = spoken(min(seconds))
    each = each if each == spoken(max(seconds)) else f"{each} to {spoken(max(seconds))}"
    beside = f", {at_once} at a time" if at_once > 1 else ""
    if len(pending) == 1:
        print(f"1 job to run, about {each}")
    else:
        print(f"{len(pending)} jobs to run, about {each} each{beside}: {spoken(sum(seconds) / at_once)} in all")


def _conclude(jobs: Jobs) -> int:
    """Write the summary and print the leaderboard; how many jobs have not begun."""
    board = summarize([jobs.folder])
    print_leaderboard(board, jobs.folder)
    return board.jobs[NOT_BEGUN]
