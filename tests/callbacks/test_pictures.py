"""Pictures of runs: the right ones, in the right places, and never a failed run."""

import csv
import logging
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from litlab import signals
from litlab.callbacks import pictures as module
from litlab.callbacks import tested
from litlab.callbacks.history import History
from litlab.callbacks.tested import PICTURES, Tested, confident_mistakes
from litlab.data.breast_cancer import BreastCancer
from litlab.data.digits import Digits
from litlab.data.sine import Sine
from litlab.plots import classification, regression
from litlab.runs.postponed import postponed
from litlab.tasks.binary import Binary
from litlab.tasks.classification import Classification
from litlab.tasks.prediction import evaluating
from litlab.tasks.regression import Regression
from litlab.verbs.train import train

DIGITS = ("data=digits", "model=mlp")


@pytest.fixture
def run(compose):
    def ran(*overrides):
        config = compose(*overrides)
        train(config)
        return Path(config.paths.run_dir)

    return ran


def pictures(run_dir):
    return {file.stem for file in (run_dir / "plots").glob("*.png")}


def test_classification_has_matrix_mistakes_and_curves_also_in_tensorboard(run):
    run_dir = run(*DIGITS, "logger=tensorboard", "callbacks.dashboard.samples=false")
    names = {"confusion_matrix", "mistakes", "curves"}
    assert pictures(run_dir) == names
    assert pictures(run(*DIGITS, *(f"callbacks.pictures.{name}=false" for name in names - {"curves"}))) == {"curves"}
    events = EventAccumulator(str(run_dir / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    assert set(events.Tags()["images"]) == {f"plots/{name}" for name in names}
    image = events.Images("plots/curves")[0]
    assert image.width > 300 and image.step > 0


def test_one_column_regression_has_the_curve_of_the_untrained_model(run, monkeypatch):
    drawn, fit = {}, regression.fit
    monkeypatch.setattr(regression, "fit", lambda *args, **kwargs: fit(*(drawn.setdefault("args", args)), **kwargs))
    run_dir = run("data=sine", "model=polynomial", "optimizer.lr=0.01", "scheduler=none", "data.passes_per_epoch=100")
    assert pictures(run_dir) == {"fit", "predicted_vs_actual", "residuals", "curves"}
    inputs, targets, before, after = drawn["args"]
    np.testing.assert_allclose(targets, np.sin(inputs), atol=1e-6)
    assert ((after - targets) ** 2).mean() < ((before - targets) ** 2).mean() / 2


def test_mistakes_splits_and_pictures_by_name():
    for part, split in [("train", "training"), ("test", "test")]:
        data, digits, values = Sine(), Digits(), np.linspace(0, 1, 4)
        data.test_split = digits.test_split = part
        tested = Tested(data, values[:, None], values, values, values)
        drawn = {name: PICTURES[name](tested) for name in ("predicted_vs_actual", "residuals", "fit")}
        assert f"4 {split} samples" in drawn["predicted_vs_actual"].axes[0].get_title()
        assert drawn["fit"].axes[0].get_title().endswith(f"; {split} samples")
        assert drawn["residuals"].axes[1].get_xlabel() == f"{split} samples"
        matrix = PICTURES["confusion_matrix"](Tested(digits, values, np.arange(10), np.eye(10), None))
        assert f"10 {split} samples, accuracy 100.00%" in matrix.axes[0].get_title()
        assert PICTURES["fit"](tested._replace(data=BreastCancer())) is None, "30 columns have no curve"
    tested = Tested(BreastCancer(), np.zeros((3, 3)), np.array([0, 1, 0]), np.array([0.25, 0.75, 0.875]), None)
    np.testing.assert_allclose(tested.probabilities, [[0.75, 0.25], [0.25, 0.75], [0.125, 0.875]])
    matrix = PICTURES["confusion_matrix"](tested)
    cells = {text.get_position()[::-1]: text.get_text() for text in matrix.axes[0].texts}
    assert cells == {(0, 0): "1", (0, 1): "1", (1, 1): "1"}, "(actual, predicted)"
    random = np.random.default_rng(0)
    probabilities, targets = random.dirichlet((1, 1, 1), 200), random.integers(0, 3, 200)
    chosen, predicted = confident_mistakes(probabilities, targets), probabilities.argmax(1)
    assert (predicted[chosen] != targets[chosen]).all()
    assert len(chosen) == (predicted != targets).sum()
    assert (np.diff(probabilities[chosen].max(1)) <= 0).all()
    data = Digits()
    data.class_names = ("Ankle boot", "a class with quite a long name", r"cost $\frac$")
    probabilities = np.array([[0.0, 0.0, 1.0], [0.0, 0.996, 0.004], [1.0, 0.0, 0.0]])
    figure = PICTURES["mistakes"](Tested(data, np.ones((3, 1, 8, 8)), np.array([1, 0, 0]), probabilities, None))
    assert [text.get_text() for text in figure.axes[0].texts] == [
        "cost …frac$ (100.0%)\nis a cla… name",
        "a cla… name (99.6%)\nis Ankle boot",
    ]
    for task in (Binary, Classification, Regression):
        assert task.pictures and set(task.pictures) <= PICTURES.keys()
    net = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2)).train()
    net[1].eval()  # frozen, say
    with evaluating(net):
        assert not any(part.training for part in net.modules())
    assert (net.training, net[0].training, net[1].training) == (True, True, False)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["64-true", "bf16-true", "bf16-mixed"])
