"""Compare finished runs: settings that differ, metrics, curves, and whether the difference may be chance."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from litlab.config.composition import compose
from litlab.errors import RequestError
from litlab.files import write_atomic
from litlab.plots import canvas
from litlab.sweeps.comparison import Comparison, as_csv, as_markdown
from litlab.verbs.find import find_jobs


def compare(words: Sequence[str]) -> tuple[Comparison, Path]:
    """Compare runs, and write compare.md, compare.csv and curves.png into a new folder.

    Args:
        words: two or more runs (see `find_jobs`); perhaps to=FOLDER, else it is LOG_DIR/compare/DATE; and perhaps
            paths.log_dir=LOG_DIR.

    Returns:
        the comparison, and the folder.

    Raises:
        RequestError: there is no such run, there are fewer than two, or the folder is not new.
    """
    own = {name: value for name, value in (word.split("=", 1) for word in words if _is_own(word))}
    log_dir = Path(compose("train", [word for word in words if word.startswith("paths.log_dir=")]).paths.log_dir)
    names = [word for word in words if not _is_own(word)]
    found = {Path(str(job.run_dir)).resolve(): job for name in names for job in find_jobs(name, log_dir)}
    compared = Comparison.of(list(found.values())) if found else None
    if compared is None or len(compared.rows) < 2:
        what = f"{names[0]}: is all there is" if names else "no run is named"
        raise RequestError(f"{what}; name two or more, such as logs/train/runs/DATE_TIME; a sweep means its winner")
    folder = _new_folder(own.get("to"), log_dir)
    figure = compared.picture()
    if figure is not None:
        canvas.save(canvas.pixels(figure), folder / "curves.png")
    write_atomic(folder / "compare.csv", as_csv(compared).encode())
    write_atomic(folder / "compare.md", as_markdown(compared, "curves.png" if figure is not None else None).encode())
    return compared, folder


def _is_own(word: str) -> bool:
    return word.startswith(("to=", "paths.log_dir="))  # the folders of a sweep's jobs have = in their names, too


def _new_folder(to: str | None, log_dir: Path) -> Path:
    folder = log_dir / "compare" / f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}" if to is None else Path(to)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        name = f"to={to}" if to is not None else f"paths.log_dir={log_dir}"
        raise RequestError(f"{name}: cannot be made ({error.strerror}); name a folder that does not exist") from error
    return folder
