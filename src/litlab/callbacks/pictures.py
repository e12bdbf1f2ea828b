"""Plots of a run: the test of the selected weights, and the training curves."""

import logging
import math
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import lightning.pytorch as L
import torch
from lightning.pytorch.loggers import Logger

from litlab import signals
from litlab.callbacks.history import History
from litlab.callbacks.tested import PICTURES, Tested, predict, predict_test
from litlab.config.job import in_sweep, sweep_folder
from litlab.config.values import NonNegativeInt
from litlab.data.tensors import TensorData
from litlab.escape import one_line
from litlab.plots import canvas, training
from litlab.plots.canvas import Array, distinct_names
from litlab.runs.best_so_far import is_best_so_far
from litlab.runs.loggers import log_picture, tensorboards, trackers
from litlab.runs.postponed import postponed
from litlab.tasks.base import Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)


class Pictures(L.Callback):
    """Draws a task's pictures (`Task.pictures`) and the curves after the test, as PNG files and for TensorBoard.

    In a sweep only for a job that is the best so far, and at the sweep's end where that is in this process: drawing
    takes longer than a small training. After a kill the pictures may be missing.
    A failure to draw is a warning; it never ends a run.

    Args:
        folder: where the PNG files go.
        pr_curves: classes with a precision-recall curve in TensorBoard, at most; none in a sweep's jobs.
        wanted: pictures by name, such as mistakes=False; the others are drawn.
    """

    def __init__(self, folder: str | Path, pr_curves: NonNegativeInt = 0, **wanted: bool) -> None:
        self.folder, self.pr_curves = Path(folder), pr_curves
        self._unwanted = {name for name, value in wanted.items() if not value}
        self._before: Array | None = None
        self._loggers: list[Logger] = []

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep the loggers: `litlab.verbs.train` tests without."""
        self._loggers = trainer.loggers

    def state_dict(self) -> dict[str, Any]:
        """The untrained model's predictions, for a run that resumes."""
        return {} if self._before is None else {"before": torch.from_numpy(self._before)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As `state_dict` gave it."""
        if "before" in state_dict:
            self._before = state_dict["before"].numpy()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep the untrained model's predictions, if it maps one number to one."""
        task, data = cast(Task, pl_module), cast(TensorData | None, trainer.datamodule)
        if not _is_wanted(trainer) or data is None or "fit" not in task.pictures or self._before is not None:
            return
        if math.prod(data.input_shape) == data.num_outputs == 1:
            self._before = predict(task, data.splits["test"].inputs, trainer)

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw, save and log; if the sweep runs in this process, at its end."""
        if not (_is_wanted(trainer) and _is_best_so_far(trainer, cast(Task, pl_module))):
            return
        drawings, loggers = self._drawings(trainer, cast(Task, pl_module)), trainer.loggers or self._loggers
        draw = partial(self._draw, drawings, loggers, trainer.global_step)
        if in_sweep() and signals.are_handled() and not trackers(loggers):
            postponed(str(sweep_folder())).put(draw)
        else:
            draw()

    def _draw(self, drawings: Mapping[str, Callable[[], "Figure | None"]], loggers: list[Logger], step: int) -> None:
        for name, draw in drawings.items():
            signals.check()
            try:
                figure = draw()
                if figure is not None:
                    self._keep(name, canvas.pixels(figure), loggers, step)
            except Exception as error:
                warn(f"plots/{name}.png could not be drawn", error)

    def _drawings(self, trainer: L.Trainer, task: Task) -> dict[str, Callable[[], "Figure | None"]]:
        drawings: dict[str, Callable[[], Figure | None]] = {}
        history = next((each for each in trainer.callbacks if isinstance(each, History)), None)
        if history is not None and len(history.epochs) > 1:
            metrics = list(dict.fromkeys(("loss", task.monitor.partition("/")[2])))  # TensorBoard has all
            best = history.best(task.monitor, task.mode)
            drawings["curves"] = partial(training.curves, history.epochs, metrics, best)
        if task.pictures and trainer.datamodule is not None:
            try:
                tested = predict_test(trainer, task, self._before)
                drawings |= {name: partial(PICTURES[name], tested) for name in task.pictures}
                if task.target_kind in ("classification", "binary") and not in_sweep():
                    self._log_pr_curves(tested, trainer)
            except Exception as error:
                warn("no pictures of the test", error)
        return {name: draw for name, draw in drawings.items() if name not in self._unwanted}

    def _keep(self, name: str, image: Array, loggers: list[Logger], step: int) -> None:
        canvas.save(image, self.folder / f"{name}.png")
        log_picture(loggers, self.folder / f"{name}.png", image, step)

    def _log_pr_curves(self, tested: Tested, trainer: L.Trainer) -> None:
        """One against the rest; of two classes only the second's."""
        names = distinct_names(tested.class_names)
        classes = range(len(names))[: self.pr_curves] if len(names) > 2 else range(1, len(names))[: self.pr_curves]
        for board in tensorboards(trainer.loggers or self._loggers):
            for number in classes:
                labels, scores = tested.targets == number, tested.probabilities[:, number]
                board.experiment.add_pr_curve(f"{tested.split}/{names[number]}", labels, scores, trainer.global_step)


def _is_wanted(trainer: L.Trainer) -> bool:
    return trainer.is_global_zero and not trainer.fast_dev_run


def _is_best_so_far(trainer: L.Trainer, task: Task) -> bool:
    """Whether no earlier job of the sweep was as good in validation; true outside of sweeps."""
    if not in_sweep():
        return True
    history = History.of(trainer)
    best = history.best(task.monitor, task.mode)
    metrics = {} if best is None else history.epochs[best - 1]
    value, loss = metrics.get(task.monitor), metrics.get("val/loss")
    return is_best_so_far(sweep_folder(), task.monitor, task.mode, value, loss)


def warn(problem: str, error: Exception) -> None:
    """Log the traceback, and print one line on the terminal."""
    log.warning("%s: %s", problem, error, exc_info=True)
    print(f"warning: {problem}: {one_line(error)} (train.log has the traceback)", file=sys.stderr, flush=True)
