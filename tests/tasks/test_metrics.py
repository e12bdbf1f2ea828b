"""AUROC where classes are missing."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from litlab.tasks.metrics import DefinedBinaryAUROC, DefinedMulticlassAUROC, areas


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


def test_areas_count_ties_half_and_are_not_numbers_where_there_is_none():
    scores = torch.tensor(
        [[0.1, 0.5, 0.5, 0.9], [0.2, 0.2, 0.2, 0.2], [0.3, 0.1, 0.2, 0.4], [0.1, 0.2, 0.3, torch.nan]]
    )
    positive = torch.tensor([[False, True, False, True], [True, False, True, False], [True] * 4, [True, False] * 2])
    torch.testing.assert_close(
        areas(scores, positive), torch.tensor([0.875, 0.5, torch.nan, torch.nan]), equal_nan=True
    )
