"""Class weights in the loss, for imbalanced classes."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from litlab.errors import RequestError
from litlab.tasks.base import Task


class ClassWeightedTask(Task):
    """A task on classes whose loss can weight them.

    Args:
        num_outputs: of the model; 1 for two classes.
        class_weights: balanced: every class has the same total weight in the loss, whatever its frequency; None: every
            sample has.
        loss: cross_entropy, focal (see `litlab.tasks.focal`), or a module of (outputs, labels) that returns their mean
            loss, such as torch.nn.MultiMarginLoss; of (logits (N,), labels (N,) as float32) for two classes.

    Attributes:
        weight: (classes,), float32, of the training split; None without class weights.
    """

    pictures = ("confusion_matrix", "mistakes")
    keeps_scale = False  # the buffer is not persistent
    weight: Tensor | None

    def __init__(
        self,
        *args: Any,
        num_outputs: int,
        class_weights: Literal["balanced"] | None = None,
        loss: Literal["cross_entropy", "focal"] | nn.Module = "cross_entropy",
        **kwargs: Any,
    ) -> None:
        self.num_outputs, self.class_weights = num_outputs, class_weights
        super().__init__(*args, **kwargs)
        self.criterion: Any = loss
        if isinstance(loss, nn.Module) and class_weights is not None:
            raise RequestError(f"task.class_weights={class_weights}: needs task.loss=cross_entropy or focal; set null")
        # Registered before `setup`: WeightAveraging copies the task before it, and pairs buffers by their order.
        weight = None if class_weights is None else torch.ones(max(num_outputs, 2))
        self.register_buffer("weight", weight, persistent=False)

    def learn_scale(self, targets: Tensor) -> None:
        """Compute the class weights from the training split."""
        if self.weight is not None:
            self.weight = class_weights(str(self.class_weights), targets, len(self.weight)).to(self.device)


def class_weights(kind: str, labels: Tensor, num_classes: int) -> Tensor:
    """Weights (num_classes,), float32, by the class counts of the labels (N,), int64.

    Args:
        kind: balanced: N / (num_classes * count), as scikit-learn's class_weight="balanced"; 0 for an absent class.
        labels: of the training split.
        num_classes: number of classes.

    Raises:
        RequestError: unknown kind.
    """
    if kind != "balanced":
        raise RequestError(f"task.class_weights={kind}: must be null or balanced")
    counts = torch.bincount(labels, minlength=num_classes)
    return torch.where(counts > 0, len(labels) / (num_classes * counts), 0.0)
