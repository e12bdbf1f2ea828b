"""A sweep's folder: claimed, so that no two sweeps share it unasked, with a folder of its own for each job."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from omegaconf import DictConfig, open_dict, read_write

from litlab.errors import RequestError
from litlab.runs.result import FILE, StoredResult
from litlab.sweeps import reading
from litlab.sweeps.naming import folder_name

REQUEST = "multirun.yaml"  # in every sweep's folder, from its beginning: the config that was asked for
LOCK = ".sweep.lock"
STOP = ".stop"  # in a sweep's folder: jobs that have not begun are not to begin
LATE = "sweep.minutes"  # what STOP says where the time is used up


def claim(config: DictConfig) -> Path:
    """Make the folder of the sweep that `config` (composed, with its hydra node) asks for, and put it into `config`.

    Its name has microseconds; should it be taken nonetheless, another one is chosen, unless the user named it
    (`sweep.resume`, `hydra.sweep.dir`).

    Raises:
        RequestError: sweep.resume is no sweep's folder.
        OSError: it cannot be made.
    """
    folder = resumed(config)
    if folder is None:
        folder = Path(str(config.hydra.sweep.dir))
        named = any(word.startswith("hydra.sweep.dir=") for word in config.hydra.overrides.hydra)
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder = folder if named else next(each for each in _variants(folder) if _made(each))
        folder.mkdir(exist_ok=True)
    _set_folder(config, folder)
    return folder


def resumed(config: DictConfig) -> Path | None:
    """The folder of the sweep that is to go on, if there is one.

    Raises:
        RequestError: it is not there, or is no sweep's.
    """
    if config.sweep.resume is None:
        return None
    resume = str(config.sweep.resume)
    example = "name a sweep's, logs/train/multiruns/DATE_TIME"
    if not resume.strip():  # as of a variable of the shell that is not set; it would mean the folder one is in
        raise RequestError(f"sweep.resume={resume}: no folder is given; {example}")
    if not Path(resume).is_dir():
        raise RequestError(f"sweep.resume={resume}: there is no such folder; {example}")
    if not (Path(resume) / REQUEST).is_file():
        raise RequestError(f"sweep.resume={resume}: that is no sweep's folder, it has no {REQUEST}; {example}")
    return Path(resume)


def _set_folder(config: DictConfig, folder: Path) -> None:
    # Among the overrides too: every job is composed anew, from them. Absolute: a process of Ray's begins elsewhere.
    name = str(folder.absolute())
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.sweep.dir = name
        config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(name)}")


def _variants(folder: Path) -> Iterator[Path]:
    yield folder
    number = 2
    while True:
        yield folder.with_name(f"{folder.name}-{number}")
        number += 1


def _made(folder: Path) -> bool:
    """Make a folder; false if it was there."""
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True


def clear(folder: Path, *files: Path) -> None:
    """Remove the folder of a sweep of which no job came to begin, if nothing but these files is in it."""
    for file in (*files, folder / LOCK, folder / STOP):
        file.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The sweep's folder is this process's own while the body runs.

    Raises:
        RequestError: another process has it.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        with lock:
            (folder / STOP).unlink(missing_ok=True)
            try:
                yield
            finally:
                (folder / STOP).unlink(missing_ok=True)
    except Timeout as error:
        raise RequestError(f"sweep.resume={folder}: another sweep is at work there; wait for it, or stop it") from error


def start_time(folder: Path) -> None:
    """The jobs of this session begin now; see `keep_time`."""
    with suppress(FileNotFoundError):
        os.utime(folder / REQUEST)


def keep_time(folder: Path, minutes: float | None) -> None:
    """Let no job begin any more where the sweep's `minutes` since its first one are used up."""
    request = folder / REQUEST
    if minutes is None or not request.exists() or time.time() - request.stat().st_mtime < 60 * minutes:
        return
    if any(folder.glob(f"*/{FILE}")):  # one job at the least, or there is nothing to show
        (folder / STOP).write_text(LATE)


def is_late(folder: Path) -> bool:
    """Whether the sweep ended because its time was used up."""
    stop = folder / STOP
    return stop.exists() and stop.read_text() == LATE


def free_number(folder: Path) -> int:
    """The first number that no job in a sweep's folder has, nor any after it."""
    numbers = (path.name.split("_")[0] for path in folder.iterdir())
    return max((int(number) for number in numbers if number.isdecimal()), default=-1) + 1


def claim_job(folder: Path, number: int, settings: dict[str, str]) -> Path:
    """A new folder for a job.

    Args:
        folder: the sweep's.
        number: of the job, see `free_number`; a later one is taken should the name be there.
        settings: what differs, for the name.
    """
    while not _made(job := folder / folder_name(number, settings)):
        number += 1
    return job


def read(folder: Path) -> StoredResult | None:
    """The result.json of a job's folder; None if there is none that can be read."""
    try:
        return reading.read(folder / FILE)
    except (FileNotFoundError, ValueError):
        return None


def results(folder: Path) -> dict[Path, StoredResult]:
    """All results of the jobs in a sweep's folder."""
    found = ((path, read(path)) for path in sorted(folder.iterdir()) if path.is_dir())
    return {path: result for path, result in found if result is not None}


def quoted(text: str) -> str:
    """As Hydra's grammar of overrides wants a text that may hold anything."""
    return "'" + text.replace("'", "\\'") + "'"


def list_of(texts: Sequence[str]) -> str:
    """As Hydra's grammar of overrides wants a list of texts."""
    return f"[{','.join(quoted(text) for text in texts)}]"
