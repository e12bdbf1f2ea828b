"""Hints: each speaks where it should and is silent elsewhere."""

import math
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


def judged(
    change: dict[str, Any] | None = None, untrained: float = 2.4, selected: float = 0.1, **evidence: Any
) -> list[str]:
    """The hints on a run that has learned well, but for what is given."""
    from litlab.diagnostics.advice import Sizes
    from litlab.diagnostics.evidence import Evidence
    from litlab.diagnostics.hints import hints

    good: dict[str, Any] = {"train": [1.0, 0.5, 0.2], "val": [0.9, 0.5, 0.25], "constant_train": 2.3}
    good |= {
        "constant_val": 2.3,
        "selected": lambda: selected,
        "untrained": lambda: untrained,
        "steps": 1000,
        "samples": 10_000,
        "parameters": 5000,
        "class_counts": {"a": 9, "b": 8},
        "unanswered": {},
        "sizes": Sizes(),
    }
    config = OmegaConf.create(CONFIG)
    for name, value in (change or {}).items():
        OmegaConf.update(config, name, value, merge=False)
    return hints(Evidence(config=config, **(good | evidence)))


def test_a_good_run_gets_none() -> None:
    assert judged() == []
    assert judged(val=[]) == []


def test_a_stuck_loss_names_the_learning_rate_both_ways() -> None:
    (hint,) = judged(train=[2.31, 2.30, 2.31], selected=1.0)
    assert hint.endswith(": try optimizer.lr=0.01, optimizer.lr=1, data.normalize=true")
    assert hint.startswith("the last epoch's mean training loss is 2.31, and an answer that ignores the input has 2.3:")


def test_tokens_are_not_to_be_normalized() -> None:
    (hint,) = judged(train=[2.31, 2.30, 2.31], selected=1.0, tokens=True)
    assert hint.endswith(": try optimizer.lr=0.01, optimizer.lr=1")


def test_a_stuck_loss_that_rose_names_the_lower_rate_alone() -> None:
    (hint,) = judged(train=[2.1, 2.6, 3.0], selected=1.2)
    assert hint.endswith(": try optimizer.lr=0.01, tune=lr, data.normalize=true")
    (hint,) = judged({"tune": {"_target_": "litlab.tune.find_lr"}}, train=[2.1, 2.6, 3.0], selected=1.2)
    assert hint.endswith(": try optimizer.lr=0.01, data.normalize=true")


UNLIKE = ("the inputs are of unlike or unhandy size (1.09 to 1.43e+03)", ("data.normalize=true",))


@pytest.mark.parametrize(
    ("train", "untrained", "said"),
    [
        ([531.4, 1.7, 2.4], 2.4, "; it rose to 531.4, from 2.4 untrained; {}: try data.normalize=true"),
        ([9.0, 8.0, 7.0], 9.9, "; it falls, but slowly; {}: try data.normalize=true, tune=lr"),
        ([2.31, 2.30, 2.31], 2.4, " the input has 2.3; {}: try data.normalize=true"),
    ],
)
def test_sizes_of_the_data_come_before_any_rate(train: list[float], untrained: float, said: str) -> None:
    from litlab.diagnostics.advice import Sizes

    (hint,) = judged(train=train, untrained=untrained, selected=1.0, sizes=Sizes(*UNLIKE))
    assert hint.endswith(said.format(UNLIKE[0]))
    assert judged(sizes=Sizes(*UNLIKE)) == []  # a run that learns well needs none


def test_a_loss_that_has_come_to_the_constant_answers_is_not_on_its_way() -> None:
    (hint,) = judged(train=[2.32, 2.302, 2.301], selected=1.0)  # each epoch a bit better
    assert "slowly" not in hint and "optimizer.lr=0.01, optimizer.lr=1" in hint


def test_a_stuck_loss_of_changed_samples_names_the_plain_ones() -> None:
    (hint,) = judged({"augmentation": {"shift": 14}}, train=[2.31, 2.30, 2.31], selected=1.0)
    assert ": try augmentation=none, optimizer.lr=0.01, " in hint


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (LINEAR, ": try model=mlp, optimizer.lr=0.01, "),
        (LINEAR | {"hidden_sizes": []}, ": try model.hidden_sizes=[256,128], optimizer.lr=0.01, "),
        (LINEAR | {"hidden_sizes": [8]}, ": try optimizer.lr=0.01, "),
        ({"_target_": "litlab.models.cnn.CNN"}, ": try optimizer.lr=0.01, "),
    ],
)
def test_a_stuck_linear_model_is_told_to_have_hidden_layers(model: dict[str, Any], said: str) -> None:
    (hint,) = judged({"model": model}, train=[2.31, 2.30, 2.31], selected=1.0)
    assert said in hint


