"""A leaderboard as text: what was swept, the table and the winner; in Markdown and on the terminal."""

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from litlab import escape
from litlab.escape import one_line
from litlab.plots.canvas import shortened
from litlab.runs.report import as_text, quoted, widen
from litlab.sweeps.confidence import comparison
from litlab.sweeps.job_result import REPLICATES, UNREADABLE, as_typed
from litlab.sweeps.leaderboard import Leaderboard
from litlab.sweeps.naming import short_keys
from litlab.sweeps.rows import Row, decimals, replicates, test_metric

MAX_ROWS = 200  # of summary.md; summary.csv has all
TOP = 10  # rows on the terminal
MAX_TEXT = 100  # characters of a setting or an error in a table
MAX_STATUS = 60  # characters of a status on the terminal: an error can be of any length


def headline(board: Leaderboard) -> str:
    """The number of settings and jobs, and what they are ranked by."""
    statuses = ", ".join(f"{count:,} {status}" for status, count in sorted(board.jobs.items()))
    count = sum(not row.status.startswith(UNREADABLE) for row in board.rows)
    planned = count + board.unstarted
    started = f"{count:,} of " if board.unstarted else ""
    settings = f"{started}{planned:,} setting{'s' if planned != 1 else ''}"
    text = f"{settings}{' of ' if board.columns else ''}{', '.join(board.columns)}; jobs: {statuses or 'none'}."
    if board.winners:
        ranked = " and ".join(
            f"{row.metric} ({'higher' if row.mode == 'max' else 'lower'} is better)" for row in board.winners
        )
        over = replicates(board.rows)
        mean = f"the mean over {over} of " if over and any(row.best.n > 1 for row in board.rows) else ""
        text += f" Ranked by {mean}the best {ranked}, never by the test."
    return text


def table(board: Leaderboard, limit: int) -> list[list[str]]:
    """The names of the columns, then at most `limit` rows; means are rounded to what their deviations resolve."""
    metrics = list(dict.fromkeys(row.metric for row in board.rows if row.metric))
    measured = [metrics[0], test_metric(metrics[0])] if len(metrics) == 1 else ["metric", "validation", "test"]
    number = digits(board)
    lines = [["rank", *board.columns, *(measured if metrics else []), "n", "train s", "status"]]
    for row in board.rows[:limit]:
        cells = ["" if row.rank is None else str(row.rank), *map(shown, row.values)]
        cells += [row.metric or "-"] if len(metrics) > 1 else []
        if metrics:
            texts = [each.text(number[row.metric]) for each in (row.best, row.test)]
            cells += [texts[0], texts[1] + " (train)" * row.is_tested_on_train]
        seconds = "-" if row.seconds is None else f"{row.seconds:,.{0 if row.seconds >= 100 else 1}f}"
        lines.append([*cells, str(row.n), seconds, one_line(_short(row.status))])
    return lines


def _short(status: str) -> str:
    """`pruned: after epoch 3; after epoch 5` as `pruned at 3, 5`, which keeps a row on one line of a terminal."""
    pruned, at, epochs = status.partition("pruned: after epoch ")
    return f"pruned at {epochs.replace('; after epoch ', ', ')}" if at and not pruned else status


def _cut(status: str) -> str:
    """For the terminal, with an ellipsis where it does not end; summary.md has it whole."""
    status = escape.printable(status)
    return status if len(status) <= MAX_STATUS else f"{status[: MAX_STATUS - 1]}…"


def digits(board: Leaderboard) -> dict[str | None, int]:
    """Of each metric how many decimals to show."""
    metrics = {row.metric for row in board.rows}
    return {metric: decimals([row.best for row in board.rows if row.metric == metric]) for metric in metrics}


def shown(value: Any) -> str:
    """A setting's value to read: of a number that a search has drawn, four digits."""
    return f"{value:.4g}" if isinstance(value, float) else shortened(as_typed(value), MAX_TEXT) or "-"


def comparisons(board: Leaderboard) -> Iterator[str]:
    """For each metric, whether its first row beats its second one by more than chance."""
    for winner in board.winners:
        other = runner_up(board, winner)
        if other and (text := comparison(winner, other)):
            yield f"by {winner.metric}, {text}" if len(board.winners) > 1 else text


