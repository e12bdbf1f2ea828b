"""One job of a sweep: what it is set to, where it lies, and what came out."""

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from litlab.config.hydra_errors import hydra_message
from litlab.runs.heartbeat import is_alive_elsewhere, this_process
from litlab.runs.recording import format_error
from litlab.runs.result import FILE, StoredResult
from litlab.sweeps.folder import list_of, quoted, read
from litlab.sweeps.naming import differing

WORST = 1e9  # of a metric of which no job has a value: finite, for a search must be able to reckon with it
TWIN = "the same as one before"  # what is said of a job that does not run for that
NOWHERE = Path(os.devnull)


@dataclass(eq=False)
class Job:
    """What is known of one job; `mistake` is why it cannot be run at all."""

    overrides: list[str]
    settings: dict[str, Any] = field(default_factory=dict)
    identity: str = ""
    mistake: Exception | None = None
    folder: Path = NOWHERE
    resume_from: Path | None = None  # the checkpoint of an earlier session's attempt, which was stopped
    result: StoredResult | None = None
    twin: "Job | None" = None  # of the same settings, which runs in this one's place
    is_told: bool = False  # on the terminal, that it ended

    def differing(self, swept: Sequence[str]) -> dict[str, str]:
        """The swept settings by short names, as text."""
        return differing(self.overrides, swept)

    def words(self, swept: Sequence[str]) -> list[str]:
        """The overrides that the launcher is given."""
        resume = [f"sweep.checkpoint={quoted(str(self.resume_from))}"] if self.resume_from else []
        own = [f"sweep.swept={list_of(swept)}", f"hydra.sweep.subdir={quoted(self.folder.name)}"]
        return [*self.overrides, *resume, *own]

    @property
    def has_folder(self) -> bool:
        """Whether it has a folder of its own, which `folder` then is."""
        return self.folder != NOWHERE

    @property
    def is_completed(self) -> bool:
        """Whether it came to its end, or the one that ran in its place."""
        result = (self.twin or self).result
        return result is not None and result["status"] == "completed"

    @property
    def is_running(self) -> bool:
        """Whether another process is at work on it, now; the result is read anew.

        This one is not, whatever the result says: who asks is no job.
        """
        self.result = read(self.folder) if self.has_folder else None
        return self.result is not None and is_alive_elsewhere(self.result, self.folder / FILE)

    def failure(self, error: Exception, swept: Sequence[str]) -> StoredResult:
        """The result of a job that did not come to write its own."""
        overrides = [word for word in self.overrides if not word.lstrip("+~").startswith("sweep.")]
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        text = hydra_message(error) or format_error(error)
        result = {"choices": {}, "overrides": overrides, "swept": list(swept), "settings": self.settings}
        return result | {
            "status": "failed",
            "error": text,
            "started": started,
            "seconds": 0.0,
            "process": this_process(),
        }


def value(result: StoredResult | None, others: Iterable[StoredResult]) -> float:
    """The monitored metric of a result; for one that has none, the worst of the others.

    A search must be able to reckon with it: it is finite.
    """
    found = monitored(result)
    if found is not None:
        return found
    others = list(others)
    modes = [_of(each, "monitor", "mode") or _of(each, "settings", "task", "mode") for each in [result or {}, *others]]
    is_max = next(filter(None, modes), "max") == "max"
    values = [each for each in map(monitored, others) if each is not None]
    return (min(values) if is_max else max(values)) if values else (-WORST if is_max else WORST)


def monitored(result: StoredResult | None) -> float | None:
    """The best value of the monitored metric, else its last; None if there is none, or the job did not complete."""
    if result is None or result["status"] != "completed":
        return None
    found = _of(result, "monitor", "best")
    found = _of(result, "metrics", _of(result, "monitor", "metric")) if found is None else found
    return float(found) if isinstance(found, int | float) and math.isfinite(found) else None


def _of(result: Any, *keys: str) -> Any:
    for key in keys:
        result = result.get(key) if isinstance(result, dict) else None
    return result
