"""The jobs of a sweep: composed, run by whatever launcher there is, and accounted for whatever happens to them."""

import contextlib
import logging
import shlex
import shutil
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig

from litlab import signals
from litlab.compat.hydra import runs_here
from litlab.errors import Interrupted, RunError
from litlab.runs.heartbeat import is_alive_elsewhere, this_process
from litlab.runs.result import FILE, write
from litlab.sweeps.folder import STOP, claim_job, free_number, identity, results, start_time
from litlab.sweeps.job import TWIN, Job, value
from litlab.sweeps.joblib import Joblib
from litlab.sweeps.naming import short, unlike
from litlab.sweeps.plan import Planner
from litlab.sweeps.planned import save
from litlab.sweeps.ray import Ray
from litlab.sweeps.stop import stop
from litlab.sweeps.submitit import Submitit
from litlab.sweeps.watch import watching
from litlab.sweeps.worker import is_sweeper

log = logging.getLogger(__name__)

KILLED = "the process was killed"
UNWRITTEN = f"its {FILE} could not be written; see train.log, and whether the disk is full"
LOST = f"it did not come to write {FILE}: its process was lost, or its machine has another {{folder}}"


class Jobs:
    """Stands where a sweeper has its launcher: `launch` accounts for all overrides, but runs only what it must.

    `stream` does so with jobs that become known only as others end.

    What has a completed result of the same settings in the sweep's folder does not run again. A job that fails, cannot
    be composed or is killed loses only itself.

    Args:
        launcher: Hydra's, which has been set up.
        context: what composes.
        config: the sweep's, with its hydra node; `litlab.sweeps.folder.claim` has put the folder into it.
        folder: the sweep's.
    """

    def __init__(self, launcher: Any, context: HydraContext, config: DictConfig, folder: Path) -> None:
        self.launcher = next((kind(launcher) for kind in (Joblib, Ray, Submitit) if kind.fits(launcher)), launcher)
        # Which takes jobs one by one, where there is such a launcher.
        self.workers = self.launcher if isinstance(self.launcher, Joblib) and self.launcher.has_workers else None
        self.planner = Planner(context, config)
        self.config = config
        self.folder = folder
        self.swept: Sequence[str] = ()  # the settings that differ between the jobs
        self.total = 0  # jobs of the whole sweep, if that is known
        self.jobs: list[Job] = []  # of all launches so far
        self._under_way: dict[Job, Future[Any] | None] = {}  # of a stream; with what a worker makes of them
        self._launched = 0

    @contextlib.contextmanager
    def sweep(self, swept: Sequence[str], total: int = 0) -> Iterator[None]:
        """Launch in the body. However that ends, the jobs' results are final afterwards.

        Raises:
            Interrupted: the sweep was stopped.
        """
        self.swept, self.total = swept, total
        is_sweeper()
        with signals.handled():
            try:
                yield
            except BaseException as error:
                stop(self.folder, self.jobs)
                if self.workers is not None:
                    self.workers.kill()
                    stop(self.folder, self.jobs)  # the results of those that did not end in time
                if isinstance(error, Interrupted):
                    error.run_dir = self.folder
                raise
            finally:
                for job in self.jobs:
                    if job.has_folder and not (job.folder / FILE).exists():
                        shutil.rmtree(job.folder, ignore_errors=True)  # it was not begun

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int = 0) -> list[JobReturn]:
        """Run the jobs, if they need to, and wait for all.

        Returns:
            for each job its monitored metric (the worst value so far for a failed one) as the return value.

        Raises:
            Exception: no job could be composed: the first one's mistake. Or the launcher's own failure to start any.
        """
        with signals.at_once():
            jobs, begun, pending = self._prepare(job_overrides)
            with watching(self.jobs, self.total, self.swept):
                self._await(begun)
                self._run(pending)
        return [JobReturn(job.overrides, status=JobStatus.COMPLETED, _return_value=self.value(job)) for job in jobs]

    def stream(
        self, groups: Iterable[Sequence[Sequence[str]]], at_once: int
    ) -> Generator[tuple[int, list[Job]], None, None]:
        """Run groups of jobs, `at_once` groups at a time; within `sweep`. The next is asked for only when it can begin.

        With joblib's workers that is as soon as another group ended; else when all that ran at the time have ended.

        Args:
            groups: for each the overrides of its jobs.
            at_once: how many groups.

        Yields:
            a group's place among the groups, and its jobs, which have ended. A group of which a job is not to begin is
            left out, and no other one is asked for.

        Raises:
            Exception: as `launch`.
        """
        places, under_way, stopped = enumerate(groups), dict[int, list[Job]](), False
        with watching(self.jobs, self.total, self.swept):
            while True:
                with signals.at_once():
                    for place, job_overrides in islice(places, 0 if stopped else at_once - len(under_way)):
                        under_way[place], begun, pending = self._prepare(job_overrides)
                        self._await(begun)
                        self._submit(pending)
                    if not under_way:
                        break
                    while not (ended := [place for place, jobs in under_way.items() if self._have_ended(jobs)]):
                        self._wait()
                for place in ended:
                    jobs = under_way.pop(place)
                    if any((job.twin or job).result is None for job in jobs):
                        stopped = True
                    else:
                        yield place, jobs
        if self.workers is not None:
            self.workers.release()

    def value(self, job: Job) -> float:
        """The monitored metric of a job that ended; the worst value so far for a failed one."""
        return value((job.twin or job).result, [each.result for each in self.jobs if each.result])

    def _prepare(self, job_overrides: Sequence[Sequence[str]]) -> tuple[list[Job], list[Job], list[Job]]:
        """Compose jobs, and give a folder to those that need one.

        Returns:
            the jobs; those that have begun or ended in an earlier session; those that are to run.

        Raises:
            Exception: no job could be composed: the first one's mistake.
        """
        jobs = [self.planner.plan(overrides) for overrides in job_overrides]
        if all(job.mistake for job in [*self.jobs, *jobs]):
            raise next(job.mistake for job in jobs if job.mistake)
        if not self.jobs:
            self._begin(jobs)
            start_time(self.folder)
        known, stopped = _goes_or_went_well(self.folder), _stopped(self.folder)
        first = {job.identity: job for job in self.jobs if job.is_completed or job in self._under_way}
        failing, pending, begun = [], [], []
        for job in jobs:
            if job.mistake is not None:
                failing.append(job)
            elif (twin := first.setdefault(job.identity, job)) is not job:
                job.twin = twin
                told = " ".join(f"{key}={text}" for key, text in job.differing(self.swept).items())
                print(f"{told}  {TWIN}".lstrip(), flush=True)
            elif job.identity in known:
                job.folder = known[job.identity]
                job.is_told = not job.is_running
                begun.append(job)
            else:
                if not job.settings.get("tune"):  # which begins anew
                    job.resume_from = stopped.get(job.identity)
                pending.append(job)
        self.jobs += jobs
        save(self.folder, self.jobs, self.total or len(self.jobs))
        if done := sum(job.is_told for job in begun):
            print(f"{done} of {len(jobs)} jobs are completed already", flush=True)
        if partly := sum(job.resume_from is not None for job in pending):
            print(f"{partly} of the others {'goes' if partly == 1 else 'go'} on from the last checkpoint", flush=True)
        self._claim([job for job in jobs if job in failing or job in pending])
        for job in failing:
            self._fail(job, job.mistake)
        return jobs, begun, [] if failing and self.config.sweep.on_failure == "stop" else pending

    def _begin(self, jobs: Sequence[Job]) -> None:
        """Say what is about to run; a job alone that joins those of an earlier session is named by what is its own."""
        if not self.swept and self.config.sweep.resume is not None:
            earlier = [result.get("overrides") or () for result in results(self.folder).values()]
            self.swept = unlike(jobs[0].overrides, earlier)
        number = self.total or len(jobs)
        print(f"{number} job{'s' if number != 1 else ''} in {shlex.quote(short(self.folder))}", flush=True)

    def _run(self, jobs: Sequence[Job], alone: bool = False) -> None:
        """Launch jobs until each has a final result, or is not to begin."""
        if not jobs or (self.folder / STOP).exists():
            return
        crash: BaseException | None = None
        # Hydra's own would compose all those, too, that are not to begin: of a thousand that takes minutes.
        together = 1 if runs_here(self.launcher) else len(jobs)
        try:
            for part in (jobs[place : place + together] for place in range(0, len(jobs), together)):
                if (self.folder / STOP).exists():
                    break
                self.launcher.launch([job.words(self.swept) for job in part], initial_job_idx=self._launched)
                self._launched += len(part)
        except Exception as error:  # a worker was killed, or the launcher cannot do what it is asked
            crash = error
        self._account(jobs, crash, alone)

    def _submit(self, jobs: Sequence[Job]) -> None:
        """Begin jobs of a stream: at once, if there are workers for that, else with the next `_wait`."""
        for job in jobs:
            if (self.folder / STOP).exists():
                return
            self._under_way[job] = None
            if self.workers is not None:
                self._under_way[job] = self.workers.submit(job.words(self.swept), self._launched)
                self._launched += 1

    def _wait(self) -> None:
        """Until a job of a stream ended. If its worker crashed, those of all others end too, as joblib has it."""
        if self.workers is None:
            jobs = list(self._under_way)
            self._run(jobs)
        else:
            futures = {future: job for job, future in self._under_way.items() if future is not None}
            done, _ = wait(futures, return_when=FIRST_COMPLETED)
            crash = next(filter(None, (future.exception() for future in done)), None)
            if crash is not None:
                self.workers.kill()
                done, _ = wait(futures)
            jobs = [futures[future] for future in done]
            self._account(jobs, crash)
        for job in jobs:
            del self._under_way[job]

    def _have_ended(self, jobs: Sequence[Job]) -> bool:
        return not any((job.twin or job) in self._under_way for job in jobs)

    def _account(self, jobs: Sequence[Job], crash: BaseException | None, alone: bool = False) -> None:
        """For jobs that were launched: run again those that a crash took along, and see that each has its result.

        Args:
            jobs: none of them is at work here any more.
            crash: of the launcher or a worker.
            alone: whether it was one job that was launched by itself, for it had been killed.

        Raises:
            BaseException: the crash, before any of the jobs began.
        """
        self._await(jobs)
        waiting = [job for job in jobs if job.result is None]
        if crash is not None and len(waiting) == len(jobs):
            raise crash
        for job in jobs:
            if job.result is not None and job.result["status"] == "running":
                if job.result.get("process") == this_process():
                    job.result |= {"status": "failed", "error": UNWRITTEN}
                    self._write(job)
                else:
                    self._account_for_killed(job, alone)
        if crash is not None:
            self._run(waiting)
        elif not (self.folder / STOP).exists():
            for job in waiting:
                self._fail(job, RunError(LOST.format(folder=self.folder)))

    def _account_for_killed(self, job: Job, alone: bool) -> None:
        """Let a job run again by itself, for it may have died of another one's fault; if it ran so, it failed."""
        assert job.result is not None
        attempt, result = job.folder, job.result | {"status": "failed", "error": KILLED}
        if alone:
            job.result = result
            if self.config.sweep.on_failure == "stop":
                (self.folder / STOP).touch()
        else:
            job.result = None
            self._claim([job])
            self._run([job], alone=True)
        write(attempt / FILE, result)

    def _await(self, jobs: Sequence[Job]) -> None:
        """Read the jobs' results, waiting for those that are at work."""
        for job in jobs:
            while job.is_running:
                time.sleep(0.2)

    def _claim(self, jobs: Sequence[Job]) -> None:
        """A new folder for each job."""
        number = free_number(self.folder)
        for place, job in enumerate(jobs):
            job.folder = claim_job(self.folder, number + place, job.differing(self.swept))

    def _fail(self, job: Job, error: Exception | None) -> None:
        """Write the result of a job that did not come to write its own."""
        assert error is not None
        job.result = job.failure(error, self.swept)
        self._write(job)

    def _write(self, job: Job) -> None:
        """Leave a job's result; where the disk is full, Jobs alone knows it."""
        assert job.result is not None
        try:
            write(job.folder / FILE, job.result)
        except OSError as error:
            log.error("%s could not be written: %s", job.folder / FILE, error)

    @property
    def failed(self) -> list[Job]:
        """The jobs that have a result, and did not complete."""
        return [job for job in self.jobs if job.result is not None and job.result["status"] != "completed"]


def _goes_or_went_well(folder: Path) -> dict[str, Path]:
    """By the identity of its job, the folder of each result that is completed, or else at work."""
    found = results(folder)
    good = [path for path, result in found.items() if is_alive_elsewhere(result, path / FILE)]
    good += [path for path, result in found.items() if result["status"] == "completed"]
    return {identity(found[path].get("settings", {})): path for path in good}


def _stopped(folder: Path) -> dict[str, Path]:
    """By the identity of its job, the newest last checkpoint of each attempt that was stopped."""
    found = sorted(results(folder).items(), key=lambda item: item[1].get("started") or "")
    kept = [(result, path / "checkpoints" / "last.ckpt") for path, result in found if result["status"] == "interrupted"]
    return {identity(result.get("settings", {})): file for result, file in kept if file.is_file()}
