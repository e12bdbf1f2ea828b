"""AUROC where classes are missing; means over classes."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from litlab.tasks.metrics import (
    DefinedBinaryAUROC,
    DefinedMulticlassAUROC,
    MacroF1,
    MacroPrecision,
    MacroRecall,
    areas,
)


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


@pytest.mark.parametrize(
    ("metric", "score"), [(MacroPrecision, precision_score), (MacroRecall, recall_score), (MacroF1, f1_score)]
)
def test_a_mean_over_classes_is_at_most_one(metric, score):
    for classes in (10, 11, 52):  # of torchmetrics' own 1.0000001
        perfect, labels = metric(classes, validate_args=False), torch.arange(classes)
        perfect.update(torch.eye(classes), labels)
        assert float(perfect.compute()) == 1
    predicted = torch.tensor([0, 1, 1, 2, 2, 2])
    half, labels = metric(4, validate_args=False), torch.tensor([0, 0, 1, 1, 2, 2])  # a class has no samples
    half.update(torch.eye(4)[predicted], labels)
    assert float(half.compute()) == pytest.approx(score(labels, predicted, average="macro"), abs=1e-6)


def test_areas_count_ties_half_and_are_not_numbers_where_there_is_none():
    scores = torch.tensor(
        [[0.1, 0.5, 0.5, 0.9], [0.2, 0.2, 0.2, 0.2], [0.3, 0.1, 0.2, 0.4], [0.1, 0.2, 0.3, torch.nan]]
    )
    positive = torch.tensor([[False, True, False, True], [True, False, True, False], [True] * 4, [True, False] * 2])
    torch.testing.assert_close(
        areas(scores, positive), torch.tensor([0.875, 0.5, torch.nan, torch.nan]), equal_nan=True
    )
