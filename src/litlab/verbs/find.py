"""Which run is meant: by its directory, by a sweep of which it is the winner, or as the last one."""

from pathlib import Path

from litlab.errors import RequestError
from litlab.escape import one_line, printable
from litlab.runs.result import FILE, StoredResult
from litlab.sweeps import reading
from litlab.sweeps.folder import REQUEST
from litlab.sweeps.leaderboard import read_and_rank

EXAMPLE = "such as logs/train/runs/DATE_TIME, or last"


def find_run(name: str, log_dir: Path) -> Path:
    """The directory of a run that has a checkpoint.

    Args:
        name: a run's directory, a sweep's (its winner's best job is meant), or `last`: the newest run in `log_dir`.
        log_dir: of all runs.

    Raises:
        RequestError: there is no such run, or it has no checkpoint.
    """
    folder = find_directory(name, log_dir)
    if (folder / REQUEST).is_file():
        folder = _winner(folder)
    result = read_result(folder, f"run={name}")
    if not any((folder / "checkpoints").glob("*.ckpt")):
        status = result["status"]
        why = f" ({printable(one_line(result['error']))})" if result.get("error") else ""
        raise RequestError(f"run={name}: has no checkpoint, and its status is {status}{why}; name another run")
    return folder


def find_directory(name: str, log_dir: Path, word: str = "run") -> Path:
    """The directory that is meant; `last`: the newest run in `log_dir`.

    Raises:
        RequestError: there is none.
    """
    folder = Path(name)
    if name == "last":
        patterns = (f"train/runs/*/{FILE}", f"train/multiruns/*/*/{FILE}")
        files = [file for pattern in patterns for file in log_dir.glob(pattern)]
        if not files:
            raise RequestError(f"{word}=last: there is no run in {log_dir}; train one, or set paths.log_dir")
        folder = max(files, key=lambda file: file.stat().st_mtime).parent
    elif not name or not folder.is_dir():
        raise RequestError(f"{word}={name}: there is no such directory; name a run's, {EXAMPLE}")
    return folder


def _winner(sweep: Path) -> Path:
    winners = read_and_rank([sweep]).winners
    best = winners[0].best_job if winners else None
    if best is None or best.run_dir is None:
        raise RequestError(f"run={sweep}: this sweep has no winner so far; name the folder of a job in it")
    return best.run_dir


def read_result(folder: Path, asked: str) -> StoredResult:
    """The result.json of a run.

    Raises:
        RequestError: it is not there, or cannot be read.
    """
    try:
        return reading.read(folder / FILE)
    except FileNotFoundError as error:
        raise RequestError(f"{asked}: is no run's directory, it has no {FILE}; name one, {EXAMPLE}") from error
    except (OSError, ValueError) as error:
        raise RequestError(f"{asked}: its {FILE} cannot be read ({one_line(error)})") from error
