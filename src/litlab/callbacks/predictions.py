"""The predictions of a test as a CSV file, a row per sample."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as L
import numpy as np

from litlab import escape
from litlab.callbacks.tested import Tested, predict_test
from litlab.tasks.base import Task


class PredictionsFile(L.Callback):
    """Writes the predictions of a test as CSV, a row per sample.

    Classes: index, label, predicted, probability (of the predicted class), and the probability of each class.
    Numbers, in the target's own unit: index and, for each output, the target, predicted and residual (their
    difference, predicted minus actual). Names that a spreadsheet or a terminal would obey are disarmed.

    Args:
        file: to write.
        class_names: of the model's classes.
    """

    def __init__(self, file: Path, class_names: Sequence[str] | None) -> None:
        self.file, self.class_names = file, class_names

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Predict and write."""
        tested = predict_test(trainer, cast(Task, pl_module))
        with self.file.open("w", newline="", encoding="utf-8") as opened:
            rows = csv.writer(opened)
            rows.writerows(number_rows(tested) if self.class_names is None else class_rows(tested, self.class_names))


def class_rows(tested: Tested, predictable: Sequence[str]) -> Iterator[list[Any]]:
    """The header and the rows for classes; `predictable` are the names that the model knows."""
    labels, names = [escape.csv(each) for each in tested.class_names], [escape.csv(each) for each in predictable]
    yield ["index", "label", "predicted", "probability", *(f"probability of {name}" for name in names)]
    chosen = tested.probabilities.argmax(1)
    for index, (target, best, row) in enumerate(
        zip(tested.targets, chosen, tested.probabilities.tolist(), strict=True)
    ):
        yield [index, labels[int(target)], names[best], *(f"{value:.9g}" for value in (row[best], *row))]


def number_rows(tested: Tested) -> Iterator[list[Any]]:
    """The header and the rows for numbers."""
    count = len(tested.targets)
    targets, predicted = (each.reshape(count, -1) for each in (tested.targets, tested.predictions))
    unit, outputs = tested.data.target_name, targets.shape[1]
    names = [escape.csv(unit if outputs == 1 else f"{unit} {number}") for number in range(1, outputs + 1)]
    yield ["index", *(text for name in names for text in (name, f"predicted {name}", f"residual {name}"))]
    values = np.stack((targets, predicted, predicted - targets), axis=2).reshape(count, -1)
    for index, row in enumerate(values.tolist()):
        yield [index, *(f"{value:.9g}" for value in row)]
