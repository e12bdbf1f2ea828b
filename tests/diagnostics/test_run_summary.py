"""What is gathered of a finished run."""

import math
from types import SimpleNamespace

import pytest


def test_unpredicted_classes_are_found_in_the_last_validation():
    import torch
    from torchmetrics import MetricCollection
    from torchmetrics.classification import BinaryAccuracy, BinaryRecall, MulticlassPrecision, MulticlassRecall

    from litlab.finish import unpredicted_classes

    three = MetricCollection({"precision": MulticlassPrecision(3), "recall": MulticlassRecall(3)})
    two = MetricCollection({"accuracy": BinaryAccuracy(), "recall": BinaryRecall()})
    none = MetricCollection({"accuracy": BinaryAccuracy()})
    three.update(torch.eye(3)[[0, 2, 0, 0]], torch.tensor([0, 1, 1, 2]))
    for each in (two, none):
        each.update(torch.tensor([0.1, 0.4, 0.2, 0.2]), torch.tensor([0, 1, 0, 1]))

    def names(metrics, samples=4, has_validation=True):
        metrics.compute()
        splits = {"val": SimpleNamespace(targets=torch.zeros(samples))}
        data = SimpleNamespace(class_names="abc", splits=splits, has_validation=has_validation)
        return unpredicted_classes(SimpleNamespace(metrics=metrics), data)

    assert names(three) == names(two) == {"b": 2}
    assert names(three, has_validation=False) == names(none) == {}
    assert names(three, samples=8) == {}  # another device has seen the other half
    two.reset()
    two.update(torch.tensor([0.9, 0.9]), torch.tensor([0, 1]))
    assert names(two, samples=2) == {"a": 1}


@pytest.fixture
def summary(fit):
    """The summary of a short training, whose training targets or class weights are others afterwards."""
    import torch

    from litlab.data.splits import Split
    from litlab.diagnostics.run_summary import RunSummary

    def summarized(*overrides, targets=None, weight=None, val_loss=1.0):
        run = fit("model=linear", "trainer.max_epochs=1", "logger=none", *overrides)
        if targets is not None:
            run.data.splits["train"] = Split(run.data.splits["train"].inputs[: len(targets)], torch.tensor(targets))
        if weight is not None:
            run.task.weight = weight
        val = {"val/loss": val_loss} if run.data.has_validation else {}
        return RunSummary(run.config, run.task, run.data, [{"train/loss": 1.0, **val}], val, 10, {})

    return summarized


def test_constant_targets_absent_classes_and_runs_without_validation(summary):
    assert summary("data=line", "data.passes_per_epoch=10", targets=[3.3] * 3).baseline_train == 0.0
    run = summary("task.class_weights=balanced", targets=[1, 1, 1], val_loss=math.nan)
    assert run.baseline_train == 0.0 and run.selected == math.inf
    assert summary(targets=[2, 1, 2]).class_counts == dict.fromkeys("0123456789", 0) | {"1": 1, "2": 2}
    run = summary("data.val_size=0")
    assert 0 < run.selected < 0.5 and run.baseline_train == pytest.approx(math.log(10), abs=0.01)
    assert summary(val_loss=1.15).selected == pytest.approx(1.15 / math.log(10), abs=0.01)
