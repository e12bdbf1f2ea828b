"""Evidence: what is gathered of a finished run."""

import math
from collections.abc import Callable
from typing import Any

import pytest


def test_what_is_never_answered_is_found_in_the_last_validation() -> None:
    from types import SimpleNamespace

    import torch
    from torchmetrics import MetricCollection
    from torchmetrics.classification import BinaryAccuracy, BinaryRecall, MulticlassPrecision, MulticlassRecall

    from litlab.diagnostics.evidence import unanswered

    three = MetricCollection({"precision": MulticlassPrecision(3), "recall": MulticlassRecall(3)})
    two = MetricCollection({"accuracy": BinaryAccuracy(), "recall": BinaryRecall()})
    none = MetricCollection({"accuracy": BinaryAccuracy()})
    three.update(torch.eye(3)[[0, 2, 0, 0]], torch.tensor([0, 1, 1, 2]))
    for each in (two, none):
        each.update(torch.tensor([0.1, 0.4, 0.2, 0.2]), torch.tensor([0, 1, 0, 1]))

    def names(metrics: Any, samples: int = 4, has_validation: bool = True) -> dict[str, int]:
        metrics.compute()
        splits = {"val": SimpleNamespace(targets=torch.zeros(samples))}
        data = SimpleNamespace(class_names="abc", splits=splits, has_validation=has_validation)
        return unanswered(SimpleNamespace(metrics=metrics), data)  # type: ignore[arg-type]

    assert names(three) == {"b": 2}
    assert names(two) == {"b": 2}
    assert names(three, has_validation=False) == {}
    assert names(none) == {} == names(three, samples=8)  # another device has seen the other half
    two.reset()
    two.update(torch.tensor([0.9, 0.9]), torch.tensor([0, 1]))
    assert names(two, samples=2) == {"a": 1}


def test_the_constant_answers_loss_is_the_entropy_or_the_variance(fit: Callable[..., Any]) -> None:
    import torch

    from litlab.data.tensors import Split
    from litlab.diagnostics.evidence import constant_loss

    task = fit("data=digits", "model=linear", "trainer.max_epochs=1").task
    labels = torch.tensor([0, 0, 0, 1] * 25)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert constant_loss(task, Split(labels, labels), 10, 100) == pytest.approx(entropy, abs=1e-3)

    task = fit("data=line", "model=linear", "trainer.max_epochs=1", "data.passes_per_epoch=10").task
    targets = torch.arange(100.0)
    assert constant_loss(task, Split(targets, targets), 1, 100) == pytest.approx(
        float(targets.var(correction=0)), rel=1e-4
    )


def test_the_untrained_models_loss_disturbs_no_random_numbers(fit: Callable[..., Any]) -> None:
    import torch

    from litlab.diagnostics.evidence import untrained_loss

    run = fit("experiment=exam_scores", "optimizer.lr=0")
    targets, state = run.data.splits["train"].targets, torch.get_rng_state()
    assert untrained_loss(run.config, run.task, run.data) == pytest.approx(float(targets.square().mean()))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("values", "equal"),
    [([0.3, 0.30000001, 0.3], True), ([0.0, 0.0], True), ([7], True), ([2000.0, 2000.01], False), ([0, 0, 1], False)],
)
def test_equal_targets_are_told_from_close_ones(values: list[float], equal: bool) -> None:
    import torch

    from litlab.diagnostics.evidence import all_equal

    assert all_equal(torch.tensor(values)) is equal


def test_targets_that_are_all_equal_leave_no_loss_to_a_constant_answer(gathered: Callable[..., Any]) -> None:
    import torch

    run = gathered("data=line", "data.passes_per_epoch=10", targets=torch.full((3,), 3.3))
    assert run.constant_train == 0.0


def test_a_class_without_training_samples_is_counted(gathered: Callable[..., Any]) -> None:
    import torch

    assert gathered(targets=torch.tensor([2, 1, 2])).class_counts == {"0": 0, "1": 1, "2": 2} | dict.fromkeys(
        "3456789", 0
    )


def test_classes_that_weigh_nothing_have_no_constant_answer(gathered: Callable[..., Any]) -> None:
    import torch

    run = gathered("task.class_weights=balanced", targets=torch.tensor([1, 1, 1]), validated=math.nan)
    assert run.constant_train == 0.0 and run.selected() == math.inf
    run = gathered("task.class_weights=balanced", weight=torch.zeros(10))
    assert math.isnan(run.constant_train)


def test_without_validation_the_tested_weights_are_judged_by_training_samples(gathered: Callable[..., Any]) -> None:
    run = gathered("data.val_size=0")
    assert 0 < run.selected() < 0.5 and run.constant_train == pytest.approx(math.log(10), abs=0.01)
    assert gathered(validated=1.15).selected() == pytest.approx(1.15 / math.log(10), abs=0.01)


@pytest.fixture
def gathered(fit: Callable[..., Any]) -> Callable[..., Any]:
    """The evidence of a short training, whose training targets or class weights are others afterwards."""
    from litlab.data.tensors import Split
    from litlab.diagnostics.evidence import gather

    def told(*overrides: str, targets: Any = None, weight: Any = None, validated: float = 1.0) -> Any:
        run = fit("model=linear", "trainer.max_epochs=1", "logger=none", *overrides)
        if targets is not None:
            run.data.splits["train"] = Split(run.data.splits["train"].inputs[: len(targets)], targets)
        if weight is not None:
            run.task.weight = weight
        val = {"val/loss": validated} if run.data.has_validation else {}
        return gather(run.config, run.task, run.data, [{"train/loss": 1.0, **val}], val, 10, {})

    return told
