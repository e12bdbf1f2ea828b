"""Binary classification: cross entropy on one logit, accuracy, precision, recall, F1, AUROC, calibration error."""

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryF1Score,
    BinaryPrecision,
    BinaryRecall,
)

from litlab.tasks.auroc import DefinedBinaryAUROC
from litlab.tasks.base import Task
from litlab.tasks.calibration import BinaryTopLabelError
from litlab.tasks.class_weights import class_weights


class Binary(Task):
    """Binary cross entropy on one logit (N, 1), float32, and labels (N,), int64, 0 or 1.

    The loss contains the sigmoid: log(sigmoid(x)) on its own loses precision where the network is confident.

    Args:
        num_outputs: 1.
        class_weights: balanced: both classes weigh the same in the loss, however many samples they have; None: all
            samples do.
    """

    target_kind = "binary"
    pictures = ("confusion_matrix", "mistakes")
    weight: Tensor | None

    def __init__(
        self, *args: Any, num_outputs: int, class_weights: Literal["balanced"] | None = None, **kwargs: Any
    ) -> None:
        self.class_weights = class_weights
        super().__init__(*args, **kwargs)
        # Registered before `setup`: WeightAveraging copies the task before it, and pairs buffers by their order.
        self.register_buffer("weight", None if class_weights is None else torch.ones(2), persistent=False)

    def setup(self, stage: str) -> None:
        """Compute the class weights from the training split, once the data are loaded."""
        if self.class_weights is not None and self.trainer.datamodule is not None:
            labels = self.trainer.datamodule.splits["train"].targets
            self.weight = class_weights(self.class_weights, labels, 2).to(self.device)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean binary cross entropy."""
        weight = None if self.weight is None else self.weight[targets]
        return F.binary_cross_entropy_with_logits(outputs.squeeze(1), targets.to(outputs.dtype), weight)

    def predictions(self, outputs: Tensor) -> Tensor:
        """Probabilities (N,) of class 1. torchmetrics takes logits that all lie in [0, 1] for probabilities."""
        return outputs.squeeze(1).sigmoid()

    def build_metrics(self) -> dict[str, Metric]:
        """Class 1 is the positive one, predicted from a probability of 0.5.

        The calibration error is that of the predicted class: see `litlab.tasks.calibration`.
        """
        return {
            "accuracy": BinaryAccuracy(validate_args=False),
            "precision": BinaryPrecision(validate_args=False),
            "recall": BinaryRecall(validate_args=False),
            "f1": BinaryF1Score(validate_args=False),
            "auroc": DefinedBinaryAUROC(),
            "calibration_error": BinaryTopLabelError(),
        }
