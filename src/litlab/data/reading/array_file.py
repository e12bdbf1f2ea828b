"""A file of named arrays: .npz, .npy, or a folder of .npy files; checked before memory is taken, nothing unpickled."""

import math
import os
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from litlab.data.mapping import mapped
from litlab.errors import RequestError
from litlab.escape import one_line, printable

KINDS = "biuf"  # numpy's: booleans, whole numbers with and without sign, floating-point numbers
TEXT = "US"
SMALL = ("bool", "uint8", "int8", "int16", "float16", "float32")  # types of inputs that stay; others become float32
PART = 2**20  # values that are read at a time


class Header(NamedTuple):
    """How an array lies in a .npy file, from its `start`."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype
    start: int

    @property
    def size(self) -> int:
        """Bytes, with those of the header."""
        return self.start + math.prod(self.shape) * self.dtype.itemsize


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
                    self._know(each.stem, _header(each))
            elif path.suffix == ".npy":
                self._know(path.stem, _header(path))
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
        return self._read(name)

    def inputs(self, name: str) -> np.ndarray:
        """The array; numbers larger than float32 become that while they are read, unless they are mapped."""
        _, dtype = self.kinds[name]
        stays = self.is_mapped or dtype.kind not in KINDS or (dtype.isnative and dtype.name in SMALL)
        return self._read(name, None if stays else np.dtype(np.float32))

    def _read(self, name: str, dtype: np.dtype | None = None) -> np.ndarray:
        try:
            if self.is_mapped:
                file = self.path / f"{name}.npy" if self.path.is_dir() else self.path
                header = _header(file)
                return mapped(file, header.dtype, header.shape, header.start, "F" if header.is_fortran else "C")
            return self._read_member(name, dtype)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise RequestError(
                f"{self.asked}: '{printable(name)}' is damaged ({printable(one_line(error))[:80]})"
            ) from error

    def _read_member(self, name: str, dtype: np.dtype | None) -> np.ndarray:
        """An array of a .npz, part by part into its place: it takes no more memory than it has in the end."""
        with zipfile.ZipFile(self.path) as archive:
            member = f"{name}.npy" if f"{name}.npy" in archive.namelist() else name
            with archive.open(member) as file:
                header = _read_header(file)
                flat = np.empty(math.prod(header.shape), dtype or header.dtype)
                for start in range(0, len(flat), PART):
                    part = flat[start : start + PART]
                    part[:] = np.frombuffer(file.read(len(part) * header.dtype.itemsize), header.dtype)
                file.read(1)  # at the end the checksum is compared
        return flat.reshape(header.shape, order="F" if header.is_fortran else "C")

    def __str__(self) -> str:
        shown = [f"{printable(name)} {shape} {dtype}" for name, (shape, dtype) in list(self.kinds.items())[:8]]
        return ", ".join(shown) + (", ..." if len(self.kinds) > 8 else "")

    def _know(self, name: str, header: Header) -> None:
        dtype = header.dtype
        named = f"{self.asked}: '{printable(name)}'"
        if dtype.hasobject:
            raise RequestError(f"{named} holds Python objects, which could run code; save it as numbers or texts")
        if dtype.kind not in KINDS + TEXT:
            raise RequestError(f"{named} is of type {dtype}; it must hold numbers, or texts as labels")
        self.kinds[name] = header.shape, dtype

    def _read_directory(self) -> None:
        """The headers of all arrays of a .npz; what they claim must be what the archive claims."""
        needed = 0
        with zipfile.ZipFile(self.path) as archive:
            for member in archive.infolist():
                with archive.open(member) as file:
                    header = _read_header(file)
                name = member.filename.removesuffix(".npy")
                self._know(name, header)
                if header.size != member.file_size:
                    shape = header.shape
                    raise ValueError(f"'{printable(name)}' is damaged: its size is not that of its shape {shape}")
                needed += header.size
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if needed > memory:
            raise RequestError(
                f"{self.asked}: its arrays need {needed / 1e9:,.0f} GB, more than there is memory; save them with "
                "numpy.save as .npy files in a folder, which are mapped, and set data.file to the folder"
            )


def _header(path: Path) -> Header:
    with path.open("rb") as file:
        header = _read_header(file)
    if not header.dtype.hasobject and path.stat().st_size != header.size:
        raise ValueError(f"{path.name} is damaged: its size is not that of its shape {header.shape}")
    return header


def _read_header(file: Any) -> Header:
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"is of numpy's format {version}, which is not known")
    return Header(*read(file), file.tell())


class PairOfFiles(ArrayFile):
    """Inputs and targets, each a .npy file."""

    def __init__(self, inputs: ArrayFile, targets: ArrayFile) -> None:
        self.path, self.asked, self.is_mapped = inputs.path, inputs.asked, True
        self.files = {"inputs": inputs, "targets": targets}
        self.kinds = {name: next(iter(each.kinds.values())) for name, each in self.files.items()}

    def _read(self, name: str, dtype: np.dtype | None = None) -> np.ndarray:
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
