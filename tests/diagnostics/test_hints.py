"""Hints: each rule applies where it should and is silent elsewhere."""

import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from omegaconf import OmegaConf

CONFIG = {
    "data": {"normalize": False, "batch_size": 64, "val_size": 0},
    "model": {"_target_": "litlab.models.mlp.MLP", "hidden_sizes": [256, 128], "dropout": 0.0},
    "optimizer": {"lr": 0.1, "weight_decay": 0.0},
    "task": {"class_weights": None, "monitor": "val/accuracy"},
    "trainer": {"max_epochs": 10, "max_steps": -1, "overfit_batches": 0.0},
    "callbacks": {"checkpoint": {}},
}
LINEAR = {"_target_": "litlab.models.mlp.MLP", "zero_init": False}
TUNED = {"tune": {"_target_": "litlab.tune.find_lr"}}
STUCK: dict[str, Any] = {"train": [2.31, 2.30, 2.31], "selected": 1.0}
ROSE: dict[str, Any] = {"train": [2.1, 2.6, 3.0], "selected": 1.2}
MEMORIZED: dict[str, Any] = {"train": [1.0, 1e-4], "val": [1.0, 1.0], "samples": 20}
RARE: dict[str, Any] = {"class_counts": {"common": 1900, "rare": 100}, "unpredicted": {"rare": 20}}
PETS: dict[str, Any] = {"class_counts": {"cat": 4000, "dog": 900}}
LETTERS = dict.fromkeys("abcdefgh", 100) | {"b": 20}
SLOWLY: dict[str, Any] = {"untrained": 9.9, "train": [9.0, 8.0, 7.0], "selected": 3.0}
TINY: dict[str, Any] = {"untrained": 29662.0, "train": [28395.0], "val": [], "baseline_train": 420.8, "selected": 64.0}
DROPOUT: dict[str, Any] = {"train": [2.4, 2.38, 2.41], "val": [2.39, 2.39, 2.38], "selected": 1.03}
TWO_STEPS: dict[str, Any] = {"steps": 2, "train": [2.32], "selected": 0.99}
BLOWN: dict[str, Any] = {"selected": 173.0, "val": []}
TOO_HIGH = ": the learning rate is too high: try optimizer.lr=0.1 (or tune=lr, which finds one)"
TEN, FEW, RESUMED = {"optimizer.lr": 10.0}, {"trainer.overfit_batches": 3}, {"resume_from": "last.ckpt"}
COLOURS = {"red": 150, "green": 140, "blue": 0}
LONG = [f"a name of many words, number {number}" for number in (1, 2)]
SCALES = ("the inputs are on very different or extreme scales (1.09 to 1.43e+03)", ("data.normalize=true",))


def judged(
    change: dict[str, Any] | None = None, untrained: float = 2.4, selected: float = 0.1, scales: Any = (), **known: Any
) -> list[str]:
    """The hints on a run that has learned well, but for what is given."""
    from litlab.diagnostics.hints import hints
    from litlab.diagnostics.rules import Rule
    from litlab.diagnostics.run_summary import RunSummary

    good: dict[str, Any] = {"train": [1.0, 0.5, 0.2], "val": [0.9, 0.5, 0.25], "baseline_train": 2.3}
    good |= {"baseline_val": 2.3, "selected": selected, "untrained": untrained, "steps": 1000}
    good |= {"samples": 10_000, "parameters": 5000, "class_counts": {"a": 9, "b": 8}, "unpredicted": {}}
    good |= {"scales": Rule(bool(scales), *(scales or ("",))), "tokens": False} | known
    config = OmegaConf.create(CONFIG)
    for name, value in (change or {}).items():
        OmegaConf.update(config, name, value, merge=False)
    run = object.__new__(RunSummary)
    vars(run).update(good, config=config)
    return hints(run)


@pytest.mark.parametrize(
    "known",
    [
        {},
        {"val": []},
        {"scales": SCALES},  # a run that learns well needs none
        {"train": [1e7, 1.0, 0.2]},  # high at first, and came down
        {"train": [100.0], "val": [], "selected": 0.2},  # the mean over the first epoch
        {"steps": 2},  # enough, as it seems
        {"train": [0.4057], "val": [0.8251], "steps": 9},  # the running statistics of batch norm are behind at first
        # validation of one sample, where a constant prediction has almost no loss
        {"train": [2.2, 0.0065], "val": [1.3, 3e-5, 8.6e-5], "baseline_val": 1e-7},
        {"train": [1.0, 1e-4], "val": [0.1, 0.05], "samples": 20},  # nothing left, and validation agrees
        {"train": [1.0, 1e-9], "val": [], "samples": 3, "parameters": 2},  # the line through three points
        {"change": {"task.class_weights": "balanced"}, **PETS},
        {"class_counts": {"cat": 3000, "dog": 900}},
        {"baseline_train": 0.0, "baseline_val": 0.0},  # all targets are equal
        {"baseline_train": math.nan, "baseline_val": math.nan, "selected": math.inf},
    ],
)
def test_a_good_run_gets_none(known: dict[str, Any]) -> None:
    assert judged(**known) == []


