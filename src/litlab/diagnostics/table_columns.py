"""What there is to see in a table before training: types with reasons, first rows, correlations, columns that tell."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import torch

from litlab.config.column_names import typed
from litlab.data.columns import TARGET, Row, describe_column
from litlab.data.preprocessing.column_encoder import Encoder
from litlab.data.preprocessing.column_types import numbers_in
from litlab.data.preprocessing.encoding import TableEncoding
from litlab.data.preprocessing.target import Target
from litlab.data.tensors import FIRST
from litlab.escape import printable

WIDEST = 24  # characters of a cell
LOOKED_AT = 5_000  # rows in which a column may tell the target
TELLS = 0.99  # accuracy or R2 of the target, from one column
OTHERWISE = {"category": "drop", "number": "category", "boolean": "drop", "date": "drop", "text": "drop"}
DRAWN = 24  # columns in the picture of correlations


def describe_types(encoding: TableEncoding, count: int) -> list[Row]:
    """A row per column: what it is taken for and why, and the setting that says otherwise.

    Args:
        encoding: of the table.
        count: rows of the training split.
    """
    target = encoding.target
    rows: list[Row] = [_row(target.name, f"target: {target.task}", target.reason, "task=...")]
    for column in encoding.columns:
        wide = [each for each in encoding.encoders if each.column is column and each.embedded]
        kind = "left out" if column.kind == "drop" else f"{column.kind} (embedded)" if wide else column.kind
        other = OTHERWISE.get(column.kind, "text" if "text" in column.reason else "category")
        other = "number" if column.kind == "category" and "whole numbers" in column.reason else other
        override = typed(column.name, other)
        missing = f"{column.missing / max(count, 1):.1%}" if column.missing else "-"
        rows.append(_row(column.name, kind, column.reason, override, column.distinct, missing))
    return rows


def _row(name: str, kind: str, reason: str, override: str, distinct: int | None = None, missing: str = "-") -> Row:
    row: Row = {"column": printable(name), "type": kind, "different": distinct, "missing": missing}
    return row | {"because": reason, "or else": printable(override)}


def describe_numbers(encoding: TableEncoding, frame: pl.DataFrame) -> list[Row]:
    """Range, mean and spread of the numbers and of a regression's target, in their own units."""
    values = {name: torch.from_numpy(each) for name, each in numbers(encoding, frame).items()}
    return [describe_column(*each) for each in values.items()]


def numbers(encoding: TableEncoding, frame: pl.DataFrame) -> dict[str, np.ndarray]:
    """The known values of the numbers, and of a regression's target, by name."""
    chosen = {each.column.name: each.column.name for each in encoding.encoders if each.column.kind == "number"}
    if not encoding.target.classes:
        chosen[TARGET + encoding.target.name] = encoding.target.name
    return {name: numbers_in(frame[column]).drop_nulls().to_numpy(writable=True) for name, column in chosen.items()}


def first_rows(frame: pl.DataFrame, target: str) -> list[Row]:
    """The first rows as the file has them, with the target last."""
    shown = frame.head(FIRST).select([*(name for name in frame.columns if name != target), target])
    return [{printable(name): _cell(value) for name, value in row.items()} for row in shown.iter_rows(named=True)]


def _cell(value: Any) -> str:
    text = "-" if value is None else printable(str(value))
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 3]}..."


def telling_columns(encoding: TableEncoding, frame: pl.DataFrame) -> list[str]:
    """Columns from which alone a decision tree tells the target of rows that it has not seen."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    rows = frame.sample(min(frame.height, LOOKED_AT), seed=0, shuffle=True)
    targets = encoding.target.encode(rows[encoding.target.name]).to_numpy()
    half = len(targets) // 2
    if half < 20 or _share_of_commonest(targets[half:], encoding.target) > TELLS - 0.04:
        return []
    found = []
    for encoder in encoding.encoders:
        tree = (DecisionTreeClassifier if encoding.target.classes else DecisionTreeRegressor)(
            max_leaf_nodes=256, random_state=0
        )
        inputs = _encoded(encoder, rows)
        if tree.fit(inputs[:half], targets[:half]).score(inputs[half:], targets[half:]) >= TELLS:
            found.append(encoder.column.name)
    return found


def _share_of_commonest(targets: np.ndarray, target: Target) -> float:
    return float(np.bincount(targets).max() / len(targets)) if target.classes else 0.0


def _encoded(encoder: Encoder, rows: pl.DataFrame) -> np.ndarray:
    out = np.empty((rows.height, len(encoder.names)), np.float32)
    encoder.write(rows[encoder.column.name], out)
    return out


def correlations(encoding: TableEncoding, frame: pl.DataFrame) -> Mapping[str, Any]:
    """Pearson's correlation between numbers, true-or-false columns and the target.

    Of more than two classes, with each class; of many columns, those that go with the target most.

    Returns:
        `names`, and `matrix` (K, K), whose last rows are the target's.
    """
    rows = frame.head(100_000)
    inputs = {
        each.column.name: _encoded(each, rows)[:, 0]
        for each in encoding.encoders
        if each.column.kind in ("number", "boolean")
    }
    target = encoding.target.encode(rows[encoding.target.name]).to_numpy()
    classes = encoding.target.classes
    name = encoding.target.name
    targets = {name: target} if len(classes) < 3 else {f"{name}={c}": target == n for n, c in enumerate(classes[:10])}
    columns = [np.asarray(each, float) for each in (*inputs.values(), *targets.values())]
    with np.errstate(invalid="ignore", divide="ignore"):
        matrix = np.nan_to_num(np.atleast_2d(np.corrcoef(columns)))
    strength = np.abs(matrix[: len(inputs), len(inputs) :]).max(axis=1, initial=0.0)
    kept = np.sort(np.argsort(-strength, kind="stable")[:DRAWN])
    order = [*kept, *range(len(inputs), len(columns))]
    names = [*inputs, *targets]
    return {"names": [names[each] for each in order], "matrix": matrix[np.ix_(order, order)]}
