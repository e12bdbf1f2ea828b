"""A model or data set of one's own to begin with: its class, its YAML and a test that passes."""

import keyword
import re
from pathlib import Path

from litlab.config.arguments import NO_NAME
from litlab.config.choices import CONF
from litlab.errors import RequestError
from litlab.files import write_atomic

# By kind: the files, and what is in them. NAME is the name, CLASS that of the class.
TEMPLATES = {
    "model": {
        "src/litlab/models/NAME.py": '''"""TODO: what kind of network this is."""

import math

from torch import Tensor, nn

from litlab.config.values import PositiveInt


class CLASS(nn.Module):
    """One hidden layer. TODO: say what yours is, and where it was published.

    Args:
        input_shape: of a sample.
        num_outputs: numbers per sample.
        width: units of the hidden layer.
    """

    def __init__(self, input_shape: tuple[int, ...], num_outputs: int, width: PositiveInt = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(math.prod(input_shape), width), nn.ReLU(), nn.Linear(width, num_outputs)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, *input_shape) to (N, num_outputs)."""
        return self.layers(inputs)
''',
        "conf/model/NAME.yaml": """# TODO: what kind of network this is.
#   python scripts/train.py data=digits model=NAME
_target_: litlab.models.NAME.CLASS
width: 64 # units of the hidden layer
""",
        "tests/models/test_NAME.py": '''"""The shapes of its outputs, and that every weight is trained."""

import pytest
import torch

from litlab.models.NAME import CLASS


@pytest.mark.parametrize("shape", [(1, 8, 8), (4,)])
def test_it_takes_images_and_rows_and_trains_all_of_its_weights(shape):
    model = CLASS(shape, 10, width=5)
    outputs = model(torch.randn(3, *shape))
    assert outputs.shape == (3, 10)
    outputs.square().sum().backward()
    assert all(each.grad is not None and each.grad.any() for each in model.parameters())
''',
    },
    "data": {
        "src/litlab/data/NAME.py": '''"""TODO: where these data come from."""

import torch

from litlab.data.tensors import Split, TensorData


class CLASS(TensorData):
    """1,000 points; the class is whether one lies outside the unit circle. TODO: say what yours are."""

    input_shape = (2,)
    num_outputs = 2
    class_names = ("inside", "outside")  # without names, the targets are numbers to predict

    def load(self) -> tuple[Split, None]:
        """The points and their classes."""
        points = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
        return Split(points, (points.norm(dim=1) > 1).long()), None  # None: carve test_size from it
''',
        "conf/data/NAME.yaml": """# TODO: what these data are.
#   python scripts/train.py data=NAME model=mlp
defaults:
  - /task@_global_.task: classification
_target_: litlab.data.NAME.CLASS
batch_size: 32
val_size: 0.1 # samples or fraction of the training split; 0: no validation
test_size: 0.2
normalize: true # standardize by the training split's mean and standard deviation
""",
        "tests/data/test_NAME.py": '''"""What is in it, and the sizes of its splits."""

from litlab.data.NAME import CLASS


def test_its_samples_and_splits():
    data = CLASS(val_size=0.1, test_size=0.2)
    samples, _ = data.load()
    assert samples.inputs.shape == (1000, *data.input_shape)
    assert samples.targets.unique().tolist() == list(range(data.num_outputs))
    data.setup()
    assert {name: len(split.inputs) for name, split in data.splits.items()} == {"train": 720, "val": 80, "test": 200}
''',
    },
}


def new(kind: str, name: str, root: Path = CONF.parent) -> list[str]:
    """Write the files of a new model or data set.

    Args:
        kind: model or data.
        name: of the module and of the choice on the command line.
        root: of the repository.

    Returns:
        the files, relative to `root`.

    Raises:
        RequestError: the name cannot be one, or one of the files exists; nothing is written.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or NO_NAME.search(name) or name == "none":
        raise RequestError(f"NAME={name}: must name a module: lower-case letters, digits and _, such as my_{kind}")
    class_name = "".join(part.capitalize() for part in name.split("_"))
    texts = {
        file.replace("NAME", name): text.replace("NAME", name).replace("CLASS", class_name)
        for file, text in TEMPLATES[kind].items()
    }
    if existing := [file for file in texts if (root / file).exists()]:
        raise RequestError(f"NAME={name}: there is {', '.join(existing)} already; choose another name")
    for file, text in texts.items():
        write_atomic(root / file, text.encode())
    return list(texts)
