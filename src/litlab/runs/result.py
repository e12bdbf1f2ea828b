"""result.json: the request and the outcome of a run."""

import copy
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import Container, DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from litlab.config.job import CHECKED, typed
from litlab.files import write_atomic

FILE = "result.json"
HISTORY = "history.csv"  # the metrics of each epoch
CONFIG = Path(".hydra", "config.yaml")  # the composed settings
GROUPS = ("data", "model", "task", "optimizer", "scheduler", "trainer", "experiment")
# Paths, purpose and trust are not part of a run's identity.
NOT_OF_THE_JOB = ("paths", "sweep", "reference", "resume", "resume_changes", "trust")

StoredResult = dict[str, Any]  # a result.json as read: by any version of litlab, or by another program


@dataclass
class Monitor:
    """What selected the tested weights.

    Attributes:
        metric: the monitored metric, such as val/accuracy.
        mode: max or min, which is better.
        best: its best value; None where nothing was selected.
        epoch: of that value, from 1.
    """

    metric: str
    mode: str
    best: float | None = None
    epoch: int | None = None


@dataclass(repr=False, eq=False)
class Result:
    """A run, as result.json has it: the keys are these names, in this order.

    Fields from `status` on are unset, and absent from result.json, until the run gets there.

    Attributes:
        choices: the option chosen in each group of conf/ (`GROUPS`).
        overrides: of the command line, without the sweep's.
        swept: the settings that a sweep varies.
        seed: of all random generators.
        settings: the resolved config, see `settings`.
        status: running, completed, failed, interrupted or pruned (ended by its sweep, before its last epoch).
        error: what went wrong, or when the run was pruned; and which numbers were not finite (null in the file).
        started: date, time and zone, ISO 8601; of a resumed run, of its latest attempt.
        git: `commit`, and whether code or configs differ from it (`dirty`).
        environment: versions, platform, device and threads.
        process: host, pid and start of the process that writes the file.
        found: results of other programs than training, and what the data have concluded; merged into the file's keys.
        tuned, suggested: the setting that `tune` found and its value: applied, or only shown.
        parameters: number of weights.
        epochs: trained so far, also in a failed run.
        steps: optimizer steps.
        seconds_training: all training epochs, with compiling, without validation; in a stack the job's share of them.
        seconds_compiling: in torch.compile.
        samples_per_second: of training; None without training.
        metrics: flat, such as val/accuracy, test/rmse; train/loss is the mean over the last epoch's steps, and
            train/eval_loss (evaluate_train) that of the tested weights.
        monitor: what selected the tested weights.
        checkpoint: the file with the tested weights; None if none was kept.
        weights: of a small model, by name, flattened.
        target_mean, target_std: of standardized targets, for a small model.
        test_split: test, or train where the test is on the training split.
        hints: what to try next, a sentence each.
        stacked: how many jobs of the sweep were trained at once; absent where this one was trained alone.
        seconds: from the start of the command to the end of the run; of a resumed run, of all attempts. In a
            stack's first job the training of the whole stack is in it, in the others' none.
    """

    choices: dict[str, str | None] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)
    swept: list[str] = field(default_factory=list)
    seed: int | str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    status: str = field(init=False)
    error: str | None = field(init=False)
    started: str = field(init=False)
    git: dict[str, Any] = field(init=False)
    environment: dict[str, Any] = field(default_factory=dict)
    process: dict[str, Any] = field(init=False)
    found: dict[str, Any] = field(default_factory=dict)
    tuned: dict[str, float] = field(init=False)
    suggested: dict[str, float] = field(init=False)
    parameters: int = field(init=False)
    epochs: int = field(init=False)
    steps: int = field(init=False)
    seconds_training: float = field(init=False)
    seconds_compiling: float = field(init=False)
    samples_per_second: int | None = field(init=False)
    metrics: dict[str, float] = field(init=False)
    monitor: Monitor = field(init=False)
    checkpoint: str | None = field(init=False)
    weights: dict[str, list[float]] | None = field(default=None, init=False)
    target_mean: Sequence[float] = field(default=(), init=False)
    target_std: Sequence[float] = field(default=(), init=False)
    test_split: str = field(default="test", init=False)
    hints: Sequence[str] = field(default=(), init=False)
    stacked: int = field(init=False)
    seconds: float = field(init=False)

    @classmethod
    def from_dict(cls, stored: StoredResult) -> "Result":
        """The result of a result.json; unknown keys go to `found`."""
        result, names = cls(), {each.name for each in fields(cls)}
        result.found = {name: value for name, value in stored.items() if name not in names}
        result.update(**{name: value for name, value in stored.items() if name in names})
        if "monitor" in stored:
            result.monitor = Monitor(**stored["monitor"])
        return result

    def as_dict(self) -> StoredResult:
        """What result.json holds."""
        plain: StoredResult = {}
        for name in (each.name for each in fields(self) if each.name in vars(self)):
            value = getattr(self, name)
            plain |= value if name == "found" else {name: asdict(value) if isinstance(value, Monitor) else value}
        return plain

    def update(self, **values: Any) -> None:
        """Set several fields."""
        for name, value in values.items():
            setattr(self, name, value)


