"""Class weights in the loss, for imbalanced classes."""

import torch
from torch import Tensor

from litlab.errors import RequestError


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
