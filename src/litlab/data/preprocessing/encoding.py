"""From the columns of a table to numbers for a network: fitted on the training split alone, kept as plain data."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from litlab.data.preprocessing.column_encoder import Encoder, fit_encoder
from litlab.data.preprocessing.column_types import Column, as_text, infer_columns
from litlab.data.preprocessing.target import Target
from litlab.data.reading.table_file import with_nulls
from litlab.errors import RequestError
from litlab.escape import printable


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
        encoders = [fit_encoder(column, frame[column.name], scaling) for column in used]
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

    def unseen(self, frame: pl.DataFrame) -> Counter[tuple[str, str]]:
        """The number of rows for each column and category that the training split did not teach."""
        columns = ((each.column.name, each.unseen(frame[each.column.name])) for each in self.encoders)
        return Counter((name, category) for name, categories in columns for category in categories)

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
        encoders = [
            _as(Encoder, each | {"column": _as(Column, each["column"]), "values": _today(each["values"])})
            for each in plain["encoders"]
        ]
        columns = tuple(_as(Column, each) for each in plain["columns"])
        target = plain["target"] | {"classes": _today(plain["target"]["classes"])}
        return cls(columns, tuple(encoders), _as(Target, target), tuple(plain["missing"]))


def _today(texts: Sequence[str]) -> list[str]:
    """Categories as `as_text` spells them: an older litlab wrote 1.0 for 1 in a column that also had 2.5."""
    return as_text(pl.Series(texts, dtype=pl.String)).to_list()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _as(kind: type, plain: Mapping[str, Any]) -> Any:
    values = {each.name: plain[each.name] for each in fields(kind)}
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
