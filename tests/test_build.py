"""From a config to objects: which settings go where, and what is refused."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import OmegaConf

from litlab.build import (
    build_callbacks,
    build_data,
    build_schedule,
    build_task,
    build_trainer,
    instantiate,
    steps_per_execution,
)
from litlab.callbacks.last import LastCheckpoint
from litlab.errors import RequestError
from litlab.tasks.compatibility import check_monitored


def built(config):
    data = build_data(config)
    task = build_task(config, data)
    return data, task, build_trainer(config, data)


def test_the_model_gets_its_shape_from_the_data(compose):
    _, task, _ = built(compose("model.hidden_sizes=[7]"))
    assert [tuple(weight.shape) for weight in task.model.parameters()] == [(7, 64), (7,), (10, 7), (10,)]


def test_settings_that_are_the_modules_business(compose):
    clip = ("trainer.gradient_clip_val=0.5", "trainer.gradient_clip_algorithm=value")
    _, task, trainer = built(compose(*clip, "trainer.accumulate_grad_batches=3"))
    assert (task.clip_val, task.clip_algorithm, task.accumulate) == (0.5, "value", 3)
    assert (trainer.gradient_clip_val, trainer.accumulate_grad_batches) == (None, 1)


@pytest.mark.parametrize(
    ("override", "size"),
    [
        ("trainer.max_epochs=3", 16),
        ("task.steps_per_execution=4", 4),
        ("trainer.limit_train_batches=5", 1),
        ("trainer.limit_train_batches=0.5", 1),
        ("trainer.overfit_batches=3", 1),
        ("trainer.val_check_interval=0.5", 1),
        ("trainer.fast_dev_run=true", 1),
    ],
)
def test_what_counts_batches_takes_one_at_a_time(compose, override, size):
    config = compose("task.steps_per_execution=16", override)
    _, task, trainer = built(config)
    assert steps_per_execution(config, trainer, task) == size


def test_schedule():
    assert build_schedule(OmegaConf.create({})) is None
    config = {"_target_": "torch.optim.lr_scheduler.ExponentialLR", "_partial_": True, "gamma": 0.5}
    schedule = build_schedule(OmegaConf.create(config | {"interval": "step", "frequency": 3}))
    assert schedule is not None and (schedule.interval, schedule.frequency) == ("step", 3)
    assert schedule.make.keywords == {"gamma": 0.5}


def test_callbacks_without_validation(compose):
    data = build_data(compose("data.val_size=0"))
    callbacks = build_callbacks(compose("data.val_size=0").callbacks, data)
    kinds = {type(each) for each in callbacks}
    assert LastCheckpoint in kinds and ModelCheckpoint not in kinds


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"_target_": "litlab.models.mlp.NoSuch"}, "model._target_=litlab.models.mlp.NoSuch: "),
        ({"_target_": "no.such.module"}, "no.such.module"),
        ({"_target_": "litlab.models.mlp.MLP", "widths": 3}, "widths"),
        ({"_target_": "litlab.models.mlp.MLP"}, "input_shape"),
    ],
)
def test_what_cannot_be_built_is_one_line_with_its_group(config, message):
    with pytest.raises(RequestError) as error:
        instantiate("model", OmegaConf.create(config))
    assert str(error.value).startswith("model")
    assert message in str(error.value) and "\n" not in str(error.value)


CLASSES = "the targets of these data are 10 classes; use task=classification"
NUMBERS = "the targets of these data are numbers; use task=regression"
NO_METRIC = "there is no such metric (did you mean val/accuracy?); choose from val/loss, train/loss"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("task=regression", f"task=regression: {CLASSES}"),
        ("task=binary", f"task=binary: {CLASSES}"),
        (
            "data=breast_cancer task=classification",
            "task=classification: the targets of these data are two classes with one output; use task=binary",
        ),
        ("data=sine task=binary", f"task=binary: {NUMBERS}"),
        ("data=california task=classification", f"task=classification: {NUMBERS}"),
        ("task.monitor=val/acc", f"task.monitor=val/acc: {NO_METRIC}"),
        ("task.monitor=val/loss", "task.mode=max: of val/loss less is better; set task.mode=min, too"),
        ("task.mode=min", "task.mode=min: of val/accuracy more is better; set task.mode=max, too"),
        ("callbacks.checkpoint.monitor=val/accurcy", f"callbacks.checkpoint.monitor=val/accurcy: {NO_METRIC}"),
        (
            "callbacks=early_stopping callbacks.early_stopping.monitor=val/accurcy",
            f"callbacks.early_stopping.monitor=val/accurcy: {NO_METRIC}",
        ),
        ("scheduler=plateau scheduler.monitor=val/accurcy", f"scheduler.monitor=val/accurcy: {NO_METRIC}"),
        ("callbacks=early_stopping data.val_size=0", "callbacks.early_stopping.monitor=val/accuracy: there is no"),
        (
            "scheduler=plateau trainer.check_val_every_n_epoch=2",
            "scheduler.frequency=1: would follow val/loss after epochs without validation "
            "(trainer.check_val_every_n_epoch=2); set scheduler.frequency=2, or trainer.check_val_every_n_epoch=1",
        ),
        ("scheduler=plateau data.val_size=0", "scheduler.monitor=val/loss: there is no validation; set data.val_size"),
        ("trainer.strategy=abc", "trainer.strategy=abc: You selected an invalid strategy name"),
        ("trainer.devices=[5] trainer.accelerator=cpu", "trainer.devices=[5]: "),
        ("model.activation=Linear", "model.activation=Linear: is not an activation; try ReLU, GELU or Sigmoid"),
        ("model.activation=Module", "model.activation=Module: is not an activation; try ReLU, GELU or Sigmoid"),
    ],
)
def test_what_does_not_fit_is_refused_by_the_name_of_its_setting(compose, words, message):
    with pytest.raises(RequestError) as error:
        built(compose(*words.split()))
    assert str(error.value).startswith(message)


def test_a_loss_may_be_monitored(compose):
    config = compose("task.monitor=val/loss", "task.mode=min")
    assert build_task(config, build_data(config)).mode == "min"


@pytest.mark.parametrize(
    ("every", "frequency", "monitor", "fits"),
    [
        *((2, 1, "val/loss", False), (2, 3, "val/loss", False), (2, 4, "val/loss", True), (1, 3, "val/loss", True)),
        *((2, 1, "train/loss", True), (None, 1, "val/loss", True), (2, 1, None, True)),
    ],
)
def test_a_scheduler_follows_a_metric_of_the_epochs_that_have_it(every, frequency, monitor, fits):
    scheduler = {"frequency": frequency, "monitor": monitor}
    config = OmegaConf.create({"trainer": {"check_val_every_n_epoch": every}, "scheduler": scheduler, "callbacks": {}})
    task = SimpleNamespace(monitor="val/loss", mode="min", metrics={})
    with (
        nullcontext() if fits else pytest.raises(RequestError, match=rf"^scheduler\.frequency={frequency}: would foll")
    ):
        check_monitored(config, task, True)
