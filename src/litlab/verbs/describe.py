"""Describe a data set before training: tables, plots and warnings."""

import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor

from litlab.build import build_data
from litlab.config import job
from litlab.data.columns import Row, columns, describe_column
from litlab.data.faults import faults
from litlab.data.relations import relations, row_hashes
from litlab.data.table import Table
from litlab.data.tensors import Split, TensorData
from litlab.diagnostics import table_columns
from litlab.diagnostics.data_warnings import data_warnings
from litlab.plots import canvas, dataset
from litlab.runs.result import Result
from litlab.verbs.layers import describe_layers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORDS = ("data", "task", "model", "trust", "paths.data_dir")  # groups and settings of a training's data and model
SHOWN = 24  # images
MAX_PANELS = 40  # columns whose values are drawn
DRAWN = 20_000  # samples, the first ones, whose values make the histograms
MAX_VALUES = 2**26  # 256 MB as float32


def describe(config: DictConfig, result: Result | None = None) -> dict[str, Any]:
    """Describe the data of `config` (conf/describe.yaml, composed) before normalization; write plots/.

    Args:
        config: with `data` and `paths.run_dir`; with `model`, its layers are described, too.
        result: receives the description.

    Returns:
        `question`, `shapes` (of a sample and a batch), `head`, `guesses`, `splits`, `classes`, `columns`, `layers`
        (lists of rows), `faults`, `relations`, `notes` and `remarks`, the `command` to train; of a table also what
        `look_at_table` adds.

    Raises:
        RequestError: the data cannot be loaded.
    """
    data = build_data(config)
    data.prepare_data()
    if isinstance(data, Table):
        data.keep_frames = True
    splits = data.raw_splits()
    found = look(data, splits)
    if isinstance(data, Table):
        found |= look_at_table(data, found)
    found["layers"] = describe_layers(config, data) if "model" in config else []
    found["notes"] = list(data.remarks)
    found["remarks"] = data_warnings(config, data, found)
    found["command"] = training_command(data, typed(config))
    if result is not None:
        result.found = found
    draw(data, splits, Path(config.paths.run_dir) / "plots")
    return found


def look(data: TensorData, splits: dict[str, Split]) -> dict[str, Any]:
    """The description of the splits before normalization, without remarks."""
    part = spaced(splits["train"])
    values = columns(data, part)
    hashes = {part: row_hashes(split.inputs) for part, split in splits.items()}
    return {
        "question": question(data),
        "shapes": describe_shapes(data, splits["train"]),
        "head": first_rows(data),
        "guesses": [guess._asdict() for guess in data.guesses],
        "splits": describe_splits(splits, hashes),
        "classes": describe_classes(data, splits),
        "columns": [describe_column(name, each) for name, each in values.items()],
        "faults": list(faults(data, splits)),
        "relations": relations(data, splits["train"], hashes["train"], list(values)),
    } | ({"columns of": f"{len(part.inputs):,} evenly spaced training samples"} if part is not splits["train"] else {})


def spaced(split: Split) -> Split:
    """The split or, where its inputs as float32 would take too much memory, evenly spaced samples of it."""
    step = math.ceil(math.prod(split.inputs.shape) / MAX_VALUES)
    return split if step <= 1 else split.take(torch.arange(0, len(split.inputs), step))


def training_command(data: TensorData, words: Sequence[str]) -> str:
    """The command that trains on these data, chosen by `words`, with their model or one for such samples."""
    by_axes = {1: "mlp", 2: "cnn1d", 3: "cnn"}
    model = "embedding_bag" if data.num_tokens is not None else by_axes.get(len(data.input_shape), "mlp")
    model = model if data.table is None else "mlp_table"
    chosen = any(word.startswith("model=") for word in words)
    return " ".join(["python scripts/train.py", *words, *([] if chosen else [f"model={model}"])])


def look_at_table(data: Table, found: dict[str, Any]) -> dict[str, Any]:
    """What a table has besides: `head`, `types`, and columns in their own units."""
    frame, encoding = data.frames["train"], data.fitted
    names = {column.name for column in encoding.columns}
    equal = [[name for name in group if name in names] for group in found["relations"]["equal columns"]]
    telling = table_columns.telling_columns(encoding, frame)
    return {
        "head": table_columns.first_rows(frame, data.target),
        "types": table_columns.describe_types(encoding, frame.height),
        "columns": table_columns.describe_numbers(encoding, frame),
        "relations": found["relations"]
        | {"equal columns": [group for group in equal if len(group) > 1], "telling columns": telling},
    }


def typed(config: DictConfig) -> list[str]:
    """The words of the command line that choose the data, and the model to describe."""
    own = [] if (folder := job.own_choices()) is None else ["--config-dir", str(folder)]
    words = [word.removeprefix("++") for word in job.typed() if word.lstrip("+~").startswith(WORDS)]
    return [*map(shlex.quote, (*own, *words))]


def question(data: TensorData) -> str:
    """The task in one sentence."""
    shape, count = " x ".join(map(str, data.input_shape)), data.num_outputs
    given = f"from {shape} value{'' if math.prod(data.input_shape) == 1 else 's'}"
    if data.class_names is not None:
        return f"Classification: {given} to one of {len(data.class_names)} classes."
    what = f", {data.target_name}" if data.target_name != TensorData.target_name else ""
    return f"Regression: {given} to {count} number{'' if count == 1 else 's'}{what}."


