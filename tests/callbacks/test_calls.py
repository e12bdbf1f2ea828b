"""Lightning's own callbacks do in a run of litlab what they do under Lightning's automatic optimization."""

import functools
import logging

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch import callbacks as lightning_callbacks

from litlab.build import build_callbacks, build_data
from litlab.callbacks.calls import BATCH_HOOKS, counts_batches
from litlab.callbacks.progress import Progress
from litlab.errors import RequestError
from litlab.tasks.hooks import STEP_HOOKS, has_hook

pytestmark = pytest.mark.slow  # trains often: seconds, together

RUN = ("optimizer=sgd", "scheduler=none", "model=linear", "data.batch_size=120", "logger=csv")  # 2 epochs of 11 steps


class FreezesTheBias(lightning_callbacks.BaseFinetuning):
    def freeze_before_training(self, pl_module):
        self.freeze(pl_module.model)
        pl_module.model[-1].weight.requires_grad = True

    def finetune_function(self, pl_module, epoch, optimizer):
        if epoch == 1:
            self.unfreeze_and_add_param_group(pl_module.model[-1], optimizer, lr=0.01)


def notes(steps, trainer, *_):
    steps.append(trainer.global_step)


# What each is made with; a list of it is what it has seen. Where it may not run: the words of the refusal.
SAME = {
    "BaseFinetuning": {},
    "DeviceStatsMonitor": {"cpu_stats": False},
    "EarlyStopping": {"monitor": "val/loss", "min_delta": 10.0, "patience": 1},
    "EMAWeightAveraging": {"decay": 0.9},
    "LambdaCallback": {"on_train_batch_end": None, "on_after_backward": None},
    "LearningRateMonitor": {"logging_interval": "step"},
    "ModelCheckpoint": {"every_n_train_steps": 5, "save_top_k": -1, "filename": "{step}"},
    "ModelPruning": {"pruning_fn": "l1_unstructured", "amount": 0.5},
    "ModelSummary": {},
    "OnExceptionCheckpoint": {"dirpath": "."},
    "RichModelSummary": {},
    "RichProgressBar": {},
    "SpikeDetection": {"atol": 100.0},
    "ThroughputMonitor": {"batch_size_fn": lambda batch: len(batch[0])},
    "Timer": {"duration": {"hours": 1}},
    "TQDMProgressBar": {},
    "WeightAveraging": {},
}
REFUSED = {
    "BatchSizeFinder": ({}, "use tune=batch_size"),
    "GradientAccumulationScheduler": ({"scheduling": {4: 2}}, "set trainer.accumulate_grad_batches"),
    "LearningRateFinder": ({}, "use tune=lr"),
    "StochasticWeightAveraging": ({"swa_lrs": 0.01}, "use lightning.pytorch.callbacks.WeightAveraging"),
}
NOTHING_TO_RUN = {"Callback", "Checkpoint", "ProgressBar", "BasePredictionWriter"}  # without what a subclass adds
OF_ITS_OWN_MIND = {"BackboneFinetuning"}  # wants a module `backbone`, and says so


def test_each_of_lightnings_callbacks_is_tried_here():
    known = [*SAME, *REFUSED, *NOTHING_TO_RUN, *OF_ITS_OWN_MIND]
    assert sorted(known) == sorted(lightning_callbacks.__all__)


def spied(name, folder, calls):
    """The callback, whose hooks by batch or step, where it has some, note each call."""
    kind = FreezesTheBias if name == "BaseFinetuning" else getattr(lightning_callbacks, name)
    settings = dict(SAME[name])
    settings |= {"dirpath": folder} if name == "ModelCheckpoint" else {}
    settings |= {hook: functools.partial(notes, calls) for hook in settings if name == "LambdaCallback"}
    callback = kind(**settings)
    for hook in (*BATCH_HOOKS, *STEP_HOOKS):
        if name != "LambdaCallback" and has_hook(callback, hook, L.Callback):
            setattr(callback, hook, functools.partial(noting, calls, hook, getattr(callback, hook)))
    return callback


def noting(calls, hook, original, trainer, *args):
    calls.append((hook, trainer.global_step, args[-1] if hook in BATCH_HOOKS else None))
    original(trainer, *args)


