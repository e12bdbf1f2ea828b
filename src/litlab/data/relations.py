"""What a data set holds twice: samples of the same inputs, equal columns, and columns that are the target."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from litlab.data.samples import Declaration
from litlab.data.splits import Split

SURE = 20  # samples, from which on columns hardly agree by accident
SAME = 1 - 1e-6  # correlation, of float32


def relations(data: Declaration, split: Split, hashes: Sequence[int], names: Sequence[str]) -> dict[str, Any]:
    """What a split holds twice.

    Args:
        data: what the split is of.
        split: perhaps with gaps.
        hashes: of its inputs; see `row_hashes`.
        names: of its columns; more may follow.
    """
    table = len(data.input_shape) == 1 and data.num_tokens is None
    names = names[: data.input_shape[0]]
    return {
        "contradictions": contradictions(hashes, split.targets) if data.class_names is not None else 0,
        "equal columns": equal_columns(split.inputs, names) if table else [],
        "telling columns": telling_columns(split, names) if table else [],
    }


def row_hashes(inputs: Tensor) -> list[int]:
    """A number per sample, equal for equal inputs (N, ...)."""
    rows = np.ascontiguousarray(inputs.flatten(1).numpy() + 0.0)  # + 0.0: minus zero is zero
    return [hash(row.tobytes()) for row in rows]


def contradictions(hashes: Sequence[int], labels: Tensor) -> int:
    """Samples that occur with another label, too; `hashes` as `row_hashes` gives them, labels (N,)."""
    found = _grouped(zip(hashes, labels.tolist(), strict=True))
    return sum(len(group) for group in found.values() if len(set(group)) > 1)


def equal_columns(inputs: Tensor, names: Sequence[str]) -> list[list[str]]:
    """Names of columns that are equal to each other in all samples (N, F), and not always the same."""
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
    """Names of columns, of several (N, F), that are a target, or a target times a number and plus another."""
    if len(split.inputs) < SURE or len(names) < 2:  # one column alone may well be all there is to know
        return []
    targets = _centred(split.targets.reshape(len(split.targets), -1))
    columns = (_centred(column.unsqueeze(1)) for column in split.inputs.unbind(1))  # one by one: they take less memory
    return [
        name
        for name, column in zip(names, columns, strict=True)
        if bool(((column * targets).sum(0).abs() > SAME).any())
    ]


def _centred(values: Tensor) -> Tensor:
    """Of mean 0 and length 1, (N, K); NaN where they are always the same."""
    values = values.double()
    values = values - values.mean(0)
    return values / values.norm(dim=0)


def _grouped(pairs: Iterable[tuple[Hashable, Any]]) -> dict[Hashable, list[Any]]:
    groups = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return groups
