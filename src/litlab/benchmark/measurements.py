"""What was measured of the experiments and tables, in results.json, and what it is compared with."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from litlab.config.choices import CONF

TABLES = "tables"  # in results.json, besides the experiments


@dataclass(frozen=True)
class Reference:
    """The `reference` block of an experiment: the numbers of its document or a publication."""

    metrics: dict[str, str]  # name in result.json: reference
    source: str
    seeds: int = 5
    neighbours: str = ""  # published numbers to compare ours with
    overrides: tuple[str, ...] = ()  # of the command, to shorten a long experiment
    remark: str = ""  # what the numbers do not say by themselves


@dataclass(frozen=True)
class Measurement:
    """The measurement of an experiment: its entry in results.json."""

    command: str
    test_split: str  # test, or train where the test is on the training split
    metrics: dict[str, dict[str, float]]  # mean, std and n of each; only n = 0 if no run has it
    seconds: float  # of training, of the fastest run
    samples_per_second: float  # of the fastest run
    machines: list[str]
    commits: list[str]


def reference(name: str) -> Reference:
    """The reference of an experiment."""
    settings: Any = OmegaConf.to_container(OmegaConf.load(CONF / "experiment" / f"{name}.yaml"))
    return Reference(**settings.get("reference", {"metrics": {}, "source": ""}))


def read(file: Path) -> dict[str, Measurement]:
    """The measurements in results.json by experiment; empty without the file."""
    data = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {name: Measurement(**entry) for name, entry in data.items() if name != TABLES}


def read_tables(file: Path) -> list[dict[str, Any]]:
    """The rows of the tables in results.json; empty without any."""
    return json.loads(file.read_text(encoding="utf-8")).get(TABLES, []) if file.is_file() else []
