"""One experiment from its config to its result."""

import csv
import errno
import logging
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from lightning.pytorch.trainer.trainer import Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from litlab import finish as module
from litlab.distributed.ranks import RENDEZVOUS
from litlab.errors import RequestError, RunError
from litlab.runs.recording import recorded
from litlab.runs.result import Monitor, Result, write
from litlab.tasks.base import Task
from litlab.verbs.train import is_wanted, train

PLAIN = ("scheduler=none", "optimizer.lr=0.02")


def load(path):
    return torch.load(path, weights_only=True)


@pytest.fixture
def run(compose):
    """`train` on composed overrides: the result, and the run directory."""

    def run(*overrides):
        config = compose(*overrides, pictures=False)
        return train(config), Path(config.paths.run_dir)

    return run


@pytest.fixture
def in_epoch(monkeypatch):
    """Call a function with the task at the start of the epoch of that number (from 0); its undoing is returned."""

    def patch(number, act):
        start = Task.on_train_epoch_start

        def acting(self):
            start(self)
            if self.current_epoch == number:
                act(self)

        monkeypatch.setattr(Task, "on_train_epoch_start", acting)
        return lambda: monkeypatch.setattr(Task, "on_train_epoch_start", start)

    return patch


def stop(task):
    raise RunError("stop")


def weights(folder, name="last"):
    return load(folder / "checkpoints" / f"{name}.ckpt")["state_dict"]


def without_times(result):
    return {name: value for name, value in result.as_dict().items() if "second" not in name and name != "checkpoint"}


def test_what_a_result_holds(run):
    result, run_dir = run(*PLAIN)
    assert result.parameters == 64 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10
    assert result.epochs == 2 and result.steps == 40
    assert result.metrics.keys() >= {"train/loss", "val/loss", "val/accuracy", "test/loss", "test/accuracy"}
    assert result.metrics["test/accuracy"] > 0.9
    assert result.monitor.metric == "val/accuracy" and result.monitor.mode == "max"
    assert result.monitor.best == pytest.approx(result.metrics["val/accuracy"], abs=1e-6)
    assert result.checkpoint == str(run_dir / "checkpoints" / "best.ckpt")
    assert 2 * 1257 / result.samples_per_second == pytest.approx(result.seconds_training, abs=1e-3)
    assert result.environment["device"] == "cpu" and result.environment["threads"] == 1
    write(run_dir / "result.json", result.as_dict())  # it is plain data


def test_same_seed_same_weights_another_seed_others(run, same_weights):
    setting = ("scheduler=onecycle", "model.dropout=0.2")
    (one, one_dir), (two, two_dir), (_, other_dir) = run(*setting), run(*setting), run(*setting, "seed=1")
    assert same_weights(weights(one_dir), weights(two_dir))
    assert without_times(one) == without_times(two)
    assert not same_weights(weights(one_dir), weights(other_dir))


def test_the_best_epoch_is_tested_and_the_last_is_kept(run, in_epoch):
    """Accuracy falls after epoch 2 because the weights are spoiled: best.ckpt is of epoch 2, last.ckpt of epoch 4."""

    def spoil(task):
        with torch.no_grad():
            for weight in task.model.parameters():
                weight.mul_(-1)
        task.optimizers().param_groups[0]["lr"] = 1e-9

    in_epoch(2, spoil)
    result, run_dir = run(*PLAIN, "trainer.max_epochs=4")
    best, last = (load(run_dir / "checkpoints" / f"{name}.ckpt") for name in ("best", "last"))
    assert result.monitor.epoch == 2 and best["epoch"] == 1
    assert last["litlab"]["epoch"] == 4 and last["global_step"] == 80
    assert result.metrics["test/accuracy"] > 0.8


def test_without_validation_the_last_weights_are_tested(run):
    result, run_dir = run(*PLAIN, "data.val_size=0")
    assert result.monitor.best is None and result.monitor.epoch is None
    assert result.steps == 2 * 23  # 1,437 samples: the whole training split
    assert not any(name.startswith("val/") for name in result.metrics)
    assert [path.name for path in (run_dir / "checkpoints").iterdir()] == ["last.ckpt"]
    assert result.checkpoint == str(run_dir / "checkpoints" / "last.ckpt")
    assert load(result.checkpoint)["litlab"]["epoch"] == 2


