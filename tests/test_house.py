"""The house of the design: floors, what `import litlab` costs, and how little a new data set or model needs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NEW_DATA = '''
import torch
from litlab.data.tensors import Split, TensorData

class Squares(TensorData):
    """Which of three numbers is the largest."""

    input_shape, num_outputs = (3,), 3

    def load(self):
        inputs = torch.randn(600, 3, generator=torch.Generator().manual_seed(0))
        return Split(inputs, inputs.argmax(dim=1)), None
'''
NEW_DATA_YAML = """# Which of three numbers is the largest.
defaults:
  - /task@_global_.task: classification
_target_: new_data.Squares
val_size: 0.2
test_size: 0.2
"""
NEW_MODEL = '''
import math
from torch import nn

class TwoLayers(nn.Module):
    """A model."""

    def __init__(self, input_shape, num_outputs, width):
        super().__init__()
        self.first, self.second = nn.Linear(math.prod(input_shape), width), nn.Linear(width, num_outputs)

    def forward(self, inputs):
        return self.second(self.first(inputs.flatten(1)).tanh())
'''
NEW_MODEL_YAML = """# Two layers.
_target_: new_model.TwoLayers
width: 24
"""


@pytest.fixture
def conf(root, tmp_path, monkeypatch) -> Path:
    """A copy of conf/, and a folder for new modules on the path."""
    shutil.copytree(root / "conf", tmp_path / "conf")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "conf"


def test_one_class_and_one_yaml_make_a_data_set(conf, compose, tmp_path):
    from litlab.checks import check
    from litlab.train import train

    (tmp_path / "new_data.py").write_text(NEW_DATA)
    (conf / "data" / "squares.yaml").write_text(NEW_DATA_YAML)
    config = compose("data=squares", "trainer.max_epochs=10", conf=conf)
    check(config)
    result = train(config)
    assert result["metrics"]["test/accuracy"] > 0.9
    assert result["parameters"] == 3 * 256 + 256 + 256 * 128 + 128 + 128 * 3 + 3  # the model takes its shape from it


def test_one_file_and_one_yaml_make_a_model(conf, compose, tmp_path):
    from litlab.checks import check
    from litlab.train import train

    (tmp_path / "new_model.py").write_text(NEW_MODEL)
    (conf / "model" / "two_layers.yaml").write_text(NEW_MODEL_YAML)
    config = compose("model=two_layers", "trainer.max_epochs=5", conf=conf)
    check(config)
    result = train(config)
    assert result["metrics"]["test/accuracy"] > 0.85
    assert result["parameters"] == 64 * 24 + 24 + 24 * 10 + 10


def test_imports_point_down_only(root, tmp_path):
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("module", ["litlab", "litlab.cli", "litlab.checks", "litlab.results", "litlab.choices"])
def test_importing_the_upper_floors_imports_no_torch(module):
    code = f"import sys, {module}; print(*({{'torch', 'lightning', 'torchmetrics', 'sklearn'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_no_module_has_a_name_that_says_nothing(root):
    names = {path.stem for path in (root / "src").rglob("*.py")} | {path.name for path in (root / "src").rglob("*")}
    assert not names & {"utils", "util", "helpers", "helper", "misc", "common"}
