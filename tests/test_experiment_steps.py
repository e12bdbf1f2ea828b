"""The numbers of each experiment come from these steps; no setting of its YAML can change and pass unnoticed.

experiment_steps.json has, for each experiment, the losses of its first steps on one thread, and what acts only later or
too little to be seen in so few steps. Data that are not bundled are made up: as many rows as a few batches take. After
an intended change, paste the entry that the failure shows, and measure the experiment again (scripts/reproduce.py).
"""

import json
from pathlib import Path

import lightning.pytorch as L
import pytest
import torch
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from litlab.config.choices import CONF, choices
from litlab.data.california import California
from litlab.data.cifar10 import CIFAR10
from litlab.data.mnist import MNIST
from litlab.data.tensors import Split

KNOWN = json.loads(Path(__file__).with_name("experiment_steps.json").read_text("utf-8"))
EXPERIMENTS = list(choices()["experiment"])
STEPS = 4
NEAR = 1e-3  # relative; other processors round differently
OTHERS = {  # another choice of each group
    "data": ("fashion", "mnist"),
    "model": ("mlp", "polynomial"),
    "optimizer": ("sgd", "adam"),
    "scheduler": ("none", "exponential"),
    "augmentation": ("none", "shift"),
}
OF_RUN = ("trainer.max_epochs", "data.passes_per_epoch", "trainer.log_every_n_steps", "task.steps_per_execution")
OF_RUN += ("task.monitor", "task.mode", "evaluate_train", "data.test_on_train", "data.batch_size", "trainer.precision")
# So few steps hardly show these; facts where they are set.
QUIET = (
    "model.mirror",
    "model.shift",
    "task.label_smoothing",
    "model.dropout",
    "model.embedding.bins",
    "model.embedding.d_embedding",
)
IMAGES = ("fashion", "mnist", "cifar10")  # their validation splits are larger than what is made up
STRANGE = {"ReLU": "Tanh", "Sigmoid": "Tanh", "max": "avg", "sum": "mean", "bf16-mixed": "16-mixed", "rtdl": "null"}


class Losses(L.Callback):
    """Of the first steps, after which the training ends."""

    def __init__(self):
        self.found = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.found.append(float(outputs["loss"]))
        trainer.should_stop = len(self.found) >= STEPS


@pytest.fixture(autouse=True)
def made_up(monkeypatch):
    """Data in place of files: of each as much as a few batches of the experiments take, and a remainder."""

    def images(self):
        random = torch.Generator().manual_seed(0)
        values = torch.rand(360, *self.input_shape, generator=random), torch.arange(360) % 10
        return Split(values[0][:290], values[1][:290]), Split(values[0][290:], values[1][290:])

    def rows(self):
        random = torch.Generator().manual_seed(0)
        scale = torch.tensor([4.0, 30.0, 5.0, 1.0, 1400.0, 3.0, 35.0, -120.0])  # as the columns are
        return Split(scale * (1 + torch.rand(370, 8, generator=random)), 0.1 * torch.rand(370, generator=random))

    for each, method, made in ((MNIST, "load", images), (CIFAR10, "load", images), (California, "rows", rows)):
        monkeypatch.setattr(each, method, made)
        monkeypatch.setattr(each, "prepare_data", lambda self: None)


def read(name):
    """An experiment's YAML: its choices by group, and its settings by dotted names."""
    plain = OmegaConf.to_container(OmegaConf.load(CONF / "experiment" / f"{name}.yaml"))
    choices = {}
    for each in plain.pop("defaults"):
        choices |= each if isinstance(each, dict) else {}
    found = {}

    def walk(node, prefix):
        for key, value in node.items():
            if isinstance(value, dict):
                walk(value, f"{prefix}{key}.")
            else:
                found[f"{prefix}{key}"] = value

    walk({key: value for key, value in plain.items() if key != "reference"}, "")
    return {group.removeprefix("override /"): choice for group, choice in choices.items()}, found


def words(name, *more):
    """The overrides that run an experiment on the made-up data, for its own number of epochs."""
    choices, own = read(name)
    small = ["data.val_size=20"] if choices.get("data") in IMAGES and "data.val_size" not in own else []
    return f"experiment={name}", "callbacks=none", *small, f"trainer.max_epochs={own['trainer.max_epochs']}", *more


def facts(config):
    """What the first steps do not show: classes, the optimizer and its schedule, and what acts on the whole run."""
    found = {name: OmegaConf.select(config, name) for name in OF_RUN}
    for group in OTHERS:
        found[group] = str(config[group].get("_target_", "none")).rpartition(".")[2]
    for group in ("optimizer", "scheduler"):
        plain = OmegaConf.to_container(config[group])
        found |= {f"{group}.{key}": value for key, value in plain.items() if not key.startswith("_")}
    found |= {name: value for name in QUIET if (value := OmegaConf.select(config, name))}
    return found | {"measured": [*config.reference.get("overrides", []), *config.reference.metrics]}


def losses(fit, asked):
    """Of the first steps, in float32: processors without bf16 round it in their own ways."""
    fit(*asked, "trainer.precision=32-true", callbacks=[watch := Losses()])
    return [float(f"{loss:.6g}") for loss in watch.found]


def spoiled(name):
    """Words, each of which makes something else of one line of an experiment's YAML."""
    choices, own = read(name)
    for group, choice in choices.items():
        yield f"{group}={next(other for other in OTHERS[group] if other != choice)}"
    for setting, value in own.items():
        yield f"{setting}={another(value)}"


def another(value):
    """Another value of the same type."""
    if isinstance(value, list):
        return [another(value[0]), *value[1:]] if value else [8]
    if isinstance(value, bool):
        return str(not value).lower()
    if isinstance(value, int):
        return value + 1 if value else 8
    return STRANGE[value] if isinstance(value, str) else value * 1.5 or 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_takes_these_steps(compose, fit, name):
    known = KNOWN.get(name, {"facts": {}, "losses": []})
    found = {"facts": facts(compose(*words(name))), "losses": losses(fit, words(name))}
    same = found["facts"] == known["facts"] and found["losses"] == pytest.approx(known["losses"], rel=NEAR)
    assert same, f'"{name}": {json.dumps(found)}'
    assert len(found["losses"]) == STEPS


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_no_line_of_an_experiment_changes_unnoticed(compose, fit, name):
    unnoticed = []
    for word in spoiled(name):
        try:
            changed = facts(compose(*words(name, word)))
        except ConfigCompositionException:  # the choice lacks a setting that the YAML sets
            continue
        if changed == KNOWN[name]["facts"] and losses(fit, words(name, word)) == pytest.approx(
            KNOWN[name]["losses"], rel=NEAR
        ):
            unnoticed.append(word)
    assert unnoticed == []
