"""What a rule is, and the rules that data and runs share: on classes and on scales."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf

from litlab.config.overrides import available, is_set
from litlab.data.columns import Row, columns, describe_column, is_code, is_target
from litlab.data.splits import Split
from litlab.data.tensors import TensorData
from litlab.escape import some
from litlab.plots.canvas import shortened

IMBALANCE = 4.0  # times as many samples in the most common class as in the rarest
FEW_SAMPLES = 5  # of a class in validation, too few to tell whether the model predicts it
SAMPLES = 2000  # from which scales are estimated after training
SPREAD = 10.0  # ratio of two columns' scales, or of one to 1
LARGE = 100.0  # targets beyond which a tenth of a diverged learning rate still diverges
HUGE = 1e18  # targets whose squares overflow float32
NORMALIZED, STANDARDIZED = "data.normalize=true", "task.standardize_targets=true"


class Rule(NamedTuple):
    """A known problem; empty remedies are left out."""

    applies: object
    message: str
    remedies: Iterable[str] = ()


def advice(rules: Iterable[Rule]) -> list[str]:
    """A sentence for each rule that applies: what is wrong, and what to try."""
    found = ((rule.message, ", ".join(filter(None, rule.remedies))) for rule in rules if rule.applies)
    return [": ".join(filter(None, (message, remedies and f"try {remedies}"))) for message, remedies in found]


def imbalanced(counts: Mapping[str, int]) -> bool:
    """Whether the class counts differ by a factor of `IMBALANCE`; absent classes do not count."""
    present = [count for count in counts.values() if count]
    return bool(present) and max(present) >= IMBALANCE * min(present)


def class_rules(
    config: DictConfig,
    counts: Mapping[str, int],
    has_validation: bool,
    unpredicted: Mapping[str, int] | None = None,
    longer: str = "",
) -> list[Rule]:
    """Classes that are absent, never predicted, or imbalanced.

    Args:
        config: of the run or of the data.
        counts: training samples of each class; empty for a regression.
        has_validation: whether something selects weights.
        unpredicted: classes that the model never predicts, with their validation samples.
        longer: the setting for a longer training.
    """
    present = {name: count for name, count in counts.items() if count} or {"": 0}
    absent = [name for name, count in counts.items() if not count]
    rarest, common = (choose(present, key=present.__getitem__) for choose in (min, max))
    extremes = f"{present[common]:,} samples of {_quoted([common])}, {present[rarest]:,} of {_quoted([rarest])}"

    # With class weights or not, accuracy would select weights that favour the common class.
    mode = " task.mode=max" if OmegaConf.select(config, "task.mode") == "min" else ""
    by_f1 = [each + mode for each in available(config, "task.monitor=val/f1") if has_validation]
    by_accuracy = OmegaConf.select(config, "task.monitor") == "val/accuracy"
    weights = [" ".join([each, *by_f1 * by_accuracy]) for each in available(config, "task.class_weights=balanced")]

    never = {name: n for name, n in (unpredicted or {}).items() if n >= FEW_SAMPLES and present.get(name)}
    samples = f"({sum(never.values()):,} validation samples)"
    one = f"the model never predicts {_quoted(never)} {samples}"
    several = f"{len(never)} of {len(counts)} classes are never predicted {samples}: {_quoted(never)}"
    selected = [f"{each} (selects by F1)" for each in by_f1]
    more = f"more samples of {_them(never)}"
    return [
        Rule(
            counts and len(present) == 1,
            f"all training samples are of {_quoted(present)}: there is nothing to distinguish, check load()",
        ),
        Rule(
            len(present) > 1 and absent,
            f"no training samples of {_quoted(absent)}: the model cannot learn {_them(absent)}",
        ),
        Rule(
            never,
            one if len(never) == 1 else several,
            [*(weights or selected), more] if imbalanced(counts) else [longer, *selected],
        ),
        Rule(
            imbalanced(counts) and weights and not never,
            f"imbalanced classes ({extremes}), where F1 tells more than accuracy",
            weights,
        ),
    ]


def _quoted(names: Iterable[str]) -> str:
    return some([f"'{shortened(name)}'" for name in names])


def _them(names: Iterable[str]) -> str:
    return "it" if len(list(names)) == 1 else "them"


def scale_rule(config: DictConfig, data: TensorData) -> Rule:
    """Whether a run should normalize its inputs or scale its targets, judged by some training samples."""
    split = getattr(data, "splits", {}).get("train")
    if split is None:  # foreign data modules have no splits
        return Rule(False, "")
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
    return Rule(bool(found), " and ".join(found), tuple(each for remedies in found.values() for each in remedies))


def input_scales(data: TensorData, rows: Sequence[Row]) -> str:
    """What is wrong with the scales of inputs that are not normalized; empty if nothing is."""
    scaled = data.normalize or data.table is not None
    found = "" if scaled else bad_scales(quantities(data, rows), SPREAD)
    return found and f"the inputs are on very different or extreme scales ({found})"


def quantities(data: TensorData, rows: Sequence[Row]) -> list[Row]:
    """The described inputs that are neither tokens nor codes."""
    return [row for row in rows if not is_target(row) and not is_code(row)] if data.num_tokens is None else []


def bad_scales(rows: Sequence[Row], limit: float) -> str:
    """The range of the columns' scales, where they are far apart or `limit` times as large or as small as 1."""
    found = _scales(rows)
    if not found or (max(found) <= SPREAD * min(found) and 1 / limit < max(found) < limit):
        return ""
    return f"{min(found):.3g} to {max(found):.3g}" if max(found) > 2 * min(found) else f"around {found[0]:.3g}"


def _scales(rows: Sequence[Row]) -> list[float]:
    """The larger of |mean| and standard deviation, of each column that varies."""
    return [max(abs(row["mean"]), row["std"]) for row in rows if row["std"] > 0]
