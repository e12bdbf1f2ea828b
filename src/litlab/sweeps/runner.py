"""Runs the jobs of a sweep with any launcher, and records a result for each, whatever happens to it."""

import contextlib
import shutil
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from typing import Any

from litlab import signals
from litlab.compat.hydra import is_from_plugin, runs_here, stacks_jobs
from litlab.compat.joblib import Joblib
from litlab.compat.patching import replaced
from litlab.compat.ray import Ray
from litlab.config.job import CHECKED
from litlab.errors import Interrupted, RunError
from litlab.runs.heartbeat import this_process
from litlab.runs.result import FILE, write
from litlab.sweeps.folder import STOP, timed_out
from litlab.sweeps.job import Job
from litlab.sweeps.plan import Plan
from litlab.sweeps.progress import progress_lines
from litlab.sweeps.stacks.stackable import is_trained, stacks
from litlab.sweeps.stacks.workers import WorkerStacks
from litlab.sweeps.stop import stop
from litlab.sweeps.submitit import Submitit

INTERVAL = 0.2  # seconds between polls of other processes' jobs
KILLED = "the process was killed"
UNWRITTEN = f"its {FILE} could not be written; see train.log, and whether the disk is full"
LOST = f"it did not write {FILE}: its process was lost, or its machine has another {{folder}}"


