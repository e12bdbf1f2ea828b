"""The splits of a data set: one carved from another, and their values held against what a loss can take."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from litlab.errors import RequestError


class Split(NamedTuple):
    """One split: inputs (N, ...), float32 or tokens, int64; targets (N,) or (N, K), float32, or classes (N,), int64."""

    inputs: Tensor
    targets: Tensor


class Declaration(Protocol):
    """What a data set says of its samples; see `TensorData`."""

    input_shape: tuple[int, ...]
    num_outputs: int
    class_names: tuple[str, ...] | None
    feature_names: tuple[str, ...] | None
    num_tokens: int | None


def model_arguments(data: Any) -> dict[str, Any]:
    """What a model needs to know of the data: `input_shape`, `num_outputs` and, of tokens, `num_tokens`."""
    tokens = getattr(data, "num_tokens", None)  # others' data know of none
    given = {"input_shape": data.input_shape, "num_outputs": data.num_outputs}
    return given if tokens is None else given | {"num_tokens": tokens}


def column_axis(inputs: Tensor) -> int:
    """The axis along which inputs have columns, each with statistics of its own.

    Columns of a table (N, F), channels of a sequence (N, time, channels) or of images (N, channels, height, width).
    """
    return 2 if inputs.dim() == 3 else 1


def column_names(data: Declaration) -> tuple[str, ...]:
    """Names along `column_axis`."""
    shape = data.input_shape
    if len(shape) > 2:
        images = {1: ("grey",), 3: ("red", "green", "blue")}
        return images.get(shape[0]) or tuple(f"channel {number}" for number in range(shape[0]))
    kind = "column" if len(shape) == 1 else "channel"
    return data.feature_names or tuple(f"{kind} {number}" for number in range(shape[-1]))


def carve(split: Split, size: int | float, setting: str, seed: int) -> tuple[Split, Split]:
    """What is left of a split, and `size` samples of it (int) or that share (float), drawn by `seed`.

    Raises:
        RequestError: naming data.`setting`: one of the two would be empty, and size is not 0.
    """
    total = len(split.inputs)
    if not size:
        return split, Split(split.inputs[:0], split.targets[:0])
    if total == 1:
        otherwise = "take 0" if setting == "val_size" else "load() must give more"
        raise RequestError(f"data.{setting}={size}: 1 sample cannot be split; {otherwise}")
    count = round(size * total) if isinstance(size, float) else size
    if not count:
        raise RequestError(f"data.{setting}={size}: of {total} samples that is none; take a whole number, such as 1")
    if count >= total:
        fitting = min(max(total // 10, 1), total - 1)
        raise RequestError(f"data.{setting}={size}: must leave something of {total} samples; try {fitting}")
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    kept, carved = order[count:], order[:count]
    return Split(split.inputs[kept], split.targets[kept]), Split(split.inputs[carved], split.targets[carved])


def part_folds(split: Split, folds: int, fold: int, seed: int) -> tuple[Split, Split]:
    """All folds but one of a split, and that one; with classes, each fold has as many of a class as the others.

    scikit-learn's KFold and StratifiedKFold, shuffled by `seed`.

    Raises:
        RequestError: there are fewer samples, or fewer of every class, than folds.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    is_classes = split.targets.dtype == torch.int64
    try:
        parts = (StratifiedKFold if is_classes else KFold)(folds, shuffle=True, random_state=seed)
        with warnings.catch_warnings():  # of a class with fewer samples than folds, some folds have none
            warnings.simplefilter("ignore", UserWarning)
            kept, held_out = list(parts.split(split.targets, split.targets if is_classes else None))[fold]
    except ValueError as error:
        what = "samples of each class" if is_classes and len(split.targets) >= folds else "samples"
        raise RequestError(f"data.folds={folds}: must be from 2 to the number of {what}") from error
    kept, held_out = torch.from_numpy(kept), torch.from_numpy(held_out)
    return Split(split.inputs[kept], split.targets[kept]), Split(split.inputs[held_out], split.targets[held_out])


def refuse_unfit(data: Declaration, splits: dict[str, Split]) -> None:
    """Hold the values against what a loss can take.

    Raises:
        RequestError: there are `faults`; the first of them.
    """
    if found := list(faults(data, splits)):
        others = f" (scripts/describe.py shows {len(found) - 1} more)" if len(found) > 1 else ""
        raise fault(data, found[0] + others)


def faults(data: Declaration, splits: dict[str, Split]) -> Iterator[str]:
    """A sentence for all that a model or a loss cannot take: what is no number, no token or no class."""
    for part, split in splits.items():
        for what, values in split._asdict().items():
            if _finite(values):
                continue
            broken, names = values.isfinite().logical_not(), ""
            if what == "inputs" and values.dim() in (2, 3):  # of a table or a sequence, where it has gaps
                columns = broken.movedim(column_axis(values), 0).flatten(1).any(1).tolist()
                names = f" ({some([name for name, gaps in zip(column_names(data), columns, strict=True) if gaps])})"
            where = f"{int(broken.reshape(len(values), -1).any(1).sum()):,} of {len(values):,} samples{names}"
            yield f"the {part} {what} hold NaN or infinite values in {where}; mend them in load()"
    for part, (inputs, _) in splits.items():
        if data.num_tokens and len(inputs) and (inputs.min() < 0 or inputs.max() >= data.num_tokens):
            yield (
                f"the {part} inputs hold tokens from {int(inputs.min())} to {int(inputs.max())}, and num_tokens = "
                f"{data.num_tokens} means 0 to {data.num_tokens - 1}; mend load() or num_tokens"
            )
    if data.class_names:
        yield from _strange_labels(len(data.class_names), splits)


def _strange_labels(classes: int, splits: dict[str, Split]) -> Iterator[str]:
    labels = {part: targets for part, (_, targets) in splits.items() if len(targets)}
    low, high = min(int(each.min()) for each in labels.values()), max(int(each.max()) for each in labels.values())
    if low >= 0 and high < classes:
        return
    if low < high < low + classes:  # as many as there are classes, counted from elsewhere
        step = f"subtract {high - classes + 1}" if high >= classes else f"add {-low}"
        yield f"labels go from {low} to {high}, and classes are 0 to {classes - 1}: {step} in load()"
        return
    for part, targets in labels.items():
        strange = targets[(targets < 0) | (targets >= classes)]
        if len(strange):
            where = f"{len(strange):,} of {len(targets):,} in the {part} split, such as {int(strange[0])}"
            yield f"labels outside the classes 0 to {classes - 1}: {where}; mend load() or class_names"


def fault(data: Declaration, text: str) -> RequestError:
    """An error of a data set, by the name of its class."""
    return RequestError(f"data={type(data).__name__}: {text}")


def _finite(values: Tensor) -> bool:
    """Whether all are; their sum is not if one is not, and takes a tenth of the time of asking each."""
    return bool(values.sum().isfinite()) or bool(values.isfinite().all())


def some(names: Sequence[str]) -> str:
    """The first of them."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
