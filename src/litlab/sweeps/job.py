"""One job of a sweep: its settings, its folder and its result."""

import logging
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from litlab.config.hydra_errors import hydra_message
from litlab.runs.heartbeat import is_alive_elsewhere, this_process
from litlab.runs.recording import format_error
from litlab.runs.result import FILE, StoredResult, write
from litlab.sweeps.folder import hydra_list, hydra_quoted, read
from litlab.sweeps.job_result import NOT_STARTED, JobResult
from litlab.sweeps.naming import swept_values

log = logging.getLogger(__name__)

NO_FOLDER = Path(os.devnull)
DUPLICATE = "same as an earlier job"


@dataclass(eq=False)
class Job:
    """What is known of one job.

    Attributes:
        overrides: of the sweep's config.
        settings: resolved, see `litlab.runs.result.settings`.
        identity: equal for jobs of the same settings.
        choices: the option in each group of conf/, see `litlab.runs.result.choices`.
        error: why it cannot be composed.
        folder: its own; of a duplicate, `NO_FOLDER`.
        resume: the folder of an attempt that was stopped and has a checkpoint: of an earlier session, or its own.
        until: the epoch after which a rung of successive halving stops it; 0: none.
        result: as it was last read.
        duplicate_of: the job of the same settings that runs in its place.
        is_reported: whether its end has been printed.
    """

    overrides: list[str]
    settings: dict[str, Any] = field(default_factory=dict)
    identity: str = ""
    choices: dict[str, str | None] = field(default_factory=dict)
    error: Exception | None = None
    folder: Path = NO_FOLDER
    resume: Path | None = None
    until: int = 0
    result: StoredResult | None = None
    duplicate_of: "Job | None" = None
    is_reported: bool = False

    def label(self, swept: Sequence[str]) -> str:
        """The swept settings for display: `lr=0.1 seed=0`."""
        return " ".join(f"{key}={text}" for key, text in swept_values(self.overrides, swept).items())

    def launch_overrides(self, swept: Sequence[str]) -> list[str]:
        """The overrides that the launcher is given."""
        resume = [f"resume={hydra_quoted(str(self.resume))}"] if self.resume else []
        resume += [f"sweep.pause={self.until}"] if self.until else []
        own = [f"sweep.swept={hydra_list(swept)}", f"hydra.sweep.subdir={hydra_quoted(self.folder.name)}"]
        return [*self.overrides, *resume, *own]

    @property
    def has_folder(self) -> bool:
        """Whether it has a folder of its own."""
        return self.folder != NO_FOLDER

    @property
    def is_original(self) -> bool:
        """Whether jobs with the same settings are its duplicates: it has completed, or still may."""
        return self.duplicate_of is None and self.status not in ("failed", "interrupted")

    @property
    def setting(self) -> str:
        """Equal for jobs that differ only in seed and fold."""
        return JobResult(NOT_STARTED, settings=self.settings).identity(replicates=False)

    @property
    def is_due(self) -> bool:
        """Whether it has no result, or that of an earlier rung than the one to which it is to train."""
        return self.result is None or self.is_behind(self.result)

    def is_behind(self, result: StoredResult) -> bool:
        """Whether a result is that of an earlier rung."""
        return result["status"] == "pruned" and (result.get("epochs") or 0) < self.until

    @property
    def final_result(self) -> StoredResult | None:
        """The result of the job, or of the one it duplicates; None if it did not start."""
        return (self.duplicate_of or self).result

    @property
    def status(self) -> str | None:
        """The status last read; None without a result."""
        return None if self.result is None else str(self.result["status"])

    @property
    def score(self) -> float | None:
        """The monitored metric, a finite number; None without one, and for a job that did not complete."""
        result = JobResult.of(self.final_result) if self.final_result else None
        found = result.validation if result and result.is_completed else None
        return float(found) if found is not None and math.isfinite(found) else None

    def poll(self) -> bool:
        """Re-read the result; return whether another process is running the job."""
        self.result = read(self.folder) if self.has_folder else None
        return self.result is not None and is_alive_elsewhere(self.result, self.folder / FILE)

    def fail(self, error: Exception, swept: Sequence[str]) -> None:
        """Write the result of a job that could not write its own."""
        result = {
            "choices": self.choices,
            "overrides": [word for word in self.overrides if not word.lstrip("+~").startswith("sweep.")],
            "swept": list(swept),
            "settings": self.settings,
            "status": "failed",
            "error": hydra_message(error) or format_error(error),
            "started": datetime.now().astimezone().isoformat(timespec="seconds"),
            "seconds": 0.0,
            "process": this_process(),
        }
        self.finish(result)

    def finish(self, result: StoredResult) -> None:
        """Write its final result; where the disk is full, this object alone has it."""
        self.result = result
        try:
            write(self.folder / FILE, result)
        except OSError as failure:
            log.error("%s could not be written: %s", self.folder / FILE, failure)
