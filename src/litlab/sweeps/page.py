"""A leaderboard as one page for a browser, summary.html: without network, without a server, plotly's script inline."""

import base64
import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from litlab.escape import one_line, printable
from litlab.plots import interactive
from litlab.plots.canvas import shortened
from litlab.plots.interactive import plain
from litlab.runs.number_format import number_format
from litlab.sweeps.confidence import TOO_FEW, comparison, interval
from litlab.sweeps.folder import typed
from litlab.sweeps.importance import importance
from litlab.sweeps.job_result import REPLICATES, UNREADABLE, JobResult, sort_key
from litlab.sweeps.leaderboard import Leaderboard
from litlab.sweeps.naming import short_keys
from litlab.sweeps.pictures import MAX_LINES, by_metric, differing, job_history, label
from litlab.sweeps.report import MAX_TEXT, capitalized, command, digits, headline, in_shell, runner_up, shown
from litlab.sweeps.rows import Row, replicates, test_metric

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

TEMPLATE, SCRIPT = (Path(__file__).with_suffix(suffix) for suffix in (".html", ".js"))
MAX_DRAWN = 1000  # lines of parallel coordinates, and curves: those of the best
MAX_INTERVALS = 30  # rows
LEAST_SHARE = 0.01  # of two settings together; less is not worth a bar


@dataclass(frozen=True)
class Cell:
    """Of a table; `key` is a number, a text, or nothing, which is sorted last; `more` is the text before shortening."""

    text: str
    key: float | str | None = None
    link: str = ""
    more: str = ""


@dataclass(frozen=True)
class Table:
    """Of settings or jobs: for each its kind (ranked, failed, pruned, ...) and cells, in the leaderboard's order.

    The first click on a column in `falling` shows the highest number.
    """

    title: str
    names: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    falling: set[str]


@dataclass(frozen=True)
class Chart:
    """A figure, with the texts to show over its points, by the number in their customdata."""

    title: str
    note: str
    figure: "Figure"
    texts: Sequence[str] = ()

    @property
    def json(self) -> Any:
        """What page.js draws; to_json escapes < and >, and so does `plain`."""
        from markupsafe import Markup
        from plotly.io.json import to_json_plotly

        return Markup(f'{{"figure":{self.figure.to_json()},"texts":{to_json_plotly(list(self.texts))}}}')


def as_html(board: Leaderboard, folder: Path = Path()) -> str:
    """The page: 5 MB, nearly all of it plotly's script. A browser runs its two scripts alone, and loads nothing.

    Args:
        board: what to show.
        folder: where the file will lie.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    scripts = [get_plotlyjs(), SCRIPT.read_text(encoding="utf-8")]
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        name=folder.absolute().name,
        commands=_commands(board),
        headline=headline(board),
        jobs=sorted(board.jobs.items(), key=lambda each: (each[0] != "completed", each[0])),
        winners=[_winner(board, row, folder) for row in board.winners],
        tables=list(_tables(board, folder)),
        charts=[chart for metric, mode, rows in by_metric(board) for chart in _charts(board, metric, mode, rows)],
        warnings=board.warnings,
        made=f"{board.made:%Y-%m-%d %H:%M:%S %z}",
        hashes=" ".join(f"'sha256-{_sha256(each)}'" for each in scripts),
        scripts=[Markup(each) for each in scripts],
    )


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _commands(board: Leaderboard) -> list[str]:
    """Of each sweep; single runs have none."""
    folders = dict.fromkeys(job.run_dir.parent for row in board.rows for job in row.jobs if job.run_dir is not None)
    return [in_shell(["-m", *words]) for folder in folders if (words := typed(folder))]


def _winner(board: Leaderboard, row: Row, folder: Path) -> dict[str, Any]:
    """What there is to say of a metric's winner, and whether it beats the second row."""
    second, job, number = runner_up(board, row), row.best_job, digits(board)[row.metric]
    verdict = comparison(row, second) or f"the first row against the second: {TOO_FEW}" if second else None
    return {
        "metric": row.metric,
        "test_metric": test_metric(row.metric) + " (on the training split)" * row.is_tested_on_train,
        "settings": [(name, shown(value)) for name, value in zip(board.columns, row.values, strict=True)],
        "best": row.best.text(number),
        "test": row.test.text(number),
        "over": f"mean ± standard deviation over {row.n} {' and '.join(row.replicates)}" if row.n > 1 else "one job",
        "verdict": verdict and f"{capitalized(verdict)}.",
        "command": command(row),
        "checkpoint": os.path.relpath(job.weights, folder) if job and job.weights else None,
    }