SLOW = {"optimizer.lr": 1e-9, "data.normalize": True, "trainer.max_epochs": 1}
LOSS = "the last epoch's mean training loss is {}, and a constant prediction scores 2.3"
BOTH_WAYS = "optimizer.lr=0.01, optimizer.lr=1, data.normalize=true"
NORMALIZED = {"data.normalize": True}
EARLY = {"callbacks": {"early_stopping": {}}}
WEIGHTS = "task.class_weights=balanced"
BY_F1 = "task.monitor=val/f1"
NEVER = "the model never predicts 'rare' (20 validation samples)"
CNN = {"_target_": "litlab.models.cnn.CNN"}


@pytest.mark.parametrize(
    ("change", "known", "expected"),
    [
        # Nothing was learned: the rate, both ways, but not after a rise; sizes, samples and models before it.
        ({}, STUCK, f"{LOSS.format(2.31)}: try {BOTH_WAYS}"),
        ({}, STUCK | {"train": [2.32, 2.302, 2.301]}, f"{LOSS.format(2.301)}: try {BOTH_WAYS}"),  # it has arrived there
        ({}, STUCK | {"tokens": True}, "...: try optimizer.lr=0.01, optimizer.lr=1"),
        ({}, ROSE, "...: try optimizer.lr=0.01, tune=lr, data.normalize=true"),
        (TUNED, ROSE, "...: try optimizer.lr=0.01, data.normalize=true"),
        ({}, STUCK | {"scales": SCALES}, f"{LOSS.format(2.31)}; {SCALES[0]}: try data.normalize=true"),
        ({"augmentation": {"shift": 14}}, STUCK, f"...: try augmentation=none, {BOTH_WAYS}"),
        ({"model": LINEAR}, STUCK, f"...: try model=mlp, {BOTH_WAYS}"),
        ({"model": LINEAR | {"hidden_sizes": []}}, STUCK, f"...: try model.hidden_sizes=[256,128], {BOTH_WAYS}"),
        ({"model": LINEAR | {"hidden_sizes": [8]}}, STUCK, f"...: try {BOTH_WAYS}"),
        ({"model": CNN}, STUCK, f"...: try {BOTH_WAYS}"),
        # The loss falls, but slowly; of a tiny rate a tenfold one is as bad.
        (NORMALIZED, SLOWLY, "...; it falls, but slowly: try tune=lr, optimizer.lr=1, trainer.max_epochs=30"),
        ({}, SLOWLY | {"scales": SCALES}, f"...; it falls, but slowly; {SCALES[0]}: try data.normalize=true, tune=lr"),
        (SLOW, TINY, "...; it falls, but slowly: try tune=lr, optimizer.lr=1e-08, trainer.max_epochs=10"),
        (SLOW, {"untrained": 2.32, "train": [2.32, 2.32], "selected": 1.0}, "...; it falls, but slowly: try tune=lr"),
        (SLOW, DROPOUT, "...; it falls, but slowly: try tune=lr"),
        (SLOW | RESUMED, DROPOUT, "...; it falls, but slowly: try optimizer.lr=1e-08, trainer.max_epochs=30"),
        # There were too few steps.
        (
            {"data.batch_size": 100_000},
            {"steps": 2, "train": [2.32, 2.29], "selected": 0.99},
            f"{LOSS.format(2.29)}; 2 optimizer steps are too few: try trainer.max_epochs=20, data.batch_size=64",
        ),
        ({}, TWO_STEPS | {"samples": 100}, "... too few: try trainer.max_epochs=10, data.batch_size=4"),
        ({"data.batch_size": 1, "trainer.max_steps": 2}, TWO_STEPS, "... too few: try trainer.max_steps=20"),
        # It rose far above the untrained model's, as measured on the digits; or from a good epoch back to the baseline.
        (
            {"optimizer.lr": 100.0},
            BLOWN | {"train": [3.77e25, 195.3, 43.77]},
            f"{LOSS.format(43.77)}; it rose...{TOO_HIGH}",
        ),
        (
            TEN,
            BLOWN | {"train": [1.1e7, 1.3e6, 3.5, 2.38, 2.34, 2.31]},
            f"...; it rose to 1.1e+07, from 2.4 untrained{TOO_HIGH}",
        ),
        (
            {"optimizer.lr": 1.0},
            {"train": [1.68, 660870.0, 35.1, 2.31, 2.30], "selected": 0.4},
            f"...; it rose to 6.609e+05, from 2.4 untrained{TOO_HIGH}",
        ),
        (TEN, BLOWN | {"train": [68.77]}, f"...; it rose to 68.77, from 2.4 untrained{TOO_HIGH}"),
        (
            TUNED | {"optimizer.lr": 0.02},
            {"train": [9.0, 3.9, 3.7], "selected": 1.6},
            "...: the learning rate is too high: try optimizer.lr=0.002",
        ),
        (
            {},
            {"train": [531.4, 1.7, 2.4], "selected": 1.0, "scales": SCALES},
            f"...; it rose to 531.4, from 2.4 untrained; {SCALES[0]}: try data.normalize=true",
        ),
        (TEN, {"train": [0.9, 2.31, 2.3], "selected": 0.3}, f"{LOSS.format(2.3)}; it rose from 0.9{TOO_HIGH}"),
        # Validation is above training.
        (
            {},
            {"val": [1.5, 1.2, 1.0]},
            "overfitting: training loss 0.2, validation loss 1: try model.dropout=0.2, optimizer.weight_decay=0.001, "
            "callbacks=early_stopping, more data",
        ),
        (
            {},
            {"val": [0.4, 0.2, 0.5]},
            "overfitting: training loss 0.2, validation loss 0.5 (lowest after epoch 2: 0.2): try ...",
        ),
        (EARLY | {"model": LINEAR}, {"val": [1.5]}, "...: try optimizer.weight_decay=0.001, more data"),
        (
            {},
            {"train": [0.4057], "val": [0.8251], "steps": 20},
            "overfitting: training loss 0.4057, validation loss 0.8251: try ...",
        ),
        (
            {},
            MEMORIZED,
            "the training loss is zero (0.0001): 5,000 weights have memorized 20 samples: try more data, "
            "model.hidden_sizes=[32], model.dropout=0.2, optimizer.weight_decay=0.001",
        ),
        ({}, MEMORIZED | {"val": []}, "..., data.val_size=0.1 to see how new samples fare"),
        # Only what can be set, and makes the model smaller.
        (
            {"model": {"hidden_sizes": [256, 128]}},
            MEMORIZED,
            "...: try more data, model.hidden_sizes=[32], optimizer.weight_decay=0.001",
        ),
        ({"model": {"hidden_sizes": [32]}}, MEMORIZED, "...: try more data, optimizer.weight_decay=0.001"),
        ({"model": {"hidden_sizes": [256, 16]}}, MEMORIZED, "...: try more data, optimizer.weight_decay=0.001"),
        (
            {"model": {"hidden_sizes": [], "dropout": 0.0}},
            MEMORIZED,
            "...: try more data, model.dropout=0.2, optimizer.weight_decay=0.001",
        ),
        # Classes
        (
            {},
            PETS,
            "imbalanced classes (4,000 samples of 'cat', 900 of 'dog'), where F1 tells more than accuracy: try "
            f"{WEIGHTS} {BY_F1}",
        ),
        ({}, PETS | {"val": []}, f"...: try {WEIGHTS}"),
        ({"task.monitor": "val/auroc"}, PETS, f"...: try {WEIGHTS}"),
        (
            {},
            {"class_counts": dict(zip(LONG, (4000, 900), strict=True))},
            "imbalanced classes (4,000 samples of 'a name of … number 1', 900 of 'a name of … number 2')...",
        ),
        ({}, RARE, f"{NEVER}: try {WEIGHTS} {BY_F1}, more samples of it"),
        ({"task.class_weights": "balanced", "task.monitor": "val/f1"}, RARE, f"{NEVER}: try more samples of it"),
        ({"task.class_weights": "balanced"}, RARE, f"{NEVER}: try {BY_F1} (selects by F1), more samples of it"),
        ({}, RARE | {"val": []}, f"{NEVER}: try {WEIGHTS}, more samples of it"),
        (
            {},
            {"unpredicted": {"b": 20}},
            f"the model never predicts 'b' (20 validation samples): try trainer.max_epochs=30, {BY_F1} (selects by F1)",
        ),
        (
            {"task.monitor": "val/loss", "task.mode": "min"},
            {"unpredicted": {"b": 20}},
            f"...: try trainer.max_epochs=30, {BY_F1} task.mode=max (selects by F1)",
        ),
        (
            {},
            {"class_counts": LETTERS, "unpredicted": {"b": 10, "c": 20, "d": 4}},
            "2 of 8 classes are never predicted (30 validation samples): 'b', 'c': try "
            f"{WEIGHTS} {BY_F1}, more samples of them",
        ),
        (
            {},
            {"class_counts": LETTERS, "unpredicted": dict.fromkeys("bcdefg", 10)},
            "... (60 validation samples): 'b', 'c', 'd', 'e', 'f' and 1 more: try ...",
        ),
        (
            {},
            {"class_counts": dict.fromkeys(LONG, 100), "unpredicted": dict.fromkeys(LONG, 10)},
            "... (20 validation samples): 'a name of … number 1', 'a name of … number 2': try ...",
        ),
        ({}, {"class_counts": COLOURS}, "no training samples of 'blue': the model cannot learn it"),
        (
            {},
            {"class_counts": COLOURS, "unpredicted": {"blue": 20}},
            "no training samples of 'blue': the model cannot learn it",
        ),
        (
            {},
            {"class_counts": COLOURS | {"cyan": 0}},
            "no training samples of 'blue', 'cyan': the model cannot learn them",
        ),
        (
            {},
            {"class_counts": {"yes": 1, "no": 0}, "baseline_train": 0.0},
            "all training samples are of 'yes': there is nothing to distinguish, check load()",
        ),
        # What is no training in earnest
        (
            {"trainer.fast_dev_run": True},
            {"train": [9.0], "val": [9.0]},
            "trainer.fast_dev_run: a trial run on a few batches of each split; its numbers mean nothing",
        ),
        (
            FEW,
            {"train": [2.3, 0.0004], "val": [], "selected": 4.0, "samples": 20, "class_counts": {"a": 900, "b": 8}},
            "debug=overfit: the loss on its 3 batches fell to 0.0004: the model can learn; the test is of a model that "
            "saw 3 batches",
        ),
        (
            FEW,
            {"train": [2.3] * 29 + [1.9], "val": []},
            "debug=overfit: the loss on its 3 batches is still 1.9 after epoch 30 (a constant prediction scores 2.3): "
            "try another optimizer.lr, or look for a bug in the model, the loss or the data; the test is of a model "
            "that saw 3 batches",
        ),
        ({"trainer.overfit_batches": 1}, {}, "debug=overfit: the loss on its 1 batch fell..."),
        ({"trainer.overfit_batches": 0.01}, {}, "debug=overfit: the loss on its few batches fell..."),
    ],
)
def test_a_problem_gets_its_hint(change: dict[str, Any], known: dict[str, Any], expected: str) -> None:
    (hint,) = judged(change, **known)
    assert re.fullmatch(".*".join(map(re.escape, expected.split("..."))), hint)