@pytest.mark.parametrize(
    ("name", "accumulate"),
    [*((name, 1) for name in SAME), ("EMAWeightAveraging", 3), ("LearningRateMonitor", 3), ("ModelCheckpoint", 3)],
)
def test_the_same_calls_and_weights_as_under_automatic_optimization(
    fit, fit_automatically, same_weights, tmp_path, monkeypatch, name, accumulate
):
    monkeypatch.setattr("lightning.pytorch.accelerators.cpu.get_cpu_stats", dict)  # needs psutil
    monkeypatch.setattr("lightning.pytorch.callbacks.device_stats_monitor._PSUTIL_AVAILABLE", True)
    ours = []
    theirs = []
    one, other = spied(name, tmp_path / "ours", ours), spied(name, tmp_path / "theirs", theirs)
    overrides = (*RUN, f"trainer.accumulate_grad_batches={accumulate}", "trainer.log_every_n_steps=2")
    run = fit(*overrides, "task.steps_per_execution=16", callbacks=[one])
    trainer = fit_automatically(*overrides, callbacks=[other])
    assert same_weights(run.weights, dict(trainer.lightning_module.state_dict()))
    assert run.trainer.global_step == trainer.global_step > 5
    clock = name == "Timer"  # it looks at the clock once per call, however many steps that has
    assert ours == theirs or (clock and 0 < len(ours) < len(theirs))
    assert run.task.steps_per_execution == (1 if ours and not clock else 16)
    if name == "LearningRateMonitor":
        assert one.lrs == other.lrs and len(one.lrs["lr-SGD"]) > 2
    if name == "ModelCheckpoint":
        files = [sorted(file.name for file in (tmp_path / who).iterdir()) for who in ("ours", "theirs")]
        assert files[0] == files[1] and "step=5.ckpt" in files[0]
        for file in files[0]:
            states = [torch.load(tmp_path / who / file, weights_only=True) for who in ("ours", "theirs")]
            assert same_weights(*(state["state_dict"] for state in states))


def test_the_average_of_the_best_epoch_is_what_is_validated_and_tested(compose):
    """Not the last average, which the callback would put in its place for validation."""
    from litlab.verbs.train import train

    average = "{_target_: lightning.pytorch.callbacks.EMAWeightAveraging, decay: 0.9}"
    monitor = ("task.monitor=val/loss", "task.mode=min", "optimizer.lr=3.0", "trainer.max_epochs=6")
    result = train(compose(*RUN, *monitor, f"+callbacks.ema={average}", pictures=False))
    assert result.monitor.epoch < 6
    assert result.metrics["val/loss"] == pytest.approx(result.monitor.best, rel=1e-6)


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        *((kind, settings, f": {kind} needs .* {words}") for kind, (settings, words) in REFUSED.items()),
        ("ModelCheckpoint", {"train_time_interval": {"_target_": "datetime.timedelta", "minutes": 5}},
         ".train_time_interval: needs .* use every_n_train_steps"),
    ],
)  # fmt: skip
def test_a_callback_that_needs_automatic_optimization_is_refused(compose, kind, settings, words):
    config = compose()
    config.callbacks = {"mine": {"_target_": f"lightning.pytorch.callbacks.{kind}", **settings}}
    with pytest.raises(RequestError, match=f"^callbacks.mine{words}"):
        build_callbacks(config.callbacks, build_data(config))


class Subclass(lightning_callbacks.ModelCheckpoint):
    def on_train_batch_end(self, *args):
        super().on_train_batch_end(*args)


def test_what_counts_batches_and_what_a_task_lacks(fit):
    for callback, counts in [
        (Progress(), False),
        (lightning_callbacks.ModelCheckpoint(), False),
        (lightning_callbacks.ModelCheckpoint(every_n_epochs=2), False),
        (lightning_callbacks.ModelCheckpoint(every_n_train_steps=1), True),
        (Subclass(), True),
        (lightning_callbacks.LambdaCallback(on_train_epoch_end=print), False),
        (lightning_callbacks.LambdaCallback(on_before_optimizer_step=print), True),
    ]:
        assert counts_batches(callback) is counts
    with pytest.raises(AttributeError, match="no attribute 'backbone'"):
        fit(*RUN, callbacks=[lightning_callbacks.BackboneFinetuning()])


def test_what_a_run_always_has_does_not_slow_it_down(compose, caplog):
    from litlab.build import build_task, build_trainer, steps_per_execution

    def steps(*overrides):
        config = compose("callbacks=early_stopping", "logger=both", *overrides)
        data = build_data(config)
        task = build_task(config, data)
        return steps_per_execution(config, build_trainer(config, data), task)

    assert steps("trainer.enable_progress_bar=true") == 16
    with caplog.at_level(logging.INFO, logger="litlab"):
        assert steps("+trainer.min_steps=5", "trainer.max_time=00:01:00:00") == 1
    assert "not task.steps_per_execution, because of trainer.min_steps\n" in caplog.text
