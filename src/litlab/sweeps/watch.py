"""A line on the terminal for each job of a sweep that ended, wherever it ran: results travel through files."""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence

from litlab.escape import printable
from litlab.runs.result import StoredResult
from litlab.sweeps.folder import read
from litlab.sweeps.job import Job, monitored

INTERVAL = 0.2  # seconds between two looks, if a look takes no longer
FINAL = ("completed", "failed", "interrupted")


@contextlib.contextmanager
def watching(jobs: Sequence[Job], total: int, swept: Sequence[str]) -> Iterator[None]:
    """Print a line for each job that ends while the body runs.

    Args:
        jobs: of the sweep, so far; those that are added while the body runs are told, too.
        total: jobs of the whole sweep, if that is known.
        swept: the settings that differ.
    """
    end = threading.Event()

    def look() -> None:
        distinct = [job for job in list(jobs) if job.twin is None]
        count = max(total - (len(jobs) - len(distinct)), len(distinct))
        told = sum(job.is_told for job in distinct)
        for job in distinct:
            result = read(job.folder) if job.has_folder and not job.is_told else None
            if result is not None and result["status"] in FINAL:
                job.is_told = True
                told += 1
                print(line(f"{told}/{count}", job.differing(swept), result), flush=True)

    def watch() -> None:
        pause = INTERVAL
        while not end.wait(pause):
            started = time.perf_counter()
            with contextlib.suppress(OSError, ValueError):  # the last look is to raise them
                look()
            pause = max(INTERVAL, 20 * (time.perf_counter() - started))

    thread = threading.Thread(target=watch, name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
        look()


def line(count: str, settings: dict[str, str], result: StoredResult) -> str:
    """What is said of a job: `3/9  lr=0.1 seed=0  val/accuracy 0.8912  test/accuracy 0.8876  12.3 s`, or its error."""
    parts = [count, " ".join(f"{key}={text}" for key, text in settings.items())]
    if result["status"] == "completed":
        metric = result.get("monitor", {}).get("metric") or ""
        test = f"test/{metric.partition('/')[2]}"
        found = {metric: monitored(result), test: result.get("metrics", {}).get(test)}
        parts += [f"{name} {number:.4f}" for name, number in found.items() if number is not None]
        parts += [f"{result['seconds']:.1f} s"]
    else:
        parts += [f"{result['status']}: {' '.join(str(result['error']).split())}"]
    return printable("  ".join(filter(None, parts)))
