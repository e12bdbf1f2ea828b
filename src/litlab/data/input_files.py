"""The files that are to be predicted: images, arrays and tables, by their names."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from litlab.data.reading.images import SUFFIXES
from litlab.errors import RequestError
from litlab.escape import printable

TABLES = (".csv", ".tsv", ".parquet")
ARRAYS = (".npy", ".npz")
STDIN = "-"
KNOWN = f"images ({', '.join(SUFFIXES)}), arrays ({', '.join(ARRAYS)}) and tables ({', '.join(TABLES)})"


def find_files(names: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The files in paths, in folders and those below them (images, sorted), or of patterns such as `shoes/*.png`.

    `-` means a CSV table on stdin. The second list has a remark about other files in a folder.

    Raises:
        RequestError: there is none.
    """
    files: list[Path] = []
    remarks = []
    for name in names:
        path = Path(name).expanduser()
        shown = printable(str(path))
        if name == STDIN or os.path.isfile(path):  # pathlib raises for a long name
            files.append(path)
        elif os.path.isdir(path):
            if path.resolve() == path.resolve().parent:
                raise RequestError(f"input={shown}: is the whole file system; name a folder of images in it")
            below = (Path(folder, file) for folder, _, files in os.walk(path) for file in files)  # but what is locked
            inside = sorted(file for file in below if os.path.isfile(file) and not file.name.startswith("."))
            images = [file for file in inside if file.suffix.lower() in SUFFIXES]
            if not images:
                raise RequestError(f"input={shown}: has no image ({', '.join(SUFFIXES)}); name another folder")
            if len(images) < len(inside):
                remarks.append(f"{shown}: files that are no images are left out ({len(inside) - len(images):,})")
            files += images
        else:
            found = [file for file in sorted(glob.glob(str(path), recursive=True)) if os.path.isfile(file)]
            if not found:
                raise RequestError(f"input={shown}: there is no such file; name {KNOWN}, or a folder of images")
            files += map(Path, found)
    if not files:
        raise RequestError("input=: name an image, several (a.png,b.png), a folder, an array, a table, or - for stdin")
    return files, remarks
