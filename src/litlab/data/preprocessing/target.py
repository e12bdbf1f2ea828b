"""What a table's target column asks for: one of two values, one of several classes, or a number."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from litlab.data.preprocessing.column_types import as_text, numbers_in, some_values
from litlab.data.reading.table_file import check_columns, column_names, target_column
from litlab.errors import RequestError
from litlab.escape import printable

FEW = 20  # different whole numbers that are taken for classes
PER_CLASS = 5  # rows per class, on average, of whole numbers and texts that are taken for classes
TASKS = ("binary", "classification", "regression")


@dataclass(frozen=True)
class Target:
    """The column to predict.

    Attributes:
        name: of the column.
        task: binary, classification or regression.
        reason: why.
        classes: the values, as texts in the order of the outputs; empty for a regression.
    """

    name: str
    task: str
    reason: str
    classes: tuple[str, ...]

    def encode(self, values: pl.Series) -> pl.Series:
        """Class indices, or numbers, float32; null where the value is missing, no number, or of no class."""
        if not self.classes:
            return numbers_in(values).cast(pl.Float32)
        return as_text(values).replace_strict(
            list(self.classes), list(range(len(self.classes))), default=None, return_dtype=pl.Int64
        )


def infer_target(values: pl.Series, task: str | None = None) -> Target:
    """The target that a column without missing values is.

    Args:
        values: the column.
        task: what it is taken for, whatever its values; None: what they suggest.

    Raises:
        RequestError: it cannot be that.
    """
    name, asked = values.name, f"data.target={values.name}"
    distinct = values.n_unique()
    if distinct < 2:
        what = f"is {as_text(values)[0]} in every row that has one" if distinct else "has no value in any row"
        raise RequestError(f"{asked}: {what}; there is nothing to predict")
    suggested, reason = suggested_task(values)
    kind = task or suggested
    if kind == "regression":
        if (numbers_in(values).null_count() / len(values)) > 0.5:
            raise RequestError(f"task=regression: {asked} holds no numbers ({some_values(values)}); set another task")
        return Target(name, kind, reason if kind == suggested else "as task= says", ())
    if kind == "binary" and distinct != 2:
        raise RequestError(f"task=binary: {asked} has {distinct:,} different values; set task=classification")
    if distinct > max(FEW, len(values) / 2):
        raise RequestError(
            f"{asked}: {distinct:,} different values in {len(values):,} rows ({some_values(values)}) are no classes; "
            "name another column" + ("" if task is None else ", or leave out task=")
        )
    texts = as_text(values).unique()
    in_order = sorted(texts, key=lambda each: (float(each), each)) if _whole(values) else sorted(texts)
    return Target(name, kind, reason if kind == suggested else "as task= says", tuple(in_order))


def suggested_task(values: pl.Series) -> tuple[str, str]:
    """The task that a column without missing values suggests, and why."""
    distinct = values.n_unique()
    if distinct == 2:
        return "binary", f"two values ({some_values(values)})"
    if values.dtype == pl.String and numbers_in(values).null_count() > 0.05 * len(values):
        return "classification", f"{distinct:,} different texts ({some_values(values)})"
    if _whole(values) and distinct <= FEW and len(values) >= PER_CLASS * distinct:
        return "classification", f"whole numbers, only {distinct} different ones ({some_values(values)})"
    return "regression", f"{distinct:,} different numbers"


def _whole(values: pl.Series) -> bool:
    numbers = numbers_in(values)
    return values.dtype != pl.Boolean and bool(not numbers.null_count() and (numbers == numbers.round()).all())


def suggest_task(settings: Mapping[str, Any]) -> list[str]:
    """The overrides that choose the task which the target column of a table suggests.

    Weights of classes are selected by the loss: among few rows, many epochs have the same accuracy.

    Args:
        settings: of data=table.

    Raises:
        RequestError: file or target are not named, or cannot be used, or `missing` is no list.
    """
    file, target, header = settings.get("file"), settings.get("target"), bool(settings.get("header", True))
    refuse_unnamed(file, target, header)
    check_columns(settings, column_names(str(file), header))
    missing = settings.get("missing") or ()
    if not isinstance(missing, list | tuple):  # settings are checked later, against the task, too
        raise RequestError(f"data.missing={missing}: must be a list of texts or numbers, such as [{missing}]")
    found = infer_target(target_column(str(file), str(target), tuple(map(str, missing)), header))
    return [f"task={found.task}", *(["task.monitor=val/loss", "task.mode=min"] if found.classes else [])]


def task_name(task: str | None) -> str | None:
    """binary, classification or regression, of a task's class; None of any other."""
    name = str(task).rpartition(".")[2].lower()
    return name if name in TASKS else None


def refuse_unnamed(file: str | None, target: str | None, header: bool = True) -> None:
    """Refuse a table without a file or a target.

    Raises:
        RequestError: a line for each.
    """
    names = column_names(file, header) if file and not target else []
    there = f": {', '.join(map(printable, names[:12]))}{', ...' if len(names) > 12 else ''}" if names else ""
    lines = {
        "data.file=: name your table, such as data.file=houses.csv": file,
        f"data.target=: name the column to predict{there}": target,
    }
    if problems := [line for line, given in lines.items() if not given]:
        raise RequestError("\n".join(problems))
