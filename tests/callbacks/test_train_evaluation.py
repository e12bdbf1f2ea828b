"""evaluate_train=epoch: the training split's metrics after each epoch, and weights as without."""

import pytest
import torch
from torch.nn import functional as F

from litlab.callbacks.history import History


def test_each_epochs_weights_are_measured_and_not_changed(fit):
    words = ("data=digits", "model=mlp", "model.dropout=0.2", "augmentation=shift")
    fitted, plain = fit(*words, "evaluate_train=epoch"), fit(*words)
    for name, weight in plain.task.state_dict().items():
        assert weight.equal(fitted.task.state_dict()[name]), name
    epochs = History.of(fitted.trainer).epochs
    assert [set(epoch) - set(other) for epoch, other in zip(epochs, History.of(plain.trainer).epochs, strict=True)] == [
        {
            f"train/{name}"
            for name in ("accuracy", "precision", "recall", "f1", "auroc", "calibration_error", "eval_loss")
        }
    ] * 2
    inputs, labels = fitted.data.splits["train"]
    with torch.no_grad():
        outputs = fitted.task.eval().model(inputs)
    assert epochs[-1]["train/eval_loss"] == pytest.approx(float(F.cross_entropy(outputs, labels)), rel=1e-5)
    assert epochs[-1]["train/accuracy"] == pytest.approx(float((outputs.argmax(1) == labels).float().mean()))
    assert epochs[0]["train/eval_loss"] > epochs[1]["train/eval_loss"]
