"""Runs beside each other: the settings that differ, metrics, seconds and parameters; as a table, Markdown and CSV."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from litlab import escape
from litlab.config.column_names import decoded
from litlab.plots.canvas import shortened
from litlab.plots.sweep import curves_beside
from litlab.plots.training import RANGES
from litlab.runs.report import as_text, quoted, relative, widen
from litlab.sweeps.columns import distinguishing_settings
from litlab.sweeps.confidence import TOO_FEW, comparison
from litlab.sweeps.job_result import REPLICATES, JobResult, as_typed, comparable
from litlab.sweeps.naming import short_keys
from litlab.sweeps.pictures import job_history
from litlab.sweeps.report import MAX_TEXT, capitalized, markdown_row
from litlab.sweeps.rows import Row, Spread, decimals
from litlab.sweeps.summary import Cells, lines_as_csv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_BESIDE = 6  # more are below each other
LOWER_IS_BETTER = ("loss", "rmse", "mae", "calibration_error")
BEST = "*"  # beside the best value of a metric
DATA = {"data", "data._target_", "data.file", "data.root", "data.target"}  # of which metrics are not comparable


@dataclass(frozen=True)
class Comparison:
    """The compared settings, in the order in which they were given, and what tells them apart.

    Runs that differ in nothing but seed or fold are one row, see `_parts`; but if all do, each is a row of its own.
    """

    rows: list[Row]
    columns: list[str]

    @classmethod
    def of(cls, jobs: Sequence[JobResult]) -> "Comparison":
        """Group jobs by their settings."""
        settings = defaultdict(list)
        for job in jobs:
            settings[job.identity(replicates=False)].append(job)
        groups = [part for group in settings.values() for part in _parts(group)]
        if len(groups) == 1:
            groups = [[job] for job in jobs]
        first = [group[0] for group in groups]
        names = distinguishing_settings(first)  # with swept ones that may be the same in these
        columns = [name for name in names if len({comparable([job.value(name)]) for job in first}) > 1]
        return cls([Row.of(group, columns) for group in groups], [*map(decoded, columns)])

    @property
    def labels(self) -> list[str]:
        """A number and the settings of each row."""
        short = short_keys(self.columns)
        for_row = [
            [f"{short[name]}={_cell(value)}" for name, value in zip(self.columns, row.values, strict=True)]
            for row in self.rows
        ]
        return [shortened(f"{number}: {', '.join(texts)}", 60) for number, texts in enumerate(for_row, 1)]

    @property
    def metrics(self) -> list[str]:
        """The names of all metrics: the monitored ones first, then of validation, test and training."""
        monitored = [row.metric for row in self.rows if row.metric]
        names = {name: None for row in self.rows for job in row.jobs for name in job.metrics}
        stages = ("val/", "test/", "train/")
        ordered = sorted(names, key=lambda name: next((i for i, each in enumerate(stages) if name.startswith(each)), 3))
        return list(dict.fromkeys([*monitored, *ordered]))

    def spreads(self, metric: str) -> list[Spread]:
        """Of each row the metric of the tested weights."""
        return [
            row.best if row.metric == metric else Spread.of(job.metrics.get(metric) for job in row.completed)
            for row in self.rows
        ]

    def best(self, metric: str) -> set[int]:
        """The rows that are the best by a metric, or by its validation if it is of the test: it must not choose.

        Empty where all are equal, where it is not known which is better, for metrics of the training, and between
        different data.
        """
        if DATA.intersection(self.columns):
            return set()
        stage, _, name = metric.partition("/")
        modes = {(row.metric or "").partition("/")[2]: row.mode for row in self.rows}
        usual = "min" if name in LOWER_IS_BETTER else "max" if name in RANGES else None
        mode = modes.get(name, usual)
        means = {n: each.mean for n, each in enumerate(self.spreads(f"val/{name}")) if self.rows[n].is_complete}
        known = [mean for mean in means.values() if mean is not None]
        if stage not in ("val", "test") or mode is None or len(set(known)) < 2:
            return set()
        return {n for n, mean in means.items() if mean == (max if mode == "max" else min)(known)}

    def table(self) -> list[list[str]]:
        """Lines of what differs, of metrics and of costs: a name, then a cell for each row."""
        lines = [[name, *(_cell(row.values[n]) for row in self.rows)] for n, name in enumerate(self.columns)]
        for key in REPLICATES:
            lines.append([key, *(", ".join(_cell(job.value(key)) for job in row.jobs) for row in self.rows)])
        for metric in self.metrics:
            spreads, best = self.spreads(metric), self.best(metric)
            digits = decimals(sorted(spreads, key=lambda each: -abs(each.mean or 0)))
            on_train = [" (train)" * (row.is_tested_on_train and metric.startswith("test/")) for row in self.rows]
            texts = [each.text(digits) + on_train[n] + f" {BEST}" * (n in best) for n, each in enumerate(spreads)]
            lines.append([metric, *texts])
        lines.append(["train s", *("-" if row.seconds is None else f"{row.seconds:,.1f}" for row in self.rows)])
        parameters = [row.jobs[0].parameters for row in self.rows]
        lines.append(["parameters", *("-" if each is None else f"{each:,.0f}" for each in parameters)])
        lines.append(["status", *(shortened(row.status, MAX_TEXT) for row in self.rows)])
        equal = [*REPLICATES, "status"]  # they are of interest where they differ
        return [line for line in lines if line[0] not in equal or len(set(line[1:])) > 1]

    def sentences(self) -> Iterator[str]:
        """Whether the first two by validation differ by more than chance; what the mark means."""
        if DATA.intersection(self.columns):
            yield "the runs are of different data: their metrics do not rank them"
            return
        ranked = [
            (row.best.mean if row.mode == "min" else -row.best.mean, number, row)
            for number, row in enumerate(self.rows, 1)
            if row.is_complete and row.best.mean is not None
        ]
        if len(ranked) > 1 and len({row.metric for *_, row in ranked}) == 1:
            (_, one, first), (_, other, second) = sorted(ranked, key=lambda each: each[:2])[:2]
            text = comparison(first, second, (f"setting {one}", f"setting {other}"))
            yield f"by {first.metric}, {text}" if text else TOO_FEW
        if any(self.best(metric) for metric in self.metrics):
            yield f"{BEST} the best by validation; the test never chooses"

    def picture(self) -> "Figure | None":
        """The curves of all runs: the monitored metrics and the losses; None without an epoch of any."""
        names = dict.fromkeys([*(row.metric for row in self.rows if row.metric), "val/loss", "train/loss"])
        panels = {}
        for name in names:
            histories = [[each for job in row.started_jobs if len(each := job_history(job, name))] for row in self.rows]
            if any(histories):
                panels[name] = histories
        return curves_beside(panels, self.labels) if panels else None


def _parts(jobs: Sequence[JobResult]) -> list[list[JobResult]]:
    """The rows of one setting: a folder's jobs (a sweep's, or single runs) stay together.

    Folders whose seeds differ are one row. Of a folder where a seed is repeated, each run is a row of its own.
    """
    folders = defaultdict(list)
    for job in jobs:
        folders[Path(str(job.run_dir)).parent.resolve()].append(job)
    rows: list[list[JobResult]] = []
    for folder in folders.values():
        for part in [folder] if _are_replicates(folder) else [[job] for job in folder]:
            row = next((row for row in rows if _are_replicates([*row, *part])), None)
            if row is None or part is not folder:
                rows.append(part)
            else:
                row += part
    return rows


def _are_replicates(jobs: Sequence[JobResult]) -> bool:
    """Whether no two jobs have the same seed and fold."""
    return len({comparable(map(job.value, REPLICATES)) for job in jobs}) == len(jobs)


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else shortened(as_typed(value), MAX_TEXT) or "-"


def _runs(row: Row) -> str:
    """The directories of a row's runs, those of one folder together."""
    folders = defaultdict(list)
    for job in row.started_jobs:
        assert job.run_dir is not None  # it has started
        folders[job.run_dir.parent].append(job.run_dir.name)
    return "; ".join(relative(folder / ", ".join(names)) for folder, names in folders.items())


