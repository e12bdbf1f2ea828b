"""From the columns of a table to numbers for a network: fitted on the training split alone, kept as plain data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from litlab.data.column_types import TRUE, Column, as_dates, as_text, infer_columns, numbers_in
from litlab.data.table_file import with_nulls
from litlab.data.target import Target
from litlab.errors import RequestError
from litlab.escape import printable

ONE_HOT = 40  # categories; of more, the network learns embeddings
TEXT_FEATURES = 256  # of hashed words
KNOTS = 200  # of the quantiles that map a number to a normal distribution
SKEWED = 3.0  # skewness of numbers that scaling=auto maps by their quantiles (an exponential distribution has 2)
OUTSIDE = 10.0  # standard deviations, where a number is clipped
PARTS = ("year", "month", "weekday", "hour", "days")  # of a date
MISSING = "(missing)"


@dataclass(frozen=True)
class Encoder:
    """How one column becomes numbers; lists and numbers of the training split only.

    Attributes:
        column: the column and its type.
        flagged: whether a further number says that the value is missing, as some are in the training split.
        fill: a number's or date's median, in place of missing values.
        knots, heights: a number's quantiles, and those of a normal distribution; empty where it is only standardized.
        mean, std: of the numbers made (of each date part), which are standardized.
        values: of a category: each a number of its own, 0 or 1; or of an embedding, by their index from 1.
        embedded: whether its number is the index of an embedding, 0 for values never seen.
    """

    column: Column
    flagged: bool = False
    fill: float = 0.0
    knots: tuple[float, ...] = ()
    heights: tuple[float, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    values: tuple[str, ...] = ()
    embedded: bool = False

    @property
    def names(self) -> list[str]:
        """Of the numbers that it makes."""
        name, kind = self.column.name, self.column.kind
        if kind == "category":
            return [name] if self.embedded else [f"{name}={value}" for value in self.values]
        parts = {
            "date": [f"{name} {part}" for part in PARTS],
            "text": [f"{name} word {n}" for n in range(TEXT_FEATURES)],
        }
        return parts.get(kind, [name]) + [f"{name} missing"] * self.flagged

    def write(self, values: pl.Series, out: np.ndarray) -> None:
        """Encode a column into `out` (N, len(names)), float32."""
        kind = self.column.kind
        if kind == "category":
            self._write_category(values, out)
        elif kind == "text":
            out[:, :TEXT_FEATURES] = _hashed(values)
        elif kind == "boolean":
            out[:, 0] = _truth(values).fill_null(0.5 if self.flagged else self.fill)
        else:
            for number, part in enumerate(_numbers(self.column, values)):
                column = part.fill_null(self.fill if kind == "number" else 0.0).to_numpy()
                if self.knots:
                    column = np.interp(column, self.knots, self.heights)
                scaled = (column - self.mean[number]) / self.std[number]
                known = part.is_not_null().to_numpy() if kind == "date" else 1.0
                out[:, number] = np.clip(scaled, -OUTSIDE, OUTSIDE) * known
        if self.flagged and kind != "category":
            out[:, -1] = _raw_missing(self.column, values)

    def unreadable(self, values: pl.Series) -> pl.Series:
        """Which cells (N,) hold something that is not of the column's type, and so counts as missing."""
        if self.column.kind in ("number", "date"):
            read = next(_numbers(self.column, values))
        elif self.column.kind == "boolean":
            read = _truth(values)
        else:
            read = values
        return read.is_null() & values.is_not_null()

    def _write_category(self, values: pl.Series, out: np.ndarray) -> None:
        texts = as_text(values).fill_null(MISSING)
        index = texts.replace_strict(
            list(self.values), list(range(1, len(self.values) + 1)), default=0, return_dtype=pl.Int32
        ).to_numpy()
        if self.embedded:
            out[:, 0] = index
        else:
            out[:] = index[:, None] == np.arange(1, len(self.values) + 1)


