"""What a request must satisfy, setting by setting: one line that names the setting, before torch is imported."""

import importlib
import inspect

import pytest
from omegaconf import OmegaConf, open_dict

from litlab.config.checks import check
from litlab.config.ranges import PROGRAM, RANGES, RESERVED
from litlab.config.signatures import signature
from litlab.errors import RequestError

CLASSES = {
    "data": "litlab.data.digits.Digits",
    "model": "litlab.models.cnn.CNN",
    "task": "litlab.tasks.classification.Classification",
    "optimizer": "torch.optim.SGD",
    "scheduler": "torch.optim.lr_scheduler.CosineAnnealingLR",
    "trainer": "lightning.pytorch.Trainer",
}


def told(config, *typed):
    try:
        check(config, typed)
    except RequestError as error:
        return str(error).splitlines()
    return []


def test_a_rate_s_formula_is_no_text():
    node = {"_target_": "torch.optim.lr_scheduler.LambdaLR", "_partial_": True, "lr_lambda": "nonsense"}
    meant = "must be a formula, set as in scheduler.lr_lambda.formula='0.95 ** epoch'"
    assert f"scheduler.lr_lambda=nonsense: {meant}" in told(OmegaConf.create({"scheduler": node}))
    node["lr_lambda"] = {"_target_": "litlab.tasks.rate_formula.RateFormula", "formula": "0.5"}
    assert not any("lr_lambda" in line for line in told(OmegaConf.create({"scheduler": node})))


@pytest.mark.parametrize(
    ("setting", "right", "wrong"),
    [
        ("seed", [0, 1, 2**32 - 1], [-1, 2**32, 0.5, "x", True, None]),
        ("threads", [1, 1024, None], [0, -1, 1.5, 100_000]),
        ("data.batch_size", [1, 64], [0, -1, 1.5, "64x", True, None]),
        ("data.passes_per_epoch", [1, 100], [0, 0.5]),
        ("data.normalize", [True, False], ["yes", 1, None]),
        ("model.dropout", [0, 0.5], [1, -0.1, "x"]),
        ("model.hidden_sizes", [[], [64], [256, 128]], [64, [0], [1.5], "64"]),
        ("model.padding", [0, 1], [True, -1]),
        ("model.pooling", ["max", "avg"], ["min", None]),
        ("task.steps_per_execution", [1, 16], [0, None]),
        ("task.mode", ["min", "max"], ["best", None]),
        ("task.class_weights", ["balanced", None], ["even"]),
        ("optimizer.lr", [0.1, 1, 1e-30], [0, -1, "x", None, float("inf"), float("nan")]),
        ("optimizer.momentum", [0, 0.9], [1, -0.5]),
        ("optimizer.nesterov", [False], [[1, 2], "x"]),
        ("scheduler.interval", ["step", "epoch"], ["batch"]),
        ("scheduler.frequency", [1], [0]),
        ("scheduler.T_max", [10, "auto"], ["abc", 0, 1.5]),
        ("trainer.accelerator", ["auto", "cpu"], ["gpuu", None]),
        ("trainer.max_epochs", [0, 10, -1, None], [-2, 1.5, "abc"]),
        ("trainer.max_steps", [-1, 0, 10], [-2, 1.5, None]),
        ("trainer.accumulate_grad_batches", [1, 3], [0, 1.5]),
        ("trainer.gradient_clip_val", [None, 1, 0.5], [-1, "x"]),
        ("trainer.gradient_clip_algorithm", [None, "norm", "value"], ["l2"]),
        ("trainer.log_every_n_steps", [1, 50], [-1, 0.5]),
        ("trainer.limit_train_batches", [1.0, 0.5, 10], [-1, "x", 0, 0.0, 1.5]),
        ("trainer.limit_val_batches", [1.0, 0, 10], [-1, 1.5]),
        ("trainer.max_time", [None, "00:01:00:00", {"minutes": 5}], ["abc", 5]),
        ("trainer.devices", [1, "auto", -1, [0, 1], "0,1"], ["abc", 0, 0.5, [-1]]),
    ],
)
def test_a_setting(setting, right, wrong):
    group, _, name = setting.rpartition(".")
    required = {"task": {"monitor": "val/loss", "mode": "min"}, "optimizer": {"momentum": 0.9}}

    def lines(value):
        node = {"_target_": CLASSES.get(group), **required.get(group, {"T_max": 1} if group == "scheduler" else {})}
        found = told(OmegaConf.create({group: node | {name: value}} if group else {name: value}))
        return [line for line in found if "is missing; choose one of" not in line]

    assert [lines(value) for value in right] == [[]] * len(right)
    for value in wrong:
        (line,) = lines(value)
        assert line.startswith(f"{setting}={value}: must be ")


