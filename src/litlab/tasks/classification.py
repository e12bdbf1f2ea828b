"""Multiclass classification: cross entropy, accuracy, precision, recall, F1, AUROC, calibration error."""

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
)

from litlab.config.values import Fraction
from litlab.tasks.auroc import DefinedMulticlassAUROC
from litlab.tasks.base import Task
from litlab.tasks.calibration import MulticlassTopLabelError
from litlab.tasks.class_weights import class_weights


class Classification(Task):
    """Cross entropy on logits (N, C), float32, and labels (N,), int64; macro-averaged metrics.

    Args:
        num_outputs: C, the number of classes.
        label_smoothing: fraction of the target that is spread over all classes (Szegedy et al. 2016, arXiv:1512.00567).
        class_weights: balanced: all classes weigh the same in the loss, however many samples they have; None: all
            samples do.
    """

    target_kind = "classification"
    pictures = ("confusion_matrix", "mistakes")
    weight: Tensor | None

    def __init__(
        self,
        *args: Any,
        num_outputs: int,
        label_smoothing: Fraction = 0.0,
        class_weights: Literal["balanced"] | None = None,
        **kwargs: Any,
    ) -> None:
        self.num_outputs, self.label_smoothing, self.class_weights = num_outputs, label_smoothing, class_weights
        super().__init__(*args, **kwargs)
        # Registered before `setup`: WeightAveraging copies the task before it, and pairs buffers by their order.
        weight = None if class_weights is None else torch.ones(num_outputs)
        self.register_buffer("weight", weight, persistent=False)

    def setup(self, stage: str) -> None:
        """Compute the class weights from the training split, once the data are loaded."""
        if self.class_weights is not None and self.trainer.datamodule is not None:
            labels = self.trainer.datamodule.splits["train"].targets
            self.weight = class_weights(self.class_weights, labels, self.num_outputs).to(self.device)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross entropy."""
        return F.cross_entropy(outputs, targets, self.weight, label_smoothing=self.label_smoothing)

    def loss_weight(self, targets: Tensor) -> int | Tensor:
        """The number of samples, or the sum of their class weights: what cross entropy divides by."""
        return super().loss_weight(targets) if self.weight is None else self.weight[targets].sum()

    def predictions(self, outputs: Tensor) -> Tensor:
        """Probabilities (N, C). torchmetrics takes logits that all lie in [0, 1] for probabilities."""
        return outputs.softmax(1)

    def build_metrics(self) -> dict[str, Metric]:
        """Accuracy is over all samples (micro); precision, recall, F1 and AUROC are means over the classes (macro).

        The calibration error is that of the predicted class: see `litlab.tasks.calibration`.
        """
        classes = self.num_outputs
        return {
            "accuracy": MulticlassAccuracy(classes, average="micro", validate_args=False),
            "precision": MulticlassPrecision(classes, validate_args=False),
            "recall": MulticlassRecall(classes, validate_args=False),
            "f1": MulticlassF1Score(classes, validate_args=False),
            "auroc": DefinedMulticlassAUROC(classes),
            "calibration_error": MulticlassTopLabelError(classes),
        }