def _tables(board: Leaderboard, folder: Path) -> Iterator[Table]:
    """The leaderboard; and the jobs, where a row has several."""
    columns = _Columns.of(board, folder)
    falling = {"metric", "validation", "test"} if len(board.metrics) > 1 else set()
    falling |= {name for metric, mode in board.metrics if mode == "max" for name in (metric, test_metric(metric))}
    rows = [(_kind(row), columns.of_row(row)) for row in board.rows]
    yield Table("Leaderboard", list(rows[0][1]), [(kind, list(cells.values())) for kind, cells in rows], falling)
    if not columns.is_single:
        jobs = [(job.status, columns.of_job(row, job)) for row in board.rows for job in row.started_jobs]
        yield Table("All jobs", list(jobs[0][1]), [(kind, list(cells.values())) for kind, cells in jobs], falling)


def _kind(row: Row) -> str:
    """Ranked; or why it is not, in a word."""
    return (
        "ranked"
        if row.rank
        else "partial"
        if row.completed and row.best.n
        else row.status.partition(":")[0].replace(" ", "-")
    )


@dataclass(frozen=True)
class _Columns:
    """The cells of both tables by the names of their columns, which depend on all rows.

    Attributes:
        folder: of the page.
        settings: the short names of the board's columns.
        validation, test: the names of these columns.
        has_metric: whether the rows have several metrics, and a column for their names.
        digits: decimals by metric.
        over: the settings of which the rows are means, of `REPLICATES`.
        has_intervals: whether any row has a confidence interval.
        is_single: whether each row is one job.
    """

    folder: Path
    settings: list[str]
    validation: str
    test: str
    has_metric: bool
    digits: dict[str | None, int]
    over: list[str]
    has_intervals: bool
    is_single: bool

    @classmethod
    def of(cls, board: Leaderboard, folder: Path) -> "_Columns":
        metrics = list(dict.fromkeys(row.metric for row in board.rows if row.metric))
        short, names = short_keys(board.columns), {name for row in board.rows for name in row.replicates}
        alone = len(metrics) == 1
        return cls(
            folder,
            settings=[short[name] for name in board.columns],
            validation=metrics[0] if alone else "validation",
            test=test_metric(metrics[0]) if alone else "test",
            has_metric=not alone,
            digits=digits(board),
            over=[key for key, name in REPLICATES.items() if name in names],
            has_intervals=any(row.n > 1 for row in board.rows),
            is_single=all(len(row.started_jobs) < 2 for row in board.rows),
        )

    def of_row(self, row: Row) -> dict[str, Cell]:
        number, ends = self.digits[row.metric], interval(row)
        cells = {"rank": Cell("" if row.rank is None else str(row.rank), row.rank), **self._of_settings(row)}
        cells |= {"metric": Cell(row.metric or "-", row.metric)} if self.has_metric else {}
        cells[self.validation] = Cell(row.best.text(number), row.best.mean)
        if self.has_intervals:
            form = number_format(row.best.mean or 0.0, number)
            text = f"{ends[0]:{form}} to {ends[1]:{form}}" if ends else "-"
            cells["95% interval"] = Cell(text, ends and ends[0])
        cells[self.test] = Cell(row.test.text(number) + " (train)" * row.is_tested_on_train, row.test.mean)
        cells |= {"n": Cell(str(row.n), row.n), "train s": _seconds(row.seconds)}
        if self.is_single:
            cells["job"] = self._link(row.started_jobs[0]) if row.started_jobs else Cell("-")
        return cells | {"status": _long(row.status)}

    def of_job(self, row: Row, job: JobResult) -> dict[str, Cell]:
        number, tested = self.digits[row.metric] + 1, job.metrics.get(test_metric(job.metric))
        cells = {"job": self._link(job)}
        cells |= {key: _setting(job.value(key)) for key in self.over} | self._of_settings(row)
        cells |= {"metric": Cell(job.metric or "-", job.metric)} if self.has_metric else {}
        cells |= {
            self.validation: _number(job.validation, number),
            "epoch": Cell("-" if job.epoch is None else str(job.epoch), job.epoch),
        }
        cells |= {self.test: _number(tested, number), "train s": _seconds(job.seconds_training)}
        error = f": {one_line(job.error)}" if job.error and not job.is_completed else ""
        return cells | {"status": _long(job.status + error)}

    def _of_settings(self, row: Row) -> dict[str, Cell]:
        return {name: _setting(value) for name, value in zip(self.settings, row.values, strict=True)}

    def _link(self, job: JobResult) -> Cell:
        """To its folder: a relative address with ./ in front, no `javascript:`, whatever the folder is called."""
        path = os.path.relpath(str(job.run_dir), self.folder)
        return Cell(shortened(Path(path).name, 40), path, link=f"./{quote(path, errors='replace')}/")


def _setting(value: Any) -> Cell:
    kind, number, text = sort_key([value])[0]
    return Cell(shown(value), number if kind == 1 else text if kind == 2 else None)


def _number(value: float | None, decimals: int) -> Cell:
    return Cell("-" if value is None else f"{value:{number_format(value, decimals)}}", value)


def _seconds(value: float | None) -> Cell:
    return Cell("-" if value is None else f"{value:,.{0 if value >= 100 else 1}f}", value)


def _long(text: str) -> Cell:
    return Cell(shortened(text, MAX_TEXT), text, more=text if len(text) > MAX_TEXT else "")