PERIODIC = "data=breast_cancer model=mlp_periodic"
EXAMPLES = {  # what is typed: the whole line, or what follows the last word
    "optimizer.lr=.inf": ": must be a number above 0, such as 0.01",
    "optimizer.lr=inf": ": must be a number above 0, such as 0.01",
    "model=mlp model.hidden_sizes=128": ": must be a list of whole numbers from 1, such as [128]",
    "optimizer.nesterov=[1,2]": "optimizer.nesterov=[1, 2]: must be true or false",
    "optimizer=adam optimizer.betas=[0.9]": ": must be a list of 2 numbers from 0 to below 1, such as [0.9, 0.999]",
    "trainer.limit_train_batches=0": ": must be a whole number from 1, or a number above 0 to 1, such as 1.0, or null",
    "trainer.check_val_every_n_epoch=0": ": must be a whole number from 1, such as 1, or null",
    "trainer.val_check_interval=0": (
        ": must be a whole number from 1, or a number above 0 to 1, or a time DD:HH:MM:SS, such as 1.0, or null"
    ),
    "threads=100000": ": must be a whole number from 1 to 1024, such as 1, or null",
    "data=sine model=polynomial data.points=abc": ": must be a whole number from 1, such as 1000",
    "scheduler=cosine scheduler.T_max=abc": ": must be a whole number from 1, or auto",
    "scheduler.max_lr=0": ": must be a number above 0, or a list of numbers above 0",
    "callbacks=early_stopping callbacks.early_stopping.patience=abc": ": must be a whole number from 0, such as 3",
    "trainer.min_epochs=abc": ": must be a whole number from 0, or null",
    "trainer.deterministic=maybe": ": must be true or false, or warn, or null",
    "trainer.profiler=abc": ": must be one of simple, advanced, pytorch, xla, or null",
    "+trainer.logger=false": "trainer.logger: cannot be set; choose logger=none",
    "+trainer.max_epohcs=3": "trainer.max_epohcs: Trainer does not take it (did you mean max_epochs?)",
    "+model.foo=1": "model.foo: MLP does not take it; it takes hidden_sizes, activation, dropout, zero_init, embedding",
    "+model.num_outputs=1": "model.num_outputs: cannot be set; the data determine it",
    "trainer._target_=3": ": must be a class, such as package.module.Class; choose one of auto, cpu, ddp, gpu, mps",
    f"{PERIODIC} model.embedding._partial_=1": ": must be true or false",
    "callbacks.last=1": ": must be settings with a class (_target_); ~callbacks.last leaves it out",
    "tune=lr tune.min_lr=abc": ": must be a number above 0",
    f"{PERIODIC} model.embedding.d_embedding=1.5": ": must be a whole number from 1, such as 24",
    f"{PERIODIC} model.embedding.frequency_init_scale=-0.5": ": must be a number above 0, such as 0.01",
    "optimizer.momentum=0": ": Nesterov's needs one above 0; set optimizer.nesterov=false, too",
    "optimizer.momentum=0.0": ": Nesterov's needs one above 0; set optimizer.nesterov=false, too",
    "scheduler.pct_start=${nowhere}": ": Interpolation key 'nowhere' not found",
}