def test_several_problems_get_several_hints() -> None:
    """But a model that has learned nothing is told of no balanced class that it leaves out."""
    absent, imbalanced = judged(class_counts=COLOURS | {"green": 20})
    assert absent.startswith("no training samples of 'blue'") and imbalanced.startswith("imbalanced classes (150 ")
    assert len(judged(**STUCK, unpredicted={"b": 20})) == 1
    assert "the model never predicts 'b'" in judged(class_counts={"a": 90, "b": 9}, **STUCK, unpredicted={"b": 20})[1]


def test_hints_that_fail_leave_the_run_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    from litlab.diagnostics.hints import hints_after

    assert hints_after("this", "is", "no", "run") == []
    assert "there are no hints on this run" in caplog.text and "TypeError" in caplog.text


@pytest.mark.parametrize(
    ("rate", "lower"), [(0.5, 0.05), (0.87, 0.09), (1e-5, 1e-6), (30.0, 0.1), (9e29, 0.1), (math.nan, 0.1)]
)
def test_a_lower_rate_is_a_tenth_and_no_absurd_one(rate: float, lower: float) -> None:
    from litlab.diagnostics.hints import lower_rate

    assert lower_rate(OmegaConf.create(TUNED), rate) == f"optimizer.lr={lower:g}"


def test_the_default_digits_run_gets_no_hint_and_others_do(compose: Callable[..., Any]) -> None:
    from litlab.errors import RunError
    from litlab.train import train

    def hinted(*overrides: str) -> list[str]:
        return train(compose(*overrides, pictures=False)).hints

    assert hinted("trainer.max_epochs=10") == []
    (hint,) = hinted("optimizer.lr=1e-7")
    assert hint.endswith("; it falls, but slowly: try tune=lr")
    (hint,) = hinted("optimizer.lr=100", "trainer.max_epochs=3")
    assert "try optimizer.lr=0.1 (or tune=lr" in hint
    (hint,) = hinted("data.batch_size=100000")
    assert "try trainer.max_epochs=20, data.batch_size=64" in hint
    exam = ("data=exam_scores", "model=linear", "optimizer=sgd", "optimizer.lr=0.1")
    with pytest.raises(
        RunError, match=r"the loss is (nan|inf) at step 8 .*\(around 84\.8\): try data\.normalize=true$"
    ):
        hinted(*exam, "data.normalize=false")
    result = train(compose(*exam, "data.normalize=true", pictures=False))
    assert result.metrics["test/r2"] > 0.999 and result.hints == []