@pytest.mark.parametrize(
    ("rate", "train", "selected", "said"),
    [  # as measured on the digits
        (100.0, [3.77e25, 195.3, 43.77], 173.0, "loss is 43.77, and an answer that ignores the input has 2.3; it rose"),
        (10.0, [1.1e7, 1.3e6, 3.5, 2.38, 2.34, 2.31], 1.2, "rose to 1.1e+07, from 2.4 untrained"),
        (1.0, [1.68, 660870.0, 35.1, 2.31, 2.30], 0.4, "rose to 6.609e+05"),  # the tested weights are of epoch 1
        (10.0, [68.77], 2.0, "rose to 68.77"),
    ],
)
def test_a_loss_that_rose_far_above_the_untrained_models_names_a_lower_rate(
    rate: float, train: list[float], selected: float, said: str
) -> None:
    (hint,) = judged({"optimizer.lr": rate}, train=train, selected=selected, val=[])
    assert said in hint
    assert hint.endswith(": the learning rate is too high: try optimizer.lr=0.1, or tune=lr, which looks for one")


def test_a_lower_rate_is_a_tenth_where_the_rate_was_no_absurd_one() -> None:
    (hint,) = judged(
        {"optimizer.lr": 0.02, "tune": {"_target_": "litlab.tune.find_lr"}}, train=[9.0, 3.9, 3.7], selected=1.6
    )
    assert hint.endswith("too high: try optimizer.lr=0.002")  # tune=lr has been there already


def test_a_high_first_loss_that_came_down_is_fine() -> None:
    assert judged(train=[1e7, 1.0, 0.2]) == []


def test_a_loss_that_falls_too_slowly_names_a_higher_rate_and_more_epochs() -> None:
    (hint,) = judged({"data.normalize": True}, untrained=9.9, train=[9.0, 8.0, 7.0], selected=3.0)
    assert hint.endswith("it falls, but slowly: try tune=lr, optimizer.lr=1, trainer.max_epochs=30")


def test_a_tiny_rate_shows_within_one_epoch() -> None:
    slow = {"optimizer.lr": 1e-9, "data.normalize": True, "trainer.max_epochs": 1}
    (hint,) = judged(slow, untrained=29662.0, train=[28395.0], val=[], constant_train=420.8, selected=64.0)
    assert hint.endswith("it falls, but slowly: try tune=lr, optimizer.lr=1e-08, trainer.max_epochs=10")
    (hint,) = judged(slow, untrained=2.32, train=[2.32, 2.32], selected=1.0)  # not a digit of it
    assert hint.endswith("it falls, but slowly: try tune=lr")
    (hint,) = judged(slow, train=[2.4, 2.38, 2.41], val=[2.39, 2.39, 2.38], selected=1.03)  # dropout
    assert hint.endswith("it falls, but slowly: try tune=lr")
    (hint,) = judged(slow | {"resume_from": "last.ckpt"}, untrained=2.32, train=[2.32, 2.32], selected=1.0)
    assert hint.endswith("it falls, but slowly: try optimizer.lr=1e-08, trainer.max_epochs=20")


def test_too_few_steps_name_more_epochs_and_smaller_batches() -> None:
    (hint,) = judged({"data.batch_size": 100_000}, steps=2, train=[2.32, 2.29], selected=0.99)
    assert hint.endswith("; optimizer steps were too few (2): try trainer.max_epochs=20, data.batch_size=64")
    (hint,) = judged(steps=2, samples=100, train=[2.32], selected=0.99)
    assert hint.endswith("(2): try trainer.max_epochs=10, data.batch_size=4")
    (hint,) = judged({"data.batch_size": 1, "trainer.max_steps": 2}, steps=2, train=[2.32], selected=0.99)
    assert hint.endswith("(2): try trainer.max_steps=20")
    assert judged(steps=2) == []  # enough, as it seems


def test_a_rehearsal_says_that_it_is_none() -> None:
    (hint,) = judged({"trainer.fast_dev_run": True}, train=[9.0], val=[9.0])
    assert hint == "trainer.fast_dev_run: a rehearsal on a batch or a few of each split; these numbers mean nothing"


def test_a_high_mean_over_the_first_epoch_is_no_stuck_loss() -> None:
    assert judged(train=[100.0], val=[], selected=0.2) == []


