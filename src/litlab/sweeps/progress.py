"""The line that a sweep prints for each job that ends."""

import contextlib
from collections.abc import Iterator

from litlab.escape import printable
from litlab.runs.polling import polling
from litlab.sweeps.folder import read
from litlab.sweeps.job_result import JobResult
from litlab.sweeps.plan import Plan
from litlab.sweeps.rows import test_metric

INTERVAL = 0.2  # seconds between two looks for results


@contextlib.contextmanager
def progress_lines(plan: Plan) -> Iterator[None]:
    """Print a line for each job that ends while the body runs, including jobs planned meanwhile."""

    def look() -> None:
        jobs = list(plan.jobs)
        distinct = [job for job in jobs if job.duplicate_of is None]
        total = max(plan.total - (len(jobs) - len(distinct)), len(distinct))
        reported = sum(job.is_reported for job in distinct)
        for job in distinct:
            result = read(job.folder) if job.has_folder and not job.is_reported else None
            if result is not None and result["status"] != "running" and not job.is_behind(result):
                job.is_reported = True
                reported += 1
                print(progress_line(f"{reported}/{total}", job.label(plan.swept), JobResult.of(result)), flush=True)

    try:
        with polling(look, INTERVAL, "progress"):
            yield
    finally:
        look()


def progress_line(count: str, label: str, result: JobResult) -> str:
    """A job's line: `3/9  lr=0.1 seed=0  val/accuracy 0.8912  test/accuracy 0.8876  12.3 s`, or its error."""
    parts = [count, label]
    if result.is_completed or result.is_pruned:
        test = test_metric(result.metric)
        found = {result.metric: result.validation, test: result.metrics.get(test)}
        parts += [f"{name} {number:.4f}" for name, number in found.items() if number is not None]
    if result.is_completed:
        parts += [f"{result.seconds:.1f} s"]
    else:
        parts += [f"{result.status}: {' '.join(str(result.error).split())}"]
    return printable("  ".join(filter(None, parts)))
