"""What a sweep says while it runs: a line for each job that ends, and on a terminal a live line below them."""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import rich
from rich.live import Live
from rich.text import Text

from litlab.escape import printable
from litlab.runs.number_format import metric_text
from litlab.runs.polling import polling
from litlab.sweeps.dry_run import duration
from litlab.sweeps.folder import read
from litlab.sweeps.job import Job
from litlab.sweeps.job_result import JobResult
from litlab.sweeps.plan import Plan
from litlab.sweeps.rows import test_metric

INTERVAL = 0.2  # seconds between two looks for results


@contextlib.contextmanager
def progress_lines(plan: Plan, rung: str = "", jobs: Sequence[Job] | None = None) -> Iterator[None]:
    """Print a line for each job that ends while the body runs, including jobs planned meanwhile; and the live line.

    The bar of a job that runs in this process is drawn beneath it, as both are of rich's own console.

    Args:
        plan: the sweep's.
        rung: of successive halving, such as `rung 2 of 3`; what begins each line.
        jobs: of the rung, which are counted within it; None: all of the plan.
    """
    console, progress, shown = rich.get_console(), Progress(plan, rung, jobs), Text(no_wrap=True, overflow="ellipsis")
    with contextlib.ExitStack() as stack:
        live = Live(shown, console=console, transient=True, auto_refresh=False)
        if console.is_terminal:
            stack.enter_context(live)

        def look() -> None:
            for line in progress.look():
                print(line, flush=True)
            if live.is_started and (line := progress.line()) != shown.plain:
                shown.plain = line
                live.refresh()

        try:
            with polling(look, INTERVAL, "progress"):
                yield
        finally:
            look()


class Progress:
    """How far a session of a sweep has come, or a rung of it; see `progress_lines`."""

    def __init__(self, plan: Plan, rung: str = "", jobs: Sequence[Job] | None = None) -> None:
        self.plan = plan
        self.jobs = jobs
        self.before = f"{rung}: " if rung else ""
        self._started = time.monotonic()
        self._ends: list[float] = []  # when the jobs of this session ended
        self._most = 1  # jobs at once
        self._results: dict[Job, JobResult] = {}  # of the jobs that have ended, of earlier sessions too
        self._waiting: dict[Job, JobResult] = {}  # of those that an earlier rung has paused
        self._running = self._total = 0

    def look(self) -> Iterator[str]:
        """Look for results; the lines of the jobs that have ended since."""
        jobs = list(self.plan.jobs if self.jobs is None else self.jobs)
        distinct = [job for job in jobs if job.duplicate_of is None]
        planned = self.plan.total if self.jobs is None else 0
        self._total = max(planned - (len(jobs) - len(distinct)), len(distinct))
        running = 0
        for job in distinct:
            if job in self._results:
                continue
            result = read(job.folder) if job.has_folder else None
            if result is None:
                continue
            if result["status"] == "running":
                running += 1
                continue
            if job.is_behind(result):
                self._waiting[job] = JobResult.of(result)
                continue
            self._results[job] = JobResult.of(result)
            if not job.is_reported:
                job.is_reported = True
                self._ends.append(time.monotonic())
                count = f"{self.before}{len(self._results)}/{self._total}"
                yield progress_line(count, job.label(self.plan.swept), self._results[job])
        self._running, self._most = running, max(running, self._most)

    def line(self) -> str:
        """Such as `3 of 9 jobs done (1 failed), 2 running, 4 left; best val/loss 0.1200: lr=0.1; about 10 s left`."""
        done, others = len(self._results), Counter(result.status for result in self._results.values())
        del others["completed"]
        if self.before:
            del others["pruned"]  # all but those of the last rung
        which = ", ".join(f"{count} {status}" for status, count in sorted(others.items()))
        left = self._total - done - self._running
        counts = f"{self.before}{done} of {self._total} jobs done" + f" ({which})" * bool(which)
        parts = [f"{counts}, {self._running} running, {left} left"]
        found = (self._waiting | self._results).items()
        known = [(job, each) for job, each in found if each.is_completed or each.is_pruned]
        known = [(job, each) for job, each in known if each.validation is not None]
        if known:
            job, best = min(known, key=lambda each: each[1].standing)
            value = f"best {best.metric} {metric_text(best.validation)}"
            parts.append(f"{value}: {job.label(self.plan.swept)}".rstrip(": "))
        if done < self._total and (seconds := self._seconds_left(time.monotonic())) is not None:
            parts.append(f"about {duration(seconds)} left")
        return printable("; ".join(parts))

    def _seconds_left(self, now: float) -> float | None:
        """By the mean time between the ends of this session's jobs; at most what sweep.minutes leaves.

        The first job of each process has its start-up too: of n at once, it counts until all n have ended again.
        """
        minutes, ends, at_once = self.plan.config.sweep.get("minutes"), self._ends, self._most
        found = [60 * minutes - (now - self._started)] if minutes else []
        if ends:
            rounds = len(ends) // at_once
            if rounds > 1:
                each = (ends[rounds * at_once - 1] - ends[at_once - 1]) / ((rounds - 1) * at_once)
            else:
                each = (ends[-1] - self._started) / len(ends)
            found.append(each * (self._total - len(self._results)) - (now - ends[-1]))
        return max(min(found), 0.0) if found else None


def progress_line(count: str, label: str, result: JobResult) -> str:
    """A job's line: `3/9  lr=0.1 seed=0  val/accuracy 0.8912  test/accuracy 0.8876  12.3 s`, or its error."""
    parts = [count, label]
    if result.is_completed or result.is_pruned:
        test = test_metric(result.metric)
        found = {result.metric: result.validation, test: result.metrics.get(test)}
        parts += [f"{name} {metric_text(number)}" for name, number in found.items() if number is not None]
    if result.is_completed:
        parts += [f"{result.seconds:.1f} s"]
    else:
        parts += [f"{result.status}: {' '.join(str(result.error).split())}"]
    return printable("  ".join(filter(None, parts)))
