"""Metrics that differ from torchmetrics': means over classes, AUROC without a class, calibration as Guo et al. 2017.

For the calibration error (arXiv:1706.04599) samples go into 15 bins by the confidence of the predicted class. It is the
mean over the bins of |accuracy - mean confidence|, weighted by their numbers of samples.
"""

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.classification import (
    BinaryAUROC,
    BinaryCalibrationError,
    MulticlassAUROC,
    MulticlassCalibrationError,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
)
from torchmetrics.utilities import dim_zero_cat

BELOW_ONE = 1 - 2**-24  # the float32 before 1; torchmetrics has a sixteenth bin for a confidence of exactly 1


def metric_name(split: str, name: str) -> str:
    """Of a metric of given weights on a split: val/accuracy.

    Their loss on the training split is train/eval_loss: train/loss is the mean over an epoch's steps, while the weights
    changed.
    """
    return "train/eval_loss" if (split, name) == ("train", "loss") else f"{split}/{name}"


class _MeanOverClasses:
    """At most 1: torchmetrics sums rounded parts, so that of ten classes a perfect F1 would be 1.0000001."""

    def compute(self) -> Tensor:
        """A scalar, float32."""
        mean: Tensor = super().compute()  # type: ignore[misc]
        return mean.clamp(max=1)


class MacroPrecision(_MeanOverClasses, MulticlassPrecision):
    """The mean over the classes that occur."""


class MacroRecall(_MeanOverClasses, MulticlassRecall):
    """The mean over the classes that occur."""


class MacroF1(_MeanOverClasses, MulticlassF1Score):
    """The mean over the classes that occur."""


def areas(scores: Tensor, positive: Tensor) -> Tensor:
    """The area under each row's ROC curve, from the ranks of its positives (Mann and Whitney 1947); ties count half.

    torchmetrics draws a curve per class, which takes 20 times as long.

    Args:
        scores: (C, N).
        positive: (C, N), bool.

    Returns:
        (C,), float32; NaN where a row has no positives or no negatives, or a score is NaN.
    """
    ordered, places = scores.sort(1)
    positive, size = positive.gather(1, places), scores.shape[1]
    index, differs = torch.arange(size, device=scores.device).expand_as(ordered), ordered.diff(dim=1) != 0
    first = index.masked_fill(~F.pad(differs, (1, 0), value=True), 0).cummax(1).values  # of equal scores
    last = index.masked_fill(~F.pad(differs, (0, 1), value=True), size).flip(1).cummin(1).values.flip(1)
    ranks = (first + last).double() / 2 + 1
    number = positive.sum(1).double()
    areas = ((ranks * positive).sum(1) - number * (number + 1) / 2) / (number * (size - number))
    return torch.where(scores.isnan().any(1), torch.nan, areas).float()


class DefinedBinaryAUROC(BinaryAUROC):
    """NaN where only one class is present; torchmetrics counts 0."""

    def __init__(self) -> None:
        super().__init__(validate_args=False)

    def compute(self) -> Tensor:  # type: ignore[override] # as torchmetrics' own
        """A scalar, float32."""
        return areas(dim_zero_cat(self.preds)[None], dim_zero_cat(self.target)[None] == 1)[0]


class DefinedMulticlassAUROC(MulticlassAUROC):
    """One against rest, the mean over the classes that have samples; NaN where only one has."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, average="none", validate_args=False)

    def compute(self) -> Tensor:  # type: ignore[override] # as torchmetrics' own
        """A scalar, float32."""
        targets = dim_zero_cat(self.target)
        counts = targets.bincount(minlength=self.num_classes)
        classes = torch.nonzero((counts > 0) & (counts < len(targets)))
        return areas(dim_zero_cat(self.preds).T[classes[:, 0]].contiguous(), targets == classes).mean()


class BinaryTopLabelError(BinaryCalibrationError):
    """Of the predicted class, by a threshold of 0.5; torchmetrics bins the probability of class 1."""

    def __init__(self) -> None:
        super().__init__(validate_args=False)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Probabilities of class 1 (N,), float32, and labels (N,), int64, 0 or 1."""
        predicted = preds > 0.5
        confidence = torch.where(predicted, preds, 1 - preds).clamp(max=BELOW_ONE)
        super().update(confidence, (predicted == target).long())


class MulticlassTopLabelError(MulticlassCalibrationError):
    """Of the class with the largest probability."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, validate_args=False)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Probabilities (N, C), float32, and labels (N,), int64."""
        super().update(preds.clamp(max=BELOW_ONE), target)
