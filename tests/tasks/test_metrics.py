"""AUROC where classes are missing."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from litlab.tasks.metrics import DefinedBinaryAUROC, DefinedMulticlassAUROC


def test_classes_without_samples():
    random = torch.Generator().manual_seed(0)
    probabilities = torch.rand(60, 4, generator=random).softmax(1)
    labels = torch.randint(0, 3, (60,), generator=random)  # none of class 3
    metric = DefinedMulticlassAUROC(4)
    for batch in zip(probabilities.split(25), labels.split(25), strict=True):
        metric.update(*batch)
    each = [roc_auc_score(labels == number, probabilities[:, number]) for number in range(3)]
    assert float(metric.compute()) == pytest.approx(np.mean(each), abs=1e-6)
    for label in [0, 1]:
        labels = torch.full((5,), label)
        binary, multiclass = DefinedBinaryAUROC(), DefinedMulticlassAUROC(3)
        binary.update(torch.rand(5), labels)
        multiclass.update(torch.rand(5, 3).softmax(1), labels)
        assert math.isnan(binary.compute()) and math.isnan(multiclass.compute())
