"""Image files as arrays: PNG, JPEG, BMP and WebP of any kind and size, from anyone."""

import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from litlab.errors import RequestError
from litlab.escape import one_line, printable

FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
MAX_PIXELS = 50_000_000  # a camera's image has fewer; decoded, three channels of this are 150 MB
WHITE = 255.0
ORIENTATION, TURNED = 0x0112, (5, 6, 7, 8)  # EXIF's tag, and its values that swap height and width
CHUNK = 16  # files for a thread at a time: a small image takes less time than handing it over

Pixels = npt.NDArray[np.uint8]
Read = TypeVar("Read")


class ImageError(RequestError):
    """A file that is no image that can be read; the message names it."""


def decode(file: Path | bytes, channels: int, background: Sequence[float] = (WHITE,)) -> Pixels:
    """The pixels of an image file, turned as its EXIF orientation says; of an animation, the first picture.

    Grey, palette and colour images become what is asked for (grey: luma, ITU-R 601); 16 bits are scaled to 8.

    Args:
        file: its path, or its content.
        channels: 1 (grey) or 3 (red, green, blue).
        background: behind transparent pixels, 0 to 255, for each channel or for all.

    Returns:
        uint8, shape (channels, height, width).

    Raises:
        ImageError: it cannot be read, is damaged or of another format, or has more than 50 million pixels; these are
            counted in its header, before memory is taken.
    """
    mode = {1: "L", 3: "RGB"}[channels]
    try:
        with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"has {image.width:,}x{image.height:,} pixels, more than {MAX_PIXELS:,}")
            pixels = _opaque(_eight_bits(ImageOps.exif_transpose(image)), background).convert(mode)
    except Exception as error:  # what PIL raises for hostile files is not documented
        raise ImageError(f"{_name(file)}: {_reason(error)}") from error
    array = np.asarray(pixels)
    return array[None] if channels == 1 else np.ascontiguousarray(array.transpose(2, 0, 1))


class Measure(NamedTuple):
    """What the header of an image file says: its size, turned as its EXIF orientation says, and whether it is grey."""

    height: int
    width: int
    is_grey: bool


def measure(file: Path) -> Measure:
    """The size and kind of an image file, without decoding it.

    Raises:
        ImageError: it cannot be read, or is of another format.
    """
    try:
        with Image.open(file, formats=FORMATS) as image:
            size = image.height, image.width
            # To look for the orientation of a PNG, PIL would decode it.
            turned = image.format in ("JPEG", "WEBP") and image.getexif().get(ORIENTATION, 1) in TURNED
            return Measure(*(size[::-1] if turned else size), image.mode[0] in "1LI")
    except Exception as error:  # as in `decode`
        raise ImageError(f"{_name(file)}: {_reason(error)}") from error


def fit(image: Pixels, size: tuple[int, int], background: Sequence[float]) -> Pixels:
    """`resize` an image (channels, height, width) keeping its aspect, centred, and padded with `background`.

    Returns:
        uint8, shape (channels, *size).
    """
    channels, height, width = image.shape
    if (height, width) == size:
        return image
    scale = min(size[0] / height, size[1] / width)
    inner = [min(max(round(scale * side), 1), limit) for side, limit in zip((height, width), size, strict=True)]
    fitted = np.empty((channels, *size), np.uint8)
    fitted[:] = np.rint(background).astype(np.uint8).reshape(-1, 1, 1)
    top, left = ((whole - part) // 2 for whole, part in zip(size, inner, strict=True))
    fitted[:, top : top + inner[0], left : left + inner[1]] = resize(image, (inner[0], inner[1]))
    return fitted


def resize(image: Pixels, size: tuple[int, int]) -> Pixels:
    """An image (channels, height, width) as (channels, *size); bilinear, over the whole area that a pixel covers."""
    if image.shape[1:] == size:
        return image
    planes = (Image.fromarray(plane).resize(size[::-1], Image.Resampling.BILINEAR) for plane in image)
    return np.stack([np.asarray(plane) for plane in planes])


def decode_all(files: Iterable[Path], read: Callable[[Path], Read]) -> Iterator[tuple[Path, Read | ImageError]]:
    """Many files, in their order, by a thread per core that works some files ahead.

    Args:
        files: their paths.
        read: such as `decode` with its channels, followed by `fit`, so that few large images are in memory.

    Yields:
        each path with what `read` returned, or with the error that it raised.
    """
    threads, rest = os.cpu_count() or 1, iter(files)

    def attempt(file: Path) -> tuple[Path, Read | ImageError]:
        try:
            return file, read(file)
        except ImageError as error:
            return file, error

    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[Future[list[tuple[Path, Read | ImageError]]]] = deque()
        try:
            while chunk := list(islice(rest, CHUNK)):
                ahead.append(pool.submit(lambda files: [attempt(file) for file in files], chunk))
                if len(ahead) > 2 * threads:
                    yield from ahead.popleft().result()
            while ahead:
                yield from ahead.popleft().result()
        finally:
            for each in ahead:
                each.cancel()


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey images of 16 bits by their high bytes, as PIL itself reads colour images of 16 bits; its own would clip."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image, np.int64) >> 8).clip(0, 255).astype(np.uint8))


def _opaque(image: Image.Image, background: Sequence[float]) -> Image.Image:
    """Composited onto the background; onto its opposite where what is drawn would vanish in it, as black on black."""
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    colour = [round(value) for value in (background if len(background) == 3 else (*background,) * 3)]
    flat = _behind(image, colour)
    drawn, shown = (np.ptp(np.asarray(each), axis=(0, 1)).any() for each in (image.getchannel("A"), flat))
    vanished = drawn and not shown
    return _behind(image, [255 - value for value in colour]) if vanished else flat


def _behind(image: Image.Image, colour: Sequence[int]) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, (*colour, 255)), image).convert("RGB")


def _name(file: Path | bytes) -> str:
    return "the image" if isinstance(file, bytes) else printable(str(file))


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "is no PNG, JPEG, BMP or WebP image, or is damaged"
    if isinstance(error, Image.DecompressionBombError):  # PIL's own limit is higher
        return f"has more than {MAX_PIXELS:,} pixels"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read ({error.strerror})"
    if isinstance(error, ValueError) and str(error).startswith("has "):
        return printable(str(error))
    return f"is damaged ({printable(one_line(error))})"
