"""Users' own data and models, in a file of their own: tokens from end to end, and errors that point at that file."""

import pytest
from omegaconf import OmegaConf

from litlab.build import build_data, build_task
from litlab.cli import report_error
from litlab.errors import RequestError
from litlab.tasks.baseline import untrained_loss
from litlab.verbs.train import train

OWN = """
import numpy
import torch
from torch import nn
from torchvision.datasets import ImageFolder
from litlab.data.tensors import Split, TensorData
class Words(TensorData):
    input_shape, num_outputs, class_names, num_tokens = (9,), 2, ("few", "many"), 40
    def load(self):
        tokens = torch.randint(40, (600, 9), generator=torch.Generator().manual_seed(0))
        return Split(tokens, ((tokens < 20).sum(1) > 4).long()), None
class Numbers(Words):
    num_tokens = None
class Folder(Words):
    def load(self):
        return ImageFolder(self.folder)
class Broken(Words):
    def load(self):
        return numpy.concatenate([])
class Nothing(Words):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.first = next(iter([]))
class Said(Words):
    def __init__(self, **settings):
        raise ValueError("data.size=7: must be even")
class Bag(nn.Module):
    def __init__(self, input_shape, num_outputs, num_tokens=40):
        super().__init__()
        self.bag = nn.EmbeddingBag(num_tokens, num_outputs)
    def forward(self, inputs):
        return self.bag(inputs)
class Wrong(Bag):
    def forward(self, inputs):
        return super().forward(inputs[:, 0])
class Unready(Bag):
    def __init__(self, **shape):
        self.names = {}["a"]
"""
LINES = OWN.splitlines()


def line(text):
    """Where the file has it."""
    (number,) = (number for number, each in enumerate(LINES, 1) if text in each)
    return f"own_things.py:{number}"


@pytest.fixture
def own(compose, tmp_path, monkeypatch):
    """The config of a run with the data and the model by these names."""
    (tmp_path / "own_things.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "own_things", raising=False)

    def config(data, model="own_things.Bag"):
        made = compose("data=digits", "optimizer.lr=2", "trainer.max_epochs=15", pictures=False)
        given = {"val_size": 100, "test_size": 100, "batch_size": 50}
        OmegaConf.update(made, "data", {"_target_": f"own_things.{data}"} | given, merge=False)
        OmegaConf.update(made, "model", {"_target_": model}, merge=False)
        OmegaConf.update(made, "trust", ["own_things"], force_add=True)
        return made

    return config


def test_tokens_come_to_an_embedding(own):
    result = train(own("Words"))
    assert result.parameters == 80 and result.metrics["test/accuracy"] > 0.9 and result.hints == []


def test_the_model_knows_how_many_tokens_there_are(own):
    config = own("Words")
    data = build_data(config)
    data.num_tokens = 50
    task = build_task(config, data)
    assert task.model.bag.num_embeddings == 50
    data.setup()
    assert untrained_loss(config, task, data) > 0
    with pytest.raises(RequestError, match=r"^model: MLP takes numbers, and the inputs of these data are tokens; use"):
        build_task(own("Words", "litlab.models.mlp.MLP"), data)


@pytest.mark.parametrize(
    ("data", "model", "where", "words"),
    [
        ("Broken", "Bag", "numpy.concatenate([])", "ValueError: need at least one array to concatenate ("),
        ("Words", "Wrong", "return self.bag(inputs)", "ValueError: offsets "),
        (
            "Numbers",
            "Bag",
            "return self.bag(inputs)",
            "inputs are float32, unless their class sets num_tokens (they stay",
        ),
    ],
)
def test_errors_point_at_the_users_own_line(own, capsys, data, model, where, words):
    with pytest.raises(Exception) as caught:
        train(own(data, f"own_things.{model}"))
    assert report_error(caught.value) == 1
    (told,) = capsys.readouterr().err.splitlines()
    assert words in told and f"({line(where)}; LITLAB_TRACEBACK=1" in told


@pytest.mark.parametrize(
    ("data", "model", "told"),
    [
        ("Nothing", "Bag", f"data: StopIteration ({line('next(iter')})"),
        ("Words", "Unready", f"model: KeyError: 'a' ({line('self.names')})"),
        ("Said", "Bag", "data.size=7: must be even"),  # their own words to the user
    ],
)
def test_what_cannot_be_built_has_its_type_and_place(own, data, model, told):
    config = own(data, f"own_things.{model}")
    with pytest.raises(RequestError) as caught:
        build_task(config, build_data(config))
    assert str(caught.value) == told


def test_an_empty_folder_of_images_is_told(own, tmp_path):
    data = build_data(own("Folder"))
    data.folder = tmp_path / "empty"
    data.folder.mkdir()
    with pytest.raises(RequestError, match=r"^data=Folder: Couldn't find any class folder in \S*/empty; set paths\.da"):
        data.setup()
