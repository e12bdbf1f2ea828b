"""A run's result to read: on the terminal, and in a notebook."""

import html
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from litlab.escape import printable
from litlab.runs.number_format import metric_text
from litlab.runs.result import Result, test_note

if TYPE_CHECKING:
    import polars as pl

MAX_ROWS = 40  # of a table on the terminal
MAX_CELLS = 12  # of a first row
MAX_GROUPED = 1e9  # larger numbers of a description are shown as 1.234e+10, smaller ones as 1,234


def print_result(result: Result, run_dir: Path, log_dir: Path) -> None:
    """One table: best validation, train and test metrics, time, speed, the run directory, how to see curves; hints."""
    table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for row in rows(result, run_dir):
        table.add_row(*map(as_text, row))
    if (run_dir / "tensorboard").is_dir():
        table.add_row("curves", f"tensorboard --logdir {quoted(log_dir)}")
    console = Console(soft_wrap=True)
    console.print(table)
    for hint in result.hints:
        console.print(f"hint: {hint}", markup=False, highlight=False)


def rows(result: Result, run_dir: Path) -> Iterator[tuple[str, str]]:
    """What a run is and came to, as lines of a table; also of one that failed or is still running."""
    known = vars(result)
    monitor, metrics = known.get("monitor"), known.get("metrics") or {}
    if choices := _choices(result):
        yield "run", "  ".join(choices)
    if result.error:
        yield known.get("status", "error"), result.error
    if "parameters" in known:
        yield "parameters", f"{result.parameters:,}"
    for name, values in (result.weights or {}).items():
        yield f"model.{name}", ", ".join(f"{value:.6g}" for value in values)
    scale = zip(result.target_std, result.target_mean, strict=True)
    if line := ", ".join(f"output * {std:.6g} + {mean:.6g}" for std, mean in scale):
        yield "prediction", line
    if "train/loss" in metrics:
        yield "train/loss", f"{metric_text(metrics['train/loss'])}  (mean over the last epoch's steps)"
    if monitor is not None and monitor.best is not None:
        tested = ", tested below" * any(name.startswith("test/") for name in metrics)
        yield f"best {monitor.metric}", f"{metric_text(monitor.best)}  (epoch {monitor.epoch}{tested})"
    for name, value in metrics.items():
        if name != "train/loss" and name.startswith(("train/", "test/")):
            yield name, metric_text(value) + test_note(result.test_split) * name.startswith("test/")
    if "seconds" in known:
        # Python's own end, after this table, is not in it
        training = f"{result.seconds_training:.1f} training, " if "seconds_training" in known else ""
        yield "seconds", f"{training}{result.seconds:.1f} in total"
    if known.get("samples_per_second"):
        yield "samples/s", f"{result.samples_per_second:,.0f}"
    yield "run directory", relative(run_dir)


def _choices(result: Result) -> list[str]:
    shown = {name: choice for name, choice in result.choices.items() if name in ("data", "model", "experiment")}
    return [f"{name}={choice}" for name, choice in shown.items() if choice]


def one_line(result: Result, run_dir: Path) -> str:
    """A run in a line: its choices, its status, its metrics and where it lies."""
    metrics = vars(result).get("metrics") or {}
    measured = [f"{name} {metric_text(value)}" for name, value in metrics.items() if name.startswith("test/")]
    status = vars(result).get("status", "")
    text = ", ".join([" ".join([*_choices(result), status]), *measured])
    return printable(f"<run {text}; {relative(run_dir)}>")


def as_html(result: Result, run_dir: Path) -> str:
    """A run for a notebook's cell: the table of `print_result`, and the hints."""
    cells = ((html.escape(printable(text)) for text in row) for row in rows(result, run_dir))
    lines = "".join(f"<tr><th style='text-align:left'>{name}</th><td>{value}</td></tr>" for name, value in cells)
    hints = "".join(f"<p>hint: {html.escape(printable(hint))}</p>" for hint in result.hints)
    return f"<table>{lines}</table>{hints}"


def print_description(result: Result, run_dir: Path, log_dir: Path) -> None:
    """What `verbs.describe` found: the splits, the classes, the columns, the pictures, and warnings."""
    found = result.found
    console = Console(soft_wrap=True)
    for line in (f"\n{found['question']}", *found.get("shapes", [])):
        console.print(line, markup=False, highlight=False)
    if head := found.get("head", []):
        _print_rows(console, "first rows", [_cut(row) for row in head])
    for title in ("types", "guesses", "splits", "classes", "columns", "layers"):
        if rows := found.get(title, []):
            about = found.get("columns of", "training split") if title == "columns" else "training split"
            of = f" ({about})" if title in ("columns", "types") else ""
            _print_rows(console, title + of, rows[:MAX_ROWS], left=title in ("types", "guesses"))
        if len(rows) > MAX_ROWS:
            console.print(f"... and {len(rows) - MAX_ROWS} more, in result.json")
    console.print(f"pictures: {relative(run_dir / 'plots')}", highlight=False)
    for note in found.get("notes", []):
        console.print(f"note: {note}", markup=False, highlight=False)
    for remark in found["remarks"]:
        console.print(f"warning: {remark}", markup=False, highlight=False)
    if command := found.get("command"):
        console.print(f"train it: {command}", markup=False, highlight=False)


