"""Redundancy in a data set: duplicate samples, equal columns, and columns that give the target away."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from litlab.data.samples import Declaration
from litlab.data.splits import Split

SURE = 20  # samples; in fewer, columns may agree by chance
SAME = 1 - 1e-6  # correlation, of float32


def relations(data: Declaration, split: Split, hashes: Sequence[int], names: Sequence[str]) -> dict[str, Any]:
    """Redundant columns and contradicting samples of a split.

    Args:
        data: the data set.
        split: its inputs may contain NaN.
        hashes: `row_hashes` of the inputs.
        names: of the columns; more may follow.
    """
    table = len(data.input_shape) == 1 and data.num_tokens is None
    names = names[: data.input_shape[0]]
    return {
        "contradictions": contradictions(hashes, split.targets) if data.class_names is not None else 0,
        "equal columns": equal_columns(split.inputs[:], names) if table else [],
        "telling columns": telling_columns(Split(split.inputs[:], split.targets), names) if table else [],
    }


def row_hashes(inputs: Tensor) -> list[int]:
    """A number per sample, equal for equal inputs (N, ...)."""
    parts = (np.ascontiguousarray(part.flatten(1).numpy() + 0.0) for part in inputs.split(1024))  # -0.0 becomes 0.0
    return [hash(row.tobytes()) for part in parts for row in part]


def contradictions(hashes: Sequence[int], labels: Tensor) -> int:
    """Samples whose inputs also occur with another label; `row_hashes`, labels (N,)."""
    found = _grouped(zip(hashes, labels.tolist(), strict=True))
    return sum(len(group) for group in found.values() if len(set(group)) > 1)


def equal_columns(inputs: Tensor, names: Sequence[str]) -> list[list[str]]:
    """Names of columns of (N, F) that are equal in all samples; constant columns do not count."""
    if len(inputs) < SURE:
        return []
    found = _grouped(zip(row_hashes(inputs.T), range(len(names)), strict=True))
    groups = [
        group
        for group in found.values()
        if len(group) > 1 and not bool((inputs[:, group[0]] == inputs[0, group[0]]).all())
    ]
    return [[names[number] for number in group] for group in groups]


def telling_columns(split: Split, names: Sequence[str]) -> list[str]:
    """Names of columns of (N, F) that equal a target up to scale and offset; none for a single column."""
    if len(split.inputs) < SURE or len(names) < 2:
        return []
    targets = _centred(split.targets.reshape(len(split.targets), -1))
    columns = (_centred(column.unsqueeze(1)) for column in split.inputs.unbind(1))  # one by one, to save memory
    return [
        name
        for name, column in zip(names, columns, strict=True)
        if bool(((column * targets).sum(0).abs() > SAME).any())
    ]


def _centred(values: Tensor) -> Tensor:
    """Columns (N, K) of mean 0 and norm 1; NaN for constant ones."""
    values = values.double()
    values = values - values.mean(0)
    return values / values.norm(dim=0)


def _grouped(pairs: Iterable[tuple[Hashable, Any]]) -> dict[Hashable, list[Any]]:
    groups = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return groups
