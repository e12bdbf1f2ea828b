"""The internals that litlab relies on, one by one: a failure says what an upgrade of the library broke."""

import copy
import sys
import types
import warnings
from dataclasses import dataclass
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
from omegaconf.errors import MissingMandatoryValue

from litlab.compat import hydra as compat
from litlab.compat.instantiation import instantiate
from litlab.compat.lightning import (
    begin_step,
    end_step,
    every_n_train_steps,
    is_attached,
    restart_data,
    train_time_interval,
)
from litlab.compat.omegaconf import quick, root
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
        assert instantiate({"_target_": "datetime.timedelta", "days": 1}).days == 1


@dataclass
class Launcher:
    """A structured config, as launchers have."""

    jobs: int = 2


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
        instantiate(config)
        with pytest.raises(InstantiationException) as caught:
            instantiate(config, number=3)
    assert isinstance(caught.value.__cause__, ValueError) and OmegaConf.is_struct(config)


def test_objects_are_built_as_hydra_builds_them():
    """But for containers, which are plain."""
    delta = {"_target_": "datetime.timedelta", "hours": "${hours}"}
    config = OmegaConf.create({"hours": 2, "a": {"_target_": "builtins.dict", "each": [delta, 1], "x": {"y": delta}}})
    built = instantiate(config.a, x2={"_target_": "given"})
    assert built == {
        "each": [timedelta(hours=2), 1], "x": {"y": timedelta(hours=2)}, "x2": {"_target_": "given"}
    } and type(built["each"]) is list  # fmt: skip
    assert instantiate({**config.a, "_recursive_": False})["each"][0] == {**delta, "hours": 2}
    assert instantiate({**delta, "hours": 1, "_partial_": True})(minutes=5) == timedelta(minutes=65)
    assert instantiate({"_target_": "datetime.timedelta", "_args_": [1]}) == timedelta(days=1)
    assert instantiate(delta, hours=3) == timedelta(hours=3), "what is given comes before what is set"
    assert instantiate(None) is None and instantiate({}) == {}
    with pytest.raises(MissingMandatoryValue):
        instantiate(OmegaConf.create({"_target_": "datetime.timedelta", "days": "???"}))
    with pytest.raises(InstantiationException, match=r"Error locating target 'datetime\.nothing'"):
        instantiate({"_target_": "datetime.nothing"})


def test_words_are_read_as_typed():
    words = {"task": ["data.split_seed=${nothing}", "seed=0"], "hydra": ["hydra.sweep.dir=${nothing}"]}
    config = OmegaConf.create({"hydra": {"overrides": words}})
    assert (compat.typed_words(config), compat.typed_words(config, "hydra")) == (words["task"], words["hydra"])


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


def test_omegaconf_does_the_same_when_it_is_quick(conf):
    text = {"a": "on", "c": "${d.e}/x", "d": {"e": "ü # '\"\n", "f": [None, True, 1e-5, 0.1]}, "long": "w " * 99}
    config = OmegaConf.create(text)
    OmegaConf.set_readonly(config.d, True)
    yaml, plain = OmegaConf.to_yaml(config), OmegaConf.to_container(config, resolve=True)
    with quick():
        copied, part = copy.deepcopy(config), copy.deepcopy(config.d)
        assert copied == config and copied.d is not config.d and OmegaConf.is_readonly(copied.d)
        assert root(part) is config and root(copied.d) is copied, "a part's copy stays where it was"
        assert OmegaConf.to_yaml(copied) == yaml
        copied.a = "${c}"
        assert OmegaConf.to_container(copied, resolve=True) == plain | {"a": plain["c"]}
        anything = OmegaConf.create({"a": conf.__fspath__}, flags={"allow_objects": True})
        assert copy.deepcopy(anything).a() == str(conf), "what pickle might not take is copied by copy"


def test_a_config_of_a_class_that_was_loaded_anew_is_copied_all_the_same(monkeypatch):
    config = OmegaConf.structured(Launcher)
    monkeypatch.setattr(sys.modules[__name__], "Launcher", type("Launcher", (), {}), raising=True)
    with quick():
        assert copy.deepcopy(config) == {"jobs": 2}


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


@pytest.mark.slow
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


def test_a_worker_runs_the_jobs_of_a_stack_by_hydras_own_launcher():
    from litlab.compat.hydra import launcher_here, runs_here

    launcher = launcher_here("context", "task", "config")
    assert runs_here(launcher)
    assert (launcher.hydra_context, launcher.task_function, launcher.config) == ("context", "task", "config")
