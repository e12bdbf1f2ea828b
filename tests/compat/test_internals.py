"""The internals that litlab relies on, one by one: a failure says what an upgrade of the library broke."""

import sys
import types
import warnings
from datetime import timedelta
from typing import Any, ClassVar

import hydra
import lightning.pytorch as L
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, InstantiationException
from hydra.types import RunMode
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.demos.boring_classes import BoringModel
from omegaconf import OmegaConf

from litlab.compat import hydra as compat
from litlab.compat.lightning import (
    begin_step,
    end_step,
    every_n_train_steps,
    is_attached,
    restart_data,
    train_time_interval,
)
from litlab.compat.omegaconf import root
from litlab.compat.torch import version


class Loader(compat.CheckedLoader):
    """Notes what its hooks are called with; raises at a seed of 13."""

    seen: ClassVar[list[Any]] = []

    def check_file(self, name, source, is_primary, config):
        self.seen.append((name, source, is_primary, list(config)))

    def check_config(self, config):
        assert "hydra" in config, "upgrade: a composed config no longer has its hydra node when it is checked"
        if config.seed == 13:
            raise ValueError("thirteen")


@pytest.fixture
def conf(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "small.yaml").write_text("defaults: [base]\nwidth: 1\n")
    (tmp_path / "model" / "base.yaml").write_text("depth: 2\n")
    (tmp_path / "train.yaml").write_text("defaults: [_self_, model: small]\nseed: 0\n")
    return tmp_path


def test_hydra_composes_with_a_loader_of_ours(conf):
    with compat.composing_with(Loader), initialize_config_dir(str(conf), **compat.VERSION_BASE):
        assert compose("train").model == {"depth": 2, "width": 1}
        for name in ("train", "model/small", "model/base"):
            assert any(each[:2] == (name, conf) for each in Loader.seen), f"upgrade: check_file never sees {name}"
        assert [each[2] for each in Loader.seen if each[0] == "train"] == [True]
        assert ("model/small", conf, False, ["model"]) in Loader.seen, "upgrade: a file is no longer put in its place"
        with pytest.raises(ValueError, match="thirteen"):
            compose("train", ["seed=13"])


def test_hydras_command_line_composes_with_a_loader_of_ours(conf, monkeypatch):
    monkeypatch.chdir(conf)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    for words in (["seed=13"], ["-m", "seed=13,14"], ["--cfg", "job", "seed=13"]):
        monkeypatch.setattr("sys.argv", ["train.py", *words])
        with compat.composing_with(Loader), pytest.raises(ValueError, match="thirteen"):
            hydra.main(**compat.VERSION_BASE, config_path=str(conf), config_name="train")(lambda config: None)()


def test_no_version_of_hydra_warns_of_how_it_is_called(conf):
    with warnings.catch_warnings(), initialize_config_dir(str(conf), **compat.VERSION_BASE):
        warnings.simplefilter("error")
        assert compat.instantiate({"_target_": "datetime.timedelta", "days": 1}).days == 1


class Picky:
    """Changes what it gets, and refuses odd numbers."""

    def __init__(self, names: Any, number: int):
        names.update({0: 1})
        if number % 2:
            raise ValueError(f"{number} is odd")


def test_a_class_may_change_a_dict_and_its_errors_are_causes():
    config = OmegaConf.create({"_target_": f"{__name__}.Picky", "names": {}, "number": 2})
    OmegaConf.set_struct(config, True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, __name__, types.SimpleNamespace(Picky=Picky))  # type: ignore[arg-type]
        compat.instantiate(config)
        with pytest.raises(InstantiationException) as caught:
            compat.instantiate(config, number=3)
    assert isinstance(caught.value.__cause__, ValueError) and OmegaConf.is_struct(config)


