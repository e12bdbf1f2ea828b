"""Binary cross entropy on a logit; the metrics against scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn_metrics
from sklearn.calibration import calibration_curve
from torch import nn

from litlab.tasks.binary import Binary


def task(**settings):
    settings = {"num_outputs": 1, **settings}
    return Binary(nn.Identity(), torch.optim.SGD, monitor="val/auroc", mode="max", **settings)


@pytest.fixture
def samples():
    random = torch.Generator().manual_seed(0)
    labels = (torch.rand(1000, generator=random) < 0.3).long()
    return torch.randn(1000, 1, generator=random) + 1.5 * labels.unsqueeze(1) - 1, labels


@pytest.mark.parametrize("shift", [0.0, 5.0])
def test_metrics_are_those_of_scikit_learn(samples, shift):
    logits, labels = samples
    logits = logits / 10 + 0.4 if shift else logits  # all within 0 to 1: torchmetrics would take them for probabilities
    binary = task()
    binary.start_evaluation()
    for batch in zip(logits.split(300), labels.split(300), strict=True):
        binary.validation_step(batch, 0)
    ours = {name: float(value) for name, value in binary.metrics.compute().items()}
    probabilities, truth = logits[:, 0].sigmoid().numpy(), labels.numpy()
    guess = probabilities > 0.5
    confidence = np.maximum(probabilities, 1 - probabilities)  # of the class that is predicted
    share, binned = calibration_curve(guess == truth, confidence, n_bins=15)
    counts = np.histogram(confidence, np.linspace(0, 1, 16))[0]
    theirs = {
        "accuracy": sklearn_metrics.accuracy_score(truth, guess),
        "precision": sklearn_metrics.precision_score(truth, guess),
        "recall": sklearn_metrics.recall_score(truth, guess),
        "f1": sklearn_metrics.f1_score(truth, guess),
        "auroc": sklearn_metrics.roc_auc_score(truth, probabilities),
        "calibration_error": (np.abs(share - binned) * counts[counts > 0]).sum() / len(truth),
    }
    assert ours == pytest.approx(theirs, abs=1e-6)


def test_loss_and_calibration_error_by_hand_and_scikit_learn(samples):
    logits, labels = samples
    theirs = sklearn_metrics.log_loss(labels.numpy(), logits[:, 0].double().sigmoid().numpy())
    assert float(task().loss(logits, labels)) == pytest.approx(theirs, abs=1e-6)
    assert float(task().loss(torch.tensor([[-200.0]]), torch.tensor([1]))) == pytest.approx(200.0)
    error = task().metrics["calibration_error"]
    error.update(torch.tensor([0.05, 0.95, 0.95, 1.0, 0.6]), torch.tensor([1, 1, 0, 1, 1]))
    assert float(error.compute()) == pytest.approx(4 / 5 * abs(2 / 4 - 3.85 / 4) + 1 / 5 * abs(1 - 0.6), abs=1e-6)
