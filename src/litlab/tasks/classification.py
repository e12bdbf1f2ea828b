"""One class of several."""

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
    """Cross entropy on logits (N, C), float32, and labels (N,), int64; accuracy and its like.

    Args:
        num_outputs: C, the number of classes.
        label_smoothing: share of the target that is spread over all classes (Szegedy et al. 2016, arXiv:1512.00567).
        class_weights: balanced: each class has the same weight in the loss, however many samples it has; None: each
            sample has.
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
        # There from the beginning: WeightAveraging copies the task before `setup`, and pairs buffers by their order.
        weight = None if class_weights is None else torch.ones(num_outputs)
        self.register_buffer("weight", weight, persistent=False)

    def setup(self, stage: str) -> None:
        """Weigh the classes by the training split, which is known when the data are loaded."""
        if self.class_weights is not None and self.trainer.datamodule is not None:
            labels = self.trainer.datamodule.splits["train"].targets
            self.weight = class_weights(self.class_weights, labels, self.num_outputs).to(self.device)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross entropy."""
        return F.cross_entropy(outputs, targets, self.weight, label_smoothing=self.label_smoothing)

    def loss_weight(self, targets: Tensor) -> int | Tensor:
        """The samples, or the sum of their classes' weights, by which cross entropy divides."""
        return super().loss_weight(targets) if self.weight is None else self.weight[targets].sum()

    def predictions(self, outputs: Tensor) -> Tensor:
        """Probabilities (N, C). Given logits, torchmetrics takes them for probabilities where all lie in 0 to 1."""
        return outputs.softmax(1)

    def build_metrics(self) -> dict[str, Metric]:
        """Accuracy is the share of samples whose largest logit is the label's; precision to AUROC are class means.

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
