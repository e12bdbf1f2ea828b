"""The settings and results of a sweep's job, from its result.json."""

import functools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from litlab.runs.result import StoredResult
from litlab.sweeps.naming import key_of

REPLICATES = {"seed": "seeds", "data.fold": "folds"}  # settings over which a row of the leaderboard has the mean
NOT_STARTED = "not started"  # the status of a planned job without a result.json
UNREADABLE = "unreadable"  # the status of a file that is not the result of a training
MONITOR_FIELDS = ("metric", "mode", "best", "epoch")


@dataclass(frozen=True)
class JobResult:
    """The part of a result.json (`litlab.runs.result.Result`) that sweeps use; what the file lacks is None or empty.

    Attributes:
        status: completed, failed, interrupted, pruned or running; of the leaderboard also died, unreadable or not
            started.
        run_dir: None for a job that has not started.
        metric, mode, best, epoch: of the monitored metric, such as val/accuracy; of a pruned job the last value, not
            the best.
    """

    status: str
    run_dir: Path | None = None
    error: str | None = None
    started: str = ""
    overrides: Sequence[str] = ()
    swept: Sequence[str] = ()
    choices: Mapping[str, str | None] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    metric: str | None = None
    mode: str | None = None
    best: float | None = None
    epoch: float | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    checkpoint: str | None = None
    seconds: float | None = None
    seconds_training: float | None = None
    parameters: float | None = None
    test_split: str | None = None

    @classmethod
    def of(cls, stored: StoredResult, run_dir: Path | None = None) -> "JobResult":
        """From a validated result.json (`litlab.runs.reading.read`) in `run_dir`."""
        stored = stored | dict.fromkeys(MONITOR_FIELDS) | (stored.get("monitor") or {}) | {"run_dir": run_dir}
        if stored["status"] == "pruned":
            last = (stored.get("metrics") or {}).get(stored["metric"])
            stored |= {"best": last, "epoch": stored.get("epochs")}
        return cls(**{each.name: stored[each.name] for each in fields(cls) if stored.get(each.name) is not None})

    @property
    def is_completed(self) -> bool:
        """Whether the job completed."""
        return self.status == "completed"

    @property
    def is_pruned(self) -> bool:
        """Whether its sweep has ended it early."""
        return self.status == "pruned"

    @property
    def validation(self) -> float | None:
        """The monitored metric at the best epoch, else at the end; None without validation. A pruned job's last one."""
        if (self.metric or "").startswith("test/"):
            return None
        return self.metrics.get(self.metric or "") if self.best is None else self.best

    @property
    def standing(self) -> tuple[float, float, str]:
        """A key that sorts jobs with a validation, the best first; ties go to the lower val/loss, then the earlier."""
        value, loss = self.validation or 0.0, self.metrics.get("val/loss")
        return value if self.mode == "min" else -value, math.inf if loss is None else loss, self.started

    @property
    def weights(self) -> Path | None:
        """The checkpoint that was tested, in the job's folder wherever that lies now; None if it is not there."""
        name = Path(self.checkpoint or "").name
        file = Path(str(self.run_dir), "checkpoints", name)
        return file if name and file.is_file() else None

    @property
    def own_overrides(self) -> list[str]:
        """The overrides, without those of the sweep and of Hydra."""
        return [word for word in self.overrides if key_of(word).split(".")[0].split("/")[0] not in ("sweep", "hydra")]

    @functools.cached_property
    def typed(self) -> dict[str, str]:
        """The text of each override by its setting."""
        return {key_of(word): word.partition("=")[2] for word in self.own_overrides}

    def value(self, key: str) -> Any:
        """A setting (`optimizer.lr`) or choice (`model`), typed or not; None if the job has none.

        Without settings, in an earlier version or where the job could not be composed, only what was typed is known.
        """
        choice = self.choices.get(key)
        if choice is not None:
            return choice
        found: Any = self.settings
        for name in key.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        if found is None or isinstance(found, dict):  # of a group that `choices` does not list, the name was typed
            return parse(self.typed.get(key))
        return found

    def values(self) -> dict[str, Any]:
        """All choices and settings by name; where there are no settings, what was typed."""
        leaves: dict[str, Any] = {}

        def walk(branch: Mapping[str, Any], above: str) -> None:
            for name, leaf in branch.items():
                if isinstance(leaf, dict) and leaf:
                    walk(leaf, f"{above}{name}.")
                else:
                    leaves[f"{above}{name}"] = leaf

        walk(self.settings or {key: parse(text) for key, text in self.typed.items()}, "")
        return {**self.choices, **leaves}

    def identity(self, replicates: bool = True) -> str:
        """Equal for jobs of the same settings; without `replicates`, seed and fold are ignored."""
        plain = self.settings or {"choices": self.choices, "typed": self.typed}
        if not replicates:
            plain = {key: _without_replicates(part, key) for key, part in plain.items() if key not in REPLICATES}
        return json.dumps(plain, sort_keys=True)


def _without_replicates(part: Any, group: str) -> Any:
    """A group's settings but the replicates among them; `typed` has them by their whole names."""
    if not isinstance(part, dict):
        return part
    return {name: leaf for name, leaf in part.items() if not {name, f"{group}.{name}"} & set(REPLICATES)}


@functools.cache
def parse(text: str | None) -> Any:
    """Parse a value by Hydra's grammar; what does not parse is text."""
    if text is None:
        return None
    try:
        found = OverridesParser.create().parse_override(f"key={text}").value()
    except HydraException:
        return text
    return found if found is None or isinstance(found, int | float | str | list | dict) else text


def as_typed(value: Any) -> str:
    """A value as one would type it, in full precision; nothing for None."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, separators=(",", ":"), default=str, ensure_ascii=False)


def comparable(values: Iterable[Any]) -> str:
    """A key to compare values by; 1 and 1.0 differ, as they do for limit_train_batches."""
    return json.dumps(list(values), sort_keys=True, default=str)


def sort_key(values: Iterable[Any]) -> list[tuple[int, float, str]]:
    """Sorts values of any kind: None, then numbers by size, then text."""
    return [
        (0, 0.0, "") if each is None else (1, float(each), "") if type(each) in (int, float) else (2, 0.0, str(each))
        for each in values
    ]
