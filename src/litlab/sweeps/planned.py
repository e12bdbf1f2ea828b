"""The planned jobs of a sweep, in a file of its folder; and which of them have not started."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from litlab.files import read_file, write_atomic
from litlab.sweeps.job import Job
from litlab.sweeps.job_result import NOT_STARTED, REPLICATES, JobResult

PLANNED = "planned.json"


def save(folder: Path, jobs: Sequence[Job], total: int) -> None:
    """Write the jobs that this session of the sweep has planned so far.

    Args:
        folder: of the sweep.
        jobs: the planned ones; one that could not be composed has a result already.
        total: how many there will be.
    """
    composed = [job for job in jobs if not job.error]
    planned = [_entry(JobResult(NOT_STARTED, settings=job.settings, overrides=job.overrides)) for job in composed]
    content = {"total": total - (len(jobs) - len(composed)), "jobs": planned}
    write_atomic(folder / PLANNED, json.dumps(content).encode())


def not_started(folder: Path, results: Sequence[JobResult]) -> tuple[list[JobResult], int, int]:
    """The planned jobs of the sweep in `folder` that have no result; none where no plan is left.

    Args:
        folder: of the sweep.
        results: of its jobs.

    Returns:
        those whose setting has started with other seeds or folds, as results; the number of all; and that of the
            settings of which none has started, as far as they are listed: a search lists its jobs as it goes.
    """
    try:
        planned = json.loads(read_file(folder / PLANNED))
        jobs, total = {entry["job"]: entry for entry in planned["jobs"]}, int(planned["total"])
        found = {_digest(result.identity()): result for result in results}
        siblings = {jobs[job]["setting"]: result for job, result in found.items() if job in jobs}
        missing = [entry for job, entry in jobs.items() if job not in found and entry["setting"] in siblings]
        started = sum(entry["job"] in found for entry in planned["jobs"])
        begun = {_digest(result.identity(replicates=False)) for result in results}
        unstarted = {entry["setting"] for entry in jobs.values()} - begun
        return (
            [_without_result(entry, siblings[entry["setting"]]) for entry in missing],
            max(total - started, 0),
            len(unstarted) if total == len(planned["jobs"]) else 0,
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):  # anyone may have written it
        return [], 0, 0


def _entry(job: JobResult) -> dict[str, Any]:
    return {
        "overrides": job.own_overrides,
        "replicates": {key: job.value(key) for key in REPLICATES},
        "job": _digest(job.identity()),
        "setting": _digest(job.identity(replicates=False)),
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _without_result(entry: dict[str, Any], sibling: JobResult) -> JobResult:
    """What the result of a planned job would be, which differs from `sibling` by its seed or fold."""
    settings = dict(sibling.settings)
    for key, replicate in entry["replicates"].items():
        group, _, name = key.rpartition(".")
        if replicate is not None:
            settings |= {group: settings[group] | {name: replicate}} if group else {name: replicate}
    same: Any = {"choices": sibling.choices, "swept": sibling.swept, "started": sibling.started}
    return JobResult(NOT_STARTED, overrides=entry["overrides"], settings=settings, **same)