def _lines(compared: Comparison) -> list[list[str]]:
    """The table with its header; of many rows, each is a line."""
    lines = [["", *map(str, range(1, len(compared.rows) + 1))], *compared.table()]
    return lines if len(compared.rows) <= MAX_BESIDE else [list(line) for line in zip(*lines, strict=True)]


def as_markdown(compared: Comparison, picture: str | None) -> str:
    """The comparison as compare.md, with the picture beside it."""
    header, *lines = _lines(compared)
    text = ["# Comparison", "", *(f"{n}. {escape.markdown(_runs(row))}" for n, row in enumerate(compared.rows, 1)), ""]
    text += map(markdown_row, [header, ["---", *["---:"] * (len(header) - 1)], *lines])
    for sentence in compared.sentences():
        text += ["", escape.markdown(capitalized(sentence))]
    return "\n".join([*text, *(["", f"![curves]({picture})"] if picture else []), ""])


def as_csv(compared: Comparison) -> str:
    """A line for each run, in full precision; `setting` is the number of its row."""
    lines: list[Cells] = []
    for number, row in enumerate(compared.rows, 1):
        for job in row.jobs:
            line: Cells = [("setting", number), ("run_dir", str(job.run_dir)), ("status", job.status)]
            line += [*zip(compared.columns, map(as_typed, row.values), strict=True)]
            line += [(key, as_typed(job.value(key))) for key in REPLICATES]
            line += [(metric, job.metrics.get(metric)) for metric in compared.metrics]
            lines.append([*line, ("seconds_training", job.seconds_training), ("parameters", job.parameters)])
    return lines_as_csv(lines)


def print_comparison(compared: Comparison, folder: Path) -> None:
    """Print the table, which run each number is, whether it may be chance, and where the files lie."""
    console = Console(soft_wrap=True, highlight=False)
    header, *lines = _lines(compared)
    grid = Table(box=box.SIMPLE, pad_edge=False)
    for number, name in enumerate(header):
        grid.add_column(as_text(name), justify="right" if number else "left", no_wrap=True)
    for line in lines:
        grid.add_row(*map(as_text, line))
    widen(console, grid)
    console.print()
    for number, row in enumerate(compared.rows, 1):
        console.print(as_text(f"{number}: {_runs(row)}"))
    console.print(grid)
    for sentence in compared.sentences():
        console.print(as_text(sentence))
    console.print(as_text(f"comparison: {quoted(folder / 'compare.md')}"))