def test_a_few_batches_to_learn_by_heart_get_a_verdict() -> None:
    few = {"trainer.overfit_batches": 3}
    (hint,) = judged(few, train=[2.3, 0.0004], val=[], selected=4.0, samples=20, class_counts={"a": 900, "b": 8})
    assert hint == (
        "debug=overfit: the loss on its 3 batches fell to 0.0004: the model can learn; the test is of a model that saw "
        "3 batches"
    )
    (hint,) = judged(few, train=[2.3] * 29 + [1.9], val=[])
    assert hint == (
        "debug=overfit: the loss on its 3 batches is still 1.9 after epoch 30 (ignoring its input: 2.3): try "
        "another optimizer.lr, or look for a fault in the model, the loss or the data; the test is of a model that saw "
        "3 batches"
    )
    assert "the loss on its 1 batch fell" in judged({"trainer.overfit_batches": 1})[0]
    assert "the loss on its few batches fell" in judged({"trainer.overfit_batches": 0.01})[0]


@pytest.mark.parametrize(
    ("val", "said"), [([1.5, 1.2, 1.0], "0.2 in training, 1 in validation"), ([0.4, 0.2, 0.5], "lowest after epoch 2")]
)
def test_overfitting_names_what_the_run_can_set(val: list[float], said: str) -> None:
    (hint,) = judged(val=val)
    assert said in hint
    assert hint.endswith("model.dropout=0.2, optimizer.weight_decay=0.001, callbacks=early_stopping, more data")


def test_overfitting_names_only_settings_there_are() -> None:
    (hint,) = judged({"model": LINEAR, "callbacks": {"early_stopping": {}}}, val=[1.5])
    assert hint.endswith("try optimizer.weight_decay=0.001, more data")


def test_overfitting_takes_steps() -> None:
    """The running statistics of batch norm, with which validation is done, are behind at first."""
    assert judged(train=[0.4057], val=[0.8251], steps=9) == []
    assert "overfitting: loss 0.4057 in training, 0.8251" in judged(train=[0.4057], val=[0.8251], steps=20)[0]


def test_overfitting_is_validation_above_training() -> None:
    """A validation of one sample: its constant answer's loss is almost none."""
    assert judged(train=[2.2, 0.0065], val=[1.3, 3e-5, 8.6e-5], constant_val=1e-7) == []


def test_no_loss_on_too_little_data_names_more_of_it() -> None:
    (hint,) = judged(train=[1.0, 1e-4], val=[1.0, 1.0], samples=20)
    assert "5,000 weights know 20 samples by heart" in hint and "more data" in hint and "model.dropout=0.2" in hint
    (hint,) = judged(train=[1.0, 1e-4], val=[], samples=20)
    assert "data.val_size=0.1" in hint


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"hidden_sizes": [256, 128]}, "more data, or model.hidden_sizes=[32], optimizer.weight_decay=0.001"),
        ({"hidden_sizes": [32]}, "more data, or optimizer.weight_decay=0.001"),
        ({"hidden_sizes": [256, 16]}, "more data, or optimizer.weight_decay=0.001"),
        ({"hidden_sizes": [], "dropout": 0.0}, "more data, or model.dropout=0.2, optimizer.weight_decay=0.001"),
    ],
)
def test_no_loss_names_hidden_layers_only_where_they_become_smaller(model: dict[str, Any], said: str) -> None:
    (hint,) = judged({"model": model}, train=[1.0, 1e-4], val=[1.0, 1.0], samples=20)
    assert hint.endswith(f": try {said}")


def test_no_loss_is_fine_where_validation_agrees() -> None:
    assert judged(train=[1.0, 1e-4], val=[0.1, 0.05], samples=20) == []
    assert judged(train=[1.0, 1e-9], val=[], samples=3, parameters=2) == []  # the line through three points


def test_classes_out_of_balance_name_the_weights() -> None:
    (hint,) = judged(class_counts={"cat": 4000, "dog": 900, "eel": 1000})
    assert hint == (
        "classes out of balance: 4,000 samples of cat, 900 of dog: try task.class_weights=balanced task.monitor=val/f1"
    )
    (hint,) = judged(val=[], class_counts={"cat": 4000, "dog": 900})
    assert hint.endswith(": try task.class_weights=balanced")
    (hint,) = judged({"task.monitor": "val/auroc"}, class_counts={"cat": 4000, "dog": 900})
    assert hint.endswith(": try task.class_weights=balanced")
    assert judged({"task.class_weights": "balanced"}, class_counts={"cat": 4000, "dog": 900}) == []
    assert judged(class_counts={"cat": 3000, "dog": 900}) == []


