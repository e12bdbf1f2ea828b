"""A sweep's folder: sweeps share one only on request, and each job has a subfolder."""

import itertools
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml
from filelock import FileLock, Timeout
from omegaconf import DictConfig, open_dict, read_write

from litlab.compat.hydra import typed_words
from litlab.config.column_names import decoded
from litlab.errors import RequestError
from litlab.files import read_file
from litlab.runs import reading
from litlab.runs.result import FILE, StoredResult
from litlab.sweeps.naming import folder_name

REQUEST = "multirun.yaml"  # the sweep's config, written when the sweep starts
LOCK = ".sweep.lock"
STOP = ".stop"  # in a sweep's folder: no further job may start
TIME_LIMIT = "sweep.minutes"  # content of STOP when the time limit is reached


def claim(config: DictConfig) -> Path:
    """Make the folder of the sweep that `config` (composed, with its hydra node) asks for, and put it into `config`.

    Its name has microseconds; if it exists all the same, a suffix is added, unless the user named it
    (`sweep.resume`, `hydra.sweep.dir`).

    Raises:
        RequestError: sweep.resume is no sweep's folder.
        OSError: it cannot be made.
    """
    folder = resumed(config)
    if folder is None:
        folder = Path(str(config.hydra.sweep.dir))
        folder.parent.mkdir(parents=True, exist_ok=True)
        if any(word.startswith("hydra.sweep.dir=") for word in typed_words(config, "hydra")):
            folder.mkdir(exist_ok=True)
        else:
            folder = claim_free(folder)
    name = str(folder.absolute())  # Ray's processes start elsewhere
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.sweep.dir = name
        config.hydra.overrides.hydra.append(f"hydra.sweep.dir={hydra_quoted(name)}")  # of which each job is composed
    return folder


def resumed(config: DictConfig) -> Path | None:
    """The folder of the sweep that is to be resumed, if there is one.

    Raises:
        RequestError: it does not exist, or is no sweep's.
    """
    if config.sweep.resume is None:
        return None
    if (resume := str(config.sweep.resume)) == "last":
        return _last(Path(str(config.paths.log_dir)))
    folder = Path(resume)
    if not resume.strip():  # a shell variable that is not set; it would mean the working directory
        what = "no folder is given"
    elif not folder.is_dir():
        what = "there is no such folder"
    elif not (folder / REQUEST).is_file():
        what = f"not a sweep's folder, it has no {REQUEST}"
    else:
        return folder
    raise RequestError(f"sweep.resume={resume}: {what}; name a sweep's, logs/train/multiruns/DATE_TIME, or last")


def _last(log_dir: Path) -> Path:
    """The sweep in `log_dir` that was started, or resumed, last."""
    requests = list(log_dir.glob(f"train/multiruns/*/{REQUEST}"))
    if not requests:
        raise RequestError(
            f"sweep.resume=last: there is no sweep in {log_dir}; name one's folder, or set paths.log_dir"
        )
    return max(requests, key=lambda file: file.stat().st_mtime).parent


def typed(folder: Path) -> list[str]:
    """The words that the sweep in a folder was started with; none where its REQUEST, anyone's, cannot be read."""
    try:
        words = yaml.safe_load(read_file(folder / REQUEST))["hydra"]["overrides"]
        of_hydra = [str(word) for word in words.get("hydra") or ()]
        own = [word for word in of_hydra if not word.startswith(("hydra.mode=", "hydra.sweep.dir="))]  # set by `claim`
        return [decoded(str(word)) for word in (*words["task"], *own)]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, yaml.YAMLError):
        return []


def claim_free(folder: Path) -> Path:
    """Make a folder, or where it exists the first of FOLDER-2, FOLDER-3, ... that does not."""
    names = itertools.chain([folder.name], (f"{folder.name}-{number}" for number in itertools.count(2)))
    return next(each for each in map(folder.with_name, names) if _make(each))


def _make(folder: Path) -> bool:
    """Make a folder; false if it exists."""
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True


def remove_unstarted(folder: Path, *files: Path) -> None:
    """Remove the folder of a sweep that started no job, unless it holds more than these files."""
    for file in (*files, folder / LOCK, folder / STOP):
        file.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock the sweep's folder while the body runs.

    Raises:
        RequestError: another process holds it.
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
        raise RequestError(f"sweep.resume={folder}: another sweep is running there; wait for it or stop it") from error


def start_clock(folder: Path) -> None:
    """Start the clock of this session, see `enforce_time_limit`."""
    with suppress(FileNotFoundError):
        os.utime(folder / REQUEST)


def enforce_time_limit(folder: Path, minutes: float | None) -> None:
    """Stop the sweep `minutes` after `start_clock`, but not before its first result."""
    request = folder / REQUEST
    if minutes is None or not request.exists() or time.time() - request.stat().st_mtime < 60 * minutes:
        return
    if any(folder.glob(f"*/{FILE}")):
        (folder / STOP).write_text(TIME_LIMIT)


def timed_out(folder: Path) -> bool:
    """Whether the sweep stopped at its time limit."""
    stop = folder / STOP
    return stop.exists() and stop.read_text() == TIME_LIMIT


def free_number(folder: Path) -> int:
    """The number after the highest one of a job in a sweep's folder; 1 in a new one."""
    numbers = (path.name.split("_")[0] for path in folder.iterdir())
    return max((int(number) for number in numbers if number.isdecimal()), default=0) + 1


def claim_job(folder: Path, number: int, settings: dict[str, str]) -> Path:
    """A new folder for a job.

    Args:
        folder: the sweep's.
        number: of the job, see `free_number`; a later one is taken should the name be there.
        settings: what differs, for the name.
    """
    while not _make(job := folder / folder_name(number, settings)):
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


def hydra_quoted(text: str) -> str:
    """A text that may hold anything, as a value of Hydra's override grammar."""
    return "'" + text.replace("'", "\\'") + "'"


def hydra_list(texts: Sequence[str]) -> str:
    """A list of texts, as a value of Hydra's override grammar."""
    return f"[{','.join(hydra_quoted(text) for text in texts)}]"
