"""summary.csv, jobs.csv, summary.md and the pictures of a leaderboard."""

import csv
import io
import json
import os
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from litlab import escape
from litlab.files import write_whole
from litlab.plots import canvas
from litlab.sweeps.columns import REPLICATES, value
from litlab.sweeps.confidence import comparison, interval
from litlab.sweeps.leaderboard import Leaderboard, read_and_rank
from litlab.sweeps.pictures import pictures
from litlab.sweeps.rounding import decimals, spread
from litlab.sweeps.rows import NAMES, UNREADABLE, Row, checkpoint, test_metric, validation

MAX_ROWS = 200  # of summary.md; summary.csv has all
MAX_TEXT = 100  # characters of a setting or an error in a table


def summarize(folders: Sequence[Path], out: Path | None = None) -> Leaderboard:
    """Read and rank the sweeps in `folders`, and write their summary to `out`, or else to the first folder.

    Raises:
        RequestError: as `read_and_rank`.
    """
    board = read_and_rank(folders)
    write(board, out or folders[0])
    return board


def write(board: Leaderboard, folder: Path) -> None:
    """Write the files, each whole or not at all; pictures of an earlier state that have no place any more go."""
    drawn = pictures(board)
    for name, figure in drawn.items():
        canvas.save(canvas.pixels(figure), folder / f"{name}.png")
    write_whole(folder / "summary.csv", as_csv(board, folder).encode())
    write_whole(folder / "jobs.csv", jobs_as_csv(board, folder).encode())
    write_whole(folder / "summary.md", as_markdown(board, list(drawn), folder).encode())
    for file in folder.glob("summary_*.png"):
        if file.stem not in drawn:
            file.unlink(missing_ok=True)


def as_csv(board: Leaderboard, folder: Path = Path()) -> str:
    """A line per row, of full precision; what there is not is empty. The run directories are relative to `folder`.

    `best_low` to `best_high` is the 95% confidence interval of the mean.
    """
    measured = (
        "metric",
        "mode",
        "best_mean",
        "best_std",
        "best_low",
        "best_high",
        "test_mean",
        "test_std",
        "n",
        "seconds_training",
    )
    marked = ["test_split"] * any(row.is_tested_on_train for row in board.rows)
    lines: list[Sequence[Any]] = [["rank", *board.columns, *measured, *marked, "status", "error", "run_dirs"]]
    for row in board.rows:
        numbers = [
            row.best.mean,
            row.best.std,
            *(interval(row) or (None, None)),
            row.test.mean,
            row.test.std,
            row.n,
            row.seconds,
            *["train" if row.is_tested_on_train else "test" for _ in marked],
        ]
        told = [row.status, row.error, ";".join(_relative(job["run_dir"], folder) for job in row.begun)]
        lines.append([row.rank, *map(plain, row.values), row.metric, row.metric and row.mode, *numbers, *told])
    return _csv(lines)


def jobs_as_csv(board: Leaderboard, folder: Path = Path()) -> str:
    """A line per job, in the order of the leaderboard; `best` is of `metric`, at `epoch`."""
    jobs = [(row, job) for row in board.rows for job in row.begun]
    tests = sorted({name for _, job in jobs for name in job.get("metrics") or () if name.startswith("test/")})
    keys = [key for key in REPLICATES if key == "seed" or any(NAMES[key] in row.replicates for row in board.rows)]
    marked = ["test_split"] * any(row.is_tested_on_train for row in board.rows)
    measured = ("metric", "mode", "best", "epoch", *tests, "seconds_training", "seconds", *marked)
    lines: list[Sequence[Any]] = [["run_dir", "status", *keys, *board.columns, *measured, "error"]]
    for row, job in jobs:
        monitor, metrics = job.get("monitor") or {}, job.get("metrics") or {}
        numbers = [validation(job), monitor.get("epoch"), *map(metrics.get, tests)]
        numbers += [job.get("seconds_training"), job.get("seconds"), *map(job.get, marked)]
        told = [_relative(job["run_dir"], folder), job["status"], *(plain(value(job, key)) for key in keys)]
        told += map(plain, row.values)
        lines.append([*told, monitor.get("metric"), monitor.get("mode"), *numbers, job.get("error")])
    return _csv(lines)


