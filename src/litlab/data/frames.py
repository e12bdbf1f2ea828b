"""The rows of a table, with named columns, as the network takes them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from torch import Tensor

from litlab.config.suggestions import suggestion
from litlab.data.preprocessing.spec import DataSpec
from litlab.data.samples import column_names
from litlab.errors import RequestError
from litlab.escape import one_line, printable, some

MAX_VALUE = 40  # characters of a category in a remark


@dataclass(frozen=True)
class Rows:
    """What `prepare_frame` makes of a table.

    Attributes:
        inputs: of the good rows, as the network takes them, (N, *input_shape).
        numbers: of the good rows in the table, from 0.
        faults: why the others are not good, by their number.
        extra: columns of the table that the run was not trained on.
        unseen: of the good rows, as `TableEncoding.unseen`.
    """

    inputs: Tensor
    numbers: list[int]
    faults: dict[int, str]
    extra: list[str]
    unseen: Counter[tuple[str, str]] = field(default_factory=Counter)


def prepare_frame(spec: DataSpec, frame: pl.DataFrame) -> Rows:
    """The rows of a table as the network takes them, by the names of its columns, whatever their order.

    Args:
        spec: of the data that the run was trained on.
        frame: cells are numbers, or text that says one.

    Raises:
        RequestError: a column is missing, or the run was not trained on a table.
    """
    faults: dict[int, str] = {}
    if spec.table is not None:  # which fills what is missing
        chosen, extra = match_columns(spec.table.used, frame.columns)
        known = {column.name for column in spec.table.columns}
        rows = frame.select(pl.col(column).alias(name) for name, column in chosen.items())
        rows = spec.table.frame(rows)
        faults = spec.table.unreadable(rows)
        numbers = [number for number in range(len(frame)) if number not in faults]
        rows = rows[numbers]
        extra = [name for name in extra if name.strip() not in known]
        return Rows(spec.table.encode(rows), numbers, faults, extra, spec.table.unseen(rows))
    if len(spec.input_shape) != 1:
        raise RequestError(f"a table has rows of columns; the run was trained on {spec.in_words}")
    chosen, extra = match_columns(column_names(spec), frame.columns)
    columns = [_numbers(spec, frame[column].rename(name), faults) for name, column in chosen.items()]
    numbers = [number for number in range(len(frame)) if number not in faults]
    return Rows(spec.prepare(np.stack(columns, axis=1)[numbers]), numbers, faults, extra)


def unseen_remarks(spec: DataSpec, unseen: Counter[tuple[str, str]], count: int) -> Iterator[str]:
    """A remark for each column of `count` rows that has categories which the run did not learn."""
    for encoder in spec.table.encoders if spec.table is not None else ():
        name, known = encoder.column.name, len(encoder.values)
        found = [(text, rows) for (column, text), rows in unseen.most_common() if column == name]
        if not found:
            continue
        values = some([text[:MAX_VALUE] for text, _ in found])
        never = "has once or never" if encoder.embedded else "does not have"  # one row teaches an embedding nothing
        yield (
            f"column '{name}': {sum(rows for _, rows in found):,} of {count:,} rows have a value that the training "
            f"split {never} ({values}); the model takes it as none of the {known:,} categories that it knows (zeros)"
        )


def match_columns(names: Iterable[str], columns: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """The table's column for each name (spaces around it do not count), and the columns that are left.

    Raises:
        RequestError: there is none for a name.
    """
    there = {column.strip(): column for column in reversed(list(columns))}  # of two, the first
    missing = [name for name in names if name.strip() not in there]
    if missing:
        quoted = ", ".join(f"'{name}'{suggestion(name, there)}" for name in missing)
        without = f"has no column{'s' * (len(missing) > 1)} {quoted}; it has {', '.join(reversed(there)) or 'none'}"
        raise RequestError(printable(one_line(f"input: the table {without}")))
    chosen = {name: there[name.strip()] for name in names}
    return chosen, [column for column in columns if column not in chosen.values()]


def _numbers(spec: DataSpec, column: pl.Series, faults: dict[int, str]) -> np.ndarray:
    """A column as float64 (N,), 0 in bad cells, whose rows are added to `faults`."""
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):  # a date is no number of days
        texts = pl.Series(list(map(str, column))) if column.dtype.is_nested() else column.cast(pl.String, strict=False)
        column = texts.rename(column.name).str.strip_chars()
    values = column.cast(pl.Float64, strict=False).to_numpy()
    with np.errstate(over="ignore", invalid="ignore"):
        good = np.isfinite(values.astype(np.float32))
        if spec.num_tokens is not None:
            good &= (values == np.rint(values)) & (values >= 0) & (values < spec.num_tokens)
    for number in np.flatnonzero(~good):
        cell = column[int(number)]
        wrong = "is empty" if cell in (None, "") else f"holds '{printable(str(cell))[:40]}', which is no number"
        if spec.num_tokens is not None and cell not in (None, ""):
            wrong += f" from 0 to {spec.num_tokens - 1}"
        faults.setdefault(int(number), f"column '{printable(column.name)}' {wrong}")
    return np.where(good, values, 0.0).astype(np.int64 if spec.num_tokens is not None else np.float64)
