"""Every YAML of conf/ is composed, and all that it names is built."""

import shutil

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf.errors import OmegaConfBaseException

from litlab.build import build_data, build_task, build_trainer
from litlab.config.checks import check
from litlab.config.choices import CONF, choices
from litlab.errors import RequestError

CHOICES = choices()
TRACKERS = [("logger", "mlflow"), ("logger", "wandb")]  # in tests/runs/test_loggers.py: they take seconds to import
SAMPLERS = "hydra/sweeper/sampler"  # in tests/sweeps/test_optuna.py: they are for sweeps alone
ALL = [
    (group, name)
    for group, names in CHOICES.items()
    for name in names
    if group != SAMPLERS and (group, name) not in TRACKERS
]
DATA = sorted(CHOICES["data"], key=lambda name: name != "digits")  # the digits first


def build(config):
    """All that a run would build, short of loading the data: the optimizer and its scheduler too."""
    check(config)
    data = build_data(config)
    task = build_task(config, data)
    optimizer = task.make_optimizer(task.parameters())
    assert isinstance(optimizer, torch.optim.Optimizer)
    if task.schedule is not None:
        auto = {name: 10 for name, value in task.schedule.make.keywords.items() if value == "auto"}
        assert task.schedule.make(optimizer, **auto).optimizer is optimizer
    return data, task, build_trainer(config, data)


@pytest.mark.slow  # seconds, together
@pytest.mark.parametrize(("group", "name"), ALL, ids=["=".join(each) for each in ALL])
def test_every_choice_is_composed_and_built(compose, own_files, group, name):
    if group == "hydra/launcher":
        pytest.importorskip("hydra_plugins.hydra_ray_launcher", reason="make setup EXTRAS=ray")
    refused = []
    # The first data set that this choice fits: model=cnn needs images, task=regression needs a table.
    fixed = group in ("data", "experiment")
    for data in [None] if fixed else DATA:
        own = own_files.get(data or name, []) if data or group == "data" else []
        config = compose(*([f"data={data}"] if data else []), f"{group}={name}", *own)
        try:
            _, task, trainer = build(config)
        except RequestError as error:
            refused.append(f"{data}: {error}")
            continue
        assert name == "fast_dev_run" or trainer.max_epochs == config.trainer.max_epochs
        assert task.monitor == config.task.monitor
        return
    pytest.fail("\n".join(refused))


def test_trainers_say_where():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        trainers = {name: compose("train", overrides=[f"trainer={name}"]).trainer for name in CHOICES["trainer"]}
    assert {name: (each.accelerator, each.strategy) for name, each in trainers.items()} == {
        "auto": ("auto", "auto"), "cpu": ("cpu", "auto"), "gpu": ("gpu", "auto"), "mps": ("mps", "auto"),
        "ddp": ("auto", "ddp"),
    }  # fmt: skip


def test_every_yaml_says_what_it_is_for():
    for group, names in CHOICES.items():
        for name, purpose in names.items():
            assert len(purpose) > 3, f"conf/{group}/{name}.yaml"
            assert purpose.endswith((".", ":", ")")), f"conf/{group}/{name}.yaml: --help shows half a sentence"


def test_the_experiment_of_the_document(compose):
    """See seeds/004: 784-256-128-10 with ReLU, SGD 0.01, batch 64, 30 epochs, the whole training split."""
    config = compose("experiment=fashion_mlp", "trainer.max_epochs=30")
    data, task, trainer = build(config)
    assert [tuple(weight.shape) for weight in task.model.parameters() if weight.dim() == 2] == [
        (256, 784), (128, 256), (10, 128),
    ]  # fmt: skip
    assert [type(layer).__name__ for layer in task.model].count("ReLU") == 2
    optimizer = task.make_optimizer(task.parameters())
    assert type(optimizer) is torch.optim.SGD
    assert {name: optimizer.defaults[name] for name in ("lr", "momentum", "weight_decay", "nesterov")} == {
        "lr": 0.01, "momentum": 0, "weight_decay": 0, "nesterov": False,
    }  # fmt: skip
    assert (data.batch_size, data.val_size, data.normalize) == (64, 0, False)
    assert task.schedule is None and trainer.max_epochs == 30


def test_what_was_tuned_selects_by_validation_and_tests_rows_of_its_own(compose):
    data = compose("experiment=california_tuned").data
    assert (data.val_size, data.test_size, data.test_on_train, data.split_seed) == (0.1, 0.2, False, 0)


def test_regression_brings_adam_unless_another_optimizer_is_chosen(compose):
    """The steps of SGD grow with the targets: with its 0.1, data=california diverged."""
    chosen = {
        words: compose(*words).optimizer._target_.rpartition(".")[2]
        for words in [
            ("data=california",), ("data=california", "optimizer=sgd"), ("data=digits",), ("experiment=exam_scores",),
            ("data=digits", "task=regression"),
        ]
    }  # fmt: skip
    assert list(chosen.values()) == ["Adam", "SGD", "SGD", "SGD", "Adam"]


def test_a_local_file_is_this_machines(compose, tmp_path):
    shutil.copytree(CONF, tmp_path / "conf")
    (tmp_path / "conf" / "local").mkdir(exist_ok=True)
    (tmp_path / "conf" / "local" / "default.yaml").write_text("# @package _global_\npaths:\n  data_dir: /mine\n")
    assert compose(conf=tmp_path / "conf").paths.data_dir == "/mine"
    assert compose("paths.data_dir=/other", conf=tmp_path / "conf").paths.data_dir == "/other"


def test_a_linear_model_has_no_hidden_layers(compose):
    """Or a sweep of model=linear,mlp over model.hidden_sizes would compare a network with itself."""
    with pytest.raises(OmegaConfBaseException, match="hidden_sizes"):
        compose("model=linear", "model.hidden_sizes=[16]")
