"""Binary classification: cross entropy on one logit, accuracy, precision, recall, F1, AUROC, calibration error."""

from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric
from torchmetrics.classification import BinaryAccuracy, BinaryF1Score, BinaryPrecision, BinaryRecall

from litlab.tasks.class_weights import ClassWeightedTask
from litlab.tasks.focal import focal
from litlab.tasks.metrics import BinaryTopLabelError, DefinedBinaryAUROC


class Binary(ClassWeightedTask):
    """Binary cross entropy on one logit (N, 1), float32, and labels (N,), int64, 0 or 1.

    The loss contains the sigmoid: log(sigmoid(x)) on its own loses precision where the network is confident.
    """

    target_kind = "binary"

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean over the samples; with class weights, of the weighted losses."""
        logits, labels = outputs.squeeze(1), targets.to(outputs.dtype)
        weight = None if self.weight is None else self.weight[targets]
        if self.criterion == "cross_entropy":
            return F.binary_cross_entropy_with_logits(logits, labels, weight)
        if self.criterion == "focal":
            losses = focal(F.binary_cross_entropy_with_logits(logits, labels, reduction="none"))
            return (losses if weight is None else losses * weight).mean()
        return self.criterion(logits, labels)

    def predictions(self, outputs: Tensor) -> Tensor:
        """Probabilities (N,) of class 1. torchmetrics takes logits that all lie in [0, 1] for probabilities."""
        return outputs.squeeze(1).sigmoid()

    def build_metrics(self) -> dict[str, Metric]:
        """Class 1 is the positive one, predicted from a probability of 0.5."""
        return {
            "accuracy": BinaryAccuracy(validate_args=False),
            "precision": BinaryPrecision(validate_args=False),
            "recall": BinaryRecall(validate_args=False),
            "f1": BinaryF1Score(validate_args=False),
            "auroc": DefinedBinaryAUROC(),
            "calibration_error": BinaryTopLabelError(),
        }