def test_note(test_split: str | None) -> str:
    """The note beside a test metric; empty unless the test is on the training split."""
    return " (on the training split)" if test_split == "train" else ""


def request(config: DictConfig) -> Result:
    """The request: choices, overrides (without a sweep's), swept settings, seed and all settings."""
    asked = Result(swept=list(OmegaConf.select(config, "sweep.swept") or ()))
    if HydraConfig.initialized():
        asked.choices = choices()
        asked.overrides = [word for word in typed() if not word.lstrip("+~").startswith(("sweep.", "resume="))]
    seed = config.get("seed")  # perhaps invalid: the checks report it
    asked.seed = str(seed) if OmegaConf.is_config(seed) else seed
    try:
        asked.settings = dict(CHECKED.get() or settings(config))
    except OmegaConfBaseException:  # the run meets the same mistake, and reports it
        asked.settings = {}
    return asked


def choices() -> dict[str, str | None]:
    """The option chosen in each of GROUPS, of the job that Hydra has composed."""
    chosen = {key.split("@")[0]: choice for key, choice in HydraConfig.get().runtime.choices.items()}
    return {group: chosen.get(group) for group in GROUPS}


def settings(config: DictConfig) -> dict[str, Any]:
    """The identity of a run: its resolved config as plain data, without paths and purpose.

    Paths within other settings are blank, so that it does not depend on where the run lies.

    Raises:
        OmegaConfBaseException: an interpolation cannot be resolved.
    """
    blank = copy.deepcopy(config)
    with open_dict(blank):
        for name in blank.get("paths") or ():
            blank.paths[name] = ""
    plain = {
        str(key): OmegaConf.to_container(value, resolve=True) if isinstance(value, Container) else value
        for key, value in blank.items()
        if key not in NOT_OF_THE_JOB
    }
    return json.loads(json.dumps(plain, default=str), parse_constant=str)  # infinity is not in JSON


def write(path: Path, content: Mapping[str, Any], once: bool = False) -> None:
    """Write JSON (`encode`) atomically.

    Raises:
        FileExistsError: with `once`, if the file exists.
        OSError: it cannot be written; the old file stays.
    """
    write_atomic(path, encode(content), once)


def encode(content: Mapping[str, Any]) -> bytes:
    """JSON, with null for non-finite numbers, whose names are added to `error`."""
    not_finite: list[str] = []
    plain = _finite(content, "", not_finite)
    if not_finite:
        plain["error"] = "; ".join(filter(None, [plain.get("error"), f"not finite: {', '.join(not_finite)}"]))
    return (json.dumps(plain, indent=2, allow_nan=False) + "\n").encode()


def _finite(value: Any, name: str, not_finite: list[str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item, f"{name}.{key}".lstrip("."), not_finite) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item, name, not_finite) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        not_finite.append(name)
        return None
    return value
