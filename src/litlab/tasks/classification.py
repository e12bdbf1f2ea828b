"""One class of several."""

from typing import Any

from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy

from litlab.tasks.base import Task


class Classification(Task):
    """Cross entropy on logits (N, C) and labels (N,); accuracy.

    Args:
        num_outputs: C, the number of classes.
        label_smoothing: share of the target that is spread over all classes (Szegedy et al. 2016, arXiv:1512.00567).
    """

    def __init__(self, *args: Any, num_outputs: int, label_smoothing: float = 0.0, **kwargs: Any) -> None:
        self.num_outputs, self.label_smoothing = num_outputs, label_smoothing
        super().__init__(*args, **kwargs)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross entropy."""
        return F.cross_entropy(outputs, targets, label_smoothing=self.label_smoothing)

    def build_metrics(self) -> dict[str, Metric]:
        """Accuracy: the share of samples whose largest logit is the label's."""
        return {"accuracy": MulticlassAccuracy(self.num_outputs, average="micro")}
