"""Hints: each rule applies where it should and is silent elsewhere."""

import math
import re

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
TUNED = {"tune": {"_target_": "litlab.verbs.tune.find_lr"}}
STUCK = {"train": [2.31, 2.30, 2.31], "selected": 1.0}
ROSE = {"train": [2.1, 2.6, 3.0], "selected": 1.2}
MEMORIZED = {"train": [1.0, 1e-4], "val": [1.0, 1.0], "samples": 20}
RARE = {"class_counts": {"common": 1900, "rare": 100}, "unpredicted": {"rare": 20}}
PETS = {"class_counts": {"cat": 4000, "dog": 900}}
LETTERS = {"class_counts": dict.fromkeys("abcdefgh", 100) | {"b": 20}}
SLOWLY = {"untrained": 9.9, "train": [9.0, 8.0, 7.0], "selected": 3.0}
TINY = {"untrained": 29662.0, "train": [28395.0], "val": [], "baseline_train": 420.8, "selected": 64.0}
DROPOUT = {"train": [2.4, 2.38, 2.41], "val": [2.39, 2.39, 2.38], "selected": 1.03}
TWO_STEPS = {"steps": 2, "train": [2.32], "selected": 0.99}
BLOWN = {"selected": 173.0, "val": []}
TOO_HIGH = ": the learning rate is too high: try optimizer.lr=0.1 (or tune=lr, which finds one)"
TEN, FEW = {"optimizer.lr": 10.0}, {"trainer.overfit_batches": 3}
COLOURS = {"red": 150, "green": 140, "blue": 0}
LONG = [f"a name of many words, number {number}" for number in (1, 2)]
SCALES = ("the inputs are on very different or extreme scales (1.09 to 1.43e+03)", ("data.normalize=true",))


def judged(change=None, untrained=2.4, selected=0.1, scales=(), **known):
    """The hints on a run that has learned well, but for what is given."""
    from litlab.diagnostics.hints import hints
    from litlab.diagnostics.rules import Rule
    from litlab.diagnostics.run_summary import RunSummary

    good = {"train": [1.0, 0.5, 0.2], "val": [0.9, 0.5, 0.25], "baseline_train": 2.3}
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
def test_a_good_run_gets_none(known):
    assert judged(**known) == []


