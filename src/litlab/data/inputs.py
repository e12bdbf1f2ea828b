"""Inputs from files, for predictions: images, arrays and tables, as batches that the network takes."""

import math
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np
import polars as pl
import torch
from torch import Tensor

from litlab.data.frames import prepare_frame
from litlab.data.input_files import ARRAYS, KNOWN, STDIN, TABLES
from litlab.data.preprocessing.appearance import WHITE, Appearance
from litlab.data.preprocessing.spec import DataSpec
from litlab.data.reading.images import SUFFIXES, ImageError, Pixels, decode, decode_all, fit, resize
from litlab.data.reading.text_layout import text_layout
from litlab.data.truth import Truth, find_truth
from litlab.errors import RequestError
from litlab.escape import one_line, printable

MAX_BYTES = 4 << 30  # of an array in an .npz file, unpacked: a small file can promise any size


@dataclass(frozen=True)
class Batch:
    """Some samples of the inputs.

    Attributes:
        names: of the good ones: paths of image files, or numbers of rows, from 0.
        inputs: of the good ones, as the network takes them, (N, *input_shape).
        faults: what is wrong with the others, a line each.
        unlike: how many images look unlike the training's, and how many of them would not, were they inverted.
        unseen: how many rows of a table have a category that the run did not learn, by column and category.
    """

    names: list[str] | list[int]
    inputs: Tensor
    faults: list[str] = field(default_factory=list)
    unlike: tuple[int, int] = (0, 0)
    unseen: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(frozen=True)
class Inputs:
    """What is to be predicted.

    Attributes:
        kind: of the samples' names: filename or row.
        count: of the samples.
        batches: from a batch size to the batches, in order.
        inverted: they are images, and have been inverted.
        truth: of a table that has the target's column.
        remarks: what the user should know about them.
    """

    kind: str
    count: int
    batches: Callable[[int], Iterator[Batch]]
    inverted: bool = False
    truth: Truth | None = None
    remarks: list[str] = field(default_factory=list)


def open_inputs(files: Sequence[Path], spec: DataSpec, key: str = "", invert: bool = False) -> Inputs:
    """The samples in files.

    Args:
        files: images, or one array, or one table; from `find_files`.
        spec: of the data that the run was trained on.
        key: of the array in an .npz file; not needed where it has one, or one called inputs.
        invert: images: white becomes black.

    Raises:
        RequestError: a file is of another kind than the run was trained on, or holds nothing.
    """
    kinds = {STDIN if str(file) == STDIN else file.suffix.lower() for file in files}
    others = kinds & {STDIN, *TABLES, *ARRAYS}
    if not others and not kinds & set(SUFFIXES):  # beside images, the decoder says what is none
        raise RequestError(f"input={_name(files[0])}: is of no kind that is known, which are {KNOWN}")
    if others and len(files) > 1:
        raise RequestError(f"input=: of several files all must be images, not {', '.join(sorted(others))}; name one")
    if key and kinds != {".npz"}:
        raise RequestError(f"key={printable(key)}: names an array in an .npz file; leave it out")
    if invert and (len(spec.input_shape) != 3 or not others <= set(ARRAYS)):
        raise RequestError(f"invert=true: is for images; the run was trained on {spec.in_words}; leave it out")
    if others & {STDIN, *TABLES}:
        opened = _table(files[0], spec)
    elif others:
        opened = _array(files[0], spec, key, invert)
    else:
        opened = _images(files, spec, invert)
    if not opened.count:
        raise RequestError(f"input={_name(files[0])}: has no rows")
    return opened


def _images(files: Sequence[Path], spec: DataSpec, invert: bool) -> Inputs:
    look = _appearance(spec)
    if look is None or spec.input_shape[0] not in (1, 3):
        trained_on = f"the run was trained on {spec.in_words}"
        raise RequestError(f"input={_name(files[0])}: an image file; {trained_on}: name {_or(ARRAYS + TABLES)}")
    channels, *size = spec.input_shape
    height, width = size

    def read(file: Path) -> tuple[Pixels, Pixels]:
        """Fitted into the training's background; and stretched, which shows its own looks."""
        background = [WHITE - value for value in look.background] if invert else look.background
        pixels = decode(file, channels, background)
        pixels = ~pixels if invert else pixels
        fitted = fit(pixels, (height, width), look.background)
        same_aspect = pixels.shape[1] * width == pixels.shape[2] * height
        return fitted, fitted if same_aspect else resize(pixels, (height, width))

    def batches(batch_size: int) -> Iterator[Batch]:
        found = decode_all(files, read)
        while chunk := list(islice(found, batch_size)):
            faults = [str(each) for _, each in chunk if isinstance(each, ImageError)]
            good = [(str(file), *each) for file, each in chunk if not isinstance(each, ImageError)]
            if not good:
                yield Batch([], torch.empty(0, *spec.input_shape), faults)
                continue
            names, *arrays = zip(*good, strict=True)
            pixels, shown = (torch.from_numpy(np.stack(each)) for each in arrays)
            yield Batch(list(names), spec.prepare_files(pixels), faults, _unlike(look, shown))

    return Inputs("filename", len(files), batches, invert)