def test_without_validation_each_epoch_is_kept(compose, in_epoch):
    """A run that is stopped in its third epoch leaves the second."""
    in_epoch(2, stop)
    config = compose(*PLAIN, "data.val_size=0", "trainer.max_epochs=4")
    with pytest.raises(RunError, match="stop"):
        train(config)
    assert load(Path(config.paths.run_dir) / "checkpoints" / "last.ckpt")["global_step"] == 2 * 23


@pytest.mark.parametrize(
    "setting",
    [("scheduler=none",), ("scheduler=exponential", "optimizer=adamw"), ("scheduler=plateau", "scheduler.patience=0")],
)
def test_resuming_is_going_on(run, same_weights, setting):
    whole, whole_dir = run(*setting, "trainer.max_epochs=4")
    _, half_dir = run(*setting, "trainer.max_epochs=2")
    resumed, resumed_dir = run(*setting, "trainer.max_epochs=4", f"resume={half_dir}")
    assert (resumed.epochs, resumed.steps) == (4, 80)
    assert same_weights(weights(whole_dir), weights(resumed_dir))
    assert resumed.metrics["train/loss"] == whole.metrics["train/loss"]


@pytest.fixture
def run_in_parts(run):
    """Train for an epoch, and go on from its last checkpoint to the fourth: results and folders of both parts."""

    def parts(*setting):
        first, folder = run(*setting, "trainer.max_epochs=1")
        return first, folder, *run(*setting, "trainer.max_epochs=4", f"resume={folder}")

    return parts


def test_the_best_weights_of_the_first_part_stay_the_best(run_in_parts, same_weights):
    """The mode is turned round, so that the first epoch has what is called the best."""
    first, first_dir, resumed, resumed_dir = run_in_parts(*PLAIN, "callbacks.checkpoint.mode=min")
    assert first.monitor == resumed.monitor and resumed.monitor.epoch == 1
    assert resumed.checkpoint == str(resumed_dir / "checkpoints" / "best.ckpt")
    assert same_weights(weights(first_dir, "best"), weights(resumed_dir, "best"))
    assert resumed.metrics["test/accuracy"] == first.metrics["test/accuracy"]


