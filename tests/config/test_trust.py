"""Whom a config may call: whatever else a file or a command line names is refused, and nothing of it has run."""

import sys
import types

import pytest
from omegaconf import OmegaConf

from litlab.build import build_data, instantiate
from litlab.config import trust
from litlab.errors import RequestError

PAYLOADS = {  # what a file or a command line sets: the package that would have to be trusted
    "model: {_target_: os.system, _args_: ['touch CANARY']}": "os",
    "model: {embedding: {_target_: os.system, _partial_: true, command: 'touch CANARY'}}": "os",
    'model: {hidden_sizes: [16, {_target_: builtins.exec, _args_: [\'open("CANARY", "w")\']}]}': "builtins",
    "data: {_target_: litlab.data.reading.mirrors._run, _args_: [[touch, CANARY], .]}": "litlab.data.reading.mirrors",
    "data: {_target_: litlab.data.reading.mirrors.subprocess.run, _args_: [[touch, CANARY]]}": "subprocess",
    "data: {_target_: litlab.data.reading.mirrors.Path.touch,"
    " _args_: [{_target_: pathlib.Path, _args_: [CANARY]}]}": "pathlib",
    "data: {_target_: litlab.data.mnist.fetch.load, _args_: [MNIST, .]}": "litlab.data.reading.fetch",
    "data: {_target_: litlab.data.digits.Digits.from_datasets}": "lightning.pytorch.core.datamodule",
    "model: {embedding: {_target_: torch.load, f: CANARY.pt, weights_only: false}}": "torch",
    "model: {embedding: {_target_: torch.nn.modules.module.torch.load, _args_: [CANARY.pt]}}": "torch",
    "model: {_target_: torch.hub.load, repo_or_dir: CANARY, model: x, source: local}": "torch",
    "model: {_target_: torch.nn.Module.__subclasses__}": "torch.nn.Module.__subclasses__",
    "model: {_target_: torch.nn.utils.parametrize.copyreg.pickle}": "copyreg",
    "optimizer: {_target_: canary_package.Optimizer}": "canary_package",
    "optimizer: {_target_: torch.optim.optimizer.functools.partial, _args_: [print]}": "functools",
    "scheduler: {_target_: hydra.utils.get_method, path: os.system}": "hydra",
    "scheduler: {_target_: '${model.name}.system', model: '${reference}'}": "os",
    "callbacks: {mine: {_target_: importlib.import_module, name: canary_package}}": "importlib",
    "callbacks: {mine: {_target_: lightning.pytorch.cli.LightningCLI}}": "lightning.pytorch.cli",
    "task: {_target_: lightning.pytorch.LightningModule.load_from_checkpoint}": "lightning.pytorch.core.module",
    "logger: {mine: {_target_: lightning.pytorch.loggers.logger.ABC.register}}": "abc",
    "trainer: {strategy: {_target_: builtins.__import__, name: canary_package}}": "builtins",
    "task: {_target_: torchmetrics.text.Perplexity}": "torchmetrics.text.perplexity",
    "augmentation: {_target_: numpy.load, file: CANARY.npy, allow_pickle: true}": "numpy",
    "tune: {_target_: litlab.verbs.tune.instantiate, group: model, config: {}}": "litlab.build",
}


def build_all(config):
    """As a run does: the names first, then part by part what they lead to."""
    trust.check(config)
    for group in ("data", "model", "optimizer", "scheduler", "augmentation", "trainer", "tune", "task"):
        instantiate(group, config.get(group), trust.trusted(config))
    for group in ("callbacks", "logger"):
        for each in (config.get(group) or {}).values():
            instantiate(group, each, trust.trusted(config))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_is_refused_in_one_line_and_nothing_of_it_has_run(canary, payload):
    config = OmegaConf.create(payload.replace("CANARY", str(canary)))
    if "${" in payload:
        config.update({"model": {"name": "os"}, "reference": {"_target_": "torch.nn.Linear"}})
    with pytest.raises(RequestError) as error:
        build_all(config)
    message = str(error.value)
    lines = message.splitlines()
    assert all(": is not a class of litlab, torch.nn, " in line and "_target_=" in line for line in lines)
    assert lines[-1].endswith(f"could run arbitrary code; if you trust it, add trust=[{PAYLOADS[payload]}]")
    assert message.startswith(payload.partition(":")[0])
    assert not canary.exists() and "canary_package" not in sys.modules


