"""Peak memory of trainings on generated files: a table of a million rows, and arrays of several types."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.lib.format import write_array_header_1_0

from litlab.errors import RequestError, RunError

GIB = 2**30
SIDE = 56  # of the images


class Case(NamedTuple):
    """A file, what writes it, and the words that train on it."""

    write: Callable[[Path], object]
    file: str
    words: tuple[str, ...]


class Peak(NamedTuple):
    """Of one training, in GiB.

    Attributes:
        file: size of the file.
        resident: peak of the memory in use, pages of mapped files included.
        anonymous: of it, what the system cannot drop; NaN where it does not say (Linux does).
    """

    case: str
    file: float
    resident: float
    anonymous: float


def write_table(path: Path, rows: int = 1_000_000) -> None:
    """45 columns of numbers, two of texts, one each of codes, truth values and dates; and the target, price."""
    random = np.random.default_rng(0)
    columns = {f"x{number}": random.standard_normal(rows, np.float32) for number in range(45)}
    days = random.integers(0, 3000, rows).astype("timedelta64[D]")
    others = {
        "city": np.array([f"city {number}" for number in range(30)])[random.integers(0, 30, rows)],
        "shop": np.array([f"shop {number}" for number in range(300)])[random.integers(0, 300, rows)],
        "floor": random.integers(0, 9, rows),
        "old": random.integers(0, 2, rows),
        "date": np.datetime64("2015-01-01") + days,
        "price": columns["x0"] + columns["x1"],
    }
    pl.DataFrame(columns | others).write_csv(path, float_precision=5)


def write_rows(path: Path, dtype: str, rows: int = 1_000_000) -> None:
    """64 columns of numbers, and ten classes; in a .npz."""
    random = np.random.default_rng(0)
    values = (random.standard_normal((rows, 64), np.float32) * 20).clip(-127, 127).astype(dtype)
    np.savez(path, x=values, y=random.integers(0, 10, rows, np.uint8))


def write_images(path: Path, count: int = 325_000) -> None:
    """Images of uint8 in a .npz."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, 1, SIDE, SIDE), np.uint8)
    np.savez(path, x=images, y=random.integers(0, 10, count, np.uint8))


def write_mapped(path: Path, count: int) -> None:
    """A folder with zeros as images of uint8: a sparse file, which takes no disk."""
    path.mkdir()
    with (path / "x.npy").open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, 1, SIDE, SIDE)}
        write_array_header_1_0(file, header)
        file.truncate(file.tell() + count * SIDE**2)
    np.save(path / "y.npy", np.random.default_rng(0).integers(0, 10, count, np.uint8))


def more_than_memory() -> int:
    """Images that take one and a half times this machine's memory."""
    return int(1.5 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) // SIDE**2


ARRAYS = ("data=arrays", "model=mlp", "model.hidden_sizes=[16]")
CASES = {
    "csv": Case(write_table, "million.csv", ("data=table", "data.target=price", "model=mlp")),
    "uint8": Case(write_images, "uint8.npz", ARRAYS),
    "float64": Case(lambda path: write_rows(path, "f8"), "float64.npz", ARRAYS),
    "int8": Case(lambda path: write_rows(path, "i1"), "int8.npz", ARRAYS),
    # Statistics would read all of it.
    "mapped": Case(
        lambda path: write_mapped(path, more_than_memory()),
        "mapped",
        (*ARRAYS, "data.normalize=false", "data.val_size=2000", "data.test_size=2000"),
    ),
    "none": Case(lambda path: None, "", ("data=digits", "model=mlp")),  # what torch and Lightning take
}


def measure_memory(names: Sequence[str], folder: Path, root: Path) -> Iterator[Peak]:
    """Train 200 steps on each, in a process of its own, one after the other.

    Args:
        names: of the cases; none: all.
        folder: for the files, each deleted after its training.
        root: of the repository.

    Raises:
        RequestError: there is no such case.
        RunError: a training failed.
    """
    for name in names or CASES:
        if name not in CASES:
            raise RequestError(f"{name}: there is no such case; choose from {', '.join(CASES)}")
        case, path = CASES[name], folder / CASES[name].file
        folder.mkdir(parents=True, exist_ok=True)
        case.write(path)
        files = [path] if path.is_file() else sorted(path.glob("*.npy"))
        try:
            words = [*case.words, *([f"data.file={path}"] if files else []), f"paths.log_dir={folder / 'logs'}"]
            yield Peak(name, sum(each.stat().st_size for each in files) / GIB, *train(words, root))
        finally:
            for each in files:
                each.unlink()


def train(words: Sequence[str], root: Path) -> tuple[float, float]:
    """Peak memory, and anonymous memory, of a training with these words."""
    command = [sys.executable, "scripts/train.py", "threads=1", "trainer=cpu", "logger=none", *words]
    process = subprocess.Popen([*command, "trainer.max_steps=200"], cwd=root, stdout=subprocess.DEVNULL)
    status, over, anonymous = Path(f"/proc/{process.pid}/status"), threading.Event(), [float("nan")]

    def watch() -> None:
        while not over.wait(0.05):
            found = re.search(r"RssAnon:\s+(\d+)", status.read_text() if status.exists() else "")
            anonymous.extend([int(found[1]) * 1024 / GIB] if found else [])

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, code, usage = os.wait4(process.pid, 0)
    over.set()
    watcher.join()
    if code:
        raise RunError(f"{' '.join(words)}: the training failed")
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * unit / GIB, max(anonymous[1:], default=anonymous[0])
