"""Runs on the digits in this process. Torch is imported by the fixtures that need it, not with this file."""

import copy
import functools
import json
import os
import resource
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["automatic", "small_fashion", "command_line", "own_files"]  # tests/fixtures

ROOT = Path(__file__).resolve().parents[1]
os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: two workers and their threads would wait for each other


@dataclass(frozen=True)
class Fit:
    """What a training in this process leaves."""

    config: Any
    data: Any
    task: Any
    trainer: Any

    @property
    def weights(self):
        return {name: weight.detach().clone() for name, weight in self.task.state_dict().items()}

    @property
    def metrics(self):
        return {name: float(value) for name, value in self.trainer.callback_metrics.items()}


@pytest.fixture(autouse=True)
def own_signals():
    """A program that ends in this process leaves signals ignored, which the next test's processes would inherit."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def root():
    """The repository."""
    return ROOT


@functools.cache
def _chosen(conf, groups):
    """What Hydra composes of these choices: a fifth of a second each, so it is kept."""
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(conf), version_base="1.3"):
        return compose("train", overrides=list(groups))


@pytest.fixture
def compose(tmp_path):
    """Compose conf/train.yaml with overrides: digits, 2 epochs, CPU, one thread, a fresh run directory each time."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf, open_dict

    count = 0

    def composed(*overrides, conf=ROOT / "conf", pictures=True):
        nonlocal count
        count += 1
        settings = {
            "paths.log_dir": tmp_path,
            "paths.run_dir": tmp_path / f"run{count}",
            "threads": 1,
            "trainer.accelerator": "cpu",
            "trainer.max_epochs": 2,
            "trainer.enable_progress_bar": "false",
            "logger": "none",
        }
        named = {override.split("=")[0].lstrip("+~") for override in overrides}
        words = [*(f"{name}={value}" for name, value in settings.items() if name not in named), *overrides]
        groups = tuple(word for word in words if (conf / word.split("=")[0]).is_dir() or word.startswith("hydra."))
        config = copy.deepcopy(_chosen(conf, groups))
        for each in OverridesParser.create().parse_overrides([word for word in words if word not in groups]):
            OmegaConf.update(config, each.key_or_group, each.value(), merge=True, force_add=each.is_add())
        if not pictures:  # drawing takes longer than the rest of a small run
            with open_dict(config):
                config.callbacks.pop("pictures", None)
        return config

    return composed


@pytest.fixture
def fit(compose):
    """Build and fit as `litlab.verbs.train` does, and keep the objects; `callbacks` come to the config's."""
    from lightning.pytorch import seed_everything

    from litlab.build import build_data, build_task, build_trainer, steps_per_execution

    def fitted(*overrides, callbacks=()):
        config = compose(*overrides)
        seed_everything(config.seed, verbose=False)
        data = build_data(config)
        task = build_task(config, data)
        trainer = build_trainer(config, data)
        trainer.callbacks.extend(callbacks)
        task.steps_per_execution = steps_per_execution(config, trainer, task)
        path = Path(config.resume, "checkpoints", "last.ckpt") if config.resume else None
        trainer.fit(task, datamodule=data, ckpt_path=path, weights_only=True)
        return Fit(config, data, task, trainer)

    return fitted


@pytest.fixture
def run(compose):
    """Train for an epoch and record it: the run directory."""
    from omegaconf import OmegaConf

    from litlab.runs.recording import recorded
    from litlab.runs.result import Result
    from litlab.verbs.train import train

    def run(*overrides, **settings):
        config = compose("trainer.max_epochs=1", *overrides, pictures=False)
        for name, value in settings.items():
            OmegaConf.update(config, name, value, merge=False, force_add=True)
        with recorded(Path(config.paths.run_dir), Result()) as result:
            train(config, result)
        return Path(config.paths.run_dir)

    return run


@pytest.fixture
def same_weights():
    """Whether two state dicts are the same to the bit."""
    import torch

    def same(one, other):
        return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)

    return same


@pytest.fixture
def short_disk():
    """Within `with short_disk(100):` this process writes files of no more than 100 bytes: then an OSError comes."""

    @contextmanager
    def limited(size):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited


@pytest.fixture
def read_result():
    """result.json of a run directory, which must be plain JSON: NaN and Infinity are none."""

    def strange(word):
        raise AssertionError(f"{word} in result.json")

    def read(run_dir):
        return json.loads((run_dir / "result.json").read_text(encoding="utf-8"), parse_constant=strange)

    return read
