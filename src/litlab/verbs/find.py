"""Which run is meant: by its directory, by a sweep of which it is the winner, or as the last one."""

import os
from pathlib import Path

from litlab.errors import RequestError
from litlab.escape import one_line, printable
from litlab.runs import reading
from litlab.runs.result import FILE, StoredResult
from litlab.sweeps.folder import REQUEST
from litlab.sweeps.job_result import JobResult
from litlab.sweeps.leaderboard import read, read_and_rank
from litlab.sweeps.rows import Row

MAX_ERROR = 120  # characters of what a run failed with
EXAMPLE = "such as logs/train/runs/DATE_TIME, or {}last"


def find_run(name: str, log_dir: Path) -> Path:
    """The directory of a run that has a checkpoint.

    Args:
        name: a run's directory, a sweep's (its winner's best job is meant), or `last`: the newest run in `log_dir`.
        log_dir: of all runs.

    Raises:
        RequestError: there is no such run, or it has no checkpoint.
    """
    folder = find_directory(name, log_dir, "run=")
    if (folder / REQUEST).is_file():
        best = _winner(folder, "run=").best_job
        assert best is not None and best.run_dir is not None  # it has a rank
        folder = best.run_dir
    result = read_result(folder, f"run={name}")
    if not any((folder / "checkpoints").glob("*.ckpt")):
        status = result["status"]
        error = printable(one_line(result.get("error") or ""))
        why = f" ({error[:MAX_ERROR]}{'...' * (len(error) > MAX_ERROR)})" if error else ""
        asked = f"run={name}: {folder}" if name == "last" else f"run={name}:"
        raise RequestError(f"{asked} has no checkpoint, and its status is {status}{why}; name another run")
    return folder


def find_jobs(name: str, log_dir: Path) -> list[JobResult]:
    """The results that a name means, to compare them.

    Args:
        name: a run's directory, a sweep's (its winner is meant, with all seeds and folds), or `last`.
        log_dir: of all runs.

    Raises:
        RequestError: there is no such run, or its result cannot be read.
    """
    folder = find_directory(name, log_dir, "")
    if (folder / REQUEST).is_file():
        return _winner(folder, "").started_jobs
    read_result(folder, name)
    return read([folder])


def find_directory(name: str, log_dir: Path, prefix: str) -> Path:
    """The directory that is meant; `last`: the newest run in `log_dir`.

    Raises:
        RequestError: there is none; `prefix`, such as run=, is what the name follows on the command line.
    """
    folder = Path(name)
    if name == "last":
        patterns = (f"train/runs/*/{FILE}", f"train/multiruns/*/*/{FILE}")
        files = [file for pattern in patterns for file in log_dir.glob(pattern)]
        if not files:
            raise RequestError(f"{prefix}last: there is no run in {log_dir}; train one, or set paths.log_dir")
        return max(files, key=lambda file: file.stat().st_mtime).parent
    if not name or not os.path.isdir(folder):  # pathlib raises for a long name
        raise RequestError(f"{prefix}{name}: there is no such directory; name a run's, {EXAMPLE.format(prefix)}")
    return folder


def _winner(sweep: Path, prefix: str) -> Row:
    winners = read_and_rank([sweep]).winners
    if not winners:
        raise RequestError(f"{prefix}{sweep}: this sweep has no winner so far; name the folder of a job in it")
    return winners[0]


def read_result(folder: Path, asked: str) -> StoredResult:
    """The result.json of a run.

    Raises:
        RequestError: it is not there, or cannot be read.
    """
    word, equals, _ = asked.partition("=")
    example = EXAMPLE.format(f"{word}=" * bool(equals))
    try:
        return reading.read(folder / FILE)
    except FileNotFoundError as error:
        raise RequestError(f"{asked}: is no run's directory, it has no {FILE}; name one, {example}") from error
    except (OSError, ValueError) as error:
        raise RequestError(f"{asked}: its {FILE} cannot be read ({one_line(error)})") from error
