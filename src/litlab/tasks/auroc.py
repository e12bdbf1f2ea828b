"""AUROC for splits that may lack a class, where torchmetrics counts 0, also in its mean over the classes."""

import torch
from torch import Tensor
from torchmetrics.classification import BinaryAUROC, MulticlassAUROC
from torchmetrics.utilities import dim_zero_cat


class DefinedBinaryAUROC(BinaryAUROC):
    """NaN where only one class is present."""

    def __init__(self) -> None:
        super().__init__(validate_args=False)

    def compute(self) -> Tensor:  # type: ignore[override] # as torchmetrics' own
        """A scalar, float32."""
        targets = dim_zero_cat(self.target)
        return super().compute() if targets.min() < targets.max() else torch.full((), torch.nan, device=targets.device)


class DefinedMulticlassAUROC(MulticlassAUROC):
    """One class against the others, the mean over the classes that have samples; NaN where only one is present."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, average="none", validate_args=False)

    def compute(self) -> Tensor:  # type: ignore[override] # as torchmetrics' own
        """A scalar, float32."""
        targets = dim_zero_cat(self.target)
        counts = targets.bincount(minlength=self.num_classes)
        return super().compute()[(counts > 0) & (counts < len(targets))].mean()