def runner_up(board: Leaderboard, winner: Row) -> Row | None:
    """The ranked row behind a metric's winner."""
    return next((row for row in board.rows if row.metric == winner.metric and row.rank and row is not winner), None)


def winners(board: Leaderboard) -> Iterator[tuple[str, str | Path]]:
    """For each metric's winner the command that trains it, then the checkpoint of its best job; each with a label."""
    for row in board.winners:
        yield "the winner" if len(board.winners) == 1 else f"the winner by {row.metric}", command(row)
        if (job := row.best_job) and (file := job.weights):
            which = ", ".join(f"{key} {job.value(key)}" for key, name in REPLICATES.items() if name in row.replicates)
            yield f"its checkpoint ({which}, the best of {row.n})" if which else "its checkpoint", file


def command(row: Row) -> str:
    """What to type to train a row's setting."""
    return in_shell(row.overrides)


def in_shell(words: Iterable[str]) -> str:
    """A command line of train.py."""
    return " ".join(["python", "scripts/train.py", *map(_word, words)])


def _word(override: str) -> str:
    """Quoted once for a shell: single quotes that Hydra must see are put in double quotes where these are inert."""
    return f'"{override}"' if "'" in override and not set(override) & set('"$`\\!') else shlex.quote(override)


def as_markdown(board: Leaderboard, pictures: Sequence[str] = (), folder: Path = Path()) -> str:
    """The leaderboard as summary.md.

    Args:
        board: what to show.
        pictures: the names of the pictures beside it.
        folder: where the file will lie.
    """
    names, *rows = table(board, MAX_ROWS)
    rules = ["---" if name in ("status", "metric") else "---:" for name in names]
    lines = ["# Leaderboard", "", escape.markdown(headline(board)), "", *map(markdown_row, [names, rules, *rows])]
    if len(board.rows) > MAX_ROWS:
        lines += ["", f"... and {len(board.rows) - MAX_ROWS:,} more rows, in summary.csv"]
    for text in comparisons(board):
        lines += ["", f"{capitalized(text)}."]
    for label, what in winners(board):
        text = os.path.relpath(what, folder) if isinstance(what, Path) else what
        lines += ["", f"{escape.markdown(capitalized(label))}:", "", f"    {escape.printable(text)}"]
    for name in pictures:
        lines += ["", f"![{name}]({name}.png)"]
    if board.warnings:
        lines += ["", *(f"- {escape.markdown(warning)}" for warning in board.warnings)]
    return "\n".join([*lines, "", f"Made {board.made:%Y-%m-%d %H:%M:%S %z} from each job's result.json.", ""])


def markdown_row(cells: Iterable[str]) -> str:
    """A line of a table in Markdown."""
    return f"| {' | '.join(map(escape.markdown, cells))} |"


def capitalized(text: str) -> str:
    """A sentence with a capital at its start."""
    return text[0].upper() + text[1:]


def print_leaderboard(board: Leaderboard, folder: Path) -> None:
    """Print the top ten, the winner and the warnings, and where the summary lies: in `folder`."""
    console = Console(soft_wrap=True, highlight=False)
    names, *rows = ([*cells, _cut(status)] for *cells, status in table(board, TOP))
    short = short_keys(board.columns)
    grid = Table(box=box.SIMPLE, pad_edge=False)
    for name in names[:-1]:
        justify: Any = "left" if name == "metric" else "right"
        grid.add_column(as_text(short.get(name, name)), justify=justify, no_wrap=True)
    grid.add_column("status", overflow="fold", width=min(max(len(row[-1]) for row in [names, *rows]), 20))
    for row in rows:
        grid.add_row(*map(as_text, row))
    widen(console, grid)
    grid.columns[-1].width = None  # an error takes the room that is left
    console.print()
    console.print(as_text(headline(board)))
    console.print(grid)
    if len(board.rows) > TOP:
        console.print(f"... and {len(board.rows) - TOP:,} more")
    lines = [*comparisons(board), *(f"warning: {warning}" for warning in board.warnings)]
    lines += [f"{label}: {quoted(what) if isinstance(what, Path) else what}" for label, what in winners(board)]
    lines += [f"summary: {quoted(folder / 'summary.md')}", f"in a browser: {quoted(folder / 'summary.html')}"]
    if next(folder.glob("*/tensorboard"), None):
        lines += [f"curves: tensorboard --logdir {quoted(folder)}"]
    for line in lines:
        console.print(as_text(line))