def _csv(lines: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for line in lines:
        writer.writerow([escape.csv(each) if isinstance(each, str) else each for each in line])
    return text.getvalue()


def _relative(path: str, folder: Path) -> str:
    return os.path.relpath(path, folder)


def plain(value: Any) -> str:
    """A setting's value as one would type it; nothing for None."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, separators=(",", ":"), default=str)


def shown(value: Any) -> str:
    """A setting's value to read: of a number that a search has drawn, four digits."""
    return f"{value:.4g}" if isinstance(value, float) else plain(value) or "-"


def as_markdown(board: Leaderboard, drawn: Sequence[str] = (), folder: Path = Path()) -> str:
    """The leaderboard to read: what was swept, the table, the winner's command and checkpoint, pictures, remarks.

    Args:
        board: what to show.
        drawn: the names of the pictures.
        folder: where the text is to lie.
    """
    lines = ["# Leaderboard", "", escape.markdown(headline(board)), ""]
    names, *rows = table(board, MAX_ROWS)
    numeric = [index for index, name in enumerate(names) if name not in ("status", "metric")]
    lines += [_line(names), _line("---:" if index in numeric else "---" for index in range(len(names)))]
    lines += map(_line, rows)
    if len(board.rows) > MAX_ROWS:
        lines += ["", f"... and {len(board.rows) - MAX_ROWS:,} more rows, in summary.csv"]
    lines += [line for text in compared(board) for line in ("", f"{text[0].upper()}{text[1:]}.")]
    for name, winner in winners(board):
        lines += ["", f"What trains {escape.markdown(name)}:", "", f"    {escape.printable(command(winner))}"]
        if weights := winner_checkpoint(winner):
            what, file = weights
            lines += ["", f"{what}:", "", f"    {escape.printable(_relative(str(file), folder))}"]
    for name in drawn:
        lines += ["", f"![{name}]({name}.png)"]
    if board.remarks:
        lines += ["", *(f"- {escape.markdown(remark)}" for remark in board.remarks)]
    return "\n".join([*lines, "", f"Made {board.made:%Y-%m-%d %H:%M:%S %z} from the result.json of each job.", ""])


def headline(board: Leaderboard) -> str:
    """How many settings and jobs there are, and what they are ranked by."""
    statuses = ", ".join(f"{count:,} {status}" for status, count in sorted(board.jobs.items()))
    count = sum(not row.status.startswith(UNREADABLE) for row in board.rows)
    settings = f"{count:,} setting{'s' if count != 1 else ''}"
    text = f"{settings}{' of ' if board.columns else ''}{', '.join(board.columns)}; jobs: {statuses or 'none'}."
    if board.winners:
        ranked = " and ".join(
            f"{row.metric} ({'higher' if row.mode == 'max' else 'lower'} is better)" for row in board.winners
        )
        over = replicates(board.rows) if any(row.best.n > 1 for row in board.rows) else ""
        text += f" Ranked by {f'the mean over {over} of ' if over else ''}the best {ranked}, never by the test."
    return text


def table(board: Leaderboard, limit: int) -> list[list[str]]:
    """The names of the columns, then the first rows; numbers rounded to what their spread lets one tell.

    Args:
        board: what to show.
        limit: rows at most.
    """
    metrics = list(dict.fromkeys(row.metric for row in board.rows if row.metric))
    alone = metrics[0] if len(metrics) == 1 else None
    measured = [alone, test_metric(alone)] if alone else ["metric", "validation", "test"] if metrics else []
    digits = {
        metric: decimals([row.best for row in board.rows if row.metric == metric])
        for metric in dict.fromkeys(row.metric for row in board.rows)
    }
    lines = [["rank", *board.columns, *measured, "n", "train s", "status"]]
    for row in board.rows[:limit]:
        number = digits[row.metric]
        lines.append(["" if row.rank is None else str(row.rank), *(_short(shown(each)) for each in row.values)])
        lines[-1] += [row.metric or "-"] if len(metrics) > 1 else []
        test = spread(row.test, number) + (" (train)" if row.is_tested_on_train else "")
        lines[-1] += [spread(row.best, number), test] if metrics else []
        lines[-1] += [str(row.n), _seconds(row), _short(row.status)]
    return lines


def replicates(rows: Iterable[Row]) -> str:
    """Of what the means of these rows are: `seeds`, `folds`, `seeds and folds`, or nothing."""
    return " and ".join(dict.fromkeys(name for row in rows for name in row.replicates))


def compared(board: Leaderboard) -> list[str]:
    """For each metric, whether its first row beats its second one by more than chance."""
    several = len(board.winners) > 1
    told = []
    for winner in board.winners:
        others = [row for row in board.rows if row.metric == winner.metric and row.rank and row is not winner]
        if others and (text := comparison(winner, others[0])):
            told.append(f"by {winner.metric}, {text}" if several else text)
    return told


def winners(board: Leaderboard) -> list[tuple[str, Row]]:
    """What to call each metric's winner, and its row."""
    alone = len(board.winners) == 1
    return [("the winner" if alone else f"the winner by {row.metric}", row) for row in board.winners]


def winner_checkpoint(row: Row) -> tuple[str, Path] | None:
    """What to call the checkpoint of a row, which is that of its best seed, and the file; None if there is none."""
    job = row.best_job
    file = checkpoint(job) if job else None
    if job is None or file is None:
        return None
    which = ", ".join(f"{key} {value(job, key)}" for key in REPLICATES if NAMES[key] in row.replicates)
    return f"Its checkpoint ({which}, the best of {row.n})" if which else "Its checkpoint", file


def command(row: Row) -> str:
    """What to type to train a row's setting."""
    return " ".join(["python", "scripts/train.py", *map(_word, row.overrides)])


def _word(override: str) -> str:
    """Quoted once for a shell: around the single quotes that Hydra is to see, double ones that expand nothing."""
    return f'"{override}"' if "'" in override and not set(override) & set('"$`\\!') else shlex.quote(override)


def _seconds(row: Row) -> str:
    return "-" if row.seconds is None else f"{row.seconds:,.{0 if row.seconds >= 100 else 1}f}"


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 3]}..."


def _line(cells: Any) -> str:
    return f"| {' | '.join(map(escape.markdown, cells))} |"
