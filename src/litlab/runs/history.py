"""history.csv: the metrics of each epoch, as `litlab.callbacks.history` writes them."""

import csv
import math
from pathlib import Path

from litlab.files import read_file
from litlab.runs.result import HISTORY


def read_history(run_dir: Path) -> dict[str, list[float]]:
    """The columns of a run's history.csv: `epoch`, from 1, and the metrics by name, all of the same length.

    A metric that an epoch lacks is NaN. Empty where there is no such file, or it is not of this form.
    """
    try:
        rows = list(csv.reader(read_file(run_dir / HISTORY).decode().splitlines(), strict=True))
        names, lines = rows[0], rows[1:]
        values = zip(*([float(cell or math.nan) for cell in line] for line in lines), strict=True)
        columns: dict[str, list[float]] = dict(zip(names, map(list, values), strict=True))
        return columns | {"epoch": [int(number) for number in columns["epoch"]]}
    except (OSError, ValueError, LookupError, OverflowError, csv.Error):  # of an earlier version, or anyone's
        return {}
