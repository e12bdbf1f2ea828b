"""summary.csv, summary.md and the pictures of a leaderboard."""

import csv
import io
import json
import math
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from litlab.files import write_whole
from litlab.plots import canvas
from litlab.sweeps.pictures import pictures
from litlab.sweeps.rows import Row, Spread, test_metric

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
    measured = ("metric", "mode", "best_mean", "best_std", "test_mean", "test_std", "n", "seconds")
    lines.writerow(["rank", *board.columns, *measured, "status", "error", "run_dirs"])
    for row in board.rows:
        numbers = [row.best.mean, row.best.std, row.test.mean, row.test.std, row.best.n, row.seconds]
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
    if winner := board.winner:
        lines += ["", "What trains the winner:", "", f"    {command(winner)}"]
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


def table(board: "Leaderboard", limit: int, text: int = MAX_TEXT) -> list[list[str]]:
    """The names of the columns, then the first rows; numbers rounded to what their spread lets one tell.

    Args:
        board: what to show.
        limit: rows at most.
        text: characters of a status at most.
    """
    metrics = board.metrics
    alone = metrics[0][0] if len(metrics) == 1 else None
    measured = [alone, test_metric(alone)] if alone else ["metric", "validation", "test"]
    rows, digits = board.rows[:limit], {}
    for metric in dict.fromkeys(row.metric for row in rows):
        same = [row for row in rows if row.metric == metric]
        digits[metric] = decimals([row.best for row in same])
    lines = [["rank", *board.columns, *measured, "n", "seconds", "status"]]
    for row in rows:
        number = digits[row.metric]
        lines.append(["" if row.rank is None else str(row.rank), *map(shown, row.values)])
        lines[-1] += [row.metric or "-"] if not alone else []
        lines[-1] += [
            spread(row.best, number),
            spread(row.test, number),
            str(row.best.n),
            _seconds(row),
            _short(row.status, text),
        ]
    return lines


def decimals(spreads: Sequence[Spread]) -> int:
    """How many to show: two digits of the usual deviation over seeds (one from 8 on: 0.0009); else four of the best."""
    deviations = [each.std for each in spreads if each.std]
    best = next((abs(each.mean) for each in spreads if each.mean), 1.0)
    digits = 1 - math.log10(1.25 * median(deviations)) if deviations else 3 - math.log10(best) + 1e-9
    return min(max(math.ceil(digits), 0), 10)


def spread(of: Spread, digits: int) -> str:
    """Mean ± standard deviation; a number that so few decimals would hide gets four digits."""
    if of.mean is None:
        return "-"
    digits = max(digits, 3 - math.floor(math.log10(abs(of.mean)))) if 0 < abs(of.mean) < 10 ** (1 - digits) else digits
    return f"{of.mean:.{digits}f}" + ("" if of.std is None else f" ± {of.std:.{digits}f}")


def command(row: Row) -> str:
    """What to type to train a row's setting."""
    return shlex.join(["python", "scripts/train.py", *row.overrides])


def _seconds(row: Row) -> str:
    return "-" if row.seconds is None else f"{row.seconds:,.{0 if row.seconds >= 100 else 1}f}"


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _line(cells: Any) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