def describe_shapes(data: TensorData, train: Split) -> list[str]:
    """The first training sample, which is also the first of samples.png, and a batch."""
    inputs, targets = train.inputs[:1], train.targets[:1]
    what = f"{_shape(inputs)} {_dtype(inputs)} from {float(inputs.min()):.4g} to {float(inputs.max()):.4g}"
    label = label_of(data, targets[0])
    count = min(data.batch_size, len(train.inputs))
    batches = len(train.inputs) / data.batch_size
    in_all = math.floor(batches) if data.drop_last else math.ceil(batches)
    ending = "" if train.targets.dim() == 1 else f" x {_shape(targets)}"
    picture = "; its picture is the first of samples.png" * _are_images(data)
    return [
        f"sample: {what}; {'class' if data.class_names else 'target'} {label}{picture}",
        f"batch: {count} x {_shape(inputs)}, targets {count}{ending}; {in_all:,} in a pass over the training split",
    ]


def label_of(data: TensorData, target: Tensor) -> str:
    """A target in words: the number and name of a class, or numbers."""
    names = data.class_names
    if names is None:
        return ", ".join(f"{value:.4g}" for value in target.flatten().tolist())
    number = int(target)
    return f"{number} ({names[number]})" if 0 <= number < len(names) and names[number] != str(number) else str(number)


def first_rows(data: TensorData) -> list[Row]:
    """The first rows of a table as it was loaded, the target last; none of other samples."""
    if data.first is None or len(data.input_shape) != 1 or data.num_tokens is not None:
        return []
    values = {name: each.tolist() for name, each in columns(data, data.first).items()}
    if data.class_names is not None:
        values["class"] = [label_of(data, each) for each in data.first.targets]
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def describe_splits(splits: dict[str, Split], hashes: dict[str, list[int]]) -> list[Row]:
    """Size and types of each split, its duplicates, and its samples that are in the training split too."""
    known = set(hashes["train"])
    rows = []
    for part, (inputs, targets) in splits.items():
        if len(inputs):
            row: Row = {"split": part, "samples": len(inputs)}
            row |= {"inputs": f"{_shape(inputs)} {_dtype(inputs)}", "targets": f"{_shape(targets)} {_dtype(targets)}"}
            row["duplicates"] = len(inputs) - len(set(hashes[part]))
            row["also in train"] = None if part == "train" else sum(each in known for each in hashes[part])
            rows.append(row)
    return rows


def describe_classes(data: TensorData, splits: dict[str, Split]) -> list[Row]:
    """Samples of each class by split, and its share of the training split; empty for a regression."""
    if data.class_names is None:
        return []
    counts = class_counts(data, splits)
    shares = counts["train"] / max(int(counts["train"].sum()), 1)
    return [
        {"class": name}
        | {part: int(values[number]) for part, values in counts.items() if values.sum()}
        | {"share of train": float(shares[number])}
        for number, name in enumerate(data.class_names)
    ]


def class_counts(data: TensorData, splits: dict[str, Split]) -> dict[str, canvas.Array]:
    """Samples of each class (C,) by split; labels outside the classes do not count."""
    classes = range(len(data.class_names or ()))
    return {part: np.array([int((split.targets == each).sum()) for each in classes]) for part, split in splits.items()}


def draw(data: TensorData, splits: dict[str, Split], folder: Path) -> None:
    """Write classes.png, features.png and, for images, samples.png; for a table, correlations.png."""
    inputs, targets = splits["train"]
    figures = {}
    if _are_images(data):
        names = data.class_names
        shown = torch.arange(min(SHOWN, len(inputs))) * len(inputs) // min(SHOWN, len(inputs))  # of all classes
        titles = [names[int(t)] if names and 0 <= t < len(names) else f"{float(t):.3g}" for t in targets[shown]]
        figures["samples"] = dataset.image_grid(inputs[shown].numpy(), titles, "Evenly spaced training samples")
    if data.class_names is not None:
        figures["classes"] = dataset.class_histogram(class_counts(data, splits), data.class_names)
    if isinstance(data, Table):
        found = table_columns.correlations(data.fitted, data.frames["train"])
        if len(found["names"]) > 1:
            figures["correlations"] = dataset.correlation_map(found["names"], found["matrix"])
    if not isinstance(data, Table) or table_columns.numbers(data.fitted, data.frames["train"].head(1)):
        drawn = min(DRAWN, max(1, MAX_VALUES // math.prod(data.input_shape)))
        figures["features"] = draw_features(data, Split(inputs[:drawn], targets[:drawn]), len(inputs))
    for name, figure in figures.items():
        canvas.save(canvas.pixels(figure), folder / f"{name}.png")


def draw_features(data: TensorData, split: Split, samples: int) -> "Figure":
    """Histograms of the columns of `split`, the first of `samples` samples; only so many columns."""
    if isinstance(data, Table):
        every = list(table_columns.numbers(data.fitted, data.frames["train"].head(DRAWN)).items())
    else:
        every = [(name, values.numpy()) for name, values in columns(data, split).items()]
    chosen = every
    if len(every) > MAX_PANELS:
        chosen = every[:MAX_PANELS] if data.class_names is not None else [*every[: MAX_PANELS - 1], every[-1]]
    shown = len(split.inputs)
    heading = "Values of the training split" if samples <= shown else f"Values of the first {shown:,} training samples"
    if len(chosen) < len(every):
        heading += f": {len(chosen)} of {len(every):,} columns"
    return dataset.feature_histograms(dict(chosen), heading)


def _are_images(data: TensorData) -> bool:
    return len(data.input_shape) == 3 and data.input_shape[0] in (1, 3)


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape[1:])) or "1"


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
