"""The splits of a data set: one carved from another, and their values held against what a loss can take."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from litlab.errors import RequestError


class Split(NamedTuple):
    """One split: inputs (N, ...), float32; targets (N,) or (N, K), float32, or for classes (N,), int64."""

    inputs: Tensor
    targets: Tensor


class Declaration(Protocol):
    """What a data set says of its samples; see `TensorData`."""

    input_shape: tuple[int, ...]
    num_outputs: int
    class_names: tuple[str, ...] | None
    feature_names: tuple[str, ...] | None


def carve(split: Split, size: int | float, setting: str, seed: int) -> tuple[Split, Split]:
    """What is left of a split, and `size` samples of it (int) or that share (float), drawn by `seed`.

    Raises:
        RequestError: naming data.`setting`: one of the two would be empty, and size is not 0.
    """
    total = len(split.inputs)
    if not size:
        return split, Split(split.inputs[:0], split.targets[:0])
    count = round(size * total) if isinstance(size, float) else size
    if not count:
        raise RequestError(f"data.{setting}={size}: of {total} samples that is none; take a whole number, such as 1")
    if count >= total:
        fitting = min(max(total // 10, 1), total - 1)
        raise RequestError(f"data.{setting}={size}: must leave something of {total} samples; try {fitting}")
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    kept, carved = order[count:], order[:count]
    return Split(split.inputs[kept], split.targets[kept]), Split(split.inputs[carved], split.targets[carved])


def refuse_unfit(data: Declaration, splits: dict[str, Split]) -> None:
    """Hold the values against what a loss can take.

    Raises:
        RequestError: some are no numbers, or labels of no class.
    """
    for part, (inputs, targets) in splits.items():
        where = "; mend them in load()" + " (scripts/describe.py shows the columns)" * (part == "train")
        if not _finite(inputs):
            broken = _broken_columns(data, inputs)
            raise fault(data, f"the {part} inputs hold NaN or infinite values{broken}{where}")
        if not _finite(targets):
            raise fault(data, f"the {part} targets hold NaN or infinite values{where}")
        classes = len(data.class_names or ())
        if classes and len(targets) and not 0 <= int(targets.min()) <= int(targets.max()) < classes:
            raise fault(data, f"a {part} label lies outside the classes 0 to {classes - 1}; mend load() or class_names")


def fault(data: Declaration, text: str) -> RequestError:
    """An error of a data set, by the name of its class."""
    return RequestError(f"data={type(data).__name__}: {text}")


def _finite(values: Tensor) -> bool:
    """Whether all are; their sum is not if one is not, and takes a tenth of the time of asking each."""
    return bool(values.sum().isfinite()) or bool(values.isfinite().all())


def _broken_columns(data: Declaration, inputs: Tensor) -> str:
    """Of a table's inputs (N, F), where it has gaps."""
    if inputs.dim() != 2:
        return ""
    first, *others = inputs.isfinite().logical_not().any(0).nonzero().flatten().tolist()
    name = data.feature_names[first] if data.feature_names else f"column {first}"
    return f" in {name}" + (f" and {len(others)} more" if others else "")