def test_what_the_user_trusts_is_built_but_nothing_by_its_back_door(canary):
    config = OmegaConf.create({"_target_": "canary_package.Optimizer", "_partial_": True, "lr": 0.1})
    assert instantiate("optimizer", config, ["canary_package"]).func.__name__ == "Optimizer"
    assert instantiate("optimizer", OmegaConf.create({"_target_": "canary_package.make"}), ["canary_package"])
    with pytest.raises(RequestError, match=r"^optimizer\._target_=canary_package\.system: .* add trust=\[posix\]$"):
        instantiate("optimizer", OmegaConf.create({"_target_": "canary_package.system"}), ["canary_package"])
    with pytest.raises(RequestError, match=r"add trust=\[canary_package\]$"):
        instantiate("optimizer", config, ["canary"])  # a package, not how its name begins


def test_what_builds_a_run_may_be_named_and_trust_is_a_list_of_packages():
    import torch

    for name in (
        "torch.nn.Linear", "torch.nn.BCEWithLogitsLoss", "torch.nn.init.kaiming_normal_", "torch.optim.Muon",
        "torch.optim.lr_scheduler.ReduceLROnPlateau", "torch.optim.swa_utils.SWALR",
        "torchmetrics.classification.MulticlassAccuracy", "torchmetrics.MetricCollection", "torchmetrics.R2Score",
        "lightning.pytorch.Trainer", "lightning.pytorch.callbacks.EMAWeightAveraging",
        "lightning.pytorch.loggers.CSVLogger", "lightning.pytorch.profilers.PyTorchProfiler",
        "lightning.pytorch.strategies.DDPStrategy", "rtdl_num_embeddings.PiecewiseLinearEmbeddings",
        "litlab.tasks.augmentation.ShiftAndFlip", "litlab.verbs.tune.find_batch_size", "datetime.timedelta",
    ):  # fmt: skip
        trust.verify("model", {"_target_": name})
    module = types.ModuleType("litlab.models.mine")
    module.Mine = type("Mine", (torch.nn.Linear,), {"__module__": module.__name__})
    sys.modules[module.__name__] = module
    try:
        trust.verify("model", {"_target_": "litlab.models.mine.Mine"})
    finally:
        del sys.modules[module.__name__]
    for trusted in ["mypackage", "[1]", "{a: 1}", "['']", "5"]:
        with pytest.raises(RequestError, match=r"^trust=.*: must be a list of packages, such as trust=\[mypackage\]$"):
            trust.check(OmegaConf.create(f"trust: {trusted}"))
    config = OmegaConf.create({"model": {"blocks": [{"act": {"_target_": "os.getcwd"}}]}, "x": {"_target_": "a.b"}})
    with pytest.raises(RequestError) as error:
        trust.check(config)
    settings = [line.partition(": ")[0] for line in str(error.value).splitlines()]
    assert settings == ["model.blocks[0].act._target_=os.getcwd", "x._target_=a.b"]


def test_what_a_config_says_it_trusts_reaches_what_is_built(compose, canary):
    (canary.parent / "canary_package.py").write_text(
        "from litlab.data.digits import Digits\nclass Mine(Digits): pass\n"
    )
    words = ("data=digits", "data._target_=canary_package.Mine")
    with pytest.raises(RequestError, match=r"^data\._target_=canary_package\.Mine: .*trust=\[canary_package\]$"):
        build_data(compose(*words))
    assert type(build_data(compose(*words, "trust=[canary_package]"))).__name__ == "Mine"
