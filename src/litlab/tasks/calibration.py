"""The expected calibration error of Guo et al. 2017 (arXiv:1706.04599), which differs from torchmetrics'.

Samples go into 15 bins by the confidence of the predicted class. The error is the mean over the bins of |accuracy -
mean confidence|, weighted by their numbers of samples.
"""

import torch
from torch import Tensor
from torchmetrics.classification import BinaryCalibrationError, MulticlassCalibrationError

BELOW_ONE = 1 - 2**-24  # the float32 before 1; torchmetrics has a sixteenth bin for a confidence of exactly 1


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
