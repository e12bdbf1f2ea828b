"""TensorBoard's HParams page, read back by TensorBoard's own code."""

import pytest
from hparams_page import read_page
from omegaconf import OmegaConf

from litlab.errors import RunError
from litlab.runs.hparams import final_metrics, hparams
from litlab.runs.result import Monitor, Result
from litlab.verbs.train import train


def job(values, *overrides, swept=()):
    config = OmegaConf.create({"sweep": {"swept": list(swept)}, **values})
    choices = {"data": "digits", "model": "mlp", "experiment": None}
    return hparams(config, Result(choices, list(overrides)))


def test_values_are_readable_and_only_what_was_swept_or_chosen_is_there():
    for values, override, expected in [
        ({"model": {"hidden": [64, 32]}}, "model=mlp", "mlp"),
        ({"augmentation": {"shift": 2}}, "augmentation=shift", "shift"),
        ({"model": {"hidden": [64, 32]}}, "model.hidden=[64,32]", "[64,32]"),
        ({"threads": None}, "threads=null", "null"),
        ({"task": {"compile": True}}, "task.compile=true", True),
        ({"model": {"depth": 3}}, "+model.depth=3", 3),
        ({"optimizer": {"lr": 0.001}}, "optimizer.lr=1e-3", 0.001),
        ({"task": {"class_weights": "balanced"}}, "task.class_weights=balanced", "balanced"),
    ]:
        name = override.split("=")[0].lstrip("+")
        (value,) = job(values, override, swept=(name,)).values()
        assert value == expected and type(value) is type(expected)
    values = {"optimizer": {"lr": 0.1}, "data": {"batch_size": 32}, "seed": 2, "threads": 1}
    typed = ("data=digits", "threads=1", "optimizer.lr=1e-1", "seed=2")
    assert job(values, *typed, swept=("optimizer.lr", "seed")) == {"optimizer.lr": 0.1, "seed": 2}
    values = {"optimizer": {"lr": 0.1, "momentum": 0.5}, "data": {"batch_size": 32}, "seed": 0, "trainer": {}}
    assert job(values, "data=digits", "optimizer.momentum=0.5", "~callbacks.pictures") == {
        "data": "digits",
        "model": "mlp",
        "optimizer.lr": 0.1,
        "data.batch_size": 32,
        "seed": 0,
        "optimizer.momentum": 0.5,
    }
    result = Result()
    result.monitor = Monitor("val/accuracy", "max", 0.9)
    result.metrics = {"train/loss": 1.0, "val/accuracy": 0.8, "test/loss": 0.5, "test/accuracy": 0.7}
    assert list(final_metrics(result).items()) == [
        ("best/val/accuracy", 0.9),
        ("test/accuracy", 0.7),
        ("test/loss", 0.5),
    ]
    result.monitor.best = None
    assert list(final_metrics(result)) == ["test/accuracy", "test/loss"]
    result.test_split = "train"
    assert list(final_metrics(result)) == ["test_on_train/accuracy", "test_on_train/loss"]


@pytest.fixture
def sweep(compose, tmp_path):
    """Composes a job of a sweep over lr, and what is known of it before it trains; runs lie in tmp_path."""

    def job(name, lr):
        words = ("logger=tensorboard", "scheduler=none", "sweep.swept=[optimizer.lr]", f"optimizer.lr={lr}")
        config = compose(*words, f"paths.run_dir={tmp_path / name}", pictures=False)
        return config, Result({"data": "digits", "model": "mlp"}, [f"optimizer.lr={lr}"])

    return job


def test_each_job_is_one_row_and_one_that_failed_too(sweep, tmp_path):
    config, result = sweep("0_good", 0.02)
    result = train(config, result)
    with pytest.raises(RunError):
        train(*sweep("1_diverged", 1000))
    page = read_page(tmp_path)
    assert page.settings == {"optimizer.lr": "DATA_TYPE_FLOAT64"}
    assert page.metrics == list(final_metrics(result)) and page.metrics[:2] == ["best/val/accuracy", "test/accuracy"]
    assert page.rows.keys() == {"0_good/tensorboard", "1_diverged/tensorboard"} == page.last_steps.keys()
    good, diverged = page.rows["0_good/tensorboard"], page.rows["1_diverged/tensorboard"]
    assert good.chosen == {"optimizer.lr": 0.02} and diverged.chosen == {"optimizer.lr": 1000}
    assert (good.status, good.runs) == ("STATUS_SUCCESS", 1)
    assert (diverged.status, diverged.runs) == ("STATUS_FAILURE", 1)
    assert good.metrics == pytest.approx(final_metrics(result), rel=1e-6) and diverged.metrics == {}
    assert result.steps == 40
    ends = page.last_steps["0_good/tensorboard"]
    assert {ends[tag] for tag in ("val/accuracy", "train/loss", *page.metrics)} == {40}
    assert (tmp_path / "0_good" / "tensorboard" / "hparams.yaml").read_text() == "optimizer.lr: 0.02\n"


def test_the_row_is_there_while_the_run_trains(sweep, tmp_path, monkeypatch):
    from litlab.tasks.base import Task

    pages = []
    start = Task.on_train_epoch_start
    monkeypatch.setattr(Task, "on_train_epoch_start", lambda self: (pages.append(read_page(tmp_path)), start(self)))
    train(*sweep("0", 0.02))
    row = pages[0].rows["0/tensorboard"]
    assert row.chosen == {"optimizer.lr": 0.02} and row.status == "STATUS_UNKNOWN" and row.metrics == {}
