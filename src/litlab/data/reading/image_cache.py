"""The images of a folder, decoded once: one size, uint8, in a file that is mapped into memory."""

import hashlib
import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from rich.console import Console
from rich.progress import track
from torch import Tensor

from litlab.data.mapping import mapped
from litlab.data.reading.images import WHITE, ImageError, Measure, Pixels, decode, decode_all, fit, measure
from litlab.errors import RequestError, RunError
from litlab.files import is_full_disk, write_atomic

VERSION = 1  # of what is made of a file; to be raised when that changes
INDEX = "index.json"
LONGEST = 64  # pixels, the longest side that is chosen without being asked for
LOOKED_AT = 200  # images, evenly spaced, whose borders say what to pad with
SPARE = 2**26  # bytes that remain free on the disk


@dataclass(frozen=True)
class Index:
    """What is known about the decoded images.

    Attributes:
        key: of the files and the settings that they were made from.
        shape: (N, channels, height, width).
        broken: by name, why a file is not among the N, which are in the order of the names.
        background: what they are padded with, for each channel.
        reasons: why this size, and why so many channels.
    """

    key: str
    shape: tuple[int, int, int, int]
    broken: dict[str, str]
    background: tuple[float, ...]
    reasons: tuple[str, str]


def open_images(root: Path, names: Sequence[str], size: tuple[int, int] | None, cache: Path) -> tuple[Tensor, Index]:
    """The images of these files, uint8 (N, channels, height, width), mapped; decoded first, unless they have been.

    A file that has changed its size or time is decoded again, and so are all. Two processes decode once.

    Args:
        root: the folder.
        names: of the files in it.
        size: height and width; None: their medians, at most `LONGEST`.
        cache: the folder for the decoded images.

    Raises:
        RequestError: no file is an image that can be read, or the cache cannot be written.
        RunError: the disk has no room for it.
    """
    home = cache / f"{re.sub(r'[^A-Za-z0-9_-]', '_', root.name)[:40]}-{_hash([str(root.absolute()), str(size)])[:12]}"
    key = _key(root, names, size)
    index = _read(home, key)
    if index is None:
        try:
            home.mkdir(parents=True, exist_ok=True)
            with FileLock(home / ".lock"):
                index = _read(home, key) or _decode(root, names, size, home, key)  # another process may just have
        except OSError as error:
            if is_full_disk(error):
                raise RunError(f"the disk is full ({cache}): make room, or set paths.data_dir") from error
            raise RequestError(f"paths.data_dir: {cache} cannot be written ({error.strerror or error})") from error
    return torch.from_numpy(mapped(_pixels(home, key), np.dtype(np.uint8), index.shape)), index


def _pixels(home: Path, key: str) -> Path:
    return home / f"{key[:16]}.u8"


def _hash(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode("utf-8", "surrogateescape")).hexdigest()


def _key(root: Path, names: Sequence[str], size: tuple[int, int] | None) -> str:
    """A hash of the files' names, sizes and times."""

    folder = str(root)

    def state(name: str) -> str:
        try:
            found = os.stat(f"{folder}/{name}")
        except OSError:  # decoding will tell
            return "none"
        return f"{found.st_size} {found.st_mtime_ns}"

    return _hash([f"{VERSION} {size}", *(f"{name}\0{state(name)}" for name in names)])


def _read(home: Path, key: str) -> Index | None:
    """The index, if it is of this key and its images are complete."""
    try:
        plain = json.loads((home / INDEX).read_text(encoding="utf-8"))
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()
        }
        index = Index(**values)
        intact = index.key == key and _pixels(home, key).stat().st_size == math.prod(index.shape)
    except (OSError, ValueError, TypeError):
        return None
    return index if intact else None


