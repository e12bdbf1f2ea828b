"""Which arrays of a file are inputs and targets, and whether the targets are classes or numbers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from litlab.config.suggestions import suggestion
from litlab.data.reading.array_file import TEXT, ArrayFile, open_file
from litlab.errors import RequestError
from litlab.escape import printable

INPUTS = ("inputs", "x", "images", "data", "features", "signals", "samples")
TARGETS = ("targets", "y", "labels", "label", "target", "classes")
PARTS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


class Named(NamedTuple):
    """The names of a part's inputs and targets."""

    inputs: str
    targets: str


def choose(file: ArrayFile, inputs: str | None, targets: str | None) -> tuple[dict[str, Named], str]:
    """The arrays that are inputs and targets, by part (train, val, test; or all, as ""), and why these.

    Args:
        file: has the arrays.
        inputs: the name of the inputs, or what it begins or ends with before _train and the like; None: a usual one.
        targets: likewise.

    Raises:
        RequestError: it cannot be told, or there is no such array.
    """
    given = {"inputs": inputs, "targets": targets}
    for setting, name in given.items():
        if name is not None and not _matching(file.kinds, (name,)):
            meant = suggestion(name, file.kinds)
            asked = f"data.{setting}={printable(name)}"
            raise RequestError(f"{asked}: {file.asked} has no such array{meant}; it has {file}")
    x = _matching(file.kinds, INPUTS if inputs is None else (inputs,))
    others = [name for name in file.kinds if name not in x.values()]
    y = _matching(others, TARGETS if targets is None else (targets,))
    if x and y:
        if x.keys() != y.keys() or not {"", "train"} & x.keys():
            parts = "/".join(map(lambda part: part or "all", sorted({*x, *y})))
            raise RequestError(f"{file.asked}: needs inputs and targets of the same parts ({parts}); it has {file}")
        chosen: dict[str, Named] = {part: Named(x[part], y[part]) for part in ("", "train", "val", "test") if part in x}
        return chosen, "as data.inputs and data.targets say" if inputs and targets else "by their names"
    if len(file.kinds) == 2 and not any(given.values()):
        return {"": Named(*file.kinds)}, "the first of the two is taken for the inputs"
    raise RequestError(f"{file.asked}: set data.inputs and data.targets to the names of its arrays: {file}")


def _matching(names: Iterable[str], usual: Sequence[str]) -> dict[str, str]:
    """By part, the array of the first usual name that there is: x, X, x_train or train_x."""
    lower = {name.lower(): name for name in names}
    for base in (each.lower() for each in usual):
        if base in lower:
            return {"": lower[base]}
        spelled = [(part, each) for word, part in PARTS.items() for each in (f"{base}_{word}", f"{word}_{base}")]
        found = {part: lower[each] for part, each in spelled if each in lower}
        if found:
            return found
    return {}


class Labels(NamedTuple):
    """What the targets are.

    Attributes:
        task: classification or regression.
        classes: the different values, sorted, as texts; empty for a regression.
        reason: why.
    """

    task: str
    classes: tuple[str, ...]
    values: np.ndarray  # that the classes are, sorted
    reason: str


def suggest_task(settings: Mapping[str, Any]) -> list[str]:
    """The override that chooses the task which the targets in `data.file` suggest, given the settings of data=arrays.

    Raises:
        RequestError: the file cannot be used.
    """
    file, targets = open_file(settings.get("file"), settings.get("targets"))
    chosen, _ = choose(file, settings.get("inputs"), targets)
    return [f"task={judge(targets_of(file, next(iter(chosen.values())).targets)).task}"]


def targets_of(file: ArrayFile, name: str) -> np.ndarray:
    """Targets (N,) or (N, K); rows of one 1 among zeros become its index.

    Raises:
        RequestError: they have more axes, or are missing.
    """
    targets = np.asarray(file[name])
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.ndim not in (1, 2):
        raise RequestError(
            f"{file.asked}: '{printable(name)}' has the shape {targets.shape}; targets are (N,) or (N, K)"
        )
    is_binary = targets.ndim == 2 and targets.dtype.kind in "biu" and targets.size > 0 and targets.max() <= 1
    one_hot = is_binary and targets.min() >= 0 and (targets.sum(1) == 1).all()
    return cast(np.ndarray, targets.argmax(1)) if one_hot else targets


def judge(targets: np.ndarray, task: str | None = None) -> Labels:
    """Whether targets (N,) or (N, K) are classes or numbers; `task` decides, where it is given."""
    whole = targets.dtype.kind in "biu" + TEXT and targets.ndim == 1
    distinct = np.unique(targets) if whole or (task not in (None, "regression") and targets.ndim == 1) else targets[:0]
    few = targets.dtype.kind in TEXT + "b" or len(distinct) <= max(20, len(targets) // 10)
    kind = "texts" if targets.dtype.kind in TEXT else "whole numbers" if whole else f"{targets.dtype} numbers"
    suggested = "classification" if whole and few else "regression"
    as_suggested = task in (None, suggested) or (task == "binary" and suggested == "classification")
    if (task or suggested) == "regression":
        several = f", {targets.shape[1]} of each sample" if targets.ndim == 2 else ""
        return Labels("regression", (), distinct[:0], kind + several if as_suggested else "as task= says")
    names = tuple(printable(str(each)) for each in distinct.tolist())
    return Labels(
        "classification", names, distinct, f"{len(names)} different {kind}" if as_suggested else "as task= says"
    )
