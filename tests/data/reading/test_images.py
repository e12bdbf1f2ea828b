"""Image files of every kind give the pixels that they show; damaged and hostile ones give one line."""

import io
import struct
import zlib
from functools import partial

import numpy as np
import pytest
from PIL import Image

from litlab.data.reading import images
from litlab.data.reading.images import ImageError, decode, decode_all, fit

GREY = np.arange(0, 240, 20, dtype=np.uint8).reshape(3, 4)  # (height, width)
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=2)
LUMA = np.asarray(Image.fromarray(COLOUR).convert("L"))


def encoded(image, kind="PNG", **settings):
    file = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(file, kind, **settings)
    return file.getvalue()


def with_alpha(alpha, image=COLOUR):
    return Image.fromarray(np.dstack([image, np.broadcast_to(np.uint8(alpha), image.shape[:2])]))


def turned(orientation, transpose):
    """An image stored turned, with the EXIF orientation that turns it back."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return {"image": Image.fromarray(COLOUR).transpose(transpose), "exif": exif}


SAME = {
    "grey": (encoded(GREY), GREY[None]),
    "bmp": (encoded(COLOUR, "BMP"), COLOUR),
    "webp": (encoded(COLOUR, "WEBP", lossless=True), COLOUR),
    "palette": (encoded(Image.fromarray(COLOUR).quantize(12)), COLOUR),
    "two colours": (encoded(Image.fromarray(GREY > 100)), np.where(GREY > 100, 255, 0)),
    "16 bits": (encoded(GREY.astype(np.uint16) * 257), GREY),
    "16 bits, as other programs scale": (encoded(GREY.astype(np.uint16) * 256), GREY),
    "opaque": (encoded(with_alpha(255)), COLOUR),
    "transparent": (encoded(with_alpha(0)), np.full_like(GREY, 255)),
    "half": (encoded(with_alpha(128, np.zeros_like(COLOUR))), np.full_like(GREY, 127)),
    "turned left": (encoded(**turned(6, Image.Transpose.ROTATE_90)), COLOUR),
    "upside down": (encoded(kind="WEBP", lossless=True, **turned(3, Image.Transpose.ROTATE_180)), COLOUR),
}


@pytest.mark.parametrize(("content", "expected"), SAME.values(), ids=SAME)
def test_an_image_has_the_pixels_that_it_shows(content, expected, tmp_path):
    expected = np.atleast_3d(np.squeeze(expected))
    colour = np.broadcast_to(expected, (3, 4, 3)).transpose(2, 0, 1)
    assert np.array_equal(decode(content, 3), colour)
    luma = LUMA if expected is COLOUR or expected.shape[2] == 3 else expected[:, :, 0]
    assert np.array_equal(decode(content, 1), luma[None])
    (tmp_path / "image").write_bytes(content)
    found = decode(tmp_path / "image", 3)
    assert np.array_equal(found, colour) and found.dtype == np.uint8 and found.flags.c_contiguous


def test_a_jpeg_is_near_and_turned():
    wide = np.zeros((16, 32, 3), np.uint8)
    wide[:, :16] = 200
    exif = Image.Exif()
    exif[0x0112] = 8
    found = decode(encoded(np.rot90(wide, -1).copy(), "JPEG", quality=95, exif=exif), 1)
    assert found.shape == (1, 16, 32)
    assert abs(found.astype(int) - wide[:, :, 0]).max() < 4
    assert decode(encoded(Image.fromarray(wide).convert("CMYK"), "JPEG"), 3).shape == (3, 16, 32)


def test_transparency_shows_the_background_unless_the_drawing_would_vanish_in_it():
    alpha = np.where(GREY > 100, 255, 0)
    black, white = with_alpha(alpha, np.zeros_like(COLOUR)), with_alpha(alpha, np.full_like(COLOUR, 255))
    assert np.array_equal(decode(encoded(white), 1, [0])[0], alpha)
    assert np.array_equal(decode(encoded(black), 1, [0])[0], 255 - alpha)
    assert decode(encoded(with_alpha(0)), 3, [10, 20, 30])[:, 0, 0].tolist() == [10, 20, 30]
    palette = Image.fromarray(np.uint8([[0, 1]])).convert("P")
    palette.putpalette([1, 1, 1, 2, 2, 2])
    content = encoded(palette, transparency=0)  # one of its colours
    assert decode(content, 3, [10, 20, 30])[:, 0].T.tolist() == [[10, 20, 30], [2, 2, 2]]


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb(side):
    """A PNG whose header promises side x side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


