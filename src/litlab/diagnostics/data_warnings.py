"""What to mind in a data set before training: a sentence for each trouble that its description shows."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from litlab.data.columns import Row
from litlab.data.samples import some
from litlab.data.tensors import TensorData
from litlab.diagnostics.advice import CODES, HUGE, NORMALIZED, SPREAD, STANDARDIZED, says, typed, unhandy
from litlab.models.cnn import channels_last

SKEWED = 3.0  # from this skewness on (a normal distribution has 0, an exponential one 2)
HANDY_TARGET = 1000.0  # as the loss measures it: above this, or below one by this, steps are too large or too small
IMBALANCE = 4.0  # times as many samples in one class as in another
FEW = 1000  # samples


def remarks(config: DictConfig, data: TensorData, description: Mapping[str, Any]) -> list[str]:
    """A sentence each, which names the setting.

    Args:
        config: names the settings that there are.
        data: described.
        description: its `splits`, `classes`, `columns`, `faults` and `relations`, as `litlab.describe` makes them.
    """
    faults = list(description["faults"])
    if "test" not in [row["split"] for row in description["splits"]]:
        faults.append(f"there is no test split; try {typed(config, 'data.test_size=0.2')}")
    told = [f"training refuses these data: {each}" for each in faults]
    told += [
        *_columns(config, data, description["columns"]),
        *_relations(description["relations"], description["splits"][0]["samples"]),
    ]
    told += _splits(config, data, description["splits"])
    counts = {row["class"]: row["train"] for row in description["classes"]}
    if sum(counts.values()) == description["splits"][0]["samples"]:  # else labels are wrong, and so are the counts
        told += _classes(config, data, counts)
    if turned := channels_last(data.input_shape):
        told.append(turned)
    elif len(data.input_shape) == 3:
        told.append("neighbouring pixels belong together: model=cnn makes use of that, model=mlp does not")
    return told


def _columns(config: DictConfig, data: TensorData, rows: list[Row]) -> list[str]:
    targets = [row for row in rows if row["name"].startswith("target: ")]
    inputs = [row for row in rows if row not in targets]
    told = []
    for what, those in (
        ("a model learns nothing from that, leave it out in load()", inputs),
        ("there is nothing to predict, so look at load()", targets),
    ):
        if constant := [row["name"] for row in those if not row["std"]]:
            told.append(f"always the same: {some(constant)}; {what}")
    unless_tokens = _unless_tokens(inputs) if len(data.input_shape) < 3 else ""
    measured = [row for row in inputs if not _is_code(row)] if data.num_tokens is None else []
    if not data.normalize and (sizes := _sizes(measured, SPREAD)):
        normalize = typed(config, NORMALIZED) or "to normalize them in load()"
        told.append(f"the inputs are of unlike or unhandy size ({sizes}): {unless_tokens}try {normalize}")
    # What the task standardizes may be of any size whose square is a number.
    judged = [row for row in targets if not says(config, STANDARDIZED) or row["std"] >= HUGE]
    if sizes := _sizes(judged, HANDY_TARGET):
        scale = typed(config, STANDARDIZED) if not says(config, STANDARDIZED) else ""
        told.append(
            f"the targets are of unlike or unhandy size ({sizes}), and data.normalize leaves them so: "
            + (f"try {scale}" if scale else "scale them in load()")
        )
    judged = [*measured, *targets] if len(data.input_shape) < 3 else targets
    skewed = [row for row in judged if abs(row["skewness"]) > SKEWED and row["values"] != "two"]
    if skewed:
        worst = max(skewed, key=lambda row: abs(row["skewness"]))
        told.append(
            f"a few values lie far from the others in {some([row['name'] for row in skewed])} ({worst['name']}: mean "
            f"{worst['mean']:.4g}, from {worst['min']:.4g} to {worst['max']:.4g}), which data.normalize=true does not "
            f"change: {unless_tokens}take the logarithm or clip them in load(), or try trainer.gradient_clip_val=1"
        )
    return told


def _is_code(row: Row) -> bool:
    """Whether a column is one of codes (answers, one-hot, class numbers), whose size and distribution mean nothing."""
    whole = row["values"] in ("two", "whole") and row["min"].is_integer() and row["max"].is_integer()
    return whole and row["min"] >= 0 and row["max"] <= CODES


def _unless_tokens(rows: list[Row]) -> str:
    """What comes before other advice where all inputs are whole numbers from 0, and so may be tokens."""
    if any(row["values"] == "real" or not row["min"].is_integer() or row["min"] < 0 for row in rows):
        return ""
    return f"if they are tokens, set num_tokens = {max(row['max'] for row in rows) + 1:.0f} in their class, else "


def _sizes(rows: list[Row], handy: float) -> str:
    """Those of the columns that vary, if they are far from each other or from 1, by `handy` times; else nothing."""
    return unhandy([max(abs(row["mean"]), row["std"]) for row in rows if row["std"] > 0], handy)


def _relations(found: Mapping[str, Any], samples: int) -> list[str]:
    told = []
    if found["contradictions"]:
        told.append(
            f"{found['contradictions']:,} of {samples:,} training samples have the same inputs as one of another "
            "class: no model gets all of them right"
        )
    if found["equal columns"]:
        equal = some([" = ".join(names[:5]) + " = ..." * (len(names) > 5) for names in found["equal columns"]])
        told.append(f"equal columns: {equal}; one of each will do, leave the rest out in load()")
    if telling := found["telling columns"]:
        told.append(
            f"{some(telling)} tells the target exactly, but for a factor and a shift: leave it out in load(), "
            "unless it is known before the target is"
        )
    return told


def _classes(config: DictConfig, data: TensorData, counts: dict[str, int]) -> list[str]:
    """Of the training samples of each class."""
    there = {name: count for name, count in counts.items() if count}
    absent = [name for name in counts if name not in there]
    told = []
    if len(there) == 1:
        told.append(
            f"all training samples are of {some(list(there))}: there is nothing to tell apart, so look at load()"
        )
    elif there and absent:
        told.append(
            f"no training sample of {some(absent)}: the model cannot learn {'it' if len(absent) == 1 else 'them'}"
        )
    if there and max(there.values()) >= IMBALANCE * min(there.values()):
        rarest, common = (choose(there, key=there.__getitem__) for choose in (min, max))
        remedy = "task.class_weights=balanced"
        if data.has_validation and OmegaConf.select(config, "task.monitor") == "val/accuracy":
            remedy += " task.monitor=val/f1"  # together: weights that accuracy selects are the common class's again
        told.append(
            f"the classes are out of balance ({there[common]:,} samples of {common}, {there[rarest]:,} of {rarest}): "
            f"try {remedy}, and look at F1 rather than at accuracy"
        )
    return told


def _splits(config: DictConfig, data: TensorData, rows: list[Row]) -> list[str]:
    told, samples = [], rows[0]["samples"]
    if rows[0]["duplicates"]:
        told.append(f"{rows[0]['duplicates']:,} of {samples:,} training samples repeat the inputs of another")
    for row in rows[1:]:
        if row["also in train"]:
            why = "; data.test_on_train=true wants it so" if data.test_on_train and row["split"] == "test" else ""
            told.append(
                f"{row['also in train']:,} of {row['samples']:,} {row['split']} samples have inputs that are in the "
                f"training split too: the {row['split']} metrics flatter{why}"
            )
    if samples < FEW:
        told.append(
            f"only {samples:,} training samples: a run's result depends on the seed and the split, so take several "
            "seeds (-m seed=0,1,2)"
        )
    if not data.has_validation and round(0.1 * samples):  # as many as that share would be
        val_size = typed(config, "data.val_size=0.1")
        told.append(f"there is no validation split, so nothing can select weights: {val_size} makes one")
    return told
