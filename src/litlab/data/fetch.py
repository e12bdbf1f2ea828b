"""MNIST and Fashion-MNIST as tensors, from data_dir, the operating system, torchvision's mirrors or Debian.

The four IDX files are looked for in that order; by any road, only content of the right checksum comes in.
"""

import hashlib
import logging
import os
import shutil
import struct
import tempfile
import zlib
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import NamedTuple

import torch
from filelock import FileLock
from torch import Tensor

from litlab.data.roads import UnusableError, one_line, roads
from litlab.errors import RequestError, RunError

log = logging.getLogger(__name__)

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True)
class Source:
    """Where a data set comes from and how its files are known.

    The checksums are those of the unpacked content. Debian repacks the same files without the name and time
    in the gzip header, so the md5 of its .gz differ from those that torchvision states, though the content is
    the same to the byte. Files that a user has unpacked are checked by the same table.
    """

    name: str  # the folder in data_dir, and torchvision's class
    md5: dict[str, str]
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


class _DamagedError(UnusableError):
    """A file that was read and is not what it should be."""


def fetch(name: str, data_dir: Path) -> None:
    """Sees to it that the four files of SOURCES[name] are on this machine; for prepare_data.

    Files that are there are not read: `load` checks what it reads and replaces what is damaged, so checking
    them here would only do that work twice. Raises as `load` does.
    """
    places = [_places(SOURCES[name], data_dir, file) for file in FILES]
    if not all(any(map(os.path.isfile, paths)) for paths in places):
        load(name, data_dir)


def load(name: str, data_dir: Path) -> IdxTensors:
    """Reads the four files of SOURCES[name], after fetching those that are missing or damaged.

    Raises RequestError where no road leads to a file or data_dir cannot be written, RunError on a full disk.
    """
    source, data_dir = SOURCES[name], Path(data_dir).absolute()
    contents, unusable = _look(source, data_dir)
    if unusable or len(contents) < len(FILES):
        try:
            contents = _look_and_fetch(source, data_dir)
        except OSError as error:
            _report_unwritable(source, data_dir, error, len(contents) == len(FILES), unusable)
    return IdxTensors(*(_tensor(contents[file]) for file in FILES))


def _report_unwritable(
    source: Source, data_dir: Path, error: OSError, complete: bool, unusable: dict[Path, UnusableError]
) -> None:
    """Only a warning where all files are on this machine: a read-only data_dir is then no reason to stop."""
    problems = "".join(f"; {path} {problem}" for path, problem in unusable.items())
    reason = f"{data_dir} cannot be written ({error.strerror or error}){problems}"
    if complete:
        log.warning("%s: the whole copies are used and nothing is repaired", reason)
    elif error.errno in (ENOSPC, EDQUOT):
        raise RunError(f"{source.name} was not fetched: {reason}; make room or set paths.data_dir") from error
    else:
        raise RequestError(f"{source.name} is missing and {reason}; {_advice(source, data_dir)}") from error


def _places(source: Source, data_dir: Path, file: str) -> list[Path]:
    """Where a file may be, in order; unpacked before .gz, as it is read in a third of the time."""
    home = Path(data_dir) / source.name
    folders = [home / "raw", home, *([source.system_dir] if source.system_dir else [])]
    return [folder / name for folder in folders for name in (file, f"{file}.gz")]


def _look(source: Source, data_dir: Path) -> tuple[dict[str, bytes], dict[Path, UnusableError]]:
    """The content of each file that is on this machine and whole, and what was unusable on the way to it."""
    contents: dict[str, bytes] = {}
    unusable: dict[Path, UnusableError] = {}
    for file in FILES:
        for path in _places(source, data_dir, file):
            try:
                contents[file] = _content(path.read_bytes(), source.md5[file])
                break
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                unusable[path] = UnusableError(f"cannot be read ({error.strerror})")
            except _DamagedError as error:
                unusable[path] = error
    return contents, unusable


def _content(data: bytes, md5: str) -> bytes:
    """Unpacks gzip, known by its first bytes (browsers unpack a .gz and keep its name), and checks the md5.

    The md5 is taken at every load: it costs 0.1 s of the 0.6 s for Fashion-MNIST, and nothing else tells of
    an altered file that is not packed.
    """
    try:
        # Faster than gzip.decompress by a sixth; 31: with a gzip header, and its CRC is checked.
        content = zlib.decompress(data, wbits=31) if data[:2] == b"\x1f\x8b" else data
    except zlib.error as error:
        raise _DamagedError(f"is damaged (not a whole gzip file: {one_line(error)})") from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise _DamagedError(f"is damaged (wrong checksum of its {len(content)} bytes)")
    return content


def _tensor(content: bytes) -> Tensor:
    """IDX: two zeros, the type (8: uint8), the number of dimensions, each as a big-endian int, the values."""
    shape = struct.unpack_from(f">{content[3]}I", content, offset=4)
    # A bytearray, as torch warns of memory that it may not write to.
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=4 + 4 * len(shape)).view(shape)


def _look_and_fetch(source: Source, data_dir: Path) -> dict[str, bytes]:
    """One process at a time: looks again, as another may just have fetched, and fetches what is missing."""
    home = data_dir / source.name
    (home / "raw").mkdir(parents=True, exist_ok=True)
    with FileLock(home / ".lock"):
        contents, unusable = _look(source, data_dir)
        for path, problem in unusable.items():
            log.warning("%s %s: taking another copy", path, problem)
        missing = [file for file in FILES if file not in contents]
        if missing:
            places = (home / "raw", source.system_dir) if source.system_dir else (home / "raw",)
            tried = [f"no whole {', '.join(missing)} in {' or '.join(map(str, places))}"]
            tried += [f"{path} {problem}" for path, problem in unusable.items()]
            tried += _fetch_missing(source, home, missing, contents)
            if len(contents) < len(FILES):
                raise RequestError(f"{source.name} is missing: {'; '.join(tried)}; {_advice(source, data_dir)}")
        replaced = [home / "raw" / f"{file}.gz" for file in missing]
        for path, problem in unusable.items():
            if isinstance(problem, _DamagedError) and path.is_relative_to(home) and path not in replaced:
                path.unlink()  # only now: a whole copy of each file is on this machine
    return contents


def _fetch_missing(source: Source, home: Path, missing: list[str], contents: dict[str, bytes]) -> list[str]:
    """Takes road after road until `contents` has all that is missing; returns why roads failed.

    Needs the lock. Each file is written aside and gets its name only when it is checked and whole.
    """
    for leftover in home.glob(".partial-*"):  # of killed runs: whoever wrote there held the lock
        shutil.rmtree(leftover, ignore_errors=True)
    failures = []
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=home, ignore_cleanup_errors=True) as folder:
        for name, road in roads(source.name, source.package, Path(folder)):
            log.info("%s: fetching %s from %s", source.name, ", ".join(missing), name)
            try:
                for file, packed in road(missing):
                    content = _content(packed, source.md5[file])
                    aside = Path(folder, file)
                    aside.write_bytes(packed)
                    os.replace(aside, home / "raw" / f"{file}.gz")
                    contents[file] = content
            except UnusableError as error:
                failures.append(f"{name} {error}")
            missing = [file for file in missing if file not in contents]
            if not missing:
                break
    return failures


def _advice(source: Source, data_dir: Path) -> str:
    files, raw = ", ".join(f"{file}.gz" for file in FILES), data_dir / source.name / "raw"
    return f"put {files} in {raw}, or set paths.data_dir to the folder that holds {source.name}/raw with them"