BAD = {
    "bomb": (bomb(50_000), "has more than 50,000,000 pixels$"),
    "too large": (bomb(7_100), r"has 7,100x7,100 pixels, more than 50,000,000$"),
    "cut off": (encoded(np.random.default_rng(0).integers(256, size=(99, 99), dtype=np.uint8))[:5000], "is damaged "),
    "empty": (b"", "is no PNG, JPEG, BMP or WebP image"),
    "text": (b"\x1b[31mhello", "is no PNG, JPEG, BMP or WebP image"),
    "gif": (encoded(GREY, "GIF"), "is no PNG, JPEG, BMP or WebP image"),
    "no pixels": (bomb(0), "is damaged|is no PNG"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_a_file_that_is_no_image_is_told_in_one_line(content, message, tmp_path):
    (tmp_path / "a\x1bb.png").write_bytes(content)
    with pytest.raises(ImageError, match=rf"a\\x1bb\.png: ({message})") as error:
        decode(tmp_path / "a\x1bb.png", 1)
    assert str(error.value).isprintable()


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    with pytest.raises(ImageError, match=r"none\.png: cannot be read \(No such file or directory\)$"):
        decode(tmp_path / "none.png", 1)
    with pytest.raises(ImageError, match=r": cannot be read \(Is a directory\)$"):
        decode(tmp_path, 3)


def test_fit_keeps_the_aspect_and_pads_with_the_background():
    image = np.full((3, 4, 8), 200, np.uint8)
    fitted = fit(image, (4, 4), [1, 2, 3])
    assert fitted[:, 0].T.tolist() == fitted[:, 3].T.tolist() == [[1, 2, 3]] * 4
    assert (fitted[:, 1:3] == 200).all() and fitted.shape == (3, 4, 4)
    assert fit(image, (4, 8), [0]) is image
    assert fit(image, (9, 8), [7])[0, :, 0].tolist() == [7, 7, 200, 200, 200, 200, 7, 7, 7]
    assert (fit(image[:1, :, :1], (8, 8), [0])[0, :, 3:5] == 200).all()  # enlarged
    assert fit(np.zeros((1, 1, 5000), np.uint8), (28, 28), [255]).min() == 0  # never less than one pixel
    squares = np.kron([[0, 40], [80, 120]], np.ones((2, 2))).astype(np.uint8)[None]
    assert fit(squares, (2, 2), [0])[0].tolist() == [[17, 45], [75, 103]]  # each pixel weighs its neighbours, too


def test_many_files_come_in_order_and_bad_ones_are_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(images.os, "cpu_count", lambda: 2)
    files = [tmp_path / f"{number}.png" for number in range(200)]
    for number, file in enumerate(files):
        file.write_bytes(b"no" if number == 7 else encoded(np.full((2, 2), number, np.uint8)))
    taken = []

    def paths():
        for file in files:
            taken.append(file)
            yield file

    found = decode_all(paths(), partial(decode, channels=1))
    first = next(found)
    assert first[0] == files[0] and len(taken) == 80  # a few ahead, not all
    for number, (file, pixels) in enumerate([first, *found]):
        assert file == files[number]
        assert isinstance(pixels, ImageError) if number == 7 else (pixels == number).all()
