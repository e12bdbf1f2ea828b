"""Hints: each speaks where it should and is silent elsewhere."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from omegaconf import OmegaConf

CONFIG = {
    "data": {"normalize": False},
    "model": {"hidden_sizes": [256, 128], "dropout": 0.0},
    "optimizer": {"lr": 0.1, "weight_decay": 0.0},
    "task": {"class_weights": None},
    "trainer": {"max_epochs": 10, "overfit_batches": 0.0},
    "callbacks": {"checkpoint": {}},
}


def judged(change: dict[str, Any] | None = None, **evidence: Any) -> list[str]:
    """The hints on a run that has learned well, but for what is given."""
    from litlab.hints import Evidence, judge

    good: dict[str, Any] = {"train": [1.0, 0.5, 0.2], "val": [0.9, 0.5, 0.25], "constant_train": 2.3}
    good |= {
        "constant_val": 2.3,
        "tested": 0.1,
        "samples": 10_000,
        "parameters": 5000,
        "class_counts": {"a": 9, "b": 8},
    }
    config = OmegaConf.create(CONFIG)
    for name, value in (change or {}).items():
        OmegaConf.update(config, name, value)
    return judge(Evidence(config=config, **(good | evidence)))


def test_a_good_run_gets_none() -> None:
    assert judged() == []
    assert judged(val=[]) == []


def test_a_stuck_loss_names_the_learning_rate_both_ways() -> None:
    (hint,) = judged(train=[2.31, 2.30, 2.31], tested=1.0)
    assert "optimizer.lr=0.01" in hint and "optimizer.lr=1" in hint and "data.normalize=true" in hint
    assert "2.31" in hint and "ignores the input has 2.3" in hint


def test_a_stuck_loss_of_changed_samples_names_the_plain_ones() -> None:
    (hint,) = judged({"augmentation": {"shift": 14}}, train=[2.31, 2.30, 2.31], tested=1.0)
    assert ": try augmentation=none, optimizer.lr=0.01, " in hint


def test_a_rehearsal_says_that_it_is_none() -> None:
    from litlab.hints import hints

    config = OmegaConf.create(CONFIG | {"trainer": {"fast_dev_run": True}})
    (hint,) = hints(config, None, None, [{"train/loss": 2.3}], {"test/loss": 2.3})  # type: ignore[arg-type]
    assert hint == "trainer.fast_dev_run: a rehearsal on a batch or a few of each split; these numbers mean nothing"


def test_a_loss_that_falls_too_slowly_names_a_higher_rate_and_more_epochs() -> None:
    (hint,) = judged({"data.normalize": True}, train=[9.0, 8.0, 7.0], tested=3.0)
    assert hint.endswith("try optimizer.lr=1, trainer.max_epochs=30")


def test_a_high_mean_over_the_first_epoch_is_no_stuck_loss() -> None:
    assert judged(train=[100.0], val=[], tested=0.2) == []


@pytest.mark.parametrize(
    ("val", "said"), [([1.5, 1.2, 1.0], "0.2 in training, 1 in validation"), ([0.4, 0.2, 0.5], "lowest after epoch 2")]
)
def test_overfitting_names_what_the_run_can_set(val: list[float], said: str) -> None:
    (hint,) = judged(val=val)
    assert said in hint
    assert hint.endswith("model.dropout=0.2, optimizer.weight_decay=0.001, callbacks=early_stopping, more data")


def test_overfitting_names_only_settings_there_are() -> None:
    from litlab.hints import overfitting

    config = OmegaConf.create(CONFIG | {"model": {}, "callbacks": {"early_stopping": {}}})
    hint = overfitting(evidence_of(config, val=[1.5]))
    assert hint is not None and hint.endswith("try optimizer.weight_decay=0.001, more data")


def evidence_of(config: Any, **evidence: Any) -> Any:
    from litlab.hints import Evidence

    return Evidence(config, [0.2], evidence["val"], 2.3, 2.3, 0.1, 10_000, 5000, {})


def test_no_loss_on_too_little_data_names_more_of_it() -> None:
    (hint,) = judged(train=[1.0, 1e-4], val=[1.0, 1.0], samples=20)
    assert "5,000 weights know 20 samples by heart" in hint and "more data" in hint and "model.dropout=0.2" in hint
    (hint,) = judged(train=[1.0, 1e-4], val=[], samples=20)
    assert "data.val_size=0.1" in hint


def test_no_loss_is_fine_where_validation_agrees_or_it_was_asked_for() -> None:
    assert judged(train=[1.0, 1e-4], val=[0.1, 0.05], samples=20) == []
    assert judged({"trainer.overfit_batches": 3}, train=[1.0, 1e-4], val=[], samples=20) == []
    assert judged(train=[1.0, 1e-9], val=[], samples=3, parameters=2) == []  # the line through three points


def test_classes_out_of_balance_name_the_weights() -> None:
    (hint,) = judged(class_counts={"cat": 4000, "dog": 900, "eel": 1000})
    assert "4,000 samples of cat, 900 of dog" in hint and "task.class_weights=balanced" in hint
    assert judged({"task.class_weights": "balanced"}, class_counts={"cat": 4000, "dog": 900}) == []
    assert judged(class_counts={"cat": 3000, "dog": 900}) == []


def test_targets_that_are_all_equal_get_no_hint_on_the_fit() -> None:
    assert judged(constant_train=0.0, constant_val=0.0) == []


def test_the_constant_answers_loss_is_the_entropy_or_the_variance(fit: Callable[..., Any]) -> None:
    import torch

    from litlab.data.tensors import Split
    from litlab.hints import constant_loss

    task = fit("data=digits", "model=linear", "trainer.max_epochs=1").task
    labels = torch.tensor([0, 0, 0, 1] * 25)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert constant_loss(task, Split(labels, labels), 10, 100) == pytest.approx(entropy, abs=1e-3)

    task = fit("data=line", "model=linear", "trainer.max_epochs=1").task
    targets = torch.arange(100.0)
    assert constant_loss(task, Split(targets, targets), 1, 100) == pytest.approx(
        float(targets.var(correction=0)), rel=1e-4
    )


def test_the_default_digits_run_gets_no_hint_and_a_crawling_one_does(compose: Callable[..., Any]) -> None:
    from litlab.train import train

    assert train(compose("trainer.max_epochs=10"))["hints"] == []
    (hint,) = train(compose("optimizer.lr=1e-7"))["hints"]
    assert "optimizer.lr=1e-06" in hint
