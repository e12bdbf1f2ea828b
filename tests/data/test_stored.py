"""Inputs that stay uint8 until a batch is taken have the values of the float32 tensor, to the bit."""

import numpy as np
import pytest
import torch

from litlab.data.loader import TensorLoader
from litlab.data.relations import row_hashes
from litlab.data.shared import SharedCopy
from litlab.data.splits import Split, carve
from litlab.data.stored import StoredInputs
from litlab.data.tensors import TensorData
from litlab.errors import RequestError
from litlab.verbs import describe

IMAGES = torch.randint(256, (60, 3, 4, 5), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
LABELS = torch.arange(60) % 2


class Images(TensorData):
    """60 colour images as bytes, of two classes."""

    input_shape, num_outputs, class_names = (3, 4, 5), 2, ("even", "odd")
    images = IMAGES

    def load(self):
        return Split(self.images, LABELS), None


def loaded(**settings):
    data = Images(val_size=10, test_size=20, normalize=True, **settings)
    data.setup()
    return data


def test_what_is_taken_equals_the_converted_and_normalized_whole_to_the_bit(monkeypatch):
    data = loaded()
    train, mean, std = data.splits["train"].inputs, *data.statistics
    monkeypatch.setattr(Images, "images", IMAGES.float())
    whole = (loaded().raw_splits()["train"].inputs - mean) / std
    assert train.dtype == torch.uint8 and train.shape == (30, 3, 4, 5) and train.ndim == train.dim() == 4
    assert train.stored.data_ptr() == IMAGES.data_ptr(), "splitting copies no image"
    assert torch.equal(train[:], whole) and torch.equal(train[3], whole[3]) and torch.equal(train[::7], whole[::7])
    assert torch.equal(train[np.array([5, 2])], whole[[5, 2]]) and torch.equal(torch.cat(list(train.split(7))), whole)
    assert torch.equal(train.take(torch.tensor([9, 1])).take(torch.tensor([1]))[:], whole[[1]])
    assert row_hashes(train) == row_hashes(whole)
    for settings in ({}, {"shuffle": True}, {"drop_last": True, "passes": 2}, {"rank": 1, "world_size": 2}):
        ours, theirs = (TensorLoader(each, data.splits["train"].targets, 7, **settings) for each in (train, whole))
        for (x, *_), (y, *_) in zip(ours, theirs, strict=True):
            assert torch.equal(x, y)
    assert torch.equal(data.spec.prepare(IMAGES), (IMAGES.float() - mean) / std), "as for predictions"
    monkeypatch.setattr(Images, "images", IMAGES)
    evaluated = data.spec.prepare(data.raw_splits()["test"].inputs)
    assert isinstance(evaluated, StoredInputs) and torch.equal(evaluated[:], data.splits["test"].inputs[:])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.float16])
def test_statistics_are_exact_and_of_the_chosen_rows_alone(dtype, monkeypatch):
    monkeypatch.setattr("litlab.data.stored.CHUNK", 200)  # of 12 images: three at a time
    values = (IMAGES.int() - (0 if dtype == torch.uint8 else 128)).to(dtype)
    rows = torch.arange(0, 60, 5)
    mean, std = StoredInputs(values, rows).moments(1)
    std64, mean64 = torch.std_mean(values[rows].double(), (0, 2, 3), correction=0, keepdim=True)
    assert torch.equal(mean, mean64.float()) and torch.equal(std, std64.float())


def test_a_mapped_file_is_read_and_neither_copied_nor_written(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES.numpy())
    mapped = np.load(tmp_path / "images.npy", mmap_mode="c")
    stored = StoredInputs(torch.from_numpy(mapped), mapped=True)
    train, val = carve(Split(stored, LABELS), 10, "val_size", 0)
    assert train.inputs.stored.data_ptr() == mapped.ctypes.data == val.inputs.stored.data_ptr()
    in_memory, _ = carve(Split(IMAGES, LABELS), 10, "val_size", 0)
    assert torch.equal(train.inputs[:], in_memory.inputs.float()) and torch.equal(train.targets, in_memory.targets)


def test_it_moves_as_stored_unless_the_file_is_mapped():
    """The device `meta` stands for a GPU."""
    part = StoredInputs(IMAGES, torch.tensor([1, 2])).normalized(torch.zeros(1), torch.ones(1))
    moved, mapped = part.to("meta"), StoredInputs(IMAGES, torch.tensor([1, 2]), mapped=True).to("meta")
    assert (moved.stored.device.type, moved.stored.shape, moved.stored.dtype) == ("meta", (2, 3, 4, 5), torch.uint8)
    assert moved.statistics[0].device.type == moved[:1].device.type == "meta" and part.cpu() is part
    assert mapped.stored.device.type == "cpu" and mapped[:1].device.type == "meta" == mapped.device.type


def test_they_are_described_shared_and_checked(monkeypatch):
    found = describe.look(Images(test_size=20), Images(test_size=20).raw_splits())
    assert found["splits"][0]["inputs"] == "3 x 4 x 5 uint8" and found["faults"] == []
    assert [row["name"] for row in found["columns"]] == ["red", "green", "blue"]
    copy, loads = SharedCopy(), []
    for _ in range(2):
        copy.get({}, Images(), lambda: loads.append(1) or loaded().splits)
    assert loads == [1]
    half = IMAGES.half()
    half[7, 1] = float("nan")
    monkeypatch.setattr(Images, "images", half)
    with pytest.raises(RequestError, match="hold NaN or infinite values in 1 of 30 samples; fix them in load"):
        loaded()
