"""A small Fashion-MNIST: real IDX files of 40 training and 20 test images, and no way out of this machine."""

import gzip
import hashlib
import struct
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from litlab.data import fetch


def _idx(values: Tensor) -> bytes:
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    return header + values.numpy().tobytes()


@dataclass(frozen=True)
class SmallFashion:
    """The true values, and the same in IDX, by file name; `packed` is what a mirror serves."""

    tensors: fetch.IdxTensors
    contents: dict[str, bytes]
    packed: dict[str, bytes]
    system_dir: Path

    def write(self, folder: Path, unpacked: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for file in fetch.FILES:
            if unpacked:
                (folder / file).write_bytes(self.contents[file])
            else:
                (folder / f"{file}.gz").write_bytes(self.packed[file])


@pytest.fixture
def small_fashion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallFashion:
    """Takes the place of Fashion-MNIST in this test; on no road until the test lays one."""
    from torchvision.datasets import FashionMNIST

    random = torch.Generator().manual_seed(1)
    images = [torch.randint(256, (n, 28, 28), dtype=torch.uint8, generator=random) for n in (40, 20)]
    labels = [torch.randint(10, (n,), dtype=torch.uint8, generator=random) for n in (40, 20)]
    tensors = fetch.IdxTensors(images[0], labels[0], images[1], labels[1])
    contents = {file: _idx(values) for file, values in zip(fetch.FILES, tensors, strict=True)}
    packed = {file: gzip.compress(content) for file, content in contents.items()}
    system_dir = tmp_path / "system" / "fashion-mnist"

    md5 = {file: hashlib.md5(content).hexdigest() for file, content in contents.items()}
    source = replace(fetch.SOURCES["FashionMNIST"], md5=md5, system_dir=system_dir)
    monkeypatch.setitem(fetch.SOURCES, "FashionMNIST", source)
    resources = [(f"{file}.gz", hashlib.md5(data).hexdigest()) for file, data in packed.items()]
    monkeypatch.setattr(FashionMNIST, "resources", resources)
    monkeypatch.setattr(FashionMNIST, "mirrors", [])
    commands = tmp_path / "bin"
    commands.mkdir()
    monkeypatch.setenv("PATH", str(commands))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return SmallFashion(tensors, contents, packed, system_dir)