def _appearance(spec: DataSpec) -> Appearance | None:
    """Of the training images; None where the samples are none.

    Raises:
        RequestError: the run does not say.
    """
    if len(spec.input_shape) == 3 and spec.input_shape[0] in (1, 3) and spec.appearance is None:
        why = "an older litlab trained the run" if spec.pixel_max is not None else "its data set sets no pixel_max"
        raise RequestError(f"input=: {why}, so the looks of its images are unknown; train it again, or name an array")
    return spec.appearance


def _unlike(look: Appearance, images: Tensor) -> tuple[int, int]:
    """How many of the images, 0 to 255, look unlike the training's; and how many of these would not, inverted."""
    unlike = look.unlike(images)
    strange = images[unlike]
    return len(strange), int((~look.unlike(WHITE - strange.float())).sum())


def _array(file: Path, spec: DataSpec, key: str, invert: bool) -> Inputs:
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False) if file.suffix.lower() == ".npy" else _npz(file, key)
    except RequestError:
        raise
    except (OSError, ValueError, EOFError, RuntimeError, BadZipFile, zlib.error) as error:
        raise RequestError(f"input={_name(file)}: cannot be read ({printable(one_line(error))})") from error
    if array.dtype.kind not in "biuf":
        raise RequestError(f"input={_name(file)}: holds {array.dtype.name}; an array of numbers is needed")
    layout = spec.layout(array.shape, array.dtype == np.uint8)
    samples = array.reshape(-1, *layout)
    look = _appearance(spec) if invert else spec.appearance

    def batches(batch_size: int) -> Iterator[Batch]:
        for start in range(0, len(samples), batch_size):
            part = samples[start : start + batch_size]
            part = part.astype(np.float64 if part.dtype.itemsize > 8 else part.dtype.newbyteorder("="))  # a copy
            good = np.isfinite(part).reshape(len(part), -1).all(1)
            faults = [f"row {start + number}: holds NaN or infinite values" for number in np.flatnonzero(~good)]
            inputs, unlike = spec.as_batch(torch.from_numpy(part[good].reshape(-1, *layout))), (0, 0)
            if look is not None and len(inputs):
                white = look.levels / (1.0 if inputs.dtype == torch.uint8 else spec.pixel_max or 1.0)
                inputs = (white - inputs.float()).clamp(min=0).to(inputs.dtype) if invert else inputs
                unlike = _unlike(look, inputs * (WHITE / white))
            yield Batch((start + np.flatnonzero(good)).tolist(), spec.prepare(inputs), faults, unlike)

    return Inputs("row", len(samples), batches, invert)


def _npz(file: Path, key: str) -> np.ndarray:
    """An array of an .npz file, whose size is checked before memory is taken."""
    with ZipFile(file) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        chosen = key or (names[0] if len(names) == 1 else "inputs")
        if chosen not in names:
            raise RequestError(
                f"input={_name(file)}: has no array called {printable(chosen)}; choose with key= from "
                f"{printable(', '.join(names))}"
            )
        name = f"{chosen}.npy"
        with archive.open(name) as member:
            version = np.lib.format.read_magic(member)
            if version not in ((1, 0), (2, 0)):
                raise ValueError(f"{name} has the format {version}")
            header = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
            shape, _, dtype = header(member)
            size, there = math.prod(shape) * dtype.itemsize, archive.getinfo(name).file_size
            if size > min(there, MAX_BYTES):
                limit = f"{MAX_BYTES:,} are read" if size > MAX_BYTES else f"{there:,} are there"
                raise ValueError(f"{name} declares {size:,} bytes, and at most {limit}")
        with archive.open(name) as member:
            return np.lib.format.read_array(member, allow_pickle=False)


def _table(file: Path, spec: DataSpec) -> Inputs:
    try:
        frame = pl.read_parquet(file) if file.suffix.lower() == ".parquet" else _csv(file)
    except ValueError as error:
        raise RequestError(f"input={_name(file)}: {printable(one_line(error))}") from error
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = printable(one_line(str(error).partition("\n")[0]))
        raise RequestError(f"input={_name(file)}: cannot be read as a table ({reason})") from error
    extra = prepare_frame(spec, frame[:0]).extra  # columns that are missing are told before anything is predicted
    truth = find_truth(spec, frame, extra)
    extra = [name for name in extra if truth is None or name != truth.name]
    remarks = [f"columns that the run was not trained on are left out: {printable(', '.join(extra))}"] if extra else []

    def batches(batch_size: int) -> Iterator[Batch]:
        for start in range(0, len(frame), batch_size):
            rows = prepare_frame(spec, frame[start : start + batch_size])
            faults = [f"row {start + number}: {why}" for number, why in rows.faults.items()]
            yield Batch([start + number for number in rows.numbers], rows.inputs, faults, unseen=rows.unseen)

    return Inputs("row", len(frame), batches, truth=truth, remarks=remarks)


def _csv(file: Path) -> pl.DataFrame:
    """A table, its cells as text, with the names of columns that training gives them."""
    content = sys.stdin.buffer.read() if str(file) == STDIN else file.read_bytes()
    layout = text_layout(content, header=False)
    frame = pl.read_csv(content, separator=layout.delimiter, encoding=layout.options["encoding"], infer_schema=False)
    return frame.rename({name: f"column {number}" for number, name in enumerate(frame.columns) if not name.strip()})


def _or(words: Iterable[str]) -> str:
    *others, last = sorted(words)
    return f"a file of {', '.join(others)} or {last}"


def _name(path: Path) -> str:
    return printable(str(path))