def print_evaluation(content: Mapping[str, Any], folder: Path) -> None:
    """What `verbs.evaluate` found: what differs from the run, the metrics beside its own, and where the files lie."""
    table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("run", as_text(relative(Path(content["run"]))))
    table.add_row("split", f"{content['split']}, {content['samples']:,} samples")
    for name, values in content["changed"].items():
        table.add_row("changed", as_text(f"{name}={values['evaluation']}, in the run {values['run']}"))
    for name, value in content["metrics"].items():
        before = content["metrics_of_run"].get(name)
        same = "as in the run" if before == value else "" if before is None else f"in the run {metric_text(before)}"
        table.add_row(name, metric_text(value) + f"  ({same})" * bool(same))
    console = Console(soft_wrap=True)
    console.print(table)
    console.print(f"evaluation: {printable(relative(folder))}", markup=False, highlight=False)
    for remark in content["remarks"]:
        console.print(f"warning: {printable(remark)}", markup=False, highlight=False)


def print_export(content: Mapping[str, Any], folder: Path) -> None:
    """What `verbs.export` wrote, how closely it computes what the run does, and, to stderr, what it could not write."""
    table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for file in sorted(folder.iterdir()):
        difference = content["differences"].get(file.name)
        remark = "" if difference is None else f", differs by at most {difference:.2g} from the run"
        table.add_row(file.name, f"{file.stat().st_size:,} bytes{remark}")
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    console.print(as_text(f"checked with {content['samples']:,} samples of {content['inputs']}"))
    console.print(as_text(f"export: {relative(folder)}"))
    for name, reason in content["failed"].items():
        print(f"error: {name}: {printable(reason)}", file=sys.stderr)


def print_predictions(frame: "pl.DataFrame", output: Path | None, seconds: float) -> None:
    """The first rows of what `verbs.predict` found, and the file with all; of several classes each with its prob."""
    ranks = sum(name.startswith("prob_") for name in frame.columns)
    table = Table(box=box.SIMPLE, pad_edge=False)
    named = next((at for at, name in enumerate(frame.columns) if name.startswith("index_")), None)  # before the ranks
    for name in [*frame.columns[:named], *map(str, range(1, ranks + 1))]:
        is_number = name in frame and frame[name].dtype.is_numeric()
        table.add_column(as_text(name), justify="right" if is_number else "left", overflow="fold")
    for row in frame.head(MAX_ROWS).iter_rows(named=True):
        ranked = [f"{row[f'label_{rank}']} {row[f'prob_{rank}']:.4f}" for rank in range(ranks)]
        values = row | ({"prob": f"{row['prob']:.4f}"} if "prob" in row else {})
        cells = [metric_text(each) if isinstance(each, float | None) else str(each) for each in values.values()]
        table.add_row(*map(as_text, [*cells[:named], *ranked]))
    console = Console(soft_wrap=True)
    if len(frame):
        widen(console, table)
        console.print(table)
    if len(frame) > MAX_ROWS:
        where = "in the file" if output else "output=predictions.csv writes all"
        console.print(f"... and {len(frame) - MAX_ROWS:,} more; {where}", highlight=False)
    console.print(f"{len(frame):,} predicted in {seconds:.1f} s", highlight=False)
    if output is not None:
        console.print(f"predictions: {printable(relative(output))}", markup=False, highlight=False)


def print_warnings(remarks: Sequence[str]) -> None:
    """On stderr: stdout may be a file with results."""
    for remark in remarks:
        print(f"warning: {printable(remark)}", file=sys.stderr)


@contextmanager
def counting(total: int) -> Iterator[Callable[[int, Sequence[str]], None]]:
    """A progress bar on stderr, if that is a terminal: a function that takes what is done, and lines about errors."""
    console = Console(stderr=True, soft_wrap=True)
    columns = (BarColumn(), TaskProgressColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)

        def advance(done: int, errors: Sequence[str]) -> None:
            for line in errors:
                console.print(f"error: {line}", markup=False, highlight=False)
            bar.advance(task, done)

        yield advance


def as_text(text: str) -> Text:
    """Literal text: [kg] is not markup, and control characters are escaped."""
    return Text(printable(text))


def widen(console: Console, table: Table) -> None:
    """Widen the console so that no number is cut off."""
    given, console.width = console.width, 1000
    console.width = max(given, console.measure(table).maximum)  # the minimum would break "train s" in two


def _print_rows(console: Console, title: str, rows: list[dict[str, Any]], left: bool = False) -> None:
    table = Table(box=box.SIMPLE, pad_edge=False, title=title, title_justify="left", title_style="bold")
    for number, name in enumerate(rows[0]):
        table.add_column(
            Text(name), justify="right" if number and not left else "left", no_wrap=True, min_width=len(name)
        )
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))  # Text: [kg] in a name is no markup
    widen(console, table)
    console.print(table)


def _cut(row: dict[str, Any]) -> dict[str, Any]:
    """A row of many cells without those before the last."""
    if len(row) <= MAX_CELLS:
        return row
    *first, last = row
    return {name: row[name] for name in first[: MAX_CELLS - 2]} | {"...": "...", last: row[last]}


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if 1000 <= abs(value) < MAX_GROUPED else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else "-" if value is None else str(value)


def relative(path: Path) -> str:
    """The path relative to the working directory, if it lies below it."""
    here = os.path.relpath(path)
    return here if not here.startswith("..") else str(path)


def quoted(path: Path) -> str:
    """The relative path, quoted for a shell."""
    return shlex.quote(relative(path))
