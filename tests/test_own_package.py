"""A package of the user's own, beside litlab: a class and a YAML of every kind, from --help to resume."""

import json
import re
import shutil

import polars as pl
import pytest

import litlab
from litlab.errors import RequestError

PARTS = """
import math
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn
from torchmetrics import Metric
from litlab.data.tensors import Split, TensorData
from litlab.tasks.classification import Classification
class Rings(TensorData):
    input_shape, num_outputs, class_names = (2,), 2, ("inner", "outer")
    def load(self):
        points = torch.randn(600, 2, generator=torch.Generator().manual_seed(0))
        return Split(points, (points.norm(dim=1) > 1.2).long()), None
class Net(nn.Module):
    def __init__(self, input_shape, num_outputs, width: int = 16):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(math.prod(input_shape), width), nn.Tanh(), nn.Linear(width, num_outputs))
    def forward(self, inputs):
        return self.layers(inputs.flatten(1))
class Margin(nn.Module):
    def forward(self, outputs, targets):
        return nn.functional.multi_margin_loss(outputs, targets)
class Wrong(Metric):
    def __init__(self):
        super().__init__()
        self.add_state("wrong", torch.tensor(0), dist_reduce_fx="sum")
    def update(self, outputs, targets):
        self.wrong += (outputs.argmax(1) != targets).sum()
    def compute(self):
        return self.wrong.float()
class Counting(Classification):
    def build_metrics(self):
        return super().build_metrics() | {"wrong": Wrong()}
class Signs(torch.optim.Optimizer):
    def __init__(self, params, lr: float = 0.01):
        super().__init__(params, {"lr": lr})
    @torch.no_grad()
    def step(self, closure=None):
        with torch.enable_grad():
            loss = None if closure is None else closure()
        for group in self.param_groups:
            for each in group["params"]:
                each.sub_(group["lr"] * each.grad.sign())
        return loss
class Halves(torch.optim.lr_scheduler.LRScheduler):
    def get_lr(self):
        return [base * 0.5 ** self.last_epoch for base in self.base_lrs]
class Diary(Callback):
    def __init__(self, file: str):
        self.file = file
    def on_train_epoch_end(self, trainer, pl_module):
        with open(self.file, "a") as file:
            file.write(f"{trainer.current_epoch} {trainer.optimizers[0].param_groups[0]['lr']}\\n")
"""
YAMLS = {
    "data/rings": """
        # Points inside and outside a circle.
        defaults: [/task@_global_.task: counting]
        _target_: mypackage.parts.Rings
        batch_size: 50
        val_size: 100
        test_size: 100""",
    "model/mine": "{_target_: mypackage.parts.Net, width: 16}",
    "task/counting": """
        defaults: [classification, override /optimizer@_global_.optimizer: signs]
        _target_: mypackage.parts.Counting
        monitor: val/wrong
        mode: min
        loss: {_target_: mypackage.parts.Margin}""",
    "optimizer/signs": "{_target_: mypackage.parts.Signs, _partial_: true, lr: 0.02}",
    "scheduler/halves": "{_target_: mypackage.parts.Halves, _partial_: true, interval: epoch}",
    "callbacks/diary": """
        defaults: [default]
        diary: {_target_: mypackage.parts.Diary, file: diary.txt}""",
}
OWN, TRUST = "--config-dir=my_conf", "trust=[mypackage]"
CHOSEN = ("data=rings", "model=mine", "scheduler=halves", "callbacks=diary", "threads=1", "logger=none")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Its folder, with mypackage/ and my_conf/."""
    import textwrap

    for name, text in YAMLS.items():
        file = tmp_path / "my_conf" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text).strip() + "\n")
    (tmp_path / "mypackage").mkdir()
    (tmp_path / "mypackage" / "__init__.py").touch()
    (tmp_path / "mypackage" / "parts.py").write_text(PARTS)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("mypackage", "mypackage.parts"):
        monkeypatch.delitem(__import__("sys").modules, name, raising=False)
    return tmp_path


@pytest.mark.slow
def test_help_and_mistakes_know_the_users_own_choices(package, command):
    code, out, _ = command("--help", OWN)
    assert code == 0 and re.search(r"\n  digits .*\n(.*\n)+  rings +Points inside and outside a circle\.\n", out)
    assert "  rings " not in command("--help")[1]
    table = {
        (OWN, "data=ring"): "data=ring: there is no conf/data/ring.yaml (did you mean rings?); choose from arrays, ",
        (OWN, "data=null"): "data=null: selects nothing; choose from arrays, breast_cancer, ",
        (OWN, "data=rings", TRUST, "model=mine", "model.widht=3"): "model.widht: no such setting (did you mean width?",
        (OWN, "data=rings", TRUST, "model=mine", "model.width=x"): "model.width=x: must be a whole number",
        (OWN, "model=mine"): "model._target_=mypackage.parts.Net: is not a class of litlab, ",
        ("--config-dir=yours",): "--config-dir=yours: there is no such folder",
    }
    for words, told in table.items():
        code, _, err = command(*words)
        assert code == 2 and err.startswith(f"error: {told}") and err.count("\n") == 1, err
    assert ", rings, " in command(OWN, "data=null")[2]
    (package / "my_conf" / "model" / "mlp.yaml").write_text("_target_: mypackage.parts.Net\n")
    assert command(OWN)[2] == "error: --config-dir=my_conf: conf/ has model/mlp.yaml, too; rename yours\n"


@pytest.mark.slow
def test_a_notebook_takes_them_too(package, monkeypatch):
    monkeypatch.chdir(package)
    assert litlab.compose(OWN, *CHOSEN, TRUST).model.width == 16
    run = litlab.train(*OWN.split("="), *CHOSEN, TRUST, "trainer.max_epochs=1", "paths.log_dir=logs")
    assert run.result.choices["data"] == "rings" and "test/wrong" in run.metrics
    with pytest.raises(RequestError, match=r"^data=rings: there is no conf/data/rings\.yaml"):
        litlab.compose("data=rings", TRUST)


@pytest.mark.slow
def test_every_verb_takes_the_users_own_classes(package, command, program):
    code, _, err = command(OWN, *CHOSEN, TRUST, "trainer.max_epochs=2")
    assert (code, err) == (0, "")
    (run,) = (package / "logs/train/runs").iterdir()
    metrics = json.loads((run / "result.json").read_text())["metrics"]
    assert metrics["test/wrong"] == pytest.approx(100 * (1 - metrics["test/accuracy"]), abs=1e-3)
    assert program("evaluate", "run=last", TRUST)[::2] == (0, "")
    assert program("evaluate", OWN, "run=last", TRUST, "data=rings", "data.eval_batch_size=50")[::2] == (0, "")
    for file in run.glob("evaluations/*/evaluation.json"):
        found = json.loads(file.read_text())["metrics"]
        assert found == pytest.approx({name: metrics[name] for name in found}, rel=1e-5) and "test/wrong" in found
    assert len([*run.glob("evaluations/*")]) == 2
    code, _, err = program("evaluate", "run=last", TRUST, "data=digits")
    assert code == 2 and err.startswith("error: data=rings: there is no conf/data/rings.yaml")  # of which digits differ
    code, _, err = program("evaluate", "run=last", *OWN.split("="), TRUST, "data=digits")
    assert code == 2 and err.startswith("error: data=Digits: has input_shape (1, 8, 8), and the run was trained on (2,")
    pl.DataFrame({"column 0": [0.0, 3.0], "column 1": [0.1, 0.0]}).write_csv("points.csv")
    code, out, _ = program("predict", "run=last", *OWN.split("="), TRUST, "input=points.csv")
    assert code == 0 and out.startswith("row,index,label,prob\n0,0,inner,")
    assert program("export", OWN, "run=last", TRUST, "formats=safetensors")[::2] == (0, "")
    assert (run / "export" / "model.safetensors").is_file()
    code, out, err = program("describe", *OWN.split("="), "data=rings", "model=mine", TRUST)
    assert (code, err) == (0, "")
    again = "python scripts/train.py --config-dir my_conf data=rings model=mine 'trust=[mypackage]'"
    assert f"train it: {again}" in out

    code, _, err = command(f"resume={run}", TRUST, "trainer.max_epochs=3")
    assert (code, err) == (0, "")
    assert (package / "diary.txt").read_text().split() == ["0", "0.02", "1", "0.01", "2", "0.005"]
    words = (f"resume={run}", TRUST, "trainer.max_epochs=4", "callbacks=default", "resume_changes=true")
    assert (
        "scheduler=halves: there is no conf/scheduler/halves.yaml" in command(*words)[2]
    )  # callbacks are composed with the run's own choices
    code, _, err = command(*words, *OWN.split("="))
    assert (code, err) == (0, "") and json.loads((run / "result.json").read_text())["epochs"] == 4
    code, _, err = command(OWN, "-m", *CHOSEN, TRUST, "trainer.max_epochs=1", "optimizer.lr=0.01,0.02")
    assert code == 0, err
    shutil.rmtree(package / "logs")
    code, _, err = command(OWN, *CHOSEN, TRUST, "+data.shape=3")
    assert code == 2 and "data.shape: Rings does not take it" in err
