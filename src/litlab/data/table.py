"""A table of one's own: a file with named columns, of which one is to be predicted."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
import torch

from litlab.config.values import PositiveInt, SizeOrFraction
from litlab.data.partition import Partition, Rows
from litlab.data.preprocessing.column_types import KINDS
from litlab.data.preprocessing.encoding import TableEncoding
from litlab.data.preprocessing.spec import DataSpec
from litlab.data.preprocessing.target import infer_target, refuse_unnamed, task_name
from litlab.data.reading.table_file import check_columns, read_table
from litlab.data.splits import Split
from litlab.data.tensors import TensorData
from litlab.errors import RequestError
from litlab.escape import printable, some

PLURAL = {"category": "categories"}
# In an epoch of passes_per_epoch=auto: optimizer steps at least, and passes at least of data of at most LARGE steps.
STEPS, PASSES, LARGE = 30, 5, 1000
KIND = Literal["number", "category", "boolean", "date", "text", "drop"]


class Table(TensorData):
    """The rows of a file: CSV, TSV, parquet or Excel. Types, categories and scales are those of the training split.

    The file is read when something about it is asked for, such as `input_shape`; once.

    Args:
        file: its path.
        target: the column to predict.
        test_file: another file of the same columns, which is the test split.
        columns: types of columns by name, in place of the guess: number, category, boolean, date, text or drop.
        drop: columns to leave out.
        missing: more spellings of a missing value, such as -999.
        header: whether the first line of a text file holds the columns' names.
        split_column: a column that says train, val or test.
        group: a column whose equal values are in one split only.
        time: a column (a date or a number) in whose order the last rows are the test split.
        scaling: of numbers: quantile, to a normal distribution by their quantiles; standard, to mean 0 and standard
            deviation 1; or auto: quantile for those with outliers.
        task: the class of the task, which says whether targets are numbers or classes; None: what they suggest.
        task_from: for composing, see `suggest_task`.
        passes_per_epoch: see `TensorData`; auto: `PASSES`, or as many as make `STEPS` steps; 1 of large data.
        settings: see `TensorData`.

    Attributes:
        encoding: what the training split has taught, or a finished run's, if set before anything is read.
        remarks: what was unusual about the file and its rows.
        frames: the rows of each split as the file has them, where `keep_frames` is set.
    """

    def __init__(
        self,
        *,
        file: str | None = None,
        target: str | None = None,
        test_file: str | None = None,
        columns: Mapping[str, KIND] | None = None,
        drop: Sequence[str] = (),
        missing: Sequence[str | float] = (),
        header: bool = True,
        split_column: str | None = None,
        group: str | None = None,
        time: str | None = None,
        scaling: Literal["auto", "quantile", "standard"] = "auto",
        task: str | None = None,
        task_from: str | None = None,
        val_size: Annotated[int | float, SizeOrFraction(0.1)] = 0,
        passes_per_epoch: PositiveInt | Literal["auto"] = "auto",
        **settings: Any,
    ) -> None:
        if settings.get("normalize"):
            raise RequestError("data.normalize=true: a table is scaled by data.scaling; leave it out")
        given = 1 if passes_per_epoch == "auto" else passes_per_epoch
        super().__init__(val_size=val_size, passes_per_epoch=given, **settings)
        refuse_unnamed(file, target, header)
        self.file, self.target, self.test_file = str(file), str(target), test_file
        self.columns, self.drop, self.header = dict(columns or {}), list(drop), header
        self.missing = [str(each) for each in missing]
        self.divided_by = {"split_column": split_column, "group": group, "time": time}
        self.scaling, self.is_auto = scaling, passes_per_epoch == "auto"
        self.task = task_name(task)
        self.encoding: TableEncoding | None = None
        self.remarks: list[str] = []
        self.keep_frames = False
        self.frames: dict[str, pl.DataFrame] = {}

        del task_from

    def adopt(self, spec: DataSpec) -> None:
        """Keep the run's types, categories and scales."""
        self.encoding = spec.table

    # ---- what the file declares

    @property
    def fitted(self) -> TableEncoding:
        """The encoding; reads the file, unless that has been done."""
        if self.encoding is None:
            self.setup()
        assert self.encoding is not None
        return self.encoding

    @property
    def input_shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """One axis: the numbers that the columns become."""
        return (len(self.fitted.names),)

    @property
    def num_outputs(self) -> int:  # type: ignore[override]
        """1, or the number of classes."""
        return len(self.fitted.target.classes) if self.fitted.target.task == "classification" else 1

    @property
    def class_names(self) -> tuple[str, ...] | None:  # type: ignore[override]
        """The target's values; None for a regression."""
        return self.fitted.target.classes or None

    @property
    def feature_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Of the numbers that the columns become."""
        return self.fitted.names

    @property
    def target_name(self) -> str:  # type: ignore[override]
        """The target's column."""
        return self.target

    @property
    def table(self) -> TableEncoding:  # type: ignore[override]
        """For the `DataSpec`."""
        return self.fitted

    @property
    def summary(self) -> str:
        """What the file was taken for, in a line."""
        target, columns = self.fitted.target, self.fitted.columns
        kinds = [column.kind for column in columns if column.kind != "drop"]
        counts = [
            f"{(count := kinds.count(kind))} {kind if count == 1 else PLURAL.get(kind, f'{kind}s')}"
            for kind in KINDS
            if kind in kinds
        ]
        left = [printable(column.name) for column in columns if column.kind == "drop"]
        out = f"; left out: {some(left)}" if left else ""
        found = f"{printable(self.target)} as {target.task} ({target.reason}); {', '.join(counts)}{out}"
        return "; ".join([found, *self.remarks, "describe.py shows why"])

    # ---- reading

    def load(self) -> dict[str, Split]:
        """The rows of each split, encoded.

        Raises:
            RequestError: the file or a column is missing or cannot be used.
        """
        frame = read_table(self.file, self.missing, self.header)
        own = {"target": self.target, "drop": self.drop, "columns": self.columns, "folds": self.folds}
        check_columns(own | self.divided_by, frame.columns)
        whole, is_test = self._with_test_file(frame)
        del frame
        target = self.encoding.target if self.encoding else infer_target(whole[self.target].drop_nulls(), self.task)
        numbers = target.encode(whole[self.target])
        if lost := numbers.null_count():
            left = f"{lost:,} of {len(numbers):,} rows have no {self.target} that counts, and are left out"
            self.remarks = [*self.remarks, left]
            known = numbers.is_not_null()
            whole, is_test, numbers = whole.filter(known), is_test[known.to_numpy()], numbers.drop_nulls()
        if whole.height < 2:
            raise RequestError(
                f"data.file={printable(self.file)}: {whole.height} row with a target; there must be more"
            )
        parts = self._parts(whole, numbers if target.classes else None, is_test)
        names = [name for name in whole.columns if name not in (self.target, *self._dividing())]
        if not names:
            raise RequestError(f"data.target={printable(self.target)}: no column is left to predict it from")
        features = whole.select(names)
        if self.encoding is None:
            self.encoding = TableEncoding.fit(
                features[parts["train"]], target, self.columns, self.drop, self.scaling, self.missing
            )
        if self.keep_frames:
            self.frames = {part: whole[rows] for part, rows in parts.items()}
        inputs, targets = self.encoding.encode(features), torch.from_numpy(numbers.to_numpy(writable=True))
        del features, whole
        everything = Split(inputs, targets)
        return {part: everything.take(torch.from_numpy(rows)) for part, rows in parts.items()}

    @property
    def passes(self) -> int:
        """Passes over the training split in one epoch; those of auto depend on the batches."""
        if not self.is_auto:
            return self.passes_per_epoch
        batches = math.ceil(len(self.splits["train"].inputs) / self.batch_size)
        return max(math.ceil(STEPS / batches), PASSES if batches <= LARGE else 1)

    def _with_test_file(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, np.ndarray]:
        """The rows of both files, and which are of the test file."""
        count = frame.height
        if self.test_file is not None:
            test = read_table(self.test_file, self.missing, self.header)
            lacking = [name for name in frame.columns if name not in test.columns]
            if lacking:
                names = ", ".join(map(printable, lacking[:5]))
                raise RequestError(f"data.test_file={printable(self.test_file)}: lacks {names}, which data.file has")
            pairs = [(frame[name], test[name]) for name in frame.columns]
            frame = pl.DataFrame([_joined(*pair) for pair in pairs])
        return frame, np.arange(frame.height) >= count

    def _dividing(self) -> list[str]:
        """Columns that divide the rows and are no inputs; time may be one."""
        return [value for name, value in self.divided_by.items() if value is not None and name != "time"]

    def _parts(self, whole: pl.DataFrame, labels: pl.Series | None, is_test: np.ndarray) -> dict[str, Rows]:
        """The numbers of each split's rows."""
        own = whole.filter(~is_test) if is_test.any() else whole
        given = {name: own[value] for name, value in self.divided_by.items() if value is not None}
        tested = bool(is_test.any()) or self.test_on_train
        partition = Partition(
            {"val": self.val_size, "test": self.test_size},
            self.split_seed,
            split=given.get("split_column"),
            group=given.get("group"),
            time=given.get("time"),
            folds=self.folds,
            fold=self.fold,
        )
        labels = labels.filter(~is_test) if labels is not None and is_test.any() else labels
        parts = partition.divide(labels, own.height, tested)
        self.remarks = [*self.remarks, *partition.remarks]
        if is_test.any():
            parts["test"] = np.flatnonzero(is_test)
        elif self.test_on_train:
            parts["test"], self.test_split = parts["train"], "train"
        return parts


def _joined(one: pl.Series, other: pl.Series) -> pl.Series:
    """Both, one after the other; as texts where one holds numbers and the other does not."""
    if one.dtype == other.dtype:
        return pl.concat([one, other])
    both = one.dtype.is_numeric() and other.dtype.is_numeric()
    return pl.concat([each.cast(pl.Float64 if both else pl.String) for each in (one, other)])