@dataclass(frozen=True)
class TableEncoding:
    """All columns of a table, and its target, as a run has learned them.

    Attributes:
        columns: every column but the target, those left out too.
        encoders: of the columns that are used.
        target: what is predicted.
        missing: spellings of a missing value, besides the usual ones.
    """

    columns: tuple[Column, ...]
    encoders: tuple[Encoder, ...]
    target: Target
    missing: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        frame: pl.DataFrame,
        target: Target,
        given: Mapping[str, str] = {},
        dropped: Sequence[str] = (),
        scaling: str = "auto",
        missing: Sequence[str] = (),
    ) -> "TableEncoding":
        """Learn types, categories and scales from the training split.

        Args:
            frame: its rows, without the target.
            target: of the table.
            given, dropped: as for `infer_columns`.
            scaling: of numbers: quantile, to a normal distribution; standard; or auto, by their skewness.
            missing: spellings of a missing value, besides the usual ones.

        Raises:
            RequestError: no column is left.
        """
        columns = tuple(infer_columns(frame, given, dropped))
        used = [column for column in columns if column.kind != "drop"]
        encoders = [_fit(column, frame[column.name], scaling) for column in used]
        if not encoders:
            why = "; ".join(f"{each.name}: {each.reason}" for each in columns[:3]) or "it is the only one"
            why += "; ..." if len(columns) > 3 else ""
            raise RequestError(f"data.target={printable(target.name)}: no column is left to predict it from ({why})")
        return cls(columns, tuple(encoders), target, tuple(missing))

    @property
    def used(self) -> tuple[str, ...]:
        """The columns that rows to predict must have."""
        return tuple(encoder.column.name for encoder in self.encoders)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the network's inputs."""
        return tuple(name for encoder in self.encoders for name in encoder.names)

    @property
    def embeddings(self) -> tuple[tuple[int, int], ...]:
        """Of the inputs that are indices: their position, and how many different ones there are."""
        found, position = [], 0
        for encoder in self.encoders:
            if encoder.embedded:
                found.append((position, len(encoder.values) + 1))
            position += len(encoder.names)
        return tuple(found)

    def encode(self, frame: pl.DataFrame) -> Tensor:
        """Rows (N, len(names)), float32, of a frame that has all columns used.

        Raises:
            RequestError: it lacks some.
        """
        lacking = [name for name in self.used if name not in frame.columns]
        if lacking:
            names = ", ".join(map(printable, lacking[:5])) + (", ..." if len(lacking) > 5 else "")
            raise RequestError(f"the rows lack {names}: the run was trained on {'it' if len(lacking) == 1 else 'them'}")
        out, start = np.empty((frame.height, len(self.names)), np.float32), 0
        for encoder in self.encoders:
            width = len(encoder.names)
            encoder.write(frame[encoder.column.name], out[:, start : start + width])
            start += width
        return torch.from_numpy(out)

    def unreadable(self, frame: pl.DataFrame) -> dict[int, str]:
        """Why a row has a cell that is no number, no date, or neither true nor false, by its number."""
        faults: dict[int, str] = {}
        for encoder in self.encoders:
            name, kind = encoder.column.name, encoder.column.kind
            for number in encoder.unreadable(frame[name]).arg_true():
                cell = printable(str(frame[name][number]))[:40]
                faults.setdefault(number, f"column '{printable(name)}' holds '{cell}', which is no {kind}")
        return faults

    def frame(self, rows: Any) -> pl.DataFrame:
        """What a user has rows in, as a polars frame whose missing values are null.

        Args:
            rows: a polars or pandas frame, a dict of columns, a dict or dicts of values by name, or an array or lists
                of the used columns' values, in their order.

        Raises:
            RequestError: it is none of these.
        """
        try:
            return with_nulls(self._as_frame(rows), self.missing)
        except (ValueError, TypeError, RuntimeError, pl.exceptions.PolarsError) as error:
            raise RequestError(
                f"the rows are no table ({type(rows).__name__}): pass a frame, a dict of columns, dicts, or rows of "
                f"{len(self.used)} values: {', '.join(map(printable, self.used[:5]))}, ..."
            ) from error

    def _as_frame(self, rows: Any) -> pl.DataFrame:
        if isinstance(rows, pl.DataFrame):
            return rows
        if hasattr(rows, "columns"):  # of pandas
            rows = {str(name): list(rows[name]) for name in rows.columns}
        if isinstance(rows, Mapping):
            alone = all(isinstance(each, str) or not hasattr(each, "__len__") for each in rows.values())
            rows = [dict(rows)] if alone else {name: list(each) for name, each in rows.items()}
        elif isinstance(rows, Tensor) or not (isinstance(rows, Sequence) and rows and isinstance(rows[0], Mapping)):
            array = np.asarray(rows, dtype=None if isinstance(rows, Tensor) else object)
            return pl.DataFrame(
                array.reshape(-1, len(self.used)).tolist(),
                list(self.used),
                orient="row",
                strict=False,
                infer_schema_length=None,
            )
        return pl.DataFrame(rows, strict=False, infer_schema_length=None)

    def as_dict(self) -> dict[str, Any]:
        """Texts, numbers, lists and dicts, which a checkpoint holds under weights_only=True."""
        return _plain(asdict(self))

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "TableEncoding":
        """The inverse of `as_dict`."""
        encoders = [_as(Encoder, each | {"column": _as(Column, each["column"])}) for each in plain["encoders"]]
        columns = tuple(_as(Column, each) for each in plain["columns"])
        return cls(columns, tuple(encoders), _as(Target, plain["target"]), tuple(plain["missing"]))