def test_a_class_that_is_never_answered_is_named() -> None:
    rare: dict[str, Any] = {"class_counts": {"common": 1900, "rare": 100}, "unanswered": {"rare": 20}}
    (hint,) = judged(**rare)
    assert hint == (
        "the model never answers 'rare', which 20 validation samples are: try task.class_weights=balanced "
        "task.monitor=val/f1, more samples of it"
    )
    (hint,) = judged({"task.class_weights": "balanced", "task.monitor": "val/f1"}, **rare)
    assert hint.endswith(": try more samples of it")
    (hint,) = judged({"task.class_weights": "balanced"}, **rare)
    assert hint.endswith(": try task.monitor=val/f1 (selects by F1), more samples of it")
    (hint,) = judged(val=[], **rare)
    assert hint.endswith(": try task.class_weights=balanced, more samples of it")


def test_classes_that_are_never_answered_are_named() -> None:
    counts = dict.fromkeys("abcdefgh", 100) | {"b": 20}
    (hint,) = judged(class_counts=counts, unanswered={"b": 10, "c": 20, "d": 4})  # four samples tell nothing
    assert hint.startswith(
        "2 of 8 classes are never answered, which 30 validation samples are: 'b', 'c': try task.class"
    )
    assert hint.endswith("more samples of them")
    (hint,) = judged(class_counts=counts, unanswered=dict.fromkeys("bcdefg", 10))
    assert "60 validation samples are: 'b', 'c', 'd', 'e', 'f', ...: try" in hint
    (hint,) = judged(unanswered={"b": 20})  # in balance
    assert hint.endswith("20 validation samples are: try trainer.max_epochs=30, task.monitor=val/f1 (selects by F1)")


def test_f1_is_named_with_the_mode_it_needs() -> None:
    changed = {"task.monitor": "val/loss", "task.mode": "min"}
    (hint,) = judged(changed, unanswered={"b": 20})
    assert hint.endswith("try trainer.max_epochs=30, task.monitor=val/f1 task.mode=max (selects by F1)")


def test_a_long_name_is_cut_in_its_middle() -> None:
    names = [f"a name of many words, number {number}" for number in (1, 2)]
    (hint,) = judged(class_counts=dict.fromkeys(names, 100), unanswered=dict.fromkeys(names, 10))
    assert "20 validation samples are: 'a name of...number 1', 'a name of...number 2': try" in hint
    (hint,) = judged(class_counts={names[0]: 4000, names[1]: 900})
    assert "4,000 samples of a name of...number 1, 900 of a name of...number 2: try" in hint


def test_a_class_without_training_samples_is_named() -> None:
    counts = {"red": 150, "green": 140, "blue": 0}
    expected = ["no training sample of 'blue': the model cannot learn it"]
    assert judged(class_counts=counts) == expected
    assert judged(class_counts=counts, unanswered={"blue": 20}) == expected
    (hint,) = judged(class_counts=counts | {"cyan": 0})
    assert hint == "no training sample of 'blue', 'cyan': the model cannot learn them"
    (hint,) = judged(class_counts={"yes": 1, "no": 0}, constant_train=0.0)
    assert hint == "all training samples are of 'yes': there is nothing to tell apart, so look at load()"
    _, hint = judged(class_counts=counts | {"green": 20})
    assert hint.startswith("classes out of balance: 150 samples of red, 20 of green: try")


def test_hints_that_fail_leave_the_run_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    from litlab.diagnostics.hints import hints_after

    assert hints_after("this", "is", "no", "run") == []
    assert "there are no hints on this run" in caplog.text and "TypeError" in caplog.text


def test_a_model_that_has_learned_nothing_is_not_told_of_classes_in_balance() -> None:
    stuck: dict[str, Any] = {"train": [2.31, 2.30, 2.31], "selected": 1.0, "unanswered": {"b": 20}}
    assert len(judged(**stuck)) == 1
    assert "the model never answers 'b'" in judged(class_counts={"a": 90, "b": 9}, **stuck)[1]


def test_targets_that_are_all_equal_get_no_hint_on_the_fit() -> None:
    assert judged(constant_train=0.0, constant_val=0.0) == []
    assert judged(constant_train=math.nan, constant_val=math.nan, selected=math.inf) == []


def test_the_default_digits_run_gets_no_hint_and_others_do(compose: Callable[..., Any]) -> None:
    from litlab.train import train

    def hinted(*overrides: str) -> list[str]:
        return train(compose(*overrides, pictures=False)).hints

    assert hinted("trainer.max_epochs=10") == []
    (hint,) = hinted("optimizer.lr=1e-7")
    assert hint.endswith("; it falls, but slowly: try tune=lr")
    (hint,) = hinted("optimizer.lr=100", "trainer.max_epochs=3")
    assert "try optimizer.lr=0.1, or tune=lr" in hint
    (hint,) = hinted("data.batch_size=100000")
    assert "try trainer.max_epochs=20, data.batch_size=64" in hint