SLOW = {"optimizer.lr": 1e-9, "data.normalize": True, "trainer.max_epochs": 1}
LOSS = "the last epoch's mean training loss is {}, and a constant prediction scores 2.3"
BOTH_WAYS = "optimizer.lr=0.01, optimizer.lr=1, data.normalize=true"
NORMALIZED = {"data.normalize": True}
EARLY = {"callbacks": {"early_stopping": {}}}
WEIGHTS = "task.class_weights=balanced"
BY_F1 = "task.monitor=val/f1"
NEVER = "the model never predicts 'rare' (20 validation samples)"
BLUE = "no training samples of 'blue': the model cannot learn it"
DECAY, HUGE, B = "optimizer.weight_decay=0.001", {"data.batch_size": 100_000}, {"unpredicted": {"b": 20}}
MANY = dict.fromkeys(LONG, 100)
CUT = [f"'a name of … number {number}'" for number in (1, 2)]
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
        # There were too few steps.
        (HUGE, TWO_STEPS | {"train": [2.32, 2.29]}, "... are too few: try trainer.max_epochs=20, data.batch_size=64"),
        ({}, TWO_STEPS | {"steps": 1, "samples": 100}, "...; 1 optimizer step is too few: ..., data.batch_size=4"),
        ({}, TWO_STEPS | {"samples": 100}, "...; 2 optimizer steps are too few: ...epochs=10, data.batch_size=4"),
        ({"data.batch_size": 1, "trainer.max_steps": 2}, TWO_STEPS, "... too few: try trainer.max_steps=20"),
        # It rose far above the untrained model's, as measured on the digits; or from a good epoch back to the baseline.
        (TEN, BLOWN | {"train": [3.77e25, 195.3, 43.77]}, f"{LOSS.format(43.77)}; it rose...{TOO_HIGH}"),
        (TEN, BLOWN | {"train": [1.1e7, 1.3e6, 3.5, 2.38, 2.34, 2.31]}, f"...; it rose to 1.1e+07, ...{TOO_HIGH}"),
        (TEN, {"train": [1.68, 660870.0, 35.1, 2.3], "selected": 0.4}, f"...; it rose to 6.609e+05, ...{TOO_HIGH}"),
        (TEN, BLOWN | {"train": [68.77]}, f"...; it rose to 68.77, from 2.4 untrained{TOO_HIGH}"),
        (TUNED | {"optimizer.lr": 0.02}, {"train": [9.0, 3.9], "selected": 1.6}, "... high: try optimizer.lr=0.002"),
        ({}, {"train": [531.4, 1.7, 2.4], "selected": 1.0, "scales": SCALES}, f"...531.4, ...; {SCALES[0]}: try ..."),
        (TEN, {"train": [0.9, 2.31, 2.3], "selected": 0.3}, f"{LOSS.format(2.3)}; it rose from 0.9{TOO_HIGH}"),
        # Validation is above training.
        (
            {},
            {"val": [1.5, 1.2, 1.0]},
            f"overfitting: training loss 0.2, validation loss 1: try model.dropout=0.2, {DECAY}, "
            "callbacks=early_stopping, more data",
        ),
        ({}, {"val": [0.4, 0.2, 0.5]}, "..., validation loss 0.5 (lowest after epoch 2: 0.2): try ..."),
        (EARLY | {"model": LINEAR}, {"val": [1.5]}, f"...: try {DECAY}, more data"),
        ({}, {"train": [0.4057], "val": [0.8251], "steps": 20}, "overfitting: training loss 0.4057, ...8251: try ..."),
        (
            {},
            MEMORIZED,
            "the training loss is zero (0.0001): 5,000 weights have memorized 20 samples: try more data, "
            f"model.hidden_sizes=[32], model.dropout=0.2, {DECAY}",
        ),
        ({}, MEMORIZED | {"val": []}, "..., data.val_size=0.1 to see how new samples fare"),
        # Only what can be set, and makes the model smaller.
        ({"model": {"hidden_sizes": [256, 128]}}, MEMORIZED, f"...: try more data, model.hidden_sizes=[32], {DECAY}"),
        ({"model": {"hidden_sizes": [32]}}, MEMORIZED, f"...: try more data, {DECAY}"),
        ({"model": {"hidden_sizes": [256, 16]}}, MEMORIZED, f"...: try more data, {DECAY}"),
        ({"model": {"hidden_sizes": [], "dropout": 0}}, MEMORIZED, f"...: try more data, model.dropout=0.2, {DECAY}"),
        # Classes
        (
            {},
            PETS,
            "imbalanced classes (4,000 samples of 'cat', 900 of 'dog'), where F1 tells more than accuracy: try "
            f"{WEIGHTS} {BY_F1}",
        ),
        ({}, PETS | {"val": []}, f"...: try {WEIGHTS}"),
        ({"task.monitor": "val/auroc"}, PETS, f"...: try {WEIGHTS}"),
        ({}, {"class_counts": {LONG[0]: 4000, LONG[1]: 900}}, f"...4,000 samples of {CUT[0]}, 900 of {CUT[1]})..."),
        ({}, RARE, f"{NEVER}: try {WEIGHTS} {BY_F1}, more samples of it"),
        ({"task.class_weights": "balanced", "task.monitor": "val/f1"}, RARE, f"{NEVER}: try more samples of it"),
        ({"task.class_weights": "balanced"}, RARE, f"{NEVER}: try {BY_F1} (selects by F1), more samples of it"),
        ({}, RARE | {"val": []}, f"{NEVER}: try {WEIGHTS}, more samples of it"),
        ({}, B, f"the model never predicts 'b' (20 ...: try trainer.max_epochs=30, {BY_F1} (selects by F1)"),
        ({"task.monitor": "val/loss", "task.mode": "min"}, B, f"..., {BY_F1} task.mode=max (selects by F1)"),
        (
            {},
            LETTERS | {"unpredicted": {"b": 10, "c": 20, "d": 4}},
            "2 of 8 classes are never predicted (30 validation samples): 'b', 'c': try "
            f"{WEIGHTS} {BY_F1}, more samples of them",
        ),
        ({}, LETTERS | {"unpredicted": dict.fromkeys("bcdefg", 10)}, "... 'b', 'c', 'd', 'e', 'f' and 1 more: try ..."),
        (
            {},
            {name: dict.fromkeys(LONG, 10) for name in ("class_counts", "unpredicted")},
            f"...: {CUT[0]}, {CUT[1]}: try ...",
        ),
        ({}, {"class_counts": COLOURS}, BLUE),
        ({}, {"class_counts": COLOURS, "unpredicted": {"blue": 20}}, BLUE),
        ({}, {"class_counts": COLOURS | {"cyan": 0}}, "... of 'blue', 'cyan': the model cannot learn them"),
        ({}, {"class_counts": {"yes": 1, "no": 0}, "baseline_train": 0.0}, "all training samples are of 'yes': ..."),
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
            "try another optimizer.lr, or look for a bug in the model, the loss or the data;...",
        ),
        ({"trainer.overfit_batches": 1}, {}, "debug=overfit: the loss on its 1 batch fell..."),
        ({"trainer.overfit_batches": 0.01}, {}, "debug=overfit: the loss on its few batches fell..."),
    ],
)
def test_a_problem_gets_its_hint(change, known, expected):
    (hint,) = judged(change, **known)
    assert re.fullmatch(".*".join(map(re.escape, expected.split("..."))), hint)


def test_several_problems_get_several_hints(caplog):
    from litlab.diagnostics.hints import hints_after, lower_rate

    absent, imbalanced = judged(class_counts=COLOURS | {"green": 20})
    assert absent.startswith("no training samples of 'blue'") and imbalanced.startswith("imbalanced classes (150 ")
    assert len(judged(**STUCK, unpredicted={"b": 20})) == 1
    assert "the model never predicts 'b'" in judged(class_counts={"a": 90, "b": 9}, **STUCK, unpredicted={"b": 20})[1]
    assert hints_after("this", "is", "no", "run") == []
    assert "there are no hints on this run" in caplog.text and "TypeError" in caplog.text
    for rate, lower in [(0.5, 0.05), (0.87, 0.09), (1e-5, 1e-6), (30.0, 0.1), (9e29, 0.1), (math.nan, 0.1)]:
        assert lower_rate(OmegaConf.create(TUNED), rate) == f"optimizer.lr={lower:g}"


@pytest.mark.slow
def test_the_default_digits_run_gets_no_hint_and_others_do(compose):
    from litlab.errors import RunError
    from litlab.verbs.train import train

    def hinted(*overrides):
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
