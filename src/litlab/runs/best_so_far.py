"""Whether a job is the best of its sweep so far: what is costly is done for such a job alone."""

import json
import math
from pathlib import Path

from litlab.files import write_atomic

FILE = ".best.json"  # in a sweep's folder: by metric the best value so far, negated for max, and its val/loss


def is_best_so_far(folder: Path, metric: str, mode: str, value: float | None, loss: float | None) -> bool:
    """Whether no earlier job of a sweep was as good; this one's value is kept.

    Two jobs that end at the same time may both be.

    Args:
        folder: the sweep's.
        metric: the monitored one.
        mode: max or min, which is better.
        value: the job's; without one, it is never better than others.
        loss: its val/loss, which breaks ties as in the leaderboard; None counts as infinite.
    """
    try:
        known = json.loads((folder / FILE).read_bytes())
    except (OSError, ValueError):  # the first job, or anybody's file
        known = {}
    known = known if isinstance(known, dict) else {}
    best = known.get(metric)
    if value is None or not math.isfinite(value):
        return best is None
    key = [-value if mode == "max" else value, math.inf if loss is None or math.isnan(loss) else loss]
    if isinstance(best, list) and [type(each) for each in best] == [float, float] and key >= best:
        return False
    write_atomic(folder / FILE, json.dumps(known | {metric: [float(each) for each in key]}).encode())
    return True
