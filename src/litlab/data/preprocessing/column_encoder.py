"""One column of a table as numbers for a network: what the training split has taught, and new values by it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from litlab.data.preprocessing.column_types import FALSE, TRUE, Column, as_dates, as_text, numbers_in

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
        is_there = values.is_not_null()
        if self.column.kind in ("number", "date"):
            is_read = next(_numbers(self.column, values)).is_not_null()
        elif self.column.kind == "boolean" and self.column.distinct > 1:  # else its one value is any
            is_read = as_text(values).str.to_lowercase().is_in([*TRUE, *FALSE])
        else:
            is_read = is_there
        return is_read.not_() & is_there

    def unseen(self, values: pl.Series) -> pl.Series:
        """The cells (K,) of a category that are none of `values`, all of whose numbers are 0; of other types none."""
        texts = as_text(values).fill_null(MISSING) if self.column.kind == "category" else pl.Series([], dtype=pl.String)
        return texts.filter(texts.is_in(list(self.values)).not_())

    def _write_category(self, values: pl.Series, out: np.ndarray) -> None:
        texts = as_text(values).fill_null(MISSING)
        index = texts.replace_strict(
            list(self.values), list(range(1, len(self.values) + 1)), default=0, return_dtype=pl.Int32
        ).to_numpy()
        if self.embedded:
            out[:, 0] = index
        else:
            out[:] = index[:, None] == np.arange(1, len(self.values) + 1)


def fit_encoder(column: Column, values: pl.Series, scaling: str) -> Encoder:
    """What the training split's values (N,) of a column teach; `scaling` of numbers is auto, standard or quantile."""
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

    if values.is_empty():  # which it refuses
        return np.empty((0, TEXT_FEATURES), np.float32)
    hasher = HashingVectorizer(n_features=TEXT_FEATURES, ngram_range=(1, 2), dtype=np.float32)
    return hasher.transform(values.cast(pl.String).fill_null("").to_list()).toarray()