@pytest.mark.parametrize("words", EXAMPLES)
def test_a_mistake_is_one_line_with_a_right_value(compose, words):
    line = EXAMPLES[words]
    assert told(compose(*words.split())) == [words.split()[-1] * line.startswith(": ") + line]


def test_what_is_missing_is_told_and_all_mistakes_at_once(compose):
    for group, name, line in [
        ("task", "monitor", "task.monitor: is required; Classification needs a text"),
        ("optimizer", "_target_", "optimizer._target_=None: must be a class, such as package.module.Class; choose"),
        (None, "optimizer", "optimizer: is missing; choose one of adam, adam_table, adamw, adamw_table, rmsprop, sgd"),
    ]:
        config = compose()
        with open_dict(config):
            (config[group] if group else config).pop(name)
        (found,) = told(config)
        assert found.startswith(line)
    config = compose("tune=lr")
    check(config)
    for setting in PROGRAM:
        assert OmegaConf.select(config, setting, default="none") != "none", setting
    with pytest.raises(RequestError) as error:
        check(compose("sweep.on_failure=go", "seed=x"), only="sweep.")
    assert str(error.value) == "sweep.on_failure=go: must be one of continue, stop"
    wrong = compose("optimizer.lr=-1", "data.batch_size=0", "seed=x")  # scheduler.max_lr is ${optimizer.lr}
    assert [line.split("=")[0] for line in told(wrong)] == ["seed", "data.batch_size", "optimizer.lr"]


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (
            "optimizer._target_=torch.optim.RMSprop",
            "optimizer._target_=torch.optim.RMSprop: does not take nesterov, which the chosen optimizer sets; choose "
            "optimizer=rmsprop, or write conf/optimizer/NAME.yaml for it, or leave out ~optimizer.nesterov",
        ),
        (
            "scheduler._target_=torch.optim.lr_scheduler.ConstantLR",
            "scheduler._target_=torch.optim.lr_scheduler.ConstantLR: does not take max_lr, total_steps, pct_start, "
            "cycle_momentum, which the chosen scheduler sets; write conf/scheduler/NAME.yaml for it, or leave out "
            "~scheduler.max_lr ~scheduler.total_steps ~scheduler.pct_start ~scheduler.cycle_momentum",
        ),
        (
            "model._target_=litlab.models.polynomial.Polynomial",
            "model._target_=litlab.models.polynomial.Polynomial: does not take hidden_sizes, activation, dropout, "
            "which the chosen model sets; choose model=polynomial, or write conf/model/NAME.yaml for it, or leave out "
            "~model.hidden_sizes ~model.activation ~model.dropout",
        ),
    ],
)
def test_another_class_needs_a_yaml_of_its_own(compose, typed, line):
    """To drop what it does not take would leave it the rest: SGD's lr=0.1, at which RMSprop diverges."""
    assert told(compose(typed), typed) == [line]


OWN = """
from litlab.config.values import PositiveInt
from torch import nn

class Own(nn.Module):
    def __init__(self, input_shape, num_outputs, kernel_size=3, padding=0, channels=(8,), pooling="max", dropout=0.0):
        super().__init__()

class Typed(Own):
    def __init__(self, input_shape, num_outputs, *, width: PositiveInt = 8, names: "list[str] | None" = None, **more):
        super().__init__(input_shape, num_outputs, padding=1, **more)

class Short(nn.Module):
    def __init__(self, width):
        super().__init__()
"""