def _decode(root: Path, names: Sequence[str], size: tuple[int, int] | None, home: Path, key: str) -> Index:
    """Decode into `home`, in a file aside that is renamed when it is complete; the caller holds the lock."""
    for leftover in home.glob("*.aside"):  # of killed processes
        leftover.unlink(missing_ok=True)
    headers = _read_all(root, names, measure, "reading headers")
    measures = {name: found for name, found in headers if isinstance(found, Measure)}
    broken = {name: _problem(root, found) for name, found in headers if isinstance(found, ImageError)}
    if not measures:
        _refuse(root, broken)
    channels, colours = _channels(measures)
    height, width = chosen = size or _median(measures)
    reasons = (_size_reason(measures, chosen, size is not None), colours)
    background = _background(root, list(measures), channels)
    needed = len(measures) * channels * height * width
    if shutil.disk_usage(home).free < needed + SPARE:
        raise RunError(
            f"{home}: the images need {needed / 1e9:.1f} GB, more than is free; set paths.data_dir, or data.size"
        )
    read = partial(_fitted, channels=channels, size=chosen, background=background)
    aside, count = home / f"{secrets.token_hex(8)}.aside", 0
    try:
        with aside.open("xb") as file:
            for name, found in _read_each(root, list(measures), read, "decoding"):
                if isinstance(found, ImageError):
                    broken[name] = _problem(root, found)
                else:
                    file.write(found.tobytes())  # not through a mapping, which a full disk would kill
                    count += 1
        if not count:
            _refuse(root, broken)
        index = Index(key, (count, channels, height, width), broken, background, reasons)
        aside.replace(_pixels(home, key))
    finally:
        aside.unlink(missing_ok=True)
    write_atomic(home / INDEX, json.dumps(asdict(index)).encode())
    for old in home.glob("*.u8"):  # of files that have changed since
        if old != _pixels(home, key):
            old.unlink(missing_ok=True)
    return index


def _fitted(file: Path, channels: int, size: tuple[int, int], background: Sequence[float]) -> Pixels:
    return fit(decode(file, channels, background), size, background)


def _read_all(root: Path, names: Sequence[str], read: Callable[[Path], Any], what: str) -> list[tuple[str, Any]]:
    return list(_read_each(root, names, read, what))


def _read_each(root: Path, names: Sequence[str], read: Callable[[Path], Any], what: str) -> Iterator[tuple[str, Any]]:
    """Each name with what was read or the error, in order; with a progress bar on a terminal."""
    console = Console(stderr=True)
    results = zip(names, decode_all((root / name for name in names), read), strict=True)
    shown = {"total": len(names), "console": console, "transient": True, "disable": not console.is_terminal}
    for name, (_, found) in track(results, f"{what} {len(names):,} images", **shown):  # type: ignore[arg-type]
        yield name, found


def _problem(root: Path, error: ImageError) -> str:
    """What is wrong with a file, without its name."""
    return str(error).partition(": ")[2] or str(error)


def _refuse(root: Path, broken: Mapping[str, str]) -> None:
    name, problem = next(iter(broken.items()))
    raise RequestError(f"none of the {len(broken):,} files is an image that can be read: {ascii(name)[1:-1]} {problem}")


def _channels(measures: Mapping[str, Measure]) -> tuple[int, str]:
    """1 if all are grey, else 3; and why."""
    grey = sum(each.is_grey for each in measures.values())
    if grey == len(measures):
        return 1, "all images are grey"
    return 3, "all images are in colour" if not grey else f"{len(measures) - grey:,} of {len(measures):,} are in colour"


def _median(measures: Mapping[str, Measure]) -> tuple[int, int]:
    """The median height and width, scaled down so that neither is above `LONGEST`."""
    sides = np.median([(each.height, each.width) for each in measures.values()], axis=0)
    height, width = np.maximum(1, np.rint(sides * min(1.0, LONGEST / sides.max()))).astype(int).tolist()
    return height, width


def _size_reason(measures: Mapping[str, Measure], chosen: tuple[int, int], is_given: bool) -> str:
    height, width = np.median([(each.height, each.width) for each in measures.values()], axis=0).astype(int)
    same = len({(each.height, each.width) for each in measures.values()}) == 1
    found = f"all are {height}x{width}" if same else f"the median is {height}x{width}"
    if is_given:
        return f"as data.size says; {found}"
    return found + (
        f", and {LONGEST} the longest side that is chosen by itself" if max(height, width) > LONGEST else ""
    )


def _background(root: Path, names: Sequence[str], channels: int) -> tuple[float, ...]:
    """For each channel the median, over some images, of the median of their outermost pixels: to pad with."""
    some = names[:: max(1, len(names) // LOOKED_AT)]
    found = [image for _, image in decode_all((root / name for name in some), partial(decode, channels=channels))]
    borders = [
        np.median(np.concatenate([each[:, 0], each[:, -1], each[:, :, 0], each[:, :, -1]], axis=1), axis=1)
        for each in found
        if not isinstance(each, ImageError)
    ]
    return tuple(np.median(borders, axis=0).tolist()) if borders else (WHITE,) * channels
