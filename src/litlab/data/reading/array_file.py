"""A file of named arrays: .npz, .npy, or a folder of .npy files; checked before memory is taken, nothing unpickled."""

import math
import os
import zipfile
from pathlib import Path
from typing import Any, cast

import numpy as np

from litlab.errors import RequestError
from litlab.escape import one_line, printable

KINDS = "biuf"  # numpy's: booleans, whole numbers with and without sign, floating-point numbers
TEXT = "US"


class ArrayFile:
    """The arrays of a file by name; each is read, or mapped, when it is asked for.

    Args:
        path: of the file or folder.

    Attributes:
        kinds: shape and type of each array.
        is_mapped: arrays are mapped into memory, as of .npy files.

    Raises:
        RequestError: it is none, is damaged, or holds Python objects.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.asked = path, f"data.file={printable(str(path))}"
        self.kinds: dict[str, tuple[tuple[int, ...], np.dtype]] = {}
        if not path.exists():
            raise RequestError(
                f"{self.asked}: does not exist; it must be a .npz or .npy file, or a folder of .npy files"
            )
        self.is_mapped = path.is_dir() or path.suffix == ".npy"
        try:
            if path.is_dir():
                for each in sorted(path.glob("*.npy")):
                    self._know(each.stem, *_header(each))
            elif path.suffix == ".npy":
                self._know(path.stem, *_header(path))
            elif zipfile.is_zipfile(path):
                self._read_directory()
            else:
                raise ValueError("is no .npz or .npy file")
        except RequestError:
            raise
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise RequestError(f"{self.asked}: {printable(one_line(error))[:120]}; save it with numpy.savez") from error
        if not self.kinds:
            raise RequestError(f"{self.asked}: holds no array")

    def __getitem__(self, name: str) -> np.ndarray:
        """The array; a mapped one may be changed in memory, not in the file."""
        file = self.path / f"{name}.npy" if self.path.is_dir() else self.path
        try:
            if self.is_mapped:
                return cast(np.ndarray, np.load(file, mmap_mode="c", allow_pickle=False))
            with np.load(file, allow_pickle=False) as arrays:
                return cast(np.ndarray, arrays[name])
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise RequestError(
                f"{self.asked}: '{printable(name)}' is damaged ({printable(one_line(error))[:80]})"
            ) from error

    def __str__(self) -> str:
        shown = [f"{printable(name)} {shape} {dtype}" for name, (shape, dtype) in list(self.kinds.items())[:8]]
        return ", ".join(shown) + (", ..." if len(self.kinds) > 8 else "")

    def _know(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
        named = f"{self.asked}: '{printable(name)}'"
        if dtype.hasobject:
            raise RequestError(f"{named} holds Python objects, which could run code; save it as numbers or texts")
        if dtype.kind not in KINDS + TEXT:
            raise RequestError(f"{named} is of type {dtype}; it must hold numbers, or texts as labels")
        self.kinds[name] = shape, dtype

    def _read_directory(self) -> None:
        """The headers of all arrays of a .npz; what they claim must be what the archive claims."""
        needed = 0
        with zipfile.ZipFile(self.path) as archive:
            for member in archive.infolist():
                with archive.open(member) as file:
                    shape, dtype = _read_header(file)
                    start = file.tell()
                name = member.filename.removesuffix(".npy")
                self._know(name, shape, dtype)
                size = math.prod(shape) * dtype.itemsize
                if start + size != member.file_size:
                    raise ValueError(f"'{printable(name)}' is damaged: its size is not that of its shape {shape}")
                needed += size
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if needed > memory:
            raise RequestError(
                f"{self.asked}: its arrays need {needed / 1e9:,.0f} GB, more than there is memory; save them with "
                "numpy.save as .npy files in a folder, which are mapped, and set data.file to the folder"
            )


def _header(path: Path) -> tuple[tuple[int, ...], np.dtype]:
    with path.open("rb") as file:
        shape, dtype = _read_header(file)
        size = file.tell() + math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and path.stat().st_size != size:
        raise ValueError(f"{path.name} is damaged: its size is not that of its shape {shape}")
    return shape, dtype


def _read_header(file: Any) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"is of numpy's format {version}, which is not known")
    shape, _, dtype = read(file)
    return shape, dtype


class PairOfFiles(ArrayFile):
    """Inputs and targets, each a .npy file."""

    def __init__(self, inputs: ArrayFile, targets: ArrayFile) -> None:
        self.path, self.asked, self.is_mapped = inputs.path, inputs.asked, True
        self.files = {"inputs": inputs, "targets": targets}
        self.kinds = {name: next(iter(each.kinds.values())) for name, each in self.files.items()}

    def __getitem__(self, name: str) -> np.ndarray:
        """The array."""
        file = self.files[name]
        return file[next(iter(file.kinds))]


def open_file(path: str | None, targets: str | None) -> tuple["ArrayFile", str | None]:
    """The file and the name of the targets in it; a .npy file and that of its targets become one.

    Raises:
        RequestError: as `ArrayFile`, or a .npy file has no targets.
    """
    if not path:
        raise RequestError("data.file=: name a .npz or .npy file, such as data.file=signals.npz")
    file = ArrayFile(Path(path))
    if Path(path).suffix != ".npy" or file.path.is_dir():
        return file, targets
    if not targets or not targets.endswith(".npy"):
        raise RequestError(
            f"{file.asked}: holds one array, the inputs; name the targets' file, data.targets=labels.npy"
        )
    beside = [Path(targets), file.path.parent / targets]
    other = next((each for each in beside if each.is_file()), None)
    if other is None:
        raise RequestError(f"data.targets={printable(targets)}: does not exist")
    return PairOfFiles(file, ArrayFile(other)), "targets"