@pytest.mark.parametrize(
    ("name", "settings", "lines"),
    [
        ("Own", {"kernel_size": [7, 5], "padding": "same", "channels": 16, "pooling": None, "dropout": 2}, []),
        ("Typed", {"width": 4, "kernel_size": [7, 5], "names": ["a"]}, []),
        (
            "Typed",
            {"width": 0, "padding": 3, "names": [1]},
            [
                "model.padding: Typed does not take it; it takes kernel_size, channels, pooling, dropout, width, names",
                "model.width=0: must be a whole number from 1, such as 8",
                "model.names=[1]: must be a list of texts, or null",
            ],
        ),
        (
            "Short",
            {"width": 4},
            ["model._target_=own.Short: must take input_shape and num_outputs, which every model gets from the data"],
        ),
        ("Nowhere", {"padding": "same"}, []),  # the import tells
    ],
)
def test_a_class_of_ones_own_is_held_to_its_own_annotations_alone(
    compose, monkeypatch, tmp_path, name, settings, lines
):
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    config = compose()
    with open_dict(config):
        config.model = {"_target_": "own." + name, **settings}
    assert told(config) == lines


def targets():
    """Those of conf/, and all of torch.optim and Lightning that could be chosen."""
    import lightning.pytorch.callbacks as callbacks
    import lightning.pytorch.loggers as loggers
    import torch

    from litlab.config.choices import CONF

    lines = [line for path in CONF.rglob("*.yaml") for line in path.read_text(encoding="utf-8").splitlines()]
    named = {line.split(": ")[1].split(" #")[0] for line in lines if line.strip().startswith("_target_: ")}
    named = {each for each in named if not each.startswith(("optuna", "hydra_plugins"))}
    for module in (torch.optim, torch.optim.lr_scheduler, callbacks, loggers):
        for name, each in vars(module).items():
            if inspect.isclass(each) and each.__module__.startswith(("torch.optim", "lightning")) and name[0] != "_":
                named.add(f"{module.__name__}.{name}")
    return sorted(named)


def test_signatures_and_ranges_are_those_of_the_classes():
    read = 0
    for target in targets():
        module, _, name = target.rpartition(".")
        real = getattr(importlib.import_module(module), name)
        found = signature(target)
        kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        known = {each.name: each for each in inspect.signature(real).parameters.values() if each.kind not in kinds}
        if found.others:
            continue
        read += 1
        inherits = any(each.kind in kinds for each in inspect.signature(real).parameters.values())
        assert known.keys() <= found.parameters.keys() if inherits else list(known) == list(found.parameters), target
        for each in known.values():
            default = found.parameters[each.name].default
            assert default == each.default or default is None, (target, each)
    assert read > 60
    for place, ranges in RANGES.items():
        module, _, name = place.rpartition(".")
        there = getattr(importlib.import_module(module), name)
        inside = [each for each in vars(there).values() if inspect.isclass(each)]
        classes = [there] if inspect.isclass(there) else inside
        own = [
            each
            for each in classes
            if "__init__" in vars(each) and f"{each.__module__}.{each.__name__}".startswith(place)
        ]
        known = {each for one in own for each in inspect.signature(one).parameters}
        assert set(ranges) <= known, place
    assert {"logger", "callbacks", "plugins", "default_root_dir"} <= set(RESERVED["trainer"])
    for group, given in RESERVED.items():
        if group in CLASSES and group != "model":
            assert set(given) <= set(signature(CLASSES[group]).parameters)


def test_a_device_without_a_driver_is_refused_where_the_run_will_be(compose, monkeypatch):
    config = compose("trainer.accelerator=gpu")
    monkeypatch.setattr("litlab.config.checks.GPU_FILES", ("null",))
    assert told(config) == []  # torch will tell
    monkeypatch.setattr("litlab.config.checks.GPU_FILES", ("none",))
    refused = "trainer.accelerator=gpu: PyTorch finds none on this machine; use trainer=cpu"
    assert told(config) == [refused]
    check(config, here=False)


def test_a_loss_of_the_users_own_is_offered():
    from litlab.config.values import describe

    hint = signature("litlab.tasks.regression.Regression").parameters["loss"].hint
    assert describe(hint) == "one of mse, mae, huber, or a class, such as {_target_: torch.nn.NAME}"
