"""Plans the jobs of a sweep: which have to run, and which have run before."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hydra.types import HydraContext
from omegaconf import DictConfig

from litlab.runs.heartbeat import is_alive_elsewhere
from litlab.runs.report import quoted
from litlab.runs.result import FILE
from litlab.sweeps.composer import Composer
from litlab.sweeps.folder import claim_job, free_number, results, start_clock
from litlab.sweeps.job import DUPLICATE, Job
from litlab.sweeps.job_result import JobResult
from litlab.sweeps.naming import differing_settings, swept_values
from litlab.sweeps.planned import save


class Batch(NamedTuple):
    """Jobs that were planned together.

    Attributes:
        jobs: all of them; those that cannot be composed have failed already.
        started: completed by an earlier session, or running in another process.
        pending: to run, as far as `sweep.jobs` allows.
    """

    jobs: list[Job]
    started: list[Job]
    pending: list[Job]


class Plan:
    """The jobs of one session of a sweep.

    A job does not run if a result of the same settings is completed in the sweep's folder, or if it is a duplicate.

    Args:
        context: Hydra's, of the sweep.
        config: the sweep's, with its hydra node.
        folder: the sweep's.
        swept: the settings that differ between the jobs, as in `optimizer.lr`.
        total: how many jobs there will be; 0: as many as are added.
    """

    def __init__(
        self, context: HydraContext, config: DictConfig, folder: Path, swept: Sequence[str], total: int = 0
    ) -> None:
        self.composer = Composer(context, config)
        self.config = config
        self.folder = folder
        self.swept = swept
        self.total = total
        self.jobs: list[Job] = []
        # The jobs that may still start in this session, and whether they were too few. (A draw has so many anyway.)
        self._room: float = (None if config.sweep.get("draw") else config.sweep.get("jobs")) or math.inf
        self.is_cut = False
        self._earlier: dict[str, Path] = {}  # by identity: the folder of a job of an earlier session
        self._stopped: dict[str, Path] = {}  # by identity: the folder of one that was stopped

    def add(self, job_overrides: Sequence[Sequence[str]]) -> Batch:
        """Compose jobs, and give a folder to those that need one.

        Raises:
            Exception: no job of the plan can be composed: the first job's error.
        """
        jobs = [self.composer.job(overrides) for overrides in job_overrides]
        if all(job.error for job in [*self.jobs, *jobs]):
            raise next(job.error for job in jobs if job.error)
        if not self.jobs:
            self._start(jobs)
        first = {job.identity: job for job in self.jobs if job.is_original}
        started, pending = [], []
        for job in jobs:
            if job.error is not None:
                continue
            if (original := first.setdefault(job.identity, job)) is not job:
                job.duplicate_of = original
                print(f"{job.label(self.swept)}  {DUPLICATE}".lstrip(), flush=True)
            elif job.identity in self._earlier:
                job.folder = self._earlier[job.identity]
                job.is_reported = not job.poll()
                started.append(job)
            else:
                if not job.settings.get("tune"):  # which starts over
                    job.resume = self._stopped.get(job.identity)
                pending.append(job)
        self.is_cut |= len(pending) > self._room
        pending = pending[: int(min(self._room, len(pending)))]
        self._room -= len(pending)
        self.jobs += jobs
        save(self.folder, self.jobs, self.total or len(self.jobs))
        for status in ("completed", "pruned"):
            if done := sum(job.status == status for job in started):
                print(f"{done} of {len(jobs)} jobs are already {status}", flush=True)
        if resumed := sum(job.resume is not None for job in pending):
            which = "stopped jobs resume from their" if resumed > 1 else "stopped job resumes from its"
            print(f"{resumed} {which} last checkpoint", flush=True)
        self.claim([job for job in jobs if job.error or job in pending])
        for job in jobs:
            if job.error:
                job.fail(job.error, self.swept)
                if self.config.sweep.on_failure == "stop":
                    pending = []
        return Batch(jobs, started, pending)

    def end(self) -> None:
        """No more jobs will be added."""
        self.total = len(self.jobs)
        save(self.folder, self.jobs, self.total)

    def claim(self, jobs: Sequence[Job]) -> None:
        """Make a new folder for each job."""
        for number, job in enumerate(jobs, free_number(self.folder)):
            job.folder = claim_job(self.folder, number, swept_values(job.overrides, self.swept))

    def _start(self, jobs: Sequence[Job]) -> None:
        """Read what earlier sessions left, and print how many jobs there are."""
        found = sorted(results(self.folder).items(), key=lambda item: item[1].get("started") or "")
        if not self.swept and self.config.sweep.resume is not None:  # name it by what differs from earlier jobs
            self.swept = differing_settings(jobs[0].overrides, [result.get("overrides") or () for _, result in found])
        identities = {path: JobResult.of(result).identity() for path, result in found}
        # Where jobs are pruned, that is their end, or their rung; otherwise they go on as a stopped job does.
        prunes = self.config.sweep.prune is not None or self.config.sweep.eta is not None
        final = ("completed", "pruned") if prunes else ("completed",)
        ended = [path for path, result in found if result["status"] in final]
        completed = {identities[path]: path for path in ended}
        completed |= {identities[path]: path for path, result in found if result["status"] == "completed"}
        running = {identities[path]: path for path, result in found if is_alive_elsewhere(result, path / FILE)}
        self._earlier = running | completed
        stopped = {identities[path]: path for path, result in found if result["status"] in ("interrupted", "pruned")}
        self._stopped = {job: path for job, path in stopped.items() if (path / "checkpoints" / "last.ckpt").is_file()}
        number = self.total or len(jobs)
        print(f"{number} job{'s' if number != 1 else ''} in {quoted(self.folder)}", flush=True)
        start_clock(self.folder)
