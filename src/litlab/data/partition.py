"""Which rows of a table train, validate and test: at random, by classes, groups, time, or as a column says."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from litlab.data.preprocessing.column_types import as_dates, as_text, infer_column, numbers_in, some_values
from litlab.errors import RequestError

PARTS = {
    **dict.fromkeys(("train", "training", "fit"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "val"),
    **dict.fromkeys(("test", "testing", "holdout"), "test"),
}
FEW = 1.5  # times the rows asked for: more are told, because groups are few or of very different sizes
Rows = np.ndarray  # their numbers, int64


@dataclass
class Partition:
    """How rows are divided; one of the columns at most.

    Attributes:
        sizes: of the parts val and test: rows, or a fraction (of what test leaves).
        seed: of the drawing.
        split: a column that says train, val or test.
        group: a column whose equal values stay together.
        time: a column in whose order the last rows are the test split, and those before them validation.
        folds, fold: of cross-validation, in place of a size of val.
        settings: of the columns, for errors.
        remarks: what could not be done as asked for; filled in.
    """

    sizes: Mapping[str, int | float]
    seed: int
    split: pl.Series | None = None
    group: pl.Series | None = None
    time: pl.Series | None = None
    folds: int | None = None
    fold: int = 0
    remarks: list[str] = field(default_factory=list)

    def divide(self, labels: pl.Series | None, count: int, tested: bool) -> dict[str, Rows]:
        """The rows train, val and test.

        Args:
            labels: class indices, in whose proportions parts are drawn; None for a regression.
            count: of the rows.
            tested: whether the test split comes from elsewhere.

        Raises:
            RequestError: a part would be empty, or a column does not say what it should.
        """
        parts = self._given() if self.split is not None else {}
        rest = parts.pop("train", np.arange(count))
        if "test" not in parts:
            rest, parts["test"] = (rest, rest[:0]) if tested else self._hold_out(rest, labels, "test")
        if "val" not in parts:
            rest, parts["val"] = self._fold(rest, labels) if self.folds else self._hold_out(rest, labels, "val")
        return {"train": rest} | parts

    def _given(self) -> dict[str, Rows]:
        assert self.split is not None
        words = as_text(self.split).str.to_lowercase()
        known = words.replace_strict(list(PARTS), list(PARTS.values()), default=None, return_dtype=pl.String)
        if known.null_count():
            wrong = some_values(self.split.filter(known.is_null())) or "nothing"
            raise RequestError(
                f"data.split_column={self.split.name}: {known.null_count():,} rows say {wrong}; it must be train, val "
                "or test in every row"
            )
        names = known.to_numpy()
        parts = {part: np.flatnonzero(names == part) for part in ("train", "val", "test")}
        if not len(parts["train"]):
            raise RequestError(f"data.split_column={self.split.name}: no row says train")
        return {part: rows for part, rows in parts.items() if len(rows)}

    def _hold_out(self, rows: Rows, labels: pl.Series | None, part: str) -> tuple[Rows, Rows]:
        """The other rows, and those of a part."""
        size = self.sizes[part]
        if not size:
            return rows, rows[:0]
        held = round(size * len(rows)) if isinstance(size, float) else size
        if not 0 < held < len(rows):
            what = "rounds to 0" if not held else "leaves nothing"
            raise RequestError(f"data.{part}_size={size}: {what} of {len(rows):,} rows; try 0.2")
        if self.time is not None:
            order = rows[np.argsort(self._times()[rows], kind="stable")]
            return np.sort(order[:-held]), np.sort(order[-held:])
        if self.group is not None:
            return self._whole_groups(rows, held, part)
        return self._drawn(rows, None if labels is None else labels.to_numpy()[rows], held)

    def _drawn(self, rows: Rows, labels: Rows | None, held: int) -> tuple[Rows, Rows]:
        from sklearn.model_selection import train_test_split

        given = {"test_size": held, "random_state": self.seed}
        try:
            kept, taken = train_test_split(rows, stratify=labels, **given)
        except ValueError:  # a class has a single row, or there are more classes than rows held out
            kept, taken = train_test_split(rows, **given)
            self.remarks.append("some classes have too few rows to be in every split, so rows are drawn regardless")
        return np.sort(kept), np.sort(taken)

    def _whole_groups(self, rows: Rows, held: int, part: str) -> tuple[Rows, Rows]:
        """Groups drawn until they have as many rows as are held out."""
        assert self.group is not None
        all_groups = self._groups()
        groups, total = all_groups[rows], len(np.unique(all_groups))
        names, sizes = np.unique(groups, return_counts=True)
        asked = f"data.group={self.group.name}: has {total} group{'s' * (total > 1)}"
        if len(names) < 2:
            needed = "train, val and test" if total > 1 else f"train and {part}"
            remedy = "set data.val_size=0, or leave it out" if part == "val" else "leave it out"
            raise RequestError(f"{asked}, and {needed} need one each; {remedy}")
        order = np.random.RandomState(self.seed).permutation(len(names))
        count = int(np.searchsorted(np.cumsum(sizes[order]), held)) + 1
        taken = np.isin(groups, names[order[: min(count, len(names) - 1)]])
        if taken.sum() > FEW * held:
            self.remarks.append(f"{asked}, so {part} has {taken.sum():,} of {len(rows):,} rows, not {held:,}")
        return rows[~taken], rows[taken]

    def _fold(self, rows: Rows, labels: pl.Series | None) -> tuple[Rows, Rows]:
        from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

        assert self.folds is not None
        groups = None if self.group is None else self._groups()[rows]
        classes = None if labels is None else labels.to_numpy()[rows]
        kind = GroupKFold if groups is not None else KFold if classes is None else StratifiedKFold
        try:
            with warnings.catch_warnings():  # a class with fewer rows than folds is absent from some
                warnings.simplefilter("ignore", UserWarning)
                splitter = kind(self.folds, shuffle=True, random_state=self.seed)
                kept, taken = list(splitter.split(rows, classes, groups))[self.fold]
        except ValueError as error:
            what = "groups" if groups is not None else "rows" if classes is None else "rows of each class"
            raise RequestError(f"data.folds={self.folds}: must be from 2 to the number of {what}") from error
        return rows[kept], rows[taken]

    def _groups(self) -> Rows:
        assert self.group is not None
        # A row without a group is one of its own.
        codes = as_text(self.group).cast(pl.Categorical).to_physical().cast(pl.Int64)
        own = pl.Series(-1 - np.arange(len(codes)))
        return pl.select(pl.coalesce(codes, own)).to_series().to_numpy()

    def _times(self) -> np.ndarray:
        assert self.time is not None
        column = infer_column(self.time)
        dates = self.time.dtype.is_temporal() or bool(column.format)
        times = as_dates(self.time, column.format).dt.epoch("us") if dates else numbers_in(self.time)
        if times.null_count():
            raise RequestError(
                f"data.time={self.time.name}: {times.null_count():,} rows have neither a date nor a number there"
            )
        return times.to_numpy()
