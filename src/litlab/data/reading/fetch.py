"""MNIST and Fashion-MNIST as tensors: from data_dir, the operating system's copy, torchvision's mirrors, or Debian.

The four IDX files are looked for in that order. Only content of the right checksum is used.
"""

import logging
import os
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock

from litlab.data.reading.idx import FILES, SOURCES, DamagedError, IdxTensors, Source, tensor, unpack
from litlab.data.reading.mirrors import UnusableError, mirrors
from litlab.errors import RequestError, RunError
from litlab.files import is_full_disk, write_atomic

log = logging.getLogger(__name__)


def fetch(name: str, data_dir: Path) -> None:
    """Download missing files of SOURCES[name], for prepare_data. Raises as `load` does.

    Files that exist are not read here: `load` checks what it reads, and replaces what is damaged.
    """
    if not all(any(map(os.path.isfile, _candidates(SOURCES[name], Path(data_dir), file))) for file in FILES):
        load(name, data_dir)


def load(name: str, data_dir: Path) -> IdxTensors:
    """Read the four files of SOURCES[name], after downloading those that are missing or damaged.

    Raises:
        RequestError: no mirror serves a file, or data_dir cannot be written.
        RunError: the disk is full.
    """
    source, data_dir = SOURCES[name], Path(data_dir).absolute()
    contents, unusable = _read(source, data_dir)
    if unusable or len(contents) < len(FILES):
        try:
            contents = _repair(source, data_dir)
        except OSError as error:
            reason = f"{data_dir} cannot be written ({error.strerror or error})"
            reason += "".join(f"; {path} {problem}" for path, problem in unusable.items())
            if len(contents) == len(FILES):  # a read-only data_dir is then no reason to stop
                log.warning("%s: using the intact copies, repairing nothing", reason)
            elif is_full_disk(error):
                raise RunError(f"{name} was not downloaded: {reason}; make room or set paths.data_dir") from error
            else:
                raise RequestError(f"{name} is missing and {reason}; {_advice(source, data_dir)}") from error
    return IdxTensors(*(tensor(contents[file]) for file in FILES))


def _candidates(source: Source, data_dir: Path, file: str) -> list[Path]:
    """Paths to try, in order; unpacked before .gz, which takes three times as long to read."""
    home = data_dir / source.name
    folders = [home / "raw", home, *([source.system_dir] if source.system_dir else [])]
    return [folder / name for folder in folders for name in (file, f"{file}.gz")]


def _read(source: Source, data_dir: Path) -> tuple[dict[str, bytes], dict[Path, UnusableError]]:
    """The content of each file that has an intact copy on this machine, and the unusable copies that were tried."""
    contents: dict[str, bytes] = {}
    unusable: dict[Path, UnusableError] = {}
    for file in FILES:
        for path in _candidates(source, data_dir, file):
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


def _repair(source: Source, data_dir: Path) -> dict[str, bytes]:
    """Download missing files and delete damaged ones; one process at a time. The content of all files.

    Raises:
        OSError: data_dir cannot be written.
        RequestError: no mirror serves a file.
    """
    home, raw = data_dir / source.name, data_dir / source.name / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    with FileLock(home / ".lock"):
        contents, unusable = _read(source, data_dir)  # again: another process may just have downloaded them
        for path, problem in unusable.items():
            log.warning("%s %s: using another copy", path, problem)
        missing = [file for file in FILES if file not in contents]
        if missing:
            places = " or ".join(map(str, filter(None, (raw, source.system_dir))))
            which = ", ".join(missing) if contents else "files of it"
            tried = [f"no intact {which} in {places}"]
            tried += [f"{path} {problem}" for path, problem in unusable.items()]
            tried += _download(source, home, missing, contents)
            if len(contents) < len(FILES):
                raise RequestError(f"{source.name} is missing: {'; '.join(tried)}; {_advice(source, data_dir)}")
        replaced = [raw / f"{file}.gz" for file in missing]
        for path, problem in unusable.items():
            if isinstance(problem, DamagedError) and path.is_relative_to(home) and path not in replaced:
                path.unlink()  # not before there is an intact copy of each file
    return contents


def _download(source: Source, home: Path, missing: list[str], contents: dict[str, bytes]) -> list[str]:
    """Try mirror after mirror until `contents` has all that is missing; the failures. The caller holds the lock."""
    for leftover in home.glob(".partial-*"):  # of killed processes
        shutil.rmtree(leftover, ignore_errors=True)
    failures = []
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=home, ignore_cleanup_errors=True) as folder:
        for name, mirror in mirrors(source.name, source.package, Path(folder)):
            log.info("%s: downloading %s from %s", source.name, ", ".join(missing), name)
            try:
                for file, packed in mirror(missing):
                    content = unpack(packed, source.md5[file])
                    write_atomic(home / "raw" / f"{file}.gz", packed)
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