def test_overrides_are_applied_as_hydra_does(conf):
    config = OmegaConf.create({"model": {"width": 1, "depth": 2}})
    OmegaConf.set_struct(config, True)
    parse = OverridesParser.create().parse_overrides
    compat.apply_overrides(parse(["model.width=3", "+model.name=a", "~model.depth"]), config)
    assert config == {"model": {"width": 3, "name": "a"}}
    with pytest.raises(HydraException):
        compat.apply_overrides(parse(["model.widht=3"]), config)
    with initialize_config_dir(str(conf), **compat.VERSION_BASE):
        loader = GlobalHydra.instance().config_loader()
        assert compat.is_group(loader, "model") and not compat.is_group(loader, "model.width")


def test_the_options_parser_knows_hydras_options():
    asked = compat.options_parser().parse_args(["-m", "--cfg", "job", "--config-dir=x"])
    assert (asked.multirun, asked.cfg, asked.config_dir) == (True, "job", "x")
    assert asked.config_path is None and asked.experimental_rerun is None


def test_a_node_of_omegaconf_leads_to_its_root():
    config = OmegaConf.create({"a": {"b": {"c": 1}}})
    assert root(config.a.b) is config


def test_a_checkpoint_callback_of_lightning_tells_when_it_saves():
    assert (every_n_train_steps(ModelCheckpoint()), train_time_interval(ModelCheckpoint())) == (0, None)
    assert every_n_train_steps(ModelCheckpoint(every_n_train_steps=5)) == 5
    minute = timedelta(minutes=1)
    assert train_time_interval(ModelCheckpoint(train_time_interval=minute)) == minute


def test_a_tensor_of_torch_counts_changes_in_place_through_views():
    tensor = torch.zeros(3)
    before = version(tensor)
    tensor.view(3, 1)[0].add_(1)
    assert version(tensor) == before + 1


def test_a_step_that_lightning_did_not_take_counts():
    class Manual(BoringModel):
        automatic_optimization = False

        def on_train_start(self):
            restart_data(self.trainer)

        def training_step(self, batch, batch_idx):
            for _ in range(3):
                begin_step(self.optimizers())
                end_step(self.optimizers())

    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_checkpointing", "enable_model_summary"), False)
    model, trainer = Manual(), L.Trainer(accelerator="cpu", max_epochs=1, limit_train_batches=2, **quiet)
    assert not is_attached(model)
    trainer.fit(model, torch.ones(4, 32), None)
    assert is_attached(model)
    assert trainer.global_step == 6, "upgrade: the Trainer no longer counts the steps that it is told of"


def test_jobs_of_the_same_choices_are_composed_once_and_as_hydra_does(conf, monkeypatch):
    (conf / "model" / "large.yaml").write_text("defaults: [base]\nwidth: 9\n")
    theirs = ConfigLoaderImpl.load_sweep_config
    composed = []
    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", lambda *args: composed.append(args) or theirs(*args))
    with compat.composing_with(Loader), initialize_config_dir(str(conf), **compat.VERSION_BASE):
        loader = GlobalHydra.instance().config_loader()
        words = ["seed=1", "hydra.sweep.dir=there", "hydra.job.config.override_dirname.exclude_keys=[seed]"]
        sweep = loader.load_configuration("train", words, run_mode=RunMode.MULTIRUN)
        for job, times in (
            (["seed=2", "hydra.sweep.subdir='a b'", "model.width=3"], 1),
            (["seed=3", "+new=1", "~model.depth"], 1),
            (["model=large", "seed=4"], 2),
            (["seed=5", "model=large"], 2),
            (["hydra/launcher=basic", "seed=2"], 3),
        ):
            ours = loader.load_sweep_config(sweep, job)
            assert len(composed) == times, (
                "upgrade: jobs no longer go through load_sweep_config, and are composed alone"
            )
            assert OmegaConf.to_container(ours) == OmegaConf.to_container(theirs(loader, sweep, job)), (
                "upgrade: " + str(job)
            )
        with pytest.raises(ValueError, match="thirteen"):  # each job is checked
            loader.load_sweep_config(sweep, ["seed=13"])
        with pytest.raises(HydraException, match="no_such"):
            loader.load_sweep_config(sweep, ["no_such=1"])
