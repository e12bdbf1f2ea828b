"""The files of MNIST and Fashion-MNIST: names, checksums, and their format (IDX, LeCun et al. 1998)."""

import hashlib
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from litlab.data.reading.mirrors import UnusableError
from litlab.escape import one_line

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True)
class Source:
    """Where a data set comes from, and the checksums of its files.

    The md5 are of the unpacked content, so that unpacked files can be checked, too, and Debian's, which repacks them.
    """

    name: str  # the folder in data_dir, and torchvision's class
    md5: dict[str, str]  # by file
    system_dir: Path | None = None  # where the operating system's package puts the files
    package: str | None = None  # that package, in Debian and Ubuntu


SOURCES = {
    "MNIST": Source(
        name="MNIST",
        md5={
            "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
            "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
            "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
            "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
        },
    ),
    "FashionMNIST": Source(
        name="FashionMNIST",
        md5={
            "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
            "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
            "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
        },
        system_dir=Path("/usr/share/datasets/fashion-mnist"),
        package="dataset-fashion-mnist",
    ),
}


class IdxTensors(NamedTuple):
    """Both official splits as the files hold them, uint8: images (count, height, width), labels (count,)."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


class DamagedError(UnusableError):
    """A file with the wrong content."""


def unpack(data: bytes, md5: str) -> bytes:
    """The content of a file, unpacked if it begins as gzip does: browsers unpack a .gz and keep its name.

    The md5 takes 0.1 s of the 0.6 s for Fashion-MNIST; nothing else would detect an altered unpacked file.

    Raises:
        DamagedError: it is truncated, or has another md5.
    """
    try:
        # A sixth faster than gzip.decompress. 31: with a gzip header, whose CRC is checked.
        content = zlib.decompress(data, wbits=31) if data[:2] == b"\x1f\x8b" else data
    except zlib.error as error:
        raise DamagedError(f"is damaged (not a whole gzip file: {one_line(error)})") from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise DamagedError(f"is damaged (wrong checksum of its {len(content)} bytes)")
    return content


def tensor(content: bytes) -> Tensor:
    """An IDX file's values: it has two zeros, the type (8: uint8), the rank, each size as a big-endian int, the values.

    torchvision's reader takes a path, and a second to import.
    """
    shape = struct.unpack_from(f">{content[3]}I", content, offset=4)
    # A bytearray, because torch warns about read-only memory.
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=4 + 4 * len(shape)).view(shape)
