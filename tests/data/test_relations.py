"""What occurs twice in a data set is found, and nothing else."""

import pytest
import torch

from litlab.data.relations import contradictions, equal_columns, row_hashes, telling_columns
from litlab.data.splits import Split

NAMES = ("a", "b", "c", "d", "e")


@pytest.fixture
def inputs():
    return torch.randn(20, 5, generator=torch.Generator().manual_seed(0))


def test_samples_of_equal_inputs_and_different_labels_contradict_each_other():
    assert len(set(row_hashes(torch.tensor([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0]])))) == 2
    hashes = [1, 1, 2, 2, 2, 3]
    assert contradictions(hashes, torch.tensor([0, 0, 1, 0, 0, 1])) == 3
    assert contradictions(hashes, torch.tensor([0, 0, 1, 1, 1, 1])) == 0


def test_equal_columns_are_found_but_for_constant_ones(inputs):
    assert equal_columns(inputs, NAMES) == []
    inputs[:, 4] = inputs[:, 1]
    inputs[:, 2] = inputs[:, 0]
    assert equal_columns(inputs, NAMES) == [["a", "c"], ["b", "e"]]
    assert equal_columns(inputs[:19], NAMES) == []  # so few may agree by accident
    inputs[:, 1:3] = 0.0
    assert equal_columns(inputs, NAMES) == []


def test_a_column_that_is_the_target_or_the_label_is_found(inputs):
    for factor, shift in [(1.0, 0.0), (-2.5, 7.0), (1e-6, 0.0), (1e12, 0.0)]:
        target = factor * inputs[:, 3] + shift
        assert telling_columns(Split(inputs, target), NAMES) == ["d"]
        both = torch.stack((torch.ones(20), target), dim=1)
        assert telling_columns(Split(inputs, both), NAMES) == ["d"]
        assert telling_columns(Split(inputs[:19], target[:19]), NAMES) == []
        assert telling_columns(Split(inputs[:, 2:4], target), ("c", "d")) == ["d"]
        assert telling_columns(Split(inputs[:, 3:4], target), ("d",)) == []  # a line to be fitted
    labels = torch.arange(20) % 3
    assert telling_columns(Split(inputs, labels), NAMES) == []
    inputs[:, 0] = labels
    assert telling_columns(Split(inputs, labels), NAMES) == ["a"]
    target = inputs[:, 3] + 0.01 * inputs[:, 0]
    inputs[:, 1], inputs[0, 2] = 3.0, float("nan")
    assert telling_columns(Split(inputs, target), NAMES) == []
