"""The columns of a data set, and what describes each: range, mean, spread, skewness, kind of values."""

import math
from typing import Any

import torch
from torch import Tensor

from litlab.data.samples import column_axis, column_names
from litlab.data.splits import Split
from litlab.data.tensors import TensorData

TARGET = "target: "  # before the names of targets
LARGE = 1e15  # numbers whose powers overflow float32
CODES = 20  # whole numbers from 0 to this may be codes (answers, one-hot, class indices), whose scale means nothing
Row = dict[str, Any]  # of a table of splits, classes or columns


def columns(data: TensorData, split: Split) -> dict[str, Tensor]:
    """Values by name: each column or channel (`column_axis`), or all tokens; and the targets of a regression."""
    inputs, axis = split.inputs[:], column_axis(split.inputs)
    if data.num_tokens is None:
        values = {name: inputs.select(axis, number).flatten() for number, name in enumerate(column_names(data))}
    else:
        values = {"tokens": inputs.flatten()}
    if data.class_names is None:
        name = data.target_name if data.target_name != TensorData.target_name else "y"
        targets = split.targets.reshape(len(split.targets), -1).unbind(1)
        for number, target in enumerate(targets):
            values[TARGET + name + (f" {number}" if len(targets) > 1 else "")] = target
    return values


def describe_column(name: str, values: Tensor) -> Row:
    """Minimum, mean, maximum, standard deviation, skewness, kind, and how many are not finite; of values (N,)."""
    values = values.float()
    finite = values if bool(values.sum().isfinite()) else values[values.isfinite()]
    row: Row = {"name": name, "min": math.nan, "mean": math.nan, "max": math.nan, "std": math.nan, "skewness": 0.0}
    if len(finite):
        low, high = float(finite.min()), float(finite.max())
        finite = finite.double() if max(-low, high) > LARGE else finite
        std, mean = map(float, torch.std_mean(finite, correction=0)) if low < high else (0.0, low)
        row |= {"min": low, "mean": _rounded(mean, std), "max": high, "std": std}
        row["skewness"] = _rounded(float((finite - mean).div_(std).pow_(3).mean()), 1.0) if low < high else 0.0
    return row | {"values": kind_of(finite), "not finite": len(values) - len(finite)}


def kind_of(values: Tensor) -> str:
    """Of finite values (N,): constant, two (different ones), whole (numbers), or real."""
    if not len(values) or bool((values == values[0]).all()):
        return "constant"
    if bool(((values == values.min()) | (values == values.max())).all()):
        return "two"
    return "whole" if bool((values.frac() == 0).all()) else "real"


def is_target(row: Row) -> bool:
    """Whether a described column is a regression target."""
    return row["name"].startswith(TARGET)


def is_code(row: Row) -> bool:
    """Whether a described column holds codes (answers, one-hot, class indices): their scale means nothing."""
    whole = row["values"] in ("two", "whole") and row["min"].is_integer() and row["max"].is_integer()
    return whole and row["min"] >= 0 and row["max"] <= CODES


def _rounded(value: float, scale: float) -> float:
    """`value`, or 0 where it is a rounding error at this scale."""
    return value if abs(value) > 1e-6 * scale else 0.0
