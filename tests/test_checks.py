"""What a request must satisfy, setting by setting."""

import pytest
from omegaconf import OmegaConf

from litlab.checks import RULES, check
from litlab.errors import RequestError


@pytest.mark.parametrize(
    ("setting", "right", "wrong"),
    [
        ("seed", [0, 1, 2**32 - 1], [-1, 2**32, 0.5, "x", True, None]),
        ("threads", [1, None], [0, -1, 1.5]),
        ("data.batch_size", [1, 64], [0, -1, 1.5, "64x", True, None]),
        ("data.val_size", [0, 0.1, 5000], [-1, "abc", True]),
        ("data.passes_per_epoch", [1, 100], [0, 0.5]),
        ("data.normalize", [True, False], ["yes", 1, None]),
        ("model.dropout", [0, 0.5], [1, -0.1, "x"]),
        ("model.hidden_sizes", [[], [64], [256, 128]], [64, [0], [1.5], "64"]),
        ("trainer.accelerator", ["auto", "cpu", "gpu"], ["gpuu", None]),
        ("task.steps_per_execution", [1, 16], [0, None]),
        ("task.mode", ["min", "max"], ["best", None]),
        ("optimizer.lr", [0.1, 1, 1e-30], [0, -1, "x", None]),
        ("optimizer.momentum", [0, 0.9], [1, -0.5]),
        ("scheduler.interval", ["step", "epoch"], ["batch"]),
        ("scheduler.frequency", [1], [0]),
        ("trainer.max_epochs", [0, 10, -1, None], [-2, 1.5, "abc"]),
        ("trainer.max_steps", [-1, 0, 10], [-2, 1.5, None]),
        ("trainer.accumulate_grad_batches", [1, 3], [0, 1.5]),
        ("trainer.gradient_clip_val", [None, 1, 0.5], [-1, "x"]),
        ("trainer.gradient_clip_algorithm", [None, "norm", "value"], ["l2"]),
        ("trainer.log_every_n_steps", [1, 50], [-1, 0.5]),
        ("trainer.limit_train_batches", [1.0, 0.5, 10], [-1, "x"]),
    ],
)
def test_a_setting(setting, right, wrong):
    group, _, name = setting.rpartition(".")
    for value in right:
        check(OmegaConf.create({group: {name: value}} if group else {name: value}))
    for value in wrong:
        with pytest.raises(RequestError) as error:
            check(OmegaConf.create({group: {name: value}} if group else {name: value}))
        assert str(error.value).startswith(f"{setting}={value}: must be ")
        assert "{example}" not in str(error.value)


@pytest.mark.parametrize("momentum", [{"momentum": 0.0}, {}])
def test_nesterov_needs_a_momentum(momentum):
    with pytest.raises(RequestError) as error:
        check(OmegaConf.create({"optimizer": {"lr": 0.1, "nesterov": True, **momentum}}))
    assert str(error.value).endswith("Nesterov's needs one above 0; set optimizer.nesterov=false, too")


def test_all_mistakes_come_at_once():
    wrong = {"data": {"batch_size": 0}, "optimizer": {"lr": -1}, "trainer": {"max_epochs": 3}}
    with pytest.raises(RequestError) as error:
        check(OmegaConf.create(wrong))
    assert [line.split("=")[0] for line in str(error.value).splitlines()] == ["data.batch_size", "optimizer.lr"]


def test_the_defaults_and_every_example_are_right(compose):
    config = compose()
    check(config)
    for setting, (rule, example) in RULES.items():
        if example is not None:
            assert rule.holds(example), setting
