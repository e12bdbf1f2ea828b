"""Pictures of runs: the right ones, where they belong, and never a failed run."""

import csv
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Train = Callable[..., Path]


@pytest.fixture
def train(compose: Callable[..., Any]) -> Train:
    """Train and test as the command does; the run directory."""

    def trained(*overrides: str) -> Path:
        from litlab.train import train

        config = compose(*overrides)
        train(config)
        return Path(config.paths.run_dir)

    return trained


def pictures(run_dir: Path) -> set[str]:
    return {file.stem for file in (run_dir / "plots").glob("*.png")}


def test_classification_has_matrix_mistakes_and_curves_also_in_tensorboard(train: Train) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run_dir = train("data=digits", "model=mlp", "logger=tensorboard")
    names = {"confusion_matrix", "mistakes", "curves"}
    assert pictures(run_dir) == names
    events = EventAccumulator(str(run_dir / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    assert set(events.Tags()["images"]) == {f"plots/{name}" for name in names}
    image = events.Images("plots/curves")[0]
    assert image.width > 300 and image.step > 0


def test_one_column_regression_has_the_curve_of_the_untrained_model(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    from litlab.plots import regression

    drawn: dict[str, Any] = {}
    fit = regression.fit
    monkeypatch.setattr(regression, "fit", lambda *args, **kwargs: fit(*(drawn.setdefault("args", args)), **kwargs))
    run_dir = train("data=sine", "model=polynomial", "optimizer.lr=0.01", "scheduler=none", "data.passes_per_epoch=100")
    assert pictures(run_dir) == {"fit", "predicted_vs_actual", "residuals", "curves"}
    inputs, targets, before, after = drawn["args"]
    np.testing.assert_allclose(targets, np.sin(inputs), atol=1e-6)
    assert ((after - targets) ** 2).mean() < ((before - targets) ** 2).mean() / 2


@pytest.mark.parametrize(("on_train", "split"), [(True, "training"), (False, "test")])
def test_a_picture_says_of_which_split_it_is(on_train: bool, split: str) -> None:
    from litlab.callbacks.pictures import PICTURES, Tested
    from litlab.data.digits import Digits
    from litlab.data.sine import Sine

    data, digits, values = Sine(), Digits(), np.linspace(0, 1, 4)
    data.tests_on_train = digits.tests_on_train = on_train
    tested = Tested(data, values[:, None], values, values, values)
    drawn: dict[str, Any] = {name: PICTURES[name](tested) for name in ("predicted_vs_actual", "residuals", "fit")}
    assert f"4 {split} samples" in drawn["predicted_vs_actual"].axes[0].get_title()
    assert drawn["fit"].axes[0].get_title().endswith(f"; {split} samples")
    assert drawn["residuals"].axes[1].get_xlabel() == f"{split} samples"
    matrix: Any = PICTURES["confusion_matrix"](Tested(digits, values, np.arange(10), np.eye(10), None))
    assert f"10 {split} samples, accuracy 100.00%" in matrix.axes[0].get_title()


def test_more_columns_than_one_draw_no_curve() -> None:
    from litlab.callbacks.pictures import Tested, draw_fit
    from litlab.data.sine import Sine

    values = np.zeros((4, 1))
    assert draw_fit(Tested(Sine(), np.zeros((4, 2)), values[:, 0], values, None)) is None


def test_fast_dev_run_draws_nothing(train: Train) -> None:
    assert pictures(train("data=digits", "model=mlp", "debug=fast_dev_run")) == set()


def test_a_picture_that_fails_is_a_warning(
    train: Train,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from litlab.plots import classification

    def fail(*_: Any) -> None:
        raise RuntimeError("no ink\nanywhere")

    monkeypatch.setattr(classification, "confusion_matrix", fail)
    with caplog.at_level(logging.WARNING, logger="litlab"):
        assert pictures(train("data=digits", "model=mlp")) == {"mistakes", "curves"}
    assert "plots/confusion_matrix.png could not be drawn: no ink" in caplog.text
    assert 'raise RuntimeError("no ink' in caplog.text, "the traceback"
    line = "warning: plots/confusion_matrix.png could not be drawn: no ink anywhere (train.log has the traceback)"
    assert [told for told in capsys.readouterr().err.splitlines() if told.startswith("warning: ")] == [line]


def test_a_model_that_cannot_be_asked_again_is_a_warning(
    train: Train, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from litlab.callbacks import pictures as module

    def fail(*_: Any) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(module, "predict", fail)
    assert pictures(train("data=digits", "model=mlp")) == {"curves"}
    line = "warning: no pictures of the test: out of memory (train.log has the traceback)"
    assert [told for told in capsys.readouterr().err.splitlines() if told.startswith("warning: ")] == [line]


def test_the_names_of_mistakes_leave_room_for_how_sure_they_are() -> None:
    from litlab.callbacks.pictures import Tested, draw_mistakes
    from litlab.data.digits import Digits

    data = Digits()
    data.class_names = ("Ankle boot", "a class with quite a long name", r"cost $\frac$")
    sure = np.array([[0.0, 0.0, 1.0], [0.0, 0.996, 0.004], [1.0, 0.0, 0.0]])
    figure = draw_mistakes(Tested(data, np.ones((3, 1, 8, 8)), np.array([1, 0, 0]), sure, None))
    assert figure is not None
    assert [text.get_text() for text in figure.axes[0].texts] == [
        "cost …frac$ (100.0%)\nis a cla… name",
        "a cla… name (99.6%)\nis Ankle boot",
    ]


def test_confident_mistakes_are_mistakes_the_surest_first() -> None:
    from litlab.callbacks.pictures import confident_mistakes

    random = np.random.default_rng(0)
    probabilities, targets = random.dirichlet((1, 1, 1), 200), random.integers(0, 3, 200)
    chosen = confident_mistakes(probabilities, targets)
    predicted = probabilities.argmax(1)
    assert (predicted[chosen] != targets[chosen]).all()
    assert len(chosen) == (predicted != targets).sum()
    assert (np.diff(probabilities[chosen].max(1)) <= 0).all()


def test_one_probability_stands_for_two_classes() -> None:
    from litlab.callbacks.pictures import Tested, draw_confusion_matrix
    from litlab.data.breast_cancer import BreastCancer

    tested = Tested(BreastCancer(), np.zeros((3, 3)), np.array([0, 1, 0]), np.array([0.25, 0.75, 0.875]), None)
    np.testing.assert_allclose(tested.probabilities, [[0.75, 0.25], [0.25, 0.75], [0.125, 0.875]])
    cells = {text.get_position()[::-1]: text.get_text() for text in draw_confusion_matrix(tested).axes[0].texts}
    assert cells == {(0, 0): "1", (0, 1): "1", (1, 1): "1"}, "(actual, predicted)"


def test_every_picture_that_a_task_names_exists() -> None:
    from litlab.callbacks.pictures import PICTURES
    from litlab.tasks.binary import Binary
    from litlab.tasks.classification import Classification
    from litlab.tasks.regression import Regression

    for task in (Binary, Classification, Regression):
        assert task.pictures and set(task.pictures) <= PICTURES.keys()


def test_evaluating_leaves_each_part_in_its_mode() -> None:
    from torch import nn

    from litlab.callbacks.pictures import evaluating

    net = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2)).train()
    net[1].eval()  # frozen, say
    with evaluating(net):
        assert not any(part.training for part in net.modules())
    assert (net.training, net[0].training, net[1].training) == (True, True, False)


def test_history_has_each_epochs_own_metrics(fit: Callable[..., Any]) -> None:
    from litlab.callbacks.history import History

    run = fit("data=digits", "model=mlp", "trainer.max_epochs=3", "trainer.check_val_every_n_epoch=2")
    history = next(each for each in run.trainer.callbacks if isinstance(each, History))
    assert ["val/loss" in epoch for epoch in history.epochs] == [False, True, False]
    assert all("train/loss" in epoch for epoch in history.epochs)
    assert history.epochs[-1]["train/loss"] == pytest.approx(float(run.trainer.callback_metrics["train/loss"]))
    assert history.best("train/loss", "min") == 3
    assert history.best("absent", "max") is None
    with Path(run.trainer.default_root_dir, "history.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["epoch"] for line in lines] == ["1", "2", "3"] and lines[0]["val/loss"] == ""
    assert [float(line["train/loss"]) for line in lines] == [epoch["train/loss"] for epoch in history.epochs]
