"""What a run tells the user on the terminal."""

import os
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from litlab.results import Result


def print_result(result: Result, run_dir: Path, log_dir: Path) -> None:
    """One table: best validation, test metrics, time, speed, the run directory and how to look at the curves."""
    table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    monitor, metrics = result["monitor"], result["metrics"]
    choices = {name: choice for name, choice in result["choices"].items() if name in ("data", "model", "experiment")}
    if choices:
        table.add_row("run", "  ".join(f"{name}={choice}" for name, choice in choices.items() if choice))
    table.add_row("parameters", f"{result['parameters']:,}")
    if monitor["best"] is not None:
        table.add_row(f"best {monitor['metric']}", f"{monitor['best']:.4f}  (epoch {monitor['epoch']})")
    for name, value in metrics.items():
        if name.startswith("test/"):
            table.add_row(name, f"{value:.4f}")
    table.add_row("seconds", f"{result['seconds_training']:.1f} training, {result['seconds']:.1f} in all")
    if result["samples_per_second"]:
        table.add_row("samples/s", f"{result['samples_per_second']:,.0f}")
    table.add_row("run directory", _short(run_dir))
    if (run_dir / "tensorboard").is_dir():
        table.add_row("curves", f"tensorboard --logdir {_short(log_dir)}")
    Console(soft_wrap=True).print(table)


def _short(path: Path) -> str:
    relative = os.path.relpath(path)
    return relative if not relative.startswith("..") else str(path)