def _charts(board: Leaderboard, metric: str, mode: str, rows: Sequence[Row]) -> Iterator[Chart]:
    of_metric = f" ({metric})" if len(board.metrics) > 1 else ""
    number = digits(board)[metric]
    named = [f"<b>{plain(label(board, row))}</b><br>{plain(f'{metric} {row.best.text(number)}')}" for row in rows]
    texts = [
        f"{text}<br>{plain(f'rank {row.rank}' if row.rank else row.status)}"
        for text, row in zip(named, rows, strict=True)
    ]
    drawn = [row for row in rows if row.status.partition(":")[0] != UNREADABLE][:MAX_DRAWN]
    if swept := differing(board.columns, drawn):
        values = list(zip(*(column.values for column in swept), strict=True))
        means = np.array([row.best.mean for row in drawn], dtype=float)  # NaN for None
        unranked = np.array([not row.is_complete for row in drawn])
        settings = [column.setting for column in swept]
        figure = interactive.parallel_coordinates(settings, values, means, unranked, metric, mode)
        note = "A line for each setting: darker is better, the best is orange"
        note += "; dotted: did not complete" if unranked.any() else ""
        note += f". Drag a box over an axis to pick lines out; double-click to show all.{_cut(len(rows), MAX_DRAWN)}"
        yield Chart(f"Settings and {metric}", note, figure, texts)
    yield from _curves(board, metric, rows, of_metric)
    several = [(row, text) for row, text in zip(rows, texts, strict=True) if row.rank and row.n > 1]
    certain = [(row, text, interval(row)) for row, text in several[:MAX_INTERVALS]]
    if any(ends for *_, ends in certain):
        jobs = [[job.validation for job in row.jobs if job.validation is not None] for row, *_ in certain]
        labels = [f"{row.rank}. {label(board, row)}" for row, *_ in certain]
        figure = interactive.intervals(labels, jobs, [ends or (math.nan, math.nan) for *_, ends in certain], metric)
        note = f"Mean over {replicates(rows)} with its 95% confidence interval by Student's t; a pale point is a job."
        note += _cut(len(several), MAX_INTERVALS)
        yield Chart(f"How certain the ranking is{of_metric}", note, figure, [text for _, text, _ in certain])
    yield from _importance(board, metric, mode, rows, of_metric)


def _curves(board: Leaderboard, metric: str, rows: Sequence[Row], of_metric: str) -> Iterator[Chart]:
    jobs = [(number, job) for number, row in enumerate(rows) for job in row.started_jobs]
    histories = [job_history(job, metric) for _, job in jobs[:MAX_DRAWN]]
    drawn = [(*each, history) for each, history in zip(jobs, histories, strict=False) if len(history)]
    if not any(len(history) > 1 for *_, history in drawn):
        return
    of_row: dict[int, list[int]] = {}
    for place, (number, *_) in enumerate(drawn):
        of_row.setdefault(number, []).append(place)
    best = [(f"{rows[number].rank}. {shortened(label(board, rows[number]), 80)}", of_row[number])
            for number in of_row if rows[number].rank][:MAX_LINES]  # fmt: skip
    unranked = {place for place, (_, job, _) in enumerate(drawn) if not job.is_completed}
    over = [key for key, name in REPLICATES.items() if any(name in row.replicates for row in rows)]
    texts = []
    for number, job, _ in drawn:
        words = [label(board, rows[number]), *(f"{key}={job.value(key)}" for key in over)]
        name = Path(str(job.run_dir)).name
        texts.append(f"<b>{plain(', '.join(filter(None, words)))}</b><br>{plain(f'job {name}, {job.status}')}")
    figure = interactive.curves([history for *_, history in drawn], best, unranked, metric)
    note = f"A curve for each job{'; dotted: it did not complete' if unranked else ''}.{_cut(len(jobs), MAX_DRAWN)}"
    yield Chart(f"Curves of all jobs{of_metric}", note, figure, texts)


def _importance(board: Leaderboard, metric: str, mode: str, rows: Sequence[Row], of_metric: str) -> Iterator[Chart]:
    shares = importance(board.columns, rows, mode)
    bars = {names: share for names, share in shares.items() if len(names) == 1 or share >= LEAST_SHARE}
    if not bars:
        return
    short = short_keys(board.columns)
    names = [" × ".join(short[name] for name in each) for each in bars]
    note = (
        f"The share of the variance of {metric} between the settings that one setting explains by itself, or two (×) "
        "beyond that: epsilon squared, an analysis of variance of the groups of their values, less what chance would "
        "explain; numbers with more than four values are parted into four groups. What is missing to 100% are larger "
        "combinations, differences within a group, and chance. Of settings that changed together, which a search may "
        "cause, each has what they explain. It holds for the values tried."
    )
    yield Chart(f"Which settings matter{of_metric}", note, interactive.shares(names, list(bars.values()), metric))


def _cut(count: int, most: int) -> str:
    return f" Of {count:,}, the first {most:,} are drawn." if count > most else ""