def test_pictures_are_drawn_at_every_precision(run, precision, tmp_path):
    short = ("trainer.max_epochs=2", f"trainer.precision={precision}")
    assert pictures(run(*DIGITS, *short)) == {"confusion_matrix", "mistakes", "curves"}
    assert "fit" in pictures(run("data=sine", "model=mlp", *short))
    inputs = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
    np.savez(tmp_path / "own.npz", inputs=inputs, targets=np.array(["low", "high"])[(inputs.sum(1) > 0).astype(int)])
    assert "confusion_matrix" in pictures(
        run("data=arrays", f"data.file={tmp_path}/own.npz", "task=binary", "model=mlp", *short)
    )


def test_fast_dev_run_draws_nothing(run):
    assert pictures(run(*DIGITS, "debug=fast_dev_run")) == set()


@pytest.mark.slow
def test_in_a_sweep_of_this_process_the_best_job_is_drawn_at_the_end_and_in_another_at_once(run, monkeypatch, tmp_path):
    for name, value in {"in_sweep": lambda: True, "sweep_folder": lambda: tmp_path}.items():
        monkeypatch.setattr(module, name, value)
    words = (*DIGITS, "logger=tensorboard", "callbacks.dashboard.samples=false", "optimizer.lr=0.1")
    with signals.handled():
        jobs = [run(*words, f"trainer.max_epochs={epochs}") for epochs in (1, 3, 1)]
        assert not any(map(pictures, jobs))
        postponed(str(tmp_path)).do()
    names = {"confusion_matrix", "mistakes", "curves"}
    assert list(map(pictures, jobs)) == [set(), names, set()]
    events = EventAccumulator(str(jobs[1] / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    assert set(events.Tags()["images"]) == {f"plots/{name}" for name in names}
    assert pictures(run(*words, "trainer.max_epochs=8")) == names, "a worker may end with this job"


@pytest.mark.parametrize(
    ("owner", "name", "error", "left", "warning"),
    [
        (
            *(classification, "confusion_matrix", "no ink\nanywhere", {"mistakes", "curves"}),
            "plots/confusion_matrix.png could not be drawn: no ink anywhere",
        ),
        (tested, "predict", "out of memory", {"curves"}, "no pictures of the test: out of memory"),
    ],
)
def test_a_picture_that_fails_is_a_warning(run, monkeypatch, caplog, capsys, owner, name, error, left, warning):
    def fail(*_):
        raise RuntimeError(error)

    monkeypatch.setattr(owner, name, fail)
    with caplog.at_level(logging.WARNING, logger="litlab"):
        assert pictures(run(*DIGITS)) == left
    assert "raise RuntimeError(error)" in caplog.text, "the traceback"
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert lines == [f"warning: {warning} (train.log has the traceback)"]


def test_history_has_each_epochs_own_metrics(fit):
    run = fit(*DIGITS, "trainer.max_epochs=3", "trainer.check_val_every_n_epoch=2")
    history = next(each for each in run.trainer.callbacks if isinstance(each, History))
    assert ["val/loss" in epoch for epoch in history.epochs] == [False, True, False]
    assert all("train/loss" in epoch for epoch in history.epochs)
    assert history.epochs[-1]["train/loss"] == pytest.approx(float(run.trainer.callback_metrics["train/loss"]))
    assert history.best("train/loss", "min") == 3
    assert history.best("absent", "max") is None
    with Path(run.trainer.default_root_dir, "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"] and rows[0]["val/loss"] == ""
    assert [float(row["train/loss"]) for row in rows] == [epoch["train/loss"] for epoch in history.epochs]
