"""The scales of inputs and targets: mending these comes before any learning rate."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from omegaconf import DictConfig

from litlab.config.overrides import available, is_set
from litlab.data.columns import Row, columns, describe_column, is_code, is_target
from litlab.data.splits import Split
from litlab.data.tensors import TensorData

SAMPLES = 2000  # that scales are judged by after training
SPREAD = 10.0  # times the scale of one column that another has, or 1
LARGE = 100.0  # targets, from which on no tenth of a diverged learning rate leads to a good one
HUGE = 1e18  # targets whose squares overflow float32
NORMALIZED, STANDARDIZED = "data.normalize=true", "task.standardize_targets=true"


class ScaleProblem(NamedTuple):
    """What is wrong with the scales of inputs and targets, and what to try; empty where nothing is."""

    message: str = ""
    remedies: tuple[str, ...] = ()


def scale_problem(config: DictConfig, data: TensorData) -> ScaleProblem:
    """Whether a run should normalize its inputs or divide its targets, by some samples of the training split."""
    split = getattr(data, "splits", {}).get("train")
    if split is None:  # foreign data have none
        return ScaleProblem()
    step = math.ceil(len(split.inputs) / SAMPLES)
    part = Split(split.inputs[::step].cpu(), split.targets[::step].cpu())
    rows = [describe_column(*column) for column in columns(data, part).items()]
    normalize, standardize = available(config, NORMALIZED), available(config, STANDARDIZED)
    largest = max(_scales([row for row in rows if is_target(row)]), default=0.0)
    found: dict[str, list[str]] = {}
    if normalize and (message := input_scales(data, rows)):
        found[message] = normalize
    if largest >= (HUGE if is_set(config, STANDARDIZED) else LARGE):
        divided = f"dividing the targets by {10 ** math.floor(math.log10(largest)):,} in load()"
        found[f"the targets are large (around {largest:.3g})"] = standardize or [divided]
    return ScaleProblem(" and ".join(found), tuple(each for remedies in found.values() for each in remedies))


def input_scales(data: TensorData, rows: Sequence[Row]) -> str:
    """What is wrong with the scales of inputs that are not normalized; empty if nothing is."""
    found = "" if data.normalize else bad_scales(quantities(data, rows), SPREAD)
    return found and f"the inputs are on very different or extreme scales ({found})"


def quantities(data: TensorData, rows: Sequence[Row]) -> list[Row]:
    """The described inputs that are neither tokens nor codes."""
    return [row for row in rows if not is_target(row) and not is_code(row)] if data.num_tokens is None else []


def bad_scales(rows: Sequence[Row], limit: float) -> str:
    """The scales of columns in words, if far from each other, or from 1 by `limit` times; else empty."""
    found = _scales(rows)
    if not found or (max(found) <= SPREAD * min(found) and 1 / limit < max(found) < limit):
        return ""
    return f"{min(found):.3g} to {max(found):.3g}" if max(found) > 2 * min(found) else f"around {found[0]:.3g}"


def _scales(rows: Sequence[Row]) -> list[float]:
    """Of the columns that vary: mean or standard deviation, whichever is larger."""
    return [max(abs(row["mean"]), row["std"]) for row in rows if row["std"] > 0]
