"""summary.csv, summary.md and the pictures of a leaderboard."""

import csv
import io
import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litlab.files import write_whole
from litlab.plots import canvas
from litlab.sweeps.digits import decimals, spread
from litlab.sweeps.pictures import pictures
from litlab.sweeps.rows import Row, test_metric

if TYPE_CHECKING:
    from litlab.sweeps.leaderboard import Leaderboard

MAX_ROWS = 200  # of summary.md; summary.csv has all
MAX_TEXT = 100  # characters of an error in a table


def write(board: "Leaderboard", folder: Path) -> None:
    """Write the files, each whole or not at all; pictures of an earlier state that have no place any more go."""
    drawn = pictures(board)
    for name, figure in drawn.items():
        canvas.save(canvas.pixels(figure), folder / f"{name}.png")
    write_whole(folder / "summary.csv", as_csv(board, folder).encode())
    write_whole(folder / "summary.md", as_markdown(board, list(drawn)).encode())
    for file in folder.glob("summary_*.png"):
        if file.stem not in drawn:
            file.unlink(missing_ok=True)


def as_csv(board: "Leaderboard", folder: Path = Path()) -> str:
    """A line per row, of full precision; what there is not is empty. The run directories are relative to `folder`."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    measured = ("metric", "mode", "best_mean", "best_std", "test_mean", "test_std", "n", "seconds_training")
    lines.writerow(["rank", *board.columns, *measured, "status", "error", "run_dirs"])
    for row in board.rows:
        numbers = [row.best.mean, row.best.std, row.test.mean, row.test.std, len(row.completed), row.seconds]
        told = [row.status, row.error, ";".join(os.path.relpath(job["run_dir"], folder) for job in row.jobs)]
        lines.writerow([row.rank, *map(plain, row.values), row.metric, row.metric and row.mode, *numbers, *told])
    return text.getvalue()


def plain(value: Any) -> str:
    """A setting's value as one would type it; nothing for None."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, separators=(",", ":"), default=str)


def shown(value: Any) -> str:
    """A setting's value to read: of a number that a search has drawn, four digits."""
    return f"{value:.4g}" if isinstance(value, float) else plain(value) or "-"


def as_markdown(board: "Leaderboard", drawn: Sequence[str] = ()) -> str:
    """The leaderboard to read: what was swept, the table, the winner's command, pictures (their names), remarks."""
    lines = ["# Leaderboard", "", headline(board), ""]
    names, *rows = table(board, MAX_ROWS)
    numeric = [index for index, name in enumerate(names) if name not in ("status", "metric")]
    lines += [_line(names), _line("---:" if index in numeric else "---" for index in range(len(names)))]
    lines += map(_line, rows)
    if len(board.rows) > MAX_ROWS:
        lines += ["", f"... and {len(board.rows) - MAX_ROWS:,} more rows, in summary.csv"]
    for name, winner in winners(board):
        lines += ["", f"What trains {name}:", "", f"    {command(winner)}"]
    for name in drawn:
        lines += ["", f"![{name}]({name}.png)"]
    if board.remarks:
        lines += ["", *(f"- {remark}" for remark in board.remarks)]
    return "\n".join([*lines, "", f"Made {board.made:%Y-%m-%d %H:%M:%S %z} from the result.json of each job.", ""])


def headline(board: "Leaderboard") -> str:
    """How many settings and jobs there are, and what they are ranked by."""
    statuses = ", ".join(f"{count:,} {status}" for status, count in sorted(board.jobs.items()))
    settings = f"{len(board.rows):,} setting{'s' if len(board.rows) != 1 else ''}"
    text = f"{settings}{' of ' if board.columns else ''}{', '.join(board.columns)}; jobs: {statuses or 'none'}."
    if board.metrics:
        ranked = " and ".join(
            f"{metric} ({'higher' if mode == 'max' else 'lower'} is better)" for metric, mode in board.metrics
        )
        several = any(row.best.n > 1 for row in board.rows)
        text += f" Ranked by {'the mean over seeds of ' if several else ''}the best {ranked}, never by the test."
    return text


def table(board: "Leaderboard", limit: int) -> list[list[str]]:
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
        lines.append(["" if row.rank is None else str(row.rank), *map(shown, row.values)])
        lines[-1] += [row.metric or "-"] if len(metrics) > 1 else []
        lines[-1] += [spread(row.best, number), spread(row.test, number)] if metrics else []
        lines[-1] += [str(len(row.completed)), _seconds(row), _short(row.status)]
    return lines


def winners(board: "Leaderboard") -> list[tuple[str, Row]]:
    """What to call each metric's winner, and its row."""
    alone = len(board.winners) == 1
    return [("the winner" if alone else f"the winner by {row.metric}", row) for row in board.winners]


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
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
