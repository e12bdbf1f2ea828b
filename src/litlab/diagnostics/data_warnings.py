"""What is wrong with a data set before training: a warning for each problem that its description shows."""

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig

from litlab.config.overrides import as_override, is_set
from litlab.data.columns import Row, is_target
from litlab.data.tensors import TensorData
from litlab.diagnostics.rules import (
    HUGE,
    NORMALIZED,
    STANDARDIZED,
    Rule,
    advice,
    bad_scales,
    class_rules,
    input_scales,
    quantities,
)
from litlab.escape import some
from litlab.models.cnn import channels_last

SKEWED = 3.0  # skewness of outliers (a normal distribution has 0, an exponential one 2)
TARGET_SCALE = 1000.0  # targets this much larger or smaller than 1 make steps too large or too small
FEW = 1000  # samples


def data_warnings(config: DictConfig, data: TensorData, description: Mapping[str, Any]) -> list[str]:
    """A sentence for each problem, naming the setting to try.

    Args:
        config: of the data.
        data: the data set.
        description: its `splits`, `classes`, `columns`, `faults` and `relations`, as `verbs.describe` finds them.
    """
    splits, samples = description["splits"], description["splits"][0]["samples"]
    counts = {row["class"]: row["train"] for row in description["classes"]}
    if sum(counts.values()) != samples:  # labels are wrong, and so are the counts
        counts = {}
    test_size, turned = as_override(config, "data.test_size=0.2"), channels_last(data.input_shape)
    untested = [] if "test" in [row["split"] for row in splits] else [f"there is no test split; try {test_size}"]
    return advice(
        [
            *(Rule(True, f"training refuses these data: {each}") for each in [*description["faults"], *untested]),
            # A table's encoding leaves constants out, and scales the rest.
            *([] if data.table is not None else column_rules(config, data, description["columns"])),
            *sample_rules(config, data, splits, description["relations"]),
            *class_rules(config, counts, data.has_validation),
            Rule(turned, turned),
            Rule(
                len(data.input_shape) == 3 and not turned,
                "neighbouring pixels belong together: model=cnn makes use of that, model=mlp does not",
            ),
        ]
    )


def column_rules(config: DictConfig, data: TensorData, columns: Sequence[Row]) -> list[Rule]:
    """Columns that are constant, on bad scales, or have outliers."""
    targets = [row for row in columns if is_target(row)]
    inputs = [row for row in columns if not is_target(row)]
    constant_inputs, constant_targets = (
        some([row["name"] for row in rows if not row["std"]]) for rows in (inputs, targets)
    )
    image, standardized = len(data.input_shape) > 2, is_set(config, STANDARDIZED)
    # Standardized targets may have any scale whose square does not overflow.
    target_scales = bad_scales([row for row in targets if not standardized or row["std"] >= HUGE], TARGET_SCALE)
    amounts = any(row["values"] == "real" or not row["min"].is_integer() or row["min"] < 0 for row in inputs)
    count = 0 if image or amounts else max(row["max"] for row in inputs) + 1
    tokens = f"num_tokens = {count:.0f} in their class if they are tokens" if count else ""

    judged = [row for row in [*([] if image else quantities(data, columns)), *targets] if row["values"] != "two"]
    skewed = [row for row in judged if abs(row["skewness"]) > SKEWED]
    worst = max(skewed or columns, key=lambda row: abs(row["skewness"]))
    extent = f"{worst['name']}: mean {worst['mean']:.4g}, from {worst['min']:.4g} to {worst['max']:.4g}"
    return [
        Rule(constant_inputs, f"constant: {constant_inputs}; a model learns nothing from that, drop it in load()"),
        Rule(constant_targets, f"constant: {constant_targets}; there is nothing to predict, check load()"),
        Rule(
            input_scales(data, columns),
            input_scales(data, columns),
            [tokens, as_override(config, NORMALIZED) or "normalizing them in load()"],
        ),
        Rule(
            target_scales,
            f"the targets are on very different or extreme scales ({target_scales}), which data.normalize keeps",
            [(not standardized and as_override(config, STANDARDIZED)) or "scaling them in load()"],
        ),
        Rule(
            skewed,
            f"outliers in {some([row['name'] for row in skewed])} ({extent}), which data.normalize=true keeps",
            [tokens, "the logarithm or clipping in load()", "trainer.gradient_clip_val=1"],
        ),
    ]


def sample_rules(
    config: DictConfig, data: TensorData, splits: Sequence[Row], relations: Mapping[str, Any]
) -> list[Rule]:
    """Contradicting or duplicate samples, redundant columns, small or missing splits."""
    train, *others = splits
    contradictions = relations["contradictions"]
    equal = some([" = ".join(names[:5]) + " = ..." * (len(names) > 5) for names in relations["equal columns"]])
    telling = some(relations["telling columns"])
    leave = "drop {} in load()" if data.table is None else "leave {} out (data.drop)"
    alike = " (the same up to scale and offset)" if data.table is None else ""
    asked = {"test": ", as data.test_on_train=true asks"} if data.test_on_train else {}
    return [
        Rule(
            contradictions,
            f"{contradictions:,} of {train['samples']:,} training samples have the same inputs as one of another "
            "class: no model gets all of them right",
        ),
        Rule(equal, f"equal columns: {equal}; keep one of each, {leave.format('the rest')}"),
        Rule(
            telling,
            f"{telling} gives the target away{alike}: {leave.format('it')}, unless it is known before the target is",
        ),
        Rule(
            train["duplicates"],
            f"{train['duplicates']:,} of {train['samples']:,} training samples repeat the inputs of another",
        ),
        *(
            Rule(
                row["also in train"],
                f"{row['also in train']:,} of {row['samples']:,} {row['split']} samples have inputs that are in the "
                f"training split too: the {row['split']} metrics are too good{asked.get(row['split'], '')}",
            )
            for row in others
        ),
        Rule(
            train["samples"] < FEW,
            f"only {train['samples']:,} training samples: results depend on the seed and the split",
            ["several seeds (-m seed=0,1,2)"],
        ),
        Rule(
            not data.has_validation and round(0.1 * train["samples"]),  # as many as that share would be
            "there is no validation split, so nothing can select weights",
            [as_override(config, "data.val_size=0.1")],
        ),
    ]