def _fit(column: Column, values: pl.Series, scaling: str) -> Encoder:
    if column.kind == "category":
        counts = as_text(values).fill_null(MISSING).value_counts(sort=True)
        texts, times = (counts[each] for each in counts.columns)
        embedded = len(texts) > ONE_HOT
        kept = texts.filter(times > 1) if embedded else texts  # one row teaches an embedding nothing
        return Encoder(column, values=tuple(sorted(kept)), embedded=embedded)
    flagged = bool(_raw_missing(column, values).any())
    if column.kind == "text":
        return Encoder(column, flagged)
    if column.kind == "boolean":
        return Encoder(column, flagged)
    parts = [part.drop_nulls().to_numpy() for part in _numbers(column, values)]
    is_number = column.kind == "number"
    fill = float(np.median(parts[0])) if is_number and len(parts[0]) else 0.0
    by_quantile = is_number and (scaling == "quantile" or (scaling == "auto" and _is_skewed(parts[0])))
    knots, heights = _quantiles(parts[0]) if by_quantile else ((), ())
    made = [np.interp(each, knots, heights) if knots else each for each in parts]
    mean = tuple(float(each.mean()) if len(each) else 0.0 for each in made)
    std = tuple(float(each.std()) if len(each) else 0.0 for each in made)
    return Encoder(column, flagged, fill, knots, heights, mean, tuple(each if each > 0 else 1.0 for each in std))


def _is_skewed(values: np.ndarray) -> bool:
    """Whether outliers would decide the mean and the standard deviation."""
    scaled = (values - values.mean()) / (values.std() or 1.0)
    return bool(abs((scaled**3).mean()) > SKEWED)


def _quantiles(values: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """A number's quantiles, and those of the normal distribution; of equal ones, the mean of theirs."""
    from scipy.special import ndtri

    count = min(KNOTS, len(values))
    if count < 2:
        return (), ()
    steps = np.linspace(0, 1, count)
    normal = ndtri(np.clip(steps, 0.5 / count, 1 - 0.5 / count))
    knots, group, sizes = np.unique(np.quantile(values, steps), return_inverse=True, return_counts=True)
    heights = np.bincount(group, normal) / sizes
    return tuple(map(float, knots)), tuple(map(float, heights))


def _numbers(column: Column, values: pl.Series) -> Iterator[pl.Series]:
    """A number as it is; of a date its `PARTS`, null where it is missing."""
    if column.kind == "number":
        yield numbers_in(values)
        return
    dates = as_dates(values, column.format)
    made = (dates.dt.year(), dates.dt.month(), dates.dt.weekday(), dates.dt.hour(), dates.dt.epoch("s") / 86400)
    yield from (each.cast(pl.Float64) for each in made)


def _truth(values: pl.Series) -> pl.Series:
    """1.0 for true, 0.0 for false, null for missing."""
    texts = as_text(values).str.to_lowercase()
    return texts.is_in(list(TRUE)).cast(pl.Float64)


def _raw_missing(column: Column, values: pl.Series) -> np.ndarray:
    if column.kind == "number":
        return numbers_in(values).is_null().to_numpy()
    if column.kind == "date":
        return as_dates(values, column.format).is_null().to_numpy()
    return values.is_null().to_numpy()


def _hashed(values: pl.Series) -> np.ndarray:
    """Words and pairs of words, hashed and weighted to unit length (N, TEXT_FEATURES)."""
    from sklearn.feature_extraction.text import HashingVectorizer

    hasher = HashingVectorizer(n_features=TEXT_FEATURES, ngram_range=(1, 2), dtype=np.float32)
    return hasher.transform(values.cast(pl.String).fill_null("").to_list()).toarray()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _as(kind: type, plain: Mapping[str, Any]) -> Any:
    values = {each.name: plain[each.name] for each in fields(kind)}
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