class Runner:
    """Runs the jobs of a plan; each gets a result, and a job that fails or is killed does not affect the others.

    Args:
        launcher: Hydra's, which has been set up.
        plan: to which `launch` and `stream` add their jobs.
    """

    def __init__(self, launcher: Any, plan: Plan) -> None:
        wrappers: dict[str, Any] = {"joblib": Joblib, "ray": Ray, "submitit": Submitit}
        wrapper = next((each for name, each in wrappers.items() if is_from_plugin(launcher, name)), None)
        self.launcher = wrapper(launcher) if wrapper else launcher
        # The launcher, where it takes jobs one by one.
        self.workers = self.launcher if isinstance(self.launcher, Joblib) and self.launcher.has_workers else None
        self.plan = plan
        self.folder = plan.folder
        self.plugin = launcher
        self.stacks = stacks_jobs(launcher) or plan.config.sweep.stack is not None
        self.most = plan.config.sweep.stack or "auto"  # jobs in a stack
        self._running: dict[Job, Future[Any] | None] = {}  # with what its worker makes of it
        self._launched = 0

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """Launch in the body. However it ends, the jobs' results are final afterwards.

        Raises:
            Interrupted: the sweep was stopped.
        """
        with signals.handled():
            try:
                yield
            except BaseException as error:
                stop(self.folder, self.plan.jobs)
                if self.workers is not None:
                    self.workers.kill()
                    stop(self.folder, self.plan.jobs)  # the results of those that did not end in time
                if isinstance(error, Interrupted):
                    error.run_dir = self.folder
                raise
            finally:
                for job in self.plan.jobs:
                    if job.has_folder and not (job.folder / FILE).exists():
                        shutil.rmtree(job.folder, ignore_errors=True)  # it did not start

    def launch(self, job_overrides: Sequence[Sequence[str]]) -> None:
        """Run jobs, and wait for all.

        Raises:
            Exception: no job could be composed: the first job's error. Or the launcher's own failure to start any.
        """
        for _ in self._run_groups([job_overrides], 1, None):
            pass

    def go_on(self, jobs: Sequence[Job], rung: str = "") -> None:
        """Run planned jobs to `Job.until`, and wait for all; one that was stopped before goes on in its own folder.

        Args:
            jobs: of the rung.
            rung: its name, such as `rung 2 of 3`, which begins the lines of its jobs.

        Raises:
            Exception: the launcher's own failure to start any.
        """
        with progress_lines(self.plan, rung, jobs), signals.at_once():
            _wait_until_ended(jobs)
            due = [job for job in jobs if job.is_due]
            for job in due:
                if job.result is not None:
                    job.resume, job.is_reported = job.folder.absolute(), False  # Ray's processes start elsewhere
            self._run(due)

    def stream(
        self, groups: Iterable[Sequence[Sequence[str]]], at_once: int
    ) -> Generator[tuple[int, list[Job]], None, None]:
        """Run groups of jobs, `at_once` at a time. The next group is drawn only when it can start.

        With joblib's workers that is as soon as a group ends; otherwise, and to stack their jobs, when all running
        groups have ended.

        Args:
            groups: for each the overrides of its jobs.
            at_once: how many groups.

        Yields:
            the index of a group, and its jobs, which have ended. After a stop, groups with unstarted jobs are left out,
        and those that `was_cut`.

        Raises:
            Exception: as `launch`.
        """
        yield from self._run_groups(groups, at_once, None if self.stacks else self.workers)
        if self.workers is not None:
            self.workers.release()

    def _run_groups(
        self, groups: Iterable[Sequence[Sequence[str]]], at_once: int, workers: Any
    ) -> Iterator[tuple[int, list[Job]]]:
        places, under_way, stopped = enumerate(groups), dict[int, list[Job]](), False
        with progress_lines(self.plan):
            while True:
                with signals.at_once():
                    for place, job_overrides in islice(places, 0 if stopped else at_once - len(under_way)):
                        batch = self.plan.add(job_overrides)
                        under_way[place] = batch.jobs
                        _wait_until_ended(batch.started)
                        self._submit(batch.pending, workers)
                    if not under_way:
                        return
                    while not (ended := [place for place, jobs in under_way.items() if self._have_ended(jobs)]):
                        self._wait(workers)
                for place in ended:
                    jobs = under_way.pop(place)
                    if any(job.final_result is None or self.was_cut(job) for job in jobs):
                        stopped = True
                    else:
                        yield place, jobs

    def _submit(self, jobs: Sequence[Job], workers: Any) -> None:
        """Start jobs: at once if there are workers, else in the next `_wait`."""
        for job in jobs:
            if self.is_stopped:
                return
            self._running[job] = None
            if workers is not None:
                self._running[job] = workers.submit(job.launch_overrides(self.plan.swept), self._launched)
                self._launched += 1

    def _wait(self, workers: Any) -> None:
        """Wait until a job has ended. A crashed worker takes all others with it: joblib breaks the whole pool."""
        if workers is None:
            jobs = list(self._running)
            self._run(jobs)
        else:
            futures = {future: job for job, future in self._running.items() if future is not None}
            done, _ = wait(futures, return_when=FIRST_COMPLETED)
            crash = next(filter(None, (future.exception() for future in done)), None)
            if crash is not None:
                workers.kill()
                done, _ = wait(futures)
            jobs = [futures[future] for future in done]
            self._settle(jobs, crash)
        for job in jobs:
            del self._running[job]

    def _have_ended(self, jobs: Sequence[Job]) -> bool:
        return not any((job.duplicate_of or job) in self._running for job in jobs)

    def was_cut(self, job: Job) -> bool:
        """Whether sweep.minutes has ended a job with its stack, neither a search nor a rung."""
        options = self.plan.config.sweep
        is_pruned = (job.duplicate_of or job).status == "pruned" and options.prune is None and options.eta is None
        return is_pruned and timed_out(self.folder)

    @property
    def is_stopped(self) -> bool:
        """Whether no further job may start."""
        return (self.folder / STOP).exists()

    def _run(self, jobs: Sequence[Job], is_retry: bool = False) -> None:
        """Launch jobs until each has a final result or the sweep is stopped."""
        if not jobs or self.is_stopped:
            return
        crash: BaseException | None = None
        # Hydra's own launcher composes all jobs up front, minutes for a thousand, even if the sweep stops early.
        size = 1 if runs_here(self.launcher) else len(jobs)
        try:
            if self.stacks and runs_here(self.launcher):
                self._run_stacks(jobs)
            elif self.stacks:
                self._launch(self._stacks_of(jobs))
            else:
                for place in range(0, len(jobs), size):
                    self._launch([[job] for job in jobs[place : place + size]])
        except Exception as error:  # a worker was killed, or the launcher failed
            crash = error
        self._settle(jobs, crash, is_retry)

    def _launch(self, stacks: Sequence[Sequence[Job]]) -> None:
        """Hand jobs to the launcher, those of a stack to one worker, unless the sweep is stopped."""
        if self.is_stopped and not (is_trained() and timed_out(self.folder)):
            return
        overrides = [jobs[0].launch_overrides(self.plan.swept) for jobs in stacks]
        work: Any = contextlib.nullcontext()
        if any(len(jobs) > 1 for jobs in stacks):
            run = WorkerStacks(self.plugin, stacks, self.plan.swept, self._launched)
            work = replaced(self.plugin, "task_function", run)
        token = CHECKED.set(stacks[0][0].settings if runs_here(self.launcher) else None)
        try:
            with work:
                self.launcher.launch(overrides, initial_job_idx=self._launched)
        finally:
            CHECKED.reset(token)
        self._launched += sum(map(len, stacks))

    def _stacks_of(self, jobs: Sequence[Job]) -> list[list[Job]]:
        return stacks(jobs, self.most, self.plan.swept)

    def _run_stacks(self, jobs: Sequence[Job]) -> None:
        """Launch jobs one by one; those of a stack are trained together when the first of them starts."""
        from litlab.sweeps.stacks.halving import halving_stack
        from litlab.sweeps.stacks.stack import Stack  # here, because it imports torch

        if self.plan.config.sweep.eta is not None:
            whole = halving_stack(self.plan, jobs)
            for number, job in enumerate(jobs):
                with whole.job(number) if whole else contextlib.nullcontext():
                    self._launch([[job]])
            return
        for part in self._stacks_of(jobs):
            configs = (
                []
                if len(part) == 1 or self.is_stopped
                else [self.plan.composer.config_of(job.overrides) for job in part]
            )
            stack = Stack(configs, by_memory=self.most == "auto")
            for number, job in enumerate(part):
                with stack.job(number) if configs else contextlib.nullcontext():
                    self._launch([[job]])

    def _settle(self, jobs: Sequence[Job], crash: BaseException | None, is_retry: bool = False) -> None:
        """Make sure that each launched job has its result; jobs lost in a crash run again.

        Args:
            jobs: the launched jobs, with which the launcher is done.
            crash: of the launcher or a worker; raised if it happened before any of the jobs started.
            is_retry: whether this is one job, launched alone after it was killed.
        """
        _wait_until_ended(jobs)
        missing = [job for job in jobs if job.is_due]
        if crash is not None and len(missing) == len(jobs):
            raise crash
        for job in jobs:
            if job.result is not None and job.status == "running":
                if job.result.get("process") == this_process():
                    job.finish(job.result | {"status": "failed", "error": UNWRITTEN})
                else:
                    self._settle_killed(job, is_retry)
        if crash is not None:
            self._run(missing)
        elif not self.is_stopped:
            for job in missing:
                job.fail(RunError(LOST.format(folder=self.folder)), self.plan.swept)

    def _settle_killed(self, job: Job, is_retry: bool) -> None:
        """Retry a killed job alone, as another job may have caused the crash; a killed retry has failed."""
        assert job.result is not None
        attempt, result = job.folder, job.result | {"status": "failed", "error": KILLED}
        if is_retry:
            job.result = result
            if self.plan.config.sweep.on_failure == "stop":
                (self.folder / STOP).touch()
        else:
            job.result = None
            self.plan.claim([job])
            self._run([job], is_retry=True)
        write(attempt / FILE, result)


def _wait_until_ended(jobs: Sequence[Job]) -> None:
    """Read the jobs' results, waiting for those that are running."""
    for job in jobs:
        while job.poll():
            time.sleep(INTERVAL)
