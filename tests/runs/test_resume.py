"""A run goes on from a checkpoint as if it had never stopped, or says in one line why it cannot."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from kill_storm import differences
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch.utils.data import DataLoader, TensorDataset

from litlab.callbacks.history import History
from litlab.data.tensors import TensorData
from litlab.errors import RequestError
from litlab.runs.checkpoints import AtomicCheckpointIO, read_checkpoint
from litlab.tasks.base import Task
from litlab.verbs.train import train

pytestmark = pytest.mark.slow  # trains often: seconds, together

SMALL = ("model=linear", "trainer.max_epochs=3")
PLAIN = (*SMALL, "scheduler=none")
DROPOUT = ("model.hidden_sizes=[16]", "model.dropout=0.3", "trainer.max_epochs=3")
# Digits have 20 batches in an epoch. All checkpoints are kept: 0.ckpt, 1.ckpt, ...
KEPT = (
    "+callbacks.kept={_target_:lightning.pytorch.callbacks.ModelCheckpoint,dirpath:'${paths.run_dir}/checkpoints',"
    "save_top_k:-1,auto_insert_metric_name:false}"
)
ALL = (KEPT, "+callbacks.kept.filename='{epoch}'")
VALIDATED = ("model=linear", "trainer.val_check_interval=0.3", "data.batch_size=200")  # after 2, 4 and 6 batches of 7
BY_STEP = (KEPT, "+callbacks.kept.filename='{step}'", "+callbacks.kept.every_n_train_steps=5")


@pytest.fixture
def run(compose):
    """`train` on composed overrides: the result, and the folder of the checkpoints."""

    def run(*overrides):
        config = compose(*overrides, pictures=False)
        return train(config), Path(config.paths.run_dir, "checkpoints")

    return run


def weights(folder, name="last.ckpt"):
    return read_checkpoint(folder / name)["state_dict"]


def attempt(kept, name):
    """The word that resumes a run that was killed after it had saved that checkpoint."""
    folder = kept.parent.with_name(f"{kept.parent.name}_{name}") / "checkpoints"
    folder.mkdir(parents=True)
    shutil.copy(kept / f"{name}.ckpt", folder / "last.ckpt")
    if (kept / "best.ckpt").exists():
        shutil.copy(kept / "best.ckpt", folder)
    return f"resume={folder.parent}"


def without_times(result):
    return {name: value for name, value in result.as_dict().items() if "second" not in name and name != "checkpoint"}


@pytest.mark.parametrize("size", [1, 16])
@pytest.mark.parametrize(
    "setting",
    [
        DROPOUT,
        ("model=cnn", "model.channels=[4]", "+model.dropout=0.3", "augmentation=shift", "trainer.max_epochs=3"),
        ("data=breast_cancer", "model=linear", "augmentation=noise", "trainer.max_epochs=3"),
        (*DROPOUT, "trainer.precision=64-true"),  # whose weights must not be loaded as float32
    ],
    ids=["dropout", "augmentation", "noise", "float64"],
)
def test_random_draws_go_on(run, same_weights, setting, size):
    setting = [*setting, f"task.steps_per_execution={size}"]
    whole, kept = run(*setting, *ALL)
    resumed, folder = run(*setting, attempt(kept, "0"))
    assert same_weights(weights(kept, "2.ckpt"), weights(folder))
    assert without_times(whole) == without_times(resumed)


class Draws(Callback):
    def __init__(self):
        self.drawn = []

    def on_train_epoch_start(self, *_):
        self.drawn.append((random.random(), np.random.rand()))


def test_python_numpy_and_a_data_loader_of_ones_own_go_on(fit, same_weights, monkeypatch, tmp_path):
    def loader(self):
        return DataLoader(TensorDataset(*self.splits["train"]), batch_size=64, shuffle=True)

    monkeypatch.setattr(TensorData, "train_dataloader", loader)
    keep = ModelCheckpoint(tmp_path / "kept", "{epoch}", save_top_k=-1, auto_insert_metric_name=False)
    setting = (*PLAIN, "task.steps_per_execution=1", "callbacks=none")
    whole = fit(*setting, callbacks=[draws := Draws(), keep])
    resumed = fit(*setting, attempt(tmp_path / "kept", "0"), callbacks=[again := Draws()])
    assert same_weights(whole.weights, resumed.weights) and again.drawn == draws.drawn[1:]


@pytest.mark.parametrize(
    ("stop", "batches", "setting"),
    [
        ("trainer.max_steps=30", 10, (*DROPOUT, "scheduler=exponential")),
        ("trainer.max_steps=23", 3, (*PLAIN, "data=sine", "data.batch_size=100", "data.passes_per_epoch=2")),
        ("trainer.max_steps=40", 0, (*DROPOUT, "scheduler=exponential")),
    ],
)
def test_a_run_that_steps_stopped_goes_on_within_its_epoch(run, same_weights, stop, batches, setting):
    whole, undisturbed = run(*setting)
    _, part = run(*setting, stop)
    assert read_checkpoint(part / "last.ckpt")["litlab"]["batches"] == batches
    resumed, folder = run(*setting, f"resume={part.parent}")
    assert resumed.steps == whole.steps and resumed.epochs == 3
    assert same_weights(weights(undisturbed), weights(folder))
    assert resumed.metrics == whole.metrics


@pytest.mark.parametrize(
    ("step", "setting"), [(5, ()), (20, ()), (30, ()), (5, ("trainer.accumulate_grad_batches=3",))]
)
def test_a_checkpoint_of_any_step_goes_on(run, same_weights, step, setting):
    """20 is the last step of an epoch, before its validation."""
    setting = (*DROPOUT, "scheduler=none", *setting)
    whole, kept = run(*setting, *BY_STEP)
    resumed, folder = run(*setting, attempt(kept, step))
    end = run(*setting)[1]
    assert same_weights(weights(end), weights(folder))
    assert resumed.metrics == whole.metrics and resumed.steps == whole.steps


@pytest.mark.parametrize(
    "setting",
    [
        (*DROPOUT, "scheduler=onecycle"),
        ("model=cnn", "model.channels=[4]", "augmentation=shift", "scheduler=plateau", "scheduler.patience=0"),
        ("model=linear", "trainer.accumulate_grad_batches=3", "trainer.val_check_interval=0.5", "data.val_size=300"),
        (*VALIDATED, "scheduler=plateau", "scheduler.patience=0", "optimizer.lr=3"),
    ],
    ids=["onecycle", "cnn", "accumulation", "after the epoch's last validation"],
)
def test_a_run_that_is_killed_within_an_epoch_goes_on_in_its_own_directory(compose, monkeypatch, setting):
    """An error stops it in its seventh call of the second epoch; a checkpoint comes before each call."""
    setting = ["data.batch_size=8", "logger=both", "trainer.max_epochs=3", *setting]
    setting += ["trainer.log_every_n_steps=7", "checkpoint_seconds=1e-9"]
    step, calls = Task.training_step, []

    def dying(self, batches, batch_idx):
        calls.append(batch_idx)
        if self.current_epoch == 1 and batch_idx == 6 and len(calls) < 1000:
            calls.extend(range(1000))
            raise KeyError("killed")
        return step(self, batches, batch_idx)

    config = compose(*setting, pictures=False)
    whole, run = train(config), Path(config.paths.run_dir)
    broken = compose(*setting, pictures=False)
    with monkeypatch.context() as patch, pytest.raises(KeyError):
        patch.setattr(Task, "training_step", dying)
        train(broken)
    broken.resume = broken.paths.run_dir
    assert without_times(train(broken)) == without_times(whole)
    assert differences(run, Path(broken.paths.run_dir)) == []


@pytest.mark.slow
def test_runs_that_are_killed_at_random_moments_end_as_those_that_are_not(tmp_path):
    """24 kills: in an epoch, in validation, within the write of a checkpoint, in the test, and at any time."""
    script = Path(__file__).resolve().parents[1] / "fixtures" / "kill_storm.py"
    words = [sys.executable, str(script), str(tmp_path), "0"]
    paths = {"PYTHONPATH": str(script.parents[2] / "src")}
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | paths)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["bad"] == [] and sum(sum(each.values()) for each in report["died"].values()) >= 24


@pytest.mark.slow
def test_compiled_steps_go_on(run, same_weights):
    setting = (*PLAIN, "task.compile=true")
    _, kept = run(*setting, *ALL)
    _, folder = run(*setting, attempt(kept, "0"))
    assert same_weights(weights(kept, "2.ckpt"), weights(folder))


def test_the_curves_carry_on_the_earlier_epochs(run, fit):
    whole, kept = run(*PLAIN, *ALL)
    resumed = fit(*PLAIN, attempt(kept, "0"))
    (history,) = (each for each in resumed.trainer.callbacks if isinstance(each, History))
    saved = read_checkpoint(kept / "2.ckpt")["callbacks"]["History"]["epochs"]
    assert history.epochs == saved and len(saved) == 3
    assert saved[2]["train/loss"] == whole.metrics["train/loss"] and saved[0]["val/loss"] > saved[2]["val/loss"]


@pytest.fixture
def first(run):
    """A run of 2 epochs: its last checkpoint."""
    return run(*PLAIN, "optimizer=sgd", "trainer.max_epochs=2")[1] / "last.ckpt"


def test_settings_that_matter_are_refused_by_name_and_harmless_ones_pass(run, first):
    for changes, message in [
        (
            ["optimizer.lr=0.5", "data.split_seed=7"],
            r"optimizer\.lr=0\.1 \(now 0\.5\), data\.split_seed=0 \(now 7\); leave .* with resume_changes=true",
        ),
        (["data.batch_size=32"], r"data\.batch_size=64 \(now 32\)"),
        (["seed=1"], r"seed=0 \(now 1\)"),
        (["data.normalize=false"], r"data\.normalize=true \(now false\)"),
        (["optimizer=adam"], r"optimizer\._target_=torch\.optim\.SGD, whose state torch\.optim\.Adam cannot take over"),
        (["resume_changes=[optimizer]", "optimizer=adam"], r"whose state torch\.optim\.Adam cannot take over"),
        (["resume_changes=optimizer.lr"], r"resume_changes=optimizer\.lr: must be true, or a list"),
        (["callbacks=early_stopping"], r"callbacks\.early_stopping\._target_=unset \(now lightning"),
    ]:
        with pytest.raises(RequestError, match=message) as error:
            run(*PLAIN, *changes, f"resume={first.parent.parent}")
        assert "\n" not in str(error.value)
    harmless = ("threads=2", "data.eval_batch_size=100", "task.steps_per_execution=3", "evaluate_train=true")
    resumed, _ = run(*PLAIN, *harmless, "logger=csv", f"resume={first.parent.parent}")
    assert resumed.epochs == 3


def test_an_allowed_change_of_optimizer_and_schedule_is_used(run):
    setting = ("model=linear", "trainer.max_epochs=3")
    for scheduler, rate in {"none": 0.2, "exponential": 0.2 * 0.95**3, "plateau": 0.2}.items():
        _, kept = run(*setting, f"scheduler={scheduler}", *ALL)
        changed = ("optimizer.lr=0.2", "optimizer.momentum=0.5", "resume_changes=[optimizer.lr,optimizer.momentum]")
        _, folder = run(*setting, f"scheduler={scheduler}", *changed, attempt(kept, "0"))
        (group,) = read_checkpoint(folder / "last.ckpt")["optimizer_states"][0]["param_groups"]
        assert group["lr"] == pytest.approx(rate) and group["momentum"] == 0.5
    _, kept = run(*setting, "scheduler=onecycle", *ALL)
    changed = ("optimizer.lr=0.2", "resume_changes=[optimizer.lr]")  # scheduler.max_lr follows it
    _, folder = run(*setting, "scheduler=onecycle", *changed, attempt(kept, "0"))
    (group,) = read_checkpoint(folder / "last.ckpt")["optimizer_states"][0]["param_groups"]
    assert group["max_lr"] == 0.2


@pytest.mark.parametrize("allowed", ["resume_changes=[scheduler]", "resume_changes=true"])
def test_a_finished_one_cycle_is_planned_anew_or_refused(run, allowed):
    setting = ("model=linear", "scheduler=onecycle")
    _, folder = run(*setting, "trainer.max_epochs=2")
    longer = (*setting, "trainer.max_epochs=4", f"resume={folder.parent}")
    words = (
        r"planned for trainer\.max_epochs=2 \(scheduler\.total_steps=auto\), not for 4; .*resume_changes=\[scheduler\]"
    )
    with pytest.raises(RequestError, match=words):
        run(*longer)
    resumed, longer_folder = run(*longer, allowed)
    assert resumed.steps == 80
    _, undisturbed = run(*setting, "trainer.max_epochs=4")
    (ours,), (theirs,) = (
        read_checkpoint(each / "last.ckpt")["optimizer_states"][0]["param_groups"]
        for each in (longer_folder, undisturbed)
    )
    assert ours["lr"] == pytest.approx(theirs["lr"])


def test_a_run_that_stopped_early_is_not_trained_on(run):
    setting = (*SMALL, "scheduler=none", "callbacks=early_stopping", "optimizer.lr=1e-30", "trainer.max_epochs=20")
    whole, folder = run(*setting, "callbacks.early_stopping.patience=1")
    again = (*setting, f"resume={folder.parent}")
    with pytest.raises(RequestError, match="stopped early, after epoch 2, as val/accuracy no longer improved"):
        run(*again, "callbacks.early_stopping.patience=1", "trainer.max_epochs=30")
    tested, _ = run(*again, "callbacks.early_stopping.patience=1")
    assert tested.epochs == 2 and without_times(tested) == without_times(whole)
    allowed = "resume_changes=[callbacks.early_stopping.patience]"
    resumed, _ = run(*again, "callbacks.early_stopping.patience=3", allowed)
    assert resumed.epochs == 4


def forge(source, change):
    """Change a checkpoint; it has a checksum, which is no signature."""
    checkpoint = read_checkpoint(source)
    change(checkpoint)
    AtomicCheckpointIO().save_checkpoint(checkpoint, source)


def test_no_file_outside_of_the_checkpoints_folder_is_touched_or_read(run, first, tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()

    def change(checkpoint):
        for key, state in checkpoint["callbacks"].items():
            if key.startswith("ModelCheckpoint"):
                state["best_model_path"] = f"local://{victim}"

    content = first.read_bytes()
    forge(first, change)
    with pytest.raises(RequestError, match=r"^resume=.*last\.ckpt: names a file outside of its own folder"):
        run(*PLAIN, f"resume={first.parent.parent}")
    assert victim.is_dir()
    first.write_bytes(content)
    best = first.with_name("best.ckpt")
    shutil.move(best, tmp_path / "elsewhere.ckpt")
    best.symlink_to(tmp_path / "elsewhere.ckpt")
    with pytest.raises(RequestError, match="names a file outside of its own folder"):
        run(*PLAIN, f"resume={first.parent.parent}")
    best.unlink()
    best.write_bytes((tmp_path / "elsewhere.ckpt").read_bytes()[:-1])
    with pytest.raises(RequestError, match=r"^resume=.*best\.ckpt: has no checksum"):
        run(*PLAIN, f"resume={first.parent.parent}")
    best.unlink()
    resumed, folder = run(*PLAIN, f"resume={first.parent.parent}")
    assert resumed.monitor.epoch == 3 and (folder / "best.ckpt").is_file()
