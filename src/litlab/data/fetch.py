"""MNIST and Fashion-MNIST as tensors, from data_dir, the operating system, torchvision's mirrors or Debian.

The four IDX files are looked for in that order; by any road, only content of the right checksum comes in.
"""

import logging
import os
import shutil
import tempfile
from errno import EDQUOT, ENOSPC
from pathlib import Path

from filelock import FileLock

from litlab.data.idx import FILES, SOURCES, DamagedError, IdxTensors, Source, tensor, unpack
from litlab.data.mirrors import UnusableError, roads
from litlab.errors import RequestError, RunError

log = logging.getLogger(__name__)


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
    return IdxTensors(*(tensor(contents[file]) for file in FILES))


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
                contents[file] = unpack(path.read_bytes(), source.md5[file])
                break
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                unusable[path] = UnusableError(f"cannot be read ({error.strerror})")
            except DamagedError as error:
                unusable[path] = error
    return contents, unusable


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
            if isinstance(problem, DamagedError) and path.is_relative_to(home) and path not in replaced:
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
                    content = unpack(packed, source.md5[file])
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
