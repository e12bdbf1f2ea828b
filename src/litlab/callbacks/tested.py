"""What a task predicts for the test split, and the pictures of it."""

import copy
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, cast

import lightning.pytorch as L
import numpy as np
import torch

from litlab.data.tensors import TensorData
from litlab.plots import canvas, classification, dataset, regression
from litlab.plots.canvas import Array, distinct_names
from litlab.tasks import prediction
from litlab.tasks.base import Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MISTAKES = 18
MAX_NAME = canvas.MAX_NAME - len(" (100.0%)")  # of a class, in a line above an image


class Tested(NamedTuple):
    """A test split, and a task's predictions for it (`Task.predictions`)."""

    data: TensorData
    inputs: torch.Tensor  # or `StoredInputs`
    targets: Array
    predictions: Array
    before: Array | None  # the untrained model's predictions, where the input is one number

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the labels 0, 1, ..."""
        return self.data.class_names or tuple(map(str, range(self.probabilities.shape[1])))

    @property
    def split(self) -> str:
        """The name of the tested split."""
        return {"train": "training", "val": "validation"}.get(self.data.test_split, "test")

    @property
    def probabilities(self) -> Array:
        """Probabilities (N, C) of all classes."""
        given = self.predictions
        return given if given.ndim == 2 else np.stack((1 - given, given), axis=1)

    @property
    def numbers(self) -> tuple[Array, Array, str, str]:
        """Arguments of a regression plot: flattened targets and predictions, their unit, and the split."""
        return self.targets.ravel(), self.predictions.ravel(), self.data.target_name, self.split


def draw_confusion_matrix(tested: Tested) -> "Figure":
    """Actual against predicted classes."""
    predicted = tested.probabilities.argmax(1)
    return classification.confusion_matrix(tested.targets, predicted, tested.class_names, tested.split)


def draw_mistakes(tested: Tested) -> "Figure | None":
    """The most confident mistakes among images; nothing for other inputs."""
    chosen = confident_mistakes(tested.probabilities, tested.targets)[:MISTAKES]
    if not (len(chosen) and tested.inputs.ndim == 4 and tested.inputs.shape[1] in (1, 3)):
        return None
    predicted, names = tested.probabilities.argmax(1), distinct_names(tested.class_names, MAX_NAME)
    titles = [
        f"{names[predicted[i]]} ({tested.probabilities[i].max():.1%})\nis {names[tested.targets[i]]}" for i in chosen
    ]
    shown = np.asarray(tested.inputs[chosen])
    return dataset.image_grid(shown, titles, "The most confident mistakes: prediction and actual class")


def draw_fit(tested: Tested) -> "Figure | None":
    """The curve before and after training; nothing unless the input is one number."""
    if math.prod(tested.data.input_shape) != 1 or tested.data.num_outputs != 1:
        return None
    targets, after, unit, split = tested.numbers
    before = None if tested.before is None else tested.before.ravel()
    name = (tested.data.feature_names or ("input",))[0] + " (normalized)" * tested.data.normalize
    inputs = np.asarray(tested.inputs[:]).ravel()
    return regression.fit(inputs, targets, before, after, name=name, unit=unit, split=split)


# The names for a task's `pictures`.
PICTURES: dict[str, Callable[[Tested], "Figure | None"]] = {
    "confusion_matrix": draw_confusion_matrix,
    "mistakes": draw_mistakes,
    "predicted_vs_actual": lambda tested: regression.predicted_vs_actual(*tested.numbers),
    "residuals": lambda tested: regression.residuals(*tested.numbers),
    "fit": draw_fit,
}


def confident_mistakes(probabilities: Array, targets: Array) -> Array:
    """Indices of the wrong predictions, the most confident first; probabilities (N, C), labels (N,)."""
    wrong = np.flatnonzero(probabilities.argmax(1) != targets)
    return wrong[np.argsort(-probabilities[wrong].max(1), kind="stable")]


def predict_test(trainer: L.Trainer, task: Task, before: Array | None = None) -> Tested:
    """Predict the whole test split again: each device has tested only its part."""
    data = cast(TensorData, trainer.datamodule)
    limit = int(trainer.num_test_batches[0] * data.eval_batch_size)  # limit_test_batches
    inputs, targets = data.splits["test"]
    if limit < len(inputs):
        inputs, targets = data.splits["test"].take(torch.arange(limit, device=targets.device))
    before = None if before is None else before[:limit]
    predicted, data = predict(task, inputs, trainer), copy.copy(data)
    data.trainer = None  # pictures may be drawn after other jobs, which need its memory
    return Tested(data, inputs.cpu(), targets.cpu().numpy(), predicted, before)


def predict(task: Task, inputs: torch.Tensor, trainer: L.Trainer) -> Array:
    """The task's predictions for inputs (N, ...), in batches, at the precision of the training."""
    with trainer.precision_plugin.forward_context():
        return prediction.predict(task, inputs, trainer.datamodule.eval_batch_size).numpy()
