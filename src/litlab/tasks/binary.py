"""One class of two."""

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

    The sigmoid is in the loss: log(sigmoid(x)) by itself loses its digits where the network is sure.

    Args:
        num_outputs: 1.
        class_weights: balanced: both classes have the same weight in the loss, however many samples they have; None:
            each sample has.
    """

    target_kind = "binary"
    pictures = ("confusion_matrix", "mistakes")
    weight: Tensor | None

    def __init__(
        self, *args: Any, num_outputs: int, class_weights: Literal["balanced"] | None = None, **kwargs: Any
    ) -> None:
        self.class_weights = class_weights
        super().__init__(*args, **kwargs)
        # There from the beginning: WeightAveraging copies the task before `setup`, and pairs buffers by their order.
        self.register_buffer("weight", None if class_weights is None else torch.ones(2), persistent=False)

    def setup(self, stage: str) -> None:
        """Weigh the classes by the training split, which is known when the data are loaded."""
        if self.class_weights is not None and self.trainer.datamodule is not None:
            labels = self.trainer.datamodule.splits["train"].targets
            self.weight = class_weights(self.class_weights, labels, 2).to(self.device)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean binary cross entropy."""
        weight = None if self.weight is None else self.weight[targets]
        return F.binary_cross_entropy_with_logits(outputs.squeeze(1), targets.to(outputs.dtype), weight)

    def predictions(self, outputs: Tensor) -> Tensor:
        """Probabilities (N,) of class 1. Logits that all lie in 0 to 1 torchmetrics would take for them."""
        return outputs.squeeze(1).sigmoid()

    def build_metrics(self) -> dict[str, Metric]:
        """Class 1 is the positive one, from a probability of 0.5.

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
