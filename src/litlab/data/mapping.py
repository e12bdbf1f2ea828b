"""A file mapped into memory: its pages are read when they are touched, and the system may drop them again."""

import mmap
import sys
from pathlib import Path
from typing import Literal

import numpy as np

# Linux refuses a mapping that could be written to and is larger than its memory, unless it need not be kept free.
NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)  # named since Python 3.13


def mapped(
    path: Path, dtype: np.dtype, shape: tuple[int, ...], offset: int = 0, order: Literal["C", "F"] = "C"
) -> np.ndarray:
    """An array of a file that may be larger than memory.

    Copy on write: torch wants to be able to write, and the file stays as it is.

    Args:
        path: of the file.
        dtype, shape, order: of the array.
        offset: of its first byte.
    """
    with path.open("rb") as file:
        flags, rights = mmap.MAP_PRIVATE | NO_RESERVE, mmap.PROT_READ | mmap.PROT_WRITE
        memory = mmap.mmap(file.fileno(), 0, flags=flags, prot=rights)
    return np.ndarray(shape, dtype, memory, offset, order=order)
