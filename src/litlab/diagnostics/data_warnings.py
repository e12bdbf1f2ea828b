"""What is wrong with a data set before training: a warning for each problem that its description shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from litlab.config.overrides import as_override, is_set
from litlab.data.columns import Row
from litlab.data.samples import some
from litlab.data.tensors import TensorData
from litlab.diagnostics.classes import ABSENT, IMBALANCED, Labelled
from litlab.diagnostics.rule import Rule, diagnose
from litlab.diagnostics.scales import (
    HUGE,
    NORMALIZED,
    STANDARDIZED,
    bad_scales,
    input_scales,
    inputs_of,
    quantities,
    targets_of,
)
from litlab.models.cnn import channels_last

SKEWED = 3.0  # from this skewness on (a normal distribution has 0, an exponential one 2)
TARGET_SCALE = 1000.0  # as the loss measures it: above this, or below one by this, steps are too large or too small
FEW = 1000  # samples


@dataclass(frozen=True)
class Described(Labelled):
    """A data set with its description, as `litlab.describe` makes it."""

    data: TensorData
    splits: Sequence[Row]
    columns: Sequence[Row]
    relations: Mapping[str, Any]

    @property
    def train(self) -> Row:
        """The training split."""
        return self.splits[0]


def data_warnings(config: DictConfig, data: TensorData, description: Mapping[str, Any]) -> list[str]:
    """A sentence each, which names the setting to try.

    Args:
        config: names the settings that there are.
        data: described.
        description: its `splits`, `classes`, `columns`, `faults` and `relations`, as `litlab.describe` makes them.
    """
    splits, columns, relations = (description[name] for name in ("splits", "columns", "relations"))
    faults = list(description["faults"])
    if "test" not in [row["split"] for row in splits]:
        faults.append(f"there is no test split; try {as_override(config, 'data.test_size=0.2')}")
    counts = {row["class"]: row["train"] for row in description["classes"]}
    if sum(counts.values()) != splits[0]["samples"]:  # labels are wrong, and so are the counts
        counts = {}
    known = Described(config, counts, data.has_validation, data, splits, columns, relations)
    refused = [f"training refuses these data: {each}" for each in faults]
    return [*refused, *diagnose(COLUMNS, known), *_leaks(known), *diagnose(SAMPLES, known)]


def _constant(rows: Sequence[Row]) -> str:
    return some([row["name"] for row in rows if not row["std"]])


def _target_scales(known: Described) -> str:
    # What the task standardizes may be of any scale whose square is a number.
    standardized = is_set(known.config, STANDARDIZED)
    judged = [row for row in targets_of(known.columns) if not standardized or row["std"] >= HUGE]
    return bad_scales(judged, TARGET_SCALE)


def _scale_targets(known: Described) -> list[str]:
    setting = "" if is_set(known.config, STANDARDIZED) else as_override(known.config, STANDARDIZED)
    return [setting or "scaling them in load()"]


def _outliers(known: Described) -> str:
    inputs = quantities(known.data, known.columns) if len(known.data.input_shape) < 3 else []
    judged = [row for row in [*inputs, *targets_of(known.columns)] if row["values"] != "two"]
    skewed = [row for row in judged if abs(row["skewness"]) > SKEWED]
    if not skewed:
        return ""
    worst = max(skewed, key=lambda row: abs(row["skewness"]))
    extent = f"mean {worst['mean']:.4g}, from {worst['min']:.4g} to {worst['max']:.4g}"
    return f"{some([row['name'] for row in skewed])} ({worst['name']}: {extent})"


def _tokens(known: Described) -> str:
    """What to try first where all inputs are whole numbers from 0, and so may be tokens."""
    rows = inputs_of(known.columns)
    amounts = any(row["values"] == "real" or not row["min"].is_integer() or row["min"] < 0 for row in rows)
    if amounts or len(known.data.input_shape) > 2:
        return ""
    return f"num_tokens = {max(row['max'] for row in rows) + 1:.0f} in their class if they are tokens"


def _equal(known: Described) -> str:
    return some([" = ".join(names[:5]) + " = ..." * (len(names) > 5) for names in known.relations["equal columns"]])


def _leaks(known: Described) -> list[str]:
    found = []
    for row in known.splits[1:]:
        if row["also in train"]:
            part, wanted = row["split"], known.data.test_on_train and row["split"] == "test"
            found.append(
                f"{row['also in train']:,} of {row['samples']:,} {part} samples have inputs that are in the training "
                f"split too: the {part} metrics are too good{', as data.test_on_train=true asks' if wanted else ''}"
            )
    return found


COLUMNS = (
    Rule(
        lambda known: _constant(inputs_of(known.columns)),
        lambda known: (
            f"constant: {_constant(inputs_of(known.columns))}; a model learns nothing from that, drop it in load()"
        ),
    ),
    Rule(
        lambda known: _constant(targets_of(known.columns)),
        lambda known: f"constant: {_constant(targets_of(known.columns))}; there is nothing to predict, check load()",
    ),
    Rule(
        lambda known: input_scales(known.data, known.columns),
        lambda known: input_scales(known.data, known.columns),
        lambda known: [_tokens(known), as_override(known.config, NORMALIZED) or "normalizing them in load()"],
    ),
    Rule(
        _target_scales,
        lambda known: (
            f"the targets are on very different or extreme scales ({_target_scales(known)}), which data.normalize keeps"
        ),
        _scale_targets,
    ),
    Rule(
        _outliers,
        lambda known: f"outliers in {_outliers(known)}, which data.normalize=true keeps",
        lambda known: [_tokens(known), "the logarithm or clipping in load()", "trainer.gradient_clip_val=1"],
    ),
    Rule(
        lambda known: known.relations["contradictions"],
        "{0.relations[contradictions]:,} of {0.train[samples]:,} training samples have the same inputs as one of "
        "another class: no model gets all of them right".format,
    ),
    Rule(_equal, lambda known: f"equal columns: {_equal(known)}; keep one of each, drop the rest in load()"),
    Rule(
        lambda known: known.relations["telling columns"],
        lambda known: (
            f"{some(known.relations['telling columns'])} gives the target away (the same up to scale and offset): drop "
            "it in load(), unless it is known before the target is"
        ),
    ),
    Rule(
        lambda known: known.train["duplicates"],
        "{0.train[duplicates]:,} of {0.train[samples]:,} training samples repeat the inputs of another".format,
    ),
)
SAMPLES = (
    Rule(
        lambda known: known.train["samples"] < FEW,
        "only {0.train[samples]:,} training samples: results depend on the seed and the split".format,
        lambda _: ["several seeds (-m seed=0,1,2)"],
    ),
    Rule(
        lambda known: not known.data.has_validation and round(0.1 * known.train["samples"]),  # as many as it would be
        lambda _: "there is no validation split, so nothing can select weights",
        lambda known: [as_override(known.config, "data.val_size=0.1")],
    ),
    ABSENT,
    IMBALANCED,
    Rule(
        lambda known: channels_last(known.data.input_shape),
        lambda known: channels_last(known.data.input_shape),
    ),
    Rule(
        lambda known: len(known.data.input_shape) == 3 and not channels_last(known.data.input_shape),
        lambda _: "neighbouring pixels belong together: model=cnn makes use of that, model=mlp does not",
    ),
)
