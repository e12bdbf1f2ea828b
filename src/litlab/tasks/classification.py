"""Multiclass classification: cross entropy, accuracy, precision, recall, F1, AUROC, calibration error."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy

from litlab.config.values import Fraction
from litlab.errors import RequestError
from litlab.tasks.class_weights import ClassWeightedTask
from litlab.tasks.focal import focal
from litlab.tasks.metrics import (
    DefinedMulticlassAUROC,
    MacroF1,
    MacroPrecision,
    MacroRecall,
    MulticlassTopLabelError,
)


class Classification(ClassWeightedTask):
    """Cross entropy on logits (N, C), float32, and labels (N,), int64; macro-averaged metrics.

    Args:
        label_smoothing: fraction of the target that is spread over all classes (Szegedy et al. 2016, arXiv:1512.00567).
    """

    target_kind = "classification"

    def __init__(
        self,
        *args: Any,
        label_smoothing: Fraction = 0.0,
        **kwargs: Any,
    ) -> None:
        self.label_smoothing = label_smoothing
        super().__init__(*args, **kwargs)
        if label_smoothing and self.criterion != "cross_entropy":
            raise RequestError(f"task.label_smoothing={label_smoothing}: needs task.loss=cross_entropy; set 0")

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean over the samples, or over their class weights."""
        if self.criterion == "cross_entropy":
            return F.cross_entropy(outputs, targets, self.weight, label_smoothing=self.label_smoothing)
        if self.criterion == "focal":
            losses = focal(F.cross_entropy(outputs, targets, reduction="none"))
            return losses.mean() if self.weight is None else losses @ self.weight[targets] / self.loss_weight(targets)
        return self.criterion(outputs, targets)

    def loss_weight(self, targets: Tensor) -> int | Tensor:
        """The number of samples, or the sum of their class weights: what cross entropy divides by."""
        return super().loss_weight(targets) if self.weight is None else self.weight[targets].sum()

    def predictions(self, outputs: Tensor) -> Tensor:
        """Probabilities (N, C), of at least float32: in bf16 the largest of a sample may be equal.

        torchmetrics takes logits that all lie in [0, 1] for probabilities.
        """
        return outputs.softmax(1, dtype=torch.promote_types(outputs.dtype, torch.float32))

    def build_metrics(self) -> dict[str, Metric]:
        """Accuracy is over all samples (micro); precision, recall, F1 and AUROC are means over the classes (macro)."""
        classes = self.num_outputs
        return {
            "accuracy": MulticlassAccuracy(classes, average="micro", validate_args=False),
            "precision": MacroPrecision(classes, validate_args=False),
            "recall": MacroRecall(classes, validate_args=False),
            "f1": MacroF1(classes, validate_args=False),
            "auroc": DefinedMulticlassAUROC(classes),
            "calibration_error": MulticlassTopLabelError(classes),
        }
