"""What to mind in a data set before training: a sentence for each trouble that its description shows."""

from typing import Any

from litlab.data.tensors import TensorData
from litlab.results import Result

SKEWED = 3.0  # from this skewness on (a normal distribution has 0, an exponential one 2)
SPREAD = 10.0  # times the scale of one column that another has, or its mean has its own scale
IMBALANCE = 4.0  # times as many samples in one class as in another
FEW = 1000  # samples
Row = dict[str, Any]  # of a table: of the splits, the classes or the columns


def remarks(data: TensorData, result: Result) -> list[str]:
    """A sentence each, which names the setting.

    Args:
        data: described.
        result: its `splits`, `classes` and `columns`, as `litlab.describe` makes them.
    """
    told = [*_faults(data, result), *_ranges(data, result["columns"]), *_splits(data, result["splits"])]
    told += _classes({row["class"]: row["train"] for row in result["classes"]})
    if len(data.input_shape) == 3:
        told.append("neighbouring pixels belong together: model=cnn makes use of that, model=mlp does not")
    return told


def _faults(data: TensorData, result: Result) -> list[str]:
    broken = [row["name"] for row in result["columns"] if row["not finite"]]
    told = []
    if broken:
        told.append(f"missing or infinite values in {_some(broken)}: training refuses them; mend the data's load()")
    labelled = sum(row["train"] for row in result["classes"])
    if result["classes"] and labelled != result["splits"][0]["samples"]:
        told.append(
            "there are labels outside the classes: training refuses them; mend the data's load() or class_names"
        )
    return told


def _ranges(data: TensorData, rows: list[Row]) -> list[str]:
    inputs = [row for row in rows if not row["name"].startswith("target: ")]
    constant = [row["name"] for row in inputs if not row["std"]]
    skewed = [row for row in inputs if abs(row["skewness"]) > SKEWED]
    told = []
    if constant:
        told.append(f"always the same: {_some(constant)}; a model learns nothing from that, leave it out in load()")
    scales = [max(abs(row["mean"]), row["std"]) for row in inputs if row["std"]]
    apart = len(scales) > 0 and (max(scales) > SPREAD * min(scales) or not 1 / SPREAD < max(scales) < SPREAD)
    if apart and not data.normalize:
        sizes = (
            f"{min(scales):.3g} to {max(scales):.3g}" if max(scales) > 2 * min(scales) else f"around {scales[0]:.3g}"
        )
        told.append(f"the inputs are of unlike or unhandy size ({sizes}): try data.normalize=true")
    if skewed and len(data.input_shape) == 1:
        worst = max(skewed, key=lambda row: abs(row["skewness"]))
        told.append(
            f"a few values lie far from the others in {_some([row['name'] for row in skewed])} ({worst['name']}: mean "
            f"{worst['mean']:.4g}, from {worst['min']:.4g} to {worst['max']:.4g}), which data.normalize=true does not "
            "change: take the logarithm or clip them in load(), or try trainer.gradient_clip_val=1"
        )
    return told


def _classes(counts: dict[str, int]) -> list[str]:
    """Of the training samples of each class."""
    there = {name: count for name, count in counts.items() if count}
    absent = [name for name in counts if name not in there]
    told = []
    if len(there) == 1:
        told.append(
            f"all training samples are of {_some(list(there))}: there is nothing to tell apart, so look at load()"
        )
    elif there and absent:
        told.append(
            f"no training sample of {_some(absent)}: the model cannot learn {'it' if len(absent) == 1 else 'them'}"
        )
    if there and max(there.values()) >= IMBALANCE * min(there.values()):
        rarest, common = (choose(there, key=there.__getitem__) for choose in (min, max))
        told.append(
            f"the classes are out of balance ({there[common]:,} samples of {common}, {there[rarest]:,} of {rarest}): "
            "try task.class_weights=balanced, and look at F1 rather than at accuracy"
        )
    return told


def _splits(data: TensorData, rows: list[Row]) -> list[str]:
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
        told.append("there is no validation split, so nothing can select weights: data.val_size=0.1 makes one")
    return told


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
