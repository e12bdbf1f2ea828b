"""What a sweep leaves in its folder: summary.csv, jobs.csv, summary.md, summary.html and its leaderboard's pictures."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from litlab import escape
from litlab.files import write_atomic
from litlab.plots import canvas
from litlab.sweeps.confidence import interval
from litlab.sweeps.job_result import REPLICATES, as_typed
from litlab.sweeps.leaderboard import Leaderboard, read_and_rank
from litlab.sweeps.page import as_html
from litlab.sweeps.pictures import pictures
from litlab.sweeps.report import as_markdown

Cells = list[tuple[str, Any]]  # of a line of CSV, each with the name of its column


def summarize(folders: Sequence[Path], out: Path | None = None, page: bool = True) -> Leaderboard:
    """Read and rank the sweeps in `folders`, and write their summary to `out`, or else to the first folder.

    Args:
        folders: of sweeps.
        out: where to write.
        page: whether summary.html is written, too: 5 MB.

    Raises:
        RequestError: as `read_and_rank`.
    """
    board = read_and_rank(folders)
    write(board, out or folders[0])
    if page:
        write_atomic((out or folders[0]) / "summary.html", as_html(board, out or folders[0]).encode())
    return board


def write(board: Leaderboard, folder: Path) -> None:
    """Write the files, each whole or not at all; pictures of an earlier summary that are out of date go."""
    drawn = pictures(board)
    for name, figure in drawn.items():
        canvas.save(canvas.pixels(figure), folder / f"{name}.png")
    write_atomic(folder / "summary.csv", as_csv(board, folder).encode())
    write_atomic(folder / "jobs.csv", jobs_as_csv(board, folder).encode())
    write_atomic(folder / "summary.md", as_markdown(board, list(drawn), folder).encode())
    for file in folder.glob("summary_*.png"):
        if file.stem not in drawn:
            file.unlink(missing_ok=True)


def as_csv(board: Leaderboard, folder: Path = Path()) -> str:
    """A line per row, in full precision; what is unknown is empty. The run directories are relative to `folder`.

    `best_low` to `best_high` is the 95% confidence interval of the mean.
    """
    lines: list[Cells] = []
    is_marked = board.has_test_on_train
    for row in board.rows:
        low, high = interval(row) or (None, None)
        lines.append(
            [
                ("rank", row.rank),
                *zip(board.columns, map(as_typed, row.values), strict=True),
                ("metric", row.metric),
                ("mode", row.metric and row.mode),
                ("best_mean", row.best.mean),
                ("best_std", row.best.std),
                ("best_low", low),
                ("best_high", high),
                ("test_mean", row.test.mean),
                ("test_std", row.test.std),
                ("n", row.n),
                ("seconds_training", row.seconds),
                *[("test_split", "train" if row.is_tested_on_train else "test")] * is_marked,
                ("status", row.status),
                ("error", row.error),
                ("run_dirs", ";".join(os.path.relpath(str(job.run_dir), folder) for job in row.started_jobs)),
            ]
        )
    return lines_as_csv(lines)


def jobs_as_csv(board: Leaderboard, folder: Path = Path()) -> str:
    """A line per job, in the order of the leaderboard; `best` is of `metric`, at `epoch`."""
    jobs = [(row, job) for row in board.rows for job in row.started_jobs]
    tests = sorted({name for _, job in jobs for name in job.metrics if name.startswith("test/")})
    over = {name for row in board.rows for name in row.replicates}
    replicates = [key for key, name in REPLICATES.items() if key == "seed" or name in over]
    lines: list[Cells] = []
    is_marked = board.has_test_on_train
    for row, job in jobs:
        lines.append(
            [
                ("run_dir", os.path.relpath(str(job.run_dir), folder)),
                ("status", job.status),
                *((key, as_typed(job.value(key))) for key in replicates),
                *zip(board.columns, map(as_typed, row.values), strict=True),
                ("metric", job.metric),
                ("mode", job.mode),
                ("best", job.validation),
                ("epoch", job.epoch),
                *((name, job.metrics.get(name)) for name in tests),
                ("seconds_training", job.seconds_training),
                ("seconds", job.seconds),
                *[("test_split", job.test_split)] * is_marked,
                ("error", job.error),
            ]
        )
    return lines_as_csv(lines)


def lines_as_csv(lines: Sequence[Cells]) -> str:
    """CSV with a header; text that a spreadsheet would compute is disarmed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for cells in ([name for name, _ in lines[0]], *([cell for _, cell in line] for line in lines)):
        writer.writerow([escape.csv(cell) if isinstance(cell, str) else cell for cell in cells])
    return text.getvalue()
