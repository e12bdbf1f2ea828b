"""Splits of a data set, and carving one from another."""

import warnings
from typing import NamedTuple

import torch
from torch import Tensor

from litlab.data.stored import StoredInputs
from litlab.errors import RequestError


class Split(NamedTuple):
    """One split: inputs (N, ...), float32 or tokens, int64; targets (N,) or (N, K), float32, or classes (N,), int64.

    Inputs of a smaller type, such as uint8, are `StoredInputs` in place of a tensor; `inputs[:]` is a tensor of both.
    """

    inputs: Tensor
    targets: Tensor

    def take(self, index: Tensor) -> "Split":
        """The samples of these indices, copied; stored inputs are not."""
        stored = isinstance(self.inputs, StoredInputs)
        return Split(self.inputs.take(index) if stored else self.inputs[index], self.targets[index])


def carve(split: Split, size: int | float, setting: str, seed: int) -> tuple[Split, Split]:
    """Split off `size` samples (int) or that fraction (float), drawn by `seed`: the rest, and those.

    Raises:
        RequestError: naming data.`setting`: one of the two would be empty, and size is not 0.
    """
    total = len(split.inputs)
    if not size:
        return split, split.take(torch.arange(0))
    if total == 1:
        otherwise = "set 0" if setting == "val_size" else "load() must return more"
        raise RequestError(f"data.{setting}={size}: cannot split 1 sample; {otherwise}")
    count = round(size * total) if isinstance(size, float) else size
    if not count:
        raise RequestError(f"data.{setting}={size}: rounds to 0 of {total} samples; set a whole number, such as 1")
    if count >= total:
        fitting = min(max(total // 10, 1), total - 1)
        raise RequestError(f"data.{setting}={size}: leaves nothing of {total} samples; try {fitting}")
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    return split.take(order[count:]), split.take(order[:count])


def hold_out_fold(split: Split, folds: int, fold: int, seed: int) -> tuple[Split, Split]:
    """Hold out one fold: the others, and that one. scikit-learn's KFold or, for classes, StratifiedKFold, shuffled.

    Raises:
        RequestError: there are fewer samples, or fewer of every class, than folds.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    is_classes = split.targets.dtype == torch.int64
    try:
        splitter = (StratifiedKFold if is_classes else KFold)(folds, shuffle=True, random_state=seed)
        with warnings.catch_warnings():  # a class with fewer samples than folds is absent from some
            warnings.simplefilter("ignore", UserWarning)
            kept, held_out = list(splitter.split(split.targets, split.targets if is_classes else None))[fold]
    except ValueError as error:
        what = "samples of each class" if is_classes and len(split.targets) >= folds else "samples"
        raise RequestError(f"data.folds={folds}: must be from 2 to the number of {what}") from error
    return split.take(torch.from_numpy(kept)), split.take(torch.from_numpy(held_out))
