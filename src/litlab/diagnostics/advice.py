"""Settings to try, as one types them; hints and the message of a diverged run share them."""

import inspect
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import hydra
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from litlab.data.samples import column_axis
from litlab.data.tensors import TensorData

SAMPLES = 2000  # that sizes are judged by
SPREAD = 10.0  # times the scale of one column that another has, or 1
LARGE = 100.0  # targets, from which on no rate that diverged leads to a good one by tenths
HUGE = 1e18  # targets whose squares float32 has no room for
CODES = 20  # whole numbers from 0 to this may be answers, one-hot or class numbers, whose size means nothing
NORMALIZED, STANDARDIZED = "data.normalize=true", "task.standardize_targets=true"


class Sizes(NamedTuple):
    """What is wrong with the sizes of a data set's inputs and targets, and what to do; nothing where all is well."""

    found: str = ""
    remedies: tuple[str, ...] = ()


def tried(*remedies: str) -> str:
    """The end of a hint: what to try, but for what is empty."""
    return f"try {', '.join(filter(None, remedies))}"


def available(config: DictConfig, *wanted: str) -> list[str]:
    """Those of NAME=VALUE that this run can be given and that its config does not say already, as one types them."""
    given = [typed(config, each) for each in wanted if not says(config, each)]
    return [each for each in given if each]


def typed(config: DictConfig, setting: str) -> str:
    """A setting with a plus where the config lacks it but the data take it; nothing where there is none."""
    name, _, value = setting.partition("=")
    group, _, name = name.rpartition(".")
    node: Any = OmegaConf.select(config, group)
    if node is None or name in node:
        return setting if node is not None else ""
    if group != "data" or "_target_" not in node:
        return ""
    parameters = inspect.signature(hydra.utils.get_object(node._target_)).parameters
    more = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    known = name in parameters and str(parameters[name].default).lower() != value
    return f"+{setting}" if known or (more and name not in parameters) else ""


def finder(config: DictConfig) -> str:
    """tune=lr, where it has not been used and can be."""
    used = str(OmegaConf.select(config, "tune._target_")).endswith(".find_lr")
    devices = OmegaConf.select(config, "trainer.devices")
    several = isinstance(devices, int) and devices > 1
    return "" if used or several or config.get("resume_from") else "tune=lr"


def lower_rate(rate: float) -> float:
    """The learning rate to try after one that was too high: a tenth, to one digit, and no more than 0.1."""
    return min(float(f"{rate / 10:.1g}"), 0.1) if math.isfinite(rate) else 0.1


def after_divergence(config: DictConfig, data: TensorData, rate: float) -> str:
    """What to try where the loss was no longer a number at this learning rate."""
    sizes = judge_sizes(config, data)
    if sizes.found:  # no rate is a good one then: it is not offered
        return f"{sizes.found}: {tried(*sizes.remedies)}"
    found = f" (or {finder(config)}, which looks for one)" if finder(config) else ""
    lower = f"optimizer.lr={lower_rate(rate):g}{found}"
    others = (*available(config, "trainer.gradient_clip_val=1"), "another loss")
    return f"{tried(lower, *others)}, or look at the data"


def judge_sizes(config: DictConfig, data: TensorData) -> Sizes:
    """Whether the inputs are to be normalized, and the targets to be divided."""
    split = getattr(data, "splits", {}).get("train")
    if split is None:  # others' data, which have none
        return Sizes()
    found, remedies = [], []
    normalize = available(config, NORMALIZED)
    tokens = getattr(data, "num_tokens", None)
    if not data.normalize and not tokens and normalize and (scales := unhandy(_scales(split.inputs), SPREAD)):
        found.append(f"the inputs are of unlike or unhandy size ({scales})")
        remedies += normalize
    largest = max(_scales(split.targets), default=0.0) if data.class_names is None else 0.0
    if largest >= (HUGE if says(config, STANDARDIZED) else LARGE):
        found.append(f"the targets are large (around {largest:.3g})")
        divided = f"dividing the targets by {10 ** math.floor(math.log10(largest)):,} in load()"
        remedies += available(config, STANDARDIZED) or [divided]
    return Sizes(" and ".join(found), tuple(remedies))


def unhandy(scales: Sequence[float], handy: float) -> str:
    """The scales of columns in words, if they are far from each other or from 1, by `handy` times; else nothing."""
    if not scales or (max(scales) <= SPREAD * min(scales) and 1 / handy < max(scales) < handy):
        return ""
    return f"{min(scales):.3g} to {max(scales):.3g}" if max(scales) > 2 * min(scales) else f"around {scales[0]:.3g}"


def _scales(values: Tensor) -> list[float]:
    """Of columns (see `column_axis`) that vary and are no codes: mean or standard deviation, whichever is larger."""
    values = values[:: math.ceil(len(values) / SAMPLES)].cpu().double()
    values = values[:, None] if values.dim() == 1 else values
    columns = values.movedim(column_axis(values), 0).flatten(1)
    std, mean = torch.std_mean(columns, dim=1, correction=0)
    codes = (columns.frac() == 0).all(1) & (columns.amin(1) >= 0) & (columns.amax(1) <= CODES)
    return torch.maximum(std, mean.abs())[(std > 0) & ~codes].tolist()


def says(config: DictConfig, setting: str) -> bool:
    """Whether the config has NAME=VALUE already."""
    name, _, value = setting.partition("=")
    return str(OmegaConf.select(config, name)).lower() == value
