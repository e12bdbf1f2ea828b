"""What a sweep tells the user on the terminal."""

from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from litlab.runs.report import as_text, quoted, widen
from litlab.sweeps.leaderboard import Leaderboard
from litlab.sweeps.naming import short_keys
from litlab.sweeps.summary import command, compared, headline, table, winner_checkpoint, winners

TOP = 10  # rows of a leaderboard


def print_leaderboard(board: Leaderboard, folder: Path) -> None:
    """How many jobs completed and failed, the top ten, what trains the winner, and where the summary lies: `folder`."""
    console = Console(soft_wrap=True, highlight=False)
    names, *rows = table(board, TOP)
    short = short_keys(board.columns)
    grid = Table(box=box.SIMPLE, pad_edge=False)
    for name in names:
        if name == "status":
            grid.add_column(name, overflow="fold", width=min(max([len(name), *(len(row[-1]) for row in rows)]), 20))
        else:
            justify: Any = "left" if name == "metric" else "right"
            grid.add_column(as_text(short.get(name, name)), justify=justify, no_wrap=True)
    for row in rows:
        grid.add_row(*map(as_text, row))
    widen(console, grid)
    grid.columns[-1].width = None  # an error takes the room that is left, on several lines
    console.print()
    console.print(as_text(headline(board)))
    console.print(grid)
    if len(board.rows) > TOP:
        console.print(f"... and {len(board.rows) - TOP:,} more")
    for text in compared(board):
        console.print(as_text(text))
    for remark in board.remarks:
        console.print(as_text(f"warning: {remark}"))
    for name, winner in winners(board):
        console.print(as_text(f"{name}: {command(winner)}"))
        if weights := winner_checkpoint(winner):
            what, file = weights
            console.print(as_text(f"{what[0].lower()}{what[1:]}: {quoted(file)}"))
    console.print(as_text(f"summary: {quoted(folder / 'summary.md')}"))
    if next(folder.glob("*/tensorboard"), None):
        console.print(as_text(f"curves: tensorboard --logdir {quoted(folder)}"))
