"""Invalid values in the samples: training refuses them, describe shows them."""

from collections.abc import Iterator

from torch import Tensor

from litlab.data.samples import Declaration, column_axis, column_names, data_error
from litlab.data.splits import Split
from litlab.data.stored import StoredInputs
from litlab.escape import some


def refuse_faults(data: Declaration, splits: dict[str, Split]) -> None:
    """Check values before training.

    Raises:
        RequestError: the first of `faults`.
    """
    if found := list(faults(data, splits)):
        others = f" (scripts/describe.py shows {len(found) - 1} more)" if len(found) > 1 else ""
        raise data_error(data, found[0] + others)


def faults(data: Declaration, splits: dict[str, Split]) -> Iterator[str]:
    """A sentence for each kind of invalid value: not finite, or outside the tokens or classes."""
    for part, split in splits.items():
        for what, values in split._asdict().items():
            if not _finite(values):
                where = _where(data, what, values[:])
                yield f"the {part} {what} hold NaN or infinite values in {where}; fix them in load()"
    for part, (inputs, _) in splits.items():
        if data.num_tokens and len(inputs) and (inputs.min() < 0 or inputs.max() >= data.num_tokens):
            yield (
                f"the {part} inputs hold tokens from {int(inputs.min())} to {int(inputs.max())}, but num_tokens = "
                f"{data.num_tokens} means 0 to {data.num_tokens - 1}; fix load() or num_tokens"
            )
    if data.class_names:
        yield from _label_faults(len(data.class_names), splits)


def _finite(values: Tensor | StoredInputs) -> bool:
    """Whether all of them are."""
    if isinstance(values, StoredInputs):
        return not values.dtype.is_floating_point or all(map(_finite, values.chunks()))
    # The sum takes a tenth of the time, but may overflow.
    return bool(values.sum().isfinite() or values.isfinite().all())


def _where(data: Declaration, what: str, values: Tensor) -> str:
    """How many samples have values that are not finite and, in a table or a sequence, in which columns."""
    broken, names = values.isfinite().logical_not(), ""
    if what == "inputs" and values.dim() in (2, 3):
        columns = broken.movedim(column_axis(values), 0).flatten(1).any(1).tolist()
        names = f" ({some([name for name, gaps in zip(column_names(data), columns, strict=True) if gaps])})"
    return f"{int(broken.reshape(len(values), -1).any(1).sum()):,} of {len(values):,} samples{names}"


def _label_faults(classes: int, splits: dict[str, Split]) -> Iterator[str]:
    labels = {part: targets for part, (_, targets) in splits.items() if len(targets)}
    low, high = min(int(each.min()) for each in labels.values()), max(int(each.max()) for each in labels.values())
    if low >= 0 and high < classes:
        return
    if low < high < low + classes:  # they fit, but do not start from 0
        step = f"subtract {high - classes + 1}" if high >= classes else f"add {-low}"
        yield f"labels go from {low} to {high}, but classes are 0 to {classes - 1}: {step} in load()"
        return
    for part, targets in labels.items():
        outside = targets[(targets < 0) | (targets >= classes)]
        if len(outside):
            where = f"{len(outside):,} of {len(targets):,} in the {part} split, such as {int(outside[0])}"
            yield f"labels outside the classes 0 to {classes - 1}: {where}; fix load() or class_names"