def test_better_weights_of_the_second_part_take_their_place(run_in_parts):
    first, first_dir, resumed, resumed_dir = run_in_parts(*PLAIN)
    assert resumed.monitor.best > first.monitor.best and resumed.monitor.epoch > 1
    assert sorted(path.name for path in (resumed_dir / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    assert load(first_dir / "checkpoints" / "best.ckpt")["epoch"] == 0  # the first run keeps what it had


def test_a_run_that_broke_off_is_resumed_with_its_schedule(compose, run, same_weights, in_epoch):
    """Onecycle knows the length of the run; the second half must go on with it."""
    setting = ("scheduler=onecycle", "trainer.max_epochs=4")
    _, whole_dir = run(*setting)
    config, undo = compose(*setting), in_epoch(2, stop)
    with pytest.raises(RunError, match="stop"):
        train(config)
    undo()
    _, resumed_dir = run(*setting, f"resume={config.paths.run_dir}")
    assert same_weights(weights(whole_dir), weights(resumed_dir))


def test_a_diverged_run_stops_at_once(compose, read_result):
    """At the same step, however many one call takes."""
    steps = set()
    for size in (1, 16):
        config = compose("scheduler=none", "optimizer.lr=1000", f"task.steps_per_execution={size}")
        run_dir = Path(config.paths.run_dir)
        with pytest.raises(RunError) as error, recorded(run_dir, Result(seed=0)) as result:
            train(config, result)
        message = str(error.value)
        found = re.match(r"the loss is (nan|inf) at step (\d+) \(epoch 1, learning rate 1000\): ", message)
        assert found is not None and "try optimizer.lr=0.1 (or tune=lr, which finds one), " in message
        steps.add(int(found[2]))
        read = read_result(run_dir)
        assert read["status"] == "failed" and message in read["error"]
        assert read["parameters"] == 50826
    (step,) = steps
    assert 1 < step < 20  # within the first epoch


@pytest.mark.parametrize(
    ("words", "epochs", "steps"),
    [
        # Nothing is learned: the first epoch is the best, then two that are not better.
        ("callbacks=early_stopping callbacks.early_stopping.patience=2 optimizer.lr=1e-30", 3, 60),
        ("trainer.max_steps=27", 2, 27),
    ],
)
def test_what_ends_a_run(run, words, epochs, steps):
    result, _ = run(*PLAIN, "trainer.max_epochs=20", *words.split())
    assert (result.epochs, result.steps) == (epochs, steps)


def test_max_time_stops(run):
    started = time.monotonic()
    result, _ = run(*PLAIN, "trainer.max_epochs=-1", "trainer.max_time='00:00:00:01'")
    assert 1 <= time.monotonic() - started < 30
    assert result.epochs > 1


def read_csv(run_dir):
    with (run_dir / "csv" / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("size", [1, 16])
def test_logged_steps(run, size):
    """Every 7 steps, also within a call that takes 16; validation is logged over optimizer steps."""
    settings = ("logger=csv", "trainer.log_every_n_steps=7", "trainer.max_epochs=3")
    rows = read_csv(run(*PLAIN, *settings, f"task.steps_per_execution={size}")[1])
    logged = [row for row in rows if row.get("train/loss_step")]
    assert [int(row["step"]) for row in logged] == [7, 14, 21, 28, 35, 42, 49, 56]
    assert {float(row["lr"]) for row in logged} == {0.02}
    assert [int(row["step"]) for row in rows if row.get("val/accuracy")] == [20, 40, 60]


def test_logged_losses_are_means_since_the_last_log_the_same_in_all_loggers(run):
    """With log_every_n_steps=20, an epoch: what is logged is the epoch's loss."""
    result, run_dir = run(*PLAIN, "logger=both", "trainer.log_every_n_steps=20")
    rows = read_csv(run_dir)
    logged, epochs = ([float(row[name]) for row in rows if row.get(name)] for name in ("train/loss_step", "train/loss"))
    assert len(logged) == 2 and logged == pytest.approx(epochs, rel=1e-6)
    assert epochs[-1] == pytest.approx(result.metrics["train/loss"], rel=1e-6)
    events = EventAccumulator(str(run_dir / "tensorboard")).Reload()
    assert [event.value for event in events.Scalars("train/loss_step")] == pytest.approx(logged, rel=1e-6)


def test_without_callbacks_and_loggers(run, same_weights):
    result, run_dir = run(*PLAIN, "callbacks=none", "logger=none")
    assert result.checkpoint is None and result.monitor.best is None
    assert result.metrics["test/accuracy"] > 0.9
    assert not list(run_dir.rglob("*.ckpt"))


def test_fast_dev_run(run):
    result, run_dir = run("debug=fast_dev_run", "logger=tensorboard")
    assert result.steps == 1 and result.checkpoint is None
    assert not list(run_dir.rglob("*.ckpt")) and not list(run_dir.rglob("events*"))


def test_overfit_learns_a_few_batches_by_heart(run):
    result, _ = run("debug=overfit", "scheduler=none", "optimizer.lr=0.05", "trainer.max_epochs=30")
    assert result.metrics["train/loss"] < 0.01
    assert result.steps == 90


def test_profile(run):
    _, run_dir = run("debug=profile")
    assert "run_training_batch" in (run_dir / "fit-profile.txt").read_text()


@pytest.mark.parametrize(
    "setting",
    [
        "trainer.limit_val_batches=0",
        "trainer.limit_test_batches=0",
        "trainer.limit_train_batches=0",
        "trainer.max_epochs=0",
        "trainer.max_steps=0",
        "trainer.max_steps=5",
        "trainer.check_val_every_n_epoch=3",
    ],
)
def test_settings_that_leave_a_part_out(compose, setting):
    """They run, or are refused in one line; they do not break."""
    config = compose(*PLAIN, setting)
    try:
        result = train(config)
    except RequestError as error:
        assert setting.split("=")[0] in str(error)
    else:
        write(Path(config.paths.run_dir) / "result.json", result.as_dict())


def test_a_full_disk_is_told_and_leaves_the_earlier_checkpoint(compose, monkeypatch, read_result):
    """Space runs out after the second epoch, in the middle of a file."""
    save = Trainer.save_checkpoint

    def full(self, *args, **kwargs):
        if self.current_epoch == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "save_checkpoint", full)
    config = compose(*PLAIN, "trainer.max_epochs=3")
    run_dir = Path(config.paths.run_dir)
    with pytest.raises(RunError, match="the disk is full"), recorded(run_dir, Result()) as result:
        train(config, result)
    assert read_result(run_dir)["status"] == "failed"
    assert load(run_dir / "checkpoints" / "last.ckpt")["litlab"]["epoch"] == 1


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MiB; a checkpoint of the usual model takes half of it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("may not mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs tmpfs")
def test_a_disk_that_is_really_full(compose, small_disk, in_epoch):
    def fill(task):
        with open(small_disk / "other", "wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(4096))

    in_epoch(1, fill)
    config = compose(*PLAIN, "trainer.max_epochs=3", f"paths.run_dir={small_disk}/run", "data.val_size=0")
    with pytest.raises(RunError, match="the disk is full"), recorded(small_disk / "run", Result()) as result:
        train(config, result)
    (checkpoint,) = (small_disk / "run" / "checkpoints").iterdir()
    assert load(checkpoint)["litlab"]["epoch"] == 1


def test_a_checkpoint_that_does_not_fit_is_refused(compose):
    checkpoint = Path(str(train(compose("scheduler=none")).checkpoint)).with_name("last.ckpt")
    for words, message in (
        (["model=linear"], "weights of another model"),
        (["trainer.max_epochs=1"], "trainer.max_epochs=1: .* has done 2"),
        ([], "is not a checkpoint"),
    ):
        if not words:
            checkpoint.write_text("# litlab")
        with pytest.raises(RequestError, match=message):
            train(compose(*words, "scheduler=none", f"resume={checkpoint.parent.parent}"))


def test_numbers_too_small_for_fast_arithmetic_count_as_zero(run):
    """They slow steps with momentum down, where many pixels are hardly ever lit: see README, Speed."""
    torch.set_flush_denormal(False)
    assert torch.tensor(1e-39) * 0.5 > 0
    run("model=linear", "trainer.max_epochs=1")
    assert torch.tensor(1e-39) * 0.5 == 0


def test_a_best_checkpoint_that_is_gone_does_not_lose_the_test(run, monkeypatch, capsys):
    """The last weights are tested, and nothing says that they are the best."""

    def without(task, trainer):
        (folder,) = {Path(each.dirpath) for each in trainer.checkpoint_callbacks}
        (folder / "best.ckpt").unlink()
        return select(task, trainer)

    select = module.select
    monkeypatch.setattr(module, "select", without)
    result, run_dir = run(*PLAIN)
    assert result.metrics["test/accuracy"] > 0.9
    assert result.monitor == Monitor("val/accuracy", "max", best=None, epoch=None)
    assert result.checkpoint == str(run_dir / "checkpoints" / "last.ckpt")
    assert "best.ckpt is gone: the last weights are tested instead of the best" in capsys.readouterr().err


def test_the_log_has_neither_an_advertisement_nor_a_rank_s_repetition(monkeypatch):
    def wanted(message):
        return is_wanted(logging.makeLogRecord({"msg": message}))

    assert wanted("GPU available: False, used: False") and not wanted("Tip: try installing litlogger")
    assert not wanted("`weights_only` was not set, defaulting to `False`.")  # of Lightning's save_checkpoint
    monkeypatch.setenv(RENDEZVOUS, "file")
    assert wanted("`Trainer.fit` stopped") and not wanted("GPU available: False, used: False")


def test_after_a_fit_the_validation_is_that_of_the_trainer(fit, monkeypatch):
    from litlab.finish import validate

    run = fit("data=digits", "model.hidden_sizes=[8]", "trainer.max_epochs=1", "trainer.precision=64-true")
    by_trainer = run.task.evaluate(run.trainer, datamodule=run.data)
    run.task.metrics["recall"].reset()
    monkeypatch.setattr(type(run.trainer), "validate", None)
    assert validate(run.trainer, run.task, run.data) == by_trainer and len(by_trainer) == 7
    recall = run.task.metrics["recall"]  # of which the hints count the classes never predicted
    assert int((recall.tp + recall.fn).sum()) == 180
