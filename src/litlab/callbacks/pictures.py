"""Pictures of a run: what the tested weights do, and how training went."""

import logging
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import lightning.pytorch as L
import numpy as np
import torch
from lightning.pytorch.loggers import Logger, TensorBoardLogger

from litlab import signals
from litlab.callbacks.history import History
from litlab.data.tensors import TensorData
from litlab.escape import one_line
from litlab.plots import canvas, classification, dataset, regression, training
from litlab.plots.canvas import Array
from litlab.tasks.base import Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)
MISTAKES = 18
MAX_NAME = canvas.MAX_NAME - len(" (100.0%)")  # of a class, in a line above an image


class Tested(NamedTuple):
    """A test split, and what a task said of it (`Task.predictions`)."""

    data: TensorData
    inputs: Array
    targets: Array
    predictions: Array
    before: Array | None  # the untrained model's predictions, where one column goes in

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the labels 0, 1, ..."""
        return self.data.class_names or tuple(map(str, range(self.probabilities.shape[1])))

    @property
    def split(self) -> str:
        """What was tested, in words."""
        return "training" if self.data.tests_on_train else "test"

    @property
    def probabilities(self) -> Array:
        """Of all classes, shape (N, C)."""
        given = self.predictions
        return given if given.ndim == 2 else np.stack((1 - given, given), axis=1)


def draw_confusion_matrix(tested: Tested) -> "Figure":
    """Actual against predicted classes."""
    return classification.confusion_matrix(
        tested.targets, tested.probabilities.argmax(1), tested.class_names, tested.split
    )


def draw_mistakes(tested: Tested) -> "Figure | None":
    """The images that the model is wrong about and most sure of; for tables, nothing."""
    chosen = confident_mistakes(tested.probabilities, tested.targets)[:MISTAKES]
    if not (len(chosen) and tested.inputs.ndim == 4 and tested.inputs.shape[1] in (1, 3)):
        return None
    predicted, names = tested.probabilities.argmax(1), canvas.distinct_names(tested.class_names, MAX_NAME)
    titles = [
        f"{names[predicted[i]]} ({tested.probabilities[i].max():.1%})\nis {names[tested.targets[i]]}" for i in chosen
    ]
    return dataset.image_grid(
        tested.inputs[chosen], titles, "The most confident mistakes: what the model says, and what it is"
    )


def draw_predicted_vs_actual(tested: Tested) -> "Figure":
    """Predictions against the truth; of several numbers per sample, all together."""
    return regression.predicted_vs_actual(
        tested.targets.ravel(), tested.predictions.ravel(), tested.data.target_name, tested.split
    )


def draw_residuals(tested: Tested) -> "Figure":
    """What predictions miss; of several numbers per sample, all together."""
    return regression.residuals(
        tested.targets.ravel(), tested.predictions.ravel(), tested.data.target_name, tested.split
    )


def draw_fit(tested: Tested) -> "Figure | None":
    """The curve before and after training; nothing where more than one column goes in."""
    if tested.before is None:
        return None
    inputs, targets, before, after = (
        values.ravel() for values in (tested.inputs, tested.targets, tested.before, tested.predictions)
    )
    names = tested.data.feature_names or ("input",)
    name = f"{names[0]} (normalized)" if tested.data.normalize else names[0]
    return regression.fit(inputs, targets, before, after, name=name, unit=tested.data.target_name, split=tested.split)


# What a task may name in its `pictures`.
PICTURES: dict[str, Callable[[Tested], "Figure | None"]] = {
    "confusion_matrix": draw_confusion_matrix,
    "mistakes": draw_mistakes,
    "predicted_vs_actual": draw_predicted_vs_actual,
    "residuals": draw_residuals,
    "fit": draw_fit,
}


def confident_mistakes(probabilities: Array, targets: Array) -> Array:
    """Indices of the wrongly predicted samples, the surest first; probabilities (N, C), labels (N,)."""
    wrong = np.flatnonzero(probabilities.argmax(1) != targets)
    return wrong[np.argsort(-probabilities[wrong].max(1), kind="stable")]


class Pictures(L.Callback):
    """After the test, draws what the task has (`Task.pictures`) and the curves: as PNG files and to TensorBoard.

    A picture that cannot be drawn is a warning, never the end of a run.

    Args:
        folder: where the PNG files go.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._before: Array | None = None
        self._loggers: list[Logger] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Remember what the untrained model says, where one column goes in: its curve can be drawn."""
        self._loggers = trainer.loggers
        task, data = cast(Task, pl_module), cast(TensorData | None, trainer.datamodule)
        if not self._wanted(trainer) or data is None or "fit" not in task.pictures:
            return
        if math.prod(data.input_shape) == data.num_outputs == 1:
            self._before = predict(task, data.splits["test"].inputs, trainer)

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw, save and log."""
        if not self._wanted(trainer):
            return
        for name, draw in self._drawings(trainer, cast(Task, pl_module)).items():
            signals.check()
            try:
                figure = draw()
                if figure is not None:
                    self._keep(name, canvas.pixels(figure), trainer)
            except Exception as error:
                warn(f"plots/{name}.png could not be drawn", error)

    def _wanted(self, trainer: L.Trainer) -> bool:
        return trainer.is_global_zero and not trainer.fast_dev_run

    def _drawings(self, trainer: L.Trainer, task: Task) -> dict[str, Callable[[], "Figure | None"]]:
        drawings: dict[str, Callable[[], Figure | None]] = {}
        history = next((each for each in trainer.callbacks if isinstance(each, History)), None)
        if history is not None and len(history.epochs) > 1:
            metrics = list(dict.fromkeys(("loss", task.monitor.partition("/")[2])))  # TensorBoard has all
            drawings["curves"] = lambda: training.curves(history.epochs, metrics, history.best(task.monitor, task.mode))
        if task.pictures and trainer.datamodule is not None:
            try:
                tested = self._test(trainer, task)
            except Exception as error:
                warn("no pictures of the test", error)
            else:
                drawings |= {name: lambda name=name: PICTURES[name](tested) for name in task.pictures}  # type: ignore[misc]
        return drawings

    def _test(self, trainer: L.Trainer, task: Task) -> Tested:
        """Run the model once more over what was tested: the whole of it also where devices share it."""
        data: TensorData = trainer.datamodule
        split = data.splits["test"]
        limit = int(trainer.num_test_batches[0] * data.eval_batch_size)  # limit_test_batches
        inputs, targets = (tensor[:limit] for tensor in split)
        before = None if self._before is None else self._before[:limit]
        return Tested(data, inputs.cpu().numpy(), targets.cpu().numpy(), predict(task, inputs, trainer), before)

    def _keep(self, name: str, image: Array, trainer: L.Trainer) -> None:
        canvas.save(image, self.folder / f"{name}.png")
        for logger in trainer.loggers or self._loggers:  # `litlab.train` tests without loggers
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image(f"plots/{name}", image, trainer.global_step, dataformats="HWC")
                logger.experiment.flush()


def warn(what: str, error: Exception) -> None:
    """In the log with the traceback, and in one line on the terminal: what is missing is seldom looked for in a log."""
    log.warning("%s: %s", what, error, exc_info=True)
    print(f"warning: {what}: {one_line(error)} (train.log has the traceback)", file=sys.stderr, flush=True)


def predict(task: Task, inputs: torch.Tensor, trainer: L.Trainer) -> Array:
    """The task's predictions for inputs (N, ...), in batches."""
    with evaluating(task), torch.inference_mode(), trainer.precision_plugin.forward_context():
        batches = inputs.to(task.device).split(trainer.datamodule.eval_batch_size)
        return torch.cat([task.predictions(task(batch)).float().cpu() for batch in batches]).numpy()


@contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[None]:
    """No dropout, fixed batch norm; afterwards each part as it was."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
