"""Learning rates, step by step and epoch by epoch, against the formulas."""

import functools
import math
import re

import lightning.pytorch as L
import pytest
import torch

from litlab.errors import RequestError
from litlab.tasks.schedule import Schedule

trains = pytest.mark.slow  # often: seconds, together

BASE = ("optimizer.lr=0.4", "optimizer.momentum=0", "optimizer.nesterov=false", "data.batch_size=128")  # 10 steps/epoch


@pytest.fixture
def rates(fit):
    """The learning rates with which each optimizer step of a run is taken."""

    def rates(*overrides):
        seen = []

        class Rates(L.Callback):
            def on_before_optimizer_step(self, trainer, pl_module, optimizer):
                seen.append(float(optimizer.param_groups[0]["lr"]))

        fit(*BASE, *overrides, callbacks=[Rates()])
        return seen

    return rates


def cosine(step, length, top=0.4):
    return top * (1 + math.cos(math.pi * step / length)) / 2


def torchs_onecycle(length):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.4)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.4, total_steps=length, cycle_momentum=False)
    seen = []
    for _ in range(length):
        seen.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return seen


def decayed(gamma, period, length=20):
    return [0.4 * gamma ** (step // period) for step in range(length)]


STEP, ACCURACY = "scheduler.interval=step", "scheduler=plateau scheduler.monitor=val/accuracy scheduler.patience=0"
UNREACHED = "+scheduler.threshold=1e9 +scheduler.threshold_mode=abs"  # every epoch after the first is a bad one


@trains
@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ("scheduler=none", [0.4] * 20),
        ("scheduler=exponential scheduler.gamma=0.5 task.steps_per_execution=1", decayed(0.5, 10)),
        ("scheduler=exponential scheduler.gamma=0.5 task.steps_per_execution=16", decayed(0.5, 10)),
        ("scheduler=exponential scheduler.gamma=0.5 scheduler.frequency=2 trainer.max_epochs=4", decayed(0.5, 20, 40)),
        (f"scheduler=exponential scheduler.gamma=0.9 {STEP}", decayed(0.9, 1)),
        (f"scheduler=exponential scheduler.gamma=0.9 {STEP} scheduler.frequency=3", decayed(0.9, 3)),
        (
            "scheduler=cosine scheduler.interval=epoch trainer.max_epochs=4",
            [cosine(epoch, 4) for epoch in range(4) for _ in range(10)],
        ),
        (
            "scheduler=cosine scheduler.T_max=50 scheduler.eta_min=0.1",
            [0.1 + cosine(step, 50, top=0.3) for step in range(20)],
        ),
        # Bad epochs 2 and 3 (counted from 1) make more than a patience of 1: half the rate from epoch 4 on, and so on.
        (
            f"scheduler=plateau scheduler.patience=1 scheduler.factor=0.5 {UNREACHED} trainer.max_epochs=6",
            [0.4] * 30 + [0.2] * 20 + [0.1] * 10,
        ),
        ("scheduler=plateau scheduler.patience=0 optimizer.lr=0.01", [0.01] * 20),
        # Accuracy grows; watched as what should shrink, each epoch but the first is bad.
        (f"{ACCURACY} scheduler.mode=max optimizer.lr=0.01", [0.01] * 20),
        (
            f"{ACCURACY} scheduler.mode=min optimizer.lr=0.01 trainer.max_epochs=4",
            [0.01] * 20 + [0.001] * 10 + [0.0001] * 10,
        ),
    ],
)
def test_rates(rates, overrides, expected):
    assert rates(*overrides.split()) == pytest.approx(expected)


@trains
@pytest.mark.parametrize("size", [1, 16])
@pytest.mark.parametrize(
    ("overrides", "length"),
    [
        ((), 20),
        (("trainer.accumulate_grad_batches=3",), 8),
        (("trainer.max_steps=13",), 13),
        (("trainer.limit_train_batches=4",), 8),
        (("trainer.limit_train_batches=0.5",), 10),
        (("data.passes_per_epoch=2",), 40),
        (("trainer.overfit_batches=3", "data.val_size=0"), 6),
        (("trainer.max_epochs=-1", "trainer.max_steps=7"), 7),
    ],
)
def test_auto_is_the_length_of_the_run(rates, size, overrides, length):
    overrides = (*overrides, f"task.steps_per_execution={size}")
    assert rates("scheduler=cosine", *overrides) == pytest.approx([cosine(step, length) for step in range(length)])


@trains
def test_onecycle_and_plateau_on_the_training_loss(rates):
    for size in [1, 16]:
        seen = rates("scheduler=onecycle", f"task.steps_per_execution={size}")
        assert seen == pytest.approx(torchs_onecycle(20))
        assert seen[0] == pytest.approx(0.4 / 25)
        assert max(seen) == pytest.approx(0.4, rel=1e-2)
        assert seen[-1] < 1e-4
    seen = rates("scheduler=plateau", "scheduler.monitor=train/loss", "data.val_size=0", "optimizer.lr=0.01")
    assert len(seen) > 20 and set(seen) == {0.01}


def test_an_epoch_without_the_metric_is_told_with_what_gives_it_one():
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.4)
    schedule = Schedule(functools.partial(torch.optim.lr_scheduler.ReduceLROnPlateau), monitor="val/loss")
    schedule.start(optimizer, None, 1)
    told = (
        "scheduler.monitor=val/loss: no such metric after epoch 3; there are train/loss; validate in each epoch "
        "(trainer.check_val_every_n_epoch=1 trainer.val_check_interval=1.0), or set a larger scheduler.frequency"
    )
    with pytest.raises(RequestError, match=f"^{re.escape(told)}$"):
        schedule.after_epoch(2, {"train/loss": torch.tensor(1.0)})


@trains
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("scheduler=plateau", "data.val_size=0"), r"scheduler\.monitor=val/loss: .*train/loss"),
        (("scheduler=plateau", "scheduler.monitor=val/acc"), r"scheduler\.monitor=val/acc: .*val/accuracy"),
        (("scheduler=onecycle", "trainer.max_epochs=-1"), r"scheduler\.total_steps=auto: .*trainer\.max_epochs"),
        (("scheduler=onecycle", "trainer.max_epochs=0"), r"^trainer\.max_epochs=0: .*scheduler=none"),
        (("scheduler=onecycle", "trainer.max_steps=0"), r"^trainer\.max_steps=0: there are no steps "),
        (("scheduler=plateau", "scheduler.interval=step"), r"scheduler\.interval=step"),
        (("scheduler=onecycle", "scheduler.pct_start=2"), r"scheduler.*pct_start"),
    ],
)
def test_what_cannot_be_is_told(fit, overrides, message):
    with pytest.raises(RequestError, match=message):
        fit(*BASE, *overrides)
