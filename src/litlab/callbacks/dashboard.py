"""What the loggers show of a run besides its metrics: how the network looks, learns and moves, and on which data."""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as L
import torch
import yaml
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.trainer.states import TrainerFn

from litlab.callbacks.history import History
from litlab.callbacks.train_evaluation import TrainEvaluation
from litlab.config.job import in_sweep
from litlab.config.values import NonNegativeInt
from litlab.data.tensors import TensorData
from litlab.escape import printable
from litlab.plots import canvas, dataset
from litlab.runs.loggers import log_picture, tensorboards
from litlab.tasks.base import Task
from litlab.tasks.prediction import evaluating

log = logging.getLogger(__name__)
SAMPLES = 12  # in the picture


class Dashboard(L.Callback):
    """Logs what a run's page shows without any setting; the jobs of a sweep log only speed and gradients' norm.

    It draws no random numbers and changes no weights. A part that fails is a line in train.log.

    Args:
        folder: where the picture of the samples goes.
        charts: TensorBoard's custom scalars: training and validation of each metric in one chart.
        graph: of the model, traced once with one sample.
        samples: a picture of the first training samples, if they are images.
        settings: as text, in TensorBoard; other loggers have them anyway.
        histograms: of the weights before training and after epochs 1, 2, 4, 8, ...
        gradient_norm: at each logged step, over all weights, before clipping.
        speed: training samples per second of each epoch.
        train_metrics: training samples on which the metrics are computed at each validation; 0: not at all.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        charts: bool = True,
        graph: bool = True,
        samples: bool = True,
        settings: bool = True,
        histograms: bool = True,
        gradient_norm: bool = True,
        speed: bool = True,
        train_metrics: NonNegativeInt = 1000,
    ) -> None:
        self.folder = Path(folder)
        self.charts, self.graph, self.samples, self.settings = charts, graph, samples, settings
        self.histograms, self.gradient_norm, self.speed, self.train_metrics = (
            histograms, gradient_norm, speed, train_metrics
        )  # fmt: skip
        self._samples = 0  # at the end of the last epoch

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log what is known before training, if this is the run's beginning."""
        task = cast(Task, pl_module)
        task.watches_gradients = self.gradient_norm and bool(trainer.loggers)
        self._samples = task.losses.samples
        if trainer.global_step or in_sweep() or not trainer.is_global_zero:
            return
        if self.samples and trainer.loggers:
            self._try("samples", self._log_samples, trainer)
        for board in tensorboards(trainer.loggers):
            if self.settings:
                self._try("settings", log_settings, board, task)
            if self.charts:
                self._try("charts", log_charts, board, task)
            if self.graph:
                self._try("graph", log_graph, board, task, trainer)
        self._log_weights(trainer, task)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the epoch's speed, and the weights after epochs 1, 2, 4, 8, ..."""
        self._log_speed(trainer, cast(Task, pl_module))
        done = trainer.current_epoch + 1
        if done & (done - 1) == 0:
            self._log_weights(trainer, cast(Task, pl_module))

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Measure some of the training samples with the weights that are validated next."""
        whole = isinstance(trainer.limit_train_batches, float) and trainer.limit_train_batches == 1
        fitting = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
        measured = any(isinstance(each, TrainEvaluation) for each in trainer.callbacks)  # on the whole split
        fitting = fitting and bool(trainer.loggers) and not (measured or in_sweep())
        if self.train_metrics and whole and fitting and trainer.world_size == 1:
            self._try("train_metrics", self._log_train_metrics, trainer, pl_module)

    def _log_train_metrics(self, trainer: L.Trainer, task: Task) -> None:
        """With the task's own metrics, which the validation resets."""
        data = cast(TensorData, trainer.datamodule)
        inputs, targets = data.splits["train"]
        chosen = torch.linspace(0, len(inputs) - 1, min(self.train_metrics, len(inputs))).long()
        task.start_evaluation()
        with evaluating(task), trainer.precision_plugin.forward_context():
            for part in chosen.split(data.eval_batch_size):
                batch = inputs[part].to(task.device), targets[part].to(task.device)
                task.update_metrics(task.model(batch[0]), batch[1])
        values = {f"train/{name}": float(value) for name, value in task.metrics.compute().items()}
        for logger in trainer.loggers:
            logger.log_metrics(values, step=trainer.global_step)

    def _log_speed(self, trainer: L.Trainer, task: Task) -> None:
        if self.speed and (seconds := History.of(trainer).elapsed):
            value = (task.losses.samples - self._samples) / seconds
            for logger in trainer.loggers:
                logger.log_metrics({"train/samples_per_second": value}, step=trainer.global_step)
        self._samples = task.losses.samples

    def _log_samples(self, trainer: L.Trainer) -> None:
        data = cast(TensorData, trainer.datamodule)
        inputs, targets = (tensor[:SAMPLES].cpu().numpy() for tensor in data.splits["train"])
        if inputs.ndim != 4 or inputs.shape[1] not in (1, 3):
            return
        names = data.class_names and canvas.distinct_names(data.class_names)
        titles = [names[int(target)] if names else f"{target.item():.3g}" for target in targets]
        image = canvas.pixels(dataset.image_grid(inputs, titles, "The first training samples"))
        canvas.save(image, self.folder / "samples.png")
        log_picture(trainer.loggers, self.folder / "samples.png", image, trainer.global_step)

    def _log_weights(self, trainer: L.Trainer, task: Task) -> None:
        if not self.histograms or in_sweep():
            return
        for board in tensorboards(trainer.loggers):
            self._try("histograms", log_weights, board, task, trainer.global_step)

    def _try(self, part: str, act: Callable[..., None], *args: Any) -> None:
        try:
            act(*args)
        except Exception as error:
            log.info("callbacks.dashboard.%s: left out: %s", part, error, exc_info=True)


def log_charts(board: TensorBoardLogger, task: Task) -> None:
    """Custom scalars: a chart for each metric, then what else there is over the steps."""
    names = dict.fromkeys(["loss", task.monitor.partition("/")[2], *task.metrics.keys()])  # the monitored one first
    metrics = {name: ["Multiline", [f"^train/{name}$", f"^val/{name}$"]] for name in names}
    others = {
        "learning rate": ["Multiline", ["^lr$"]],
        "gradient norm": ["Multiline", ["^train/gradient_norm$"]],
        "loss, mean since the last logged step": ["Multiline", ["^train/loss_step$"]],
        "samples per second": ["Multiline", ["^train/samples_per_second$"]],
    }
    board.experiment.add_custom_scalars({"Training and validation": metrics, "Training": others})


def log_graph(board: TensorBoardLogger, task: Task, trainer: L.Trainer) -> None:
    """The model's graph, of one training sample; what the tracer prints and warns of is not the user's concern."""
    inputs = cast(TensorData, trainer.datamodule).splits["train"].inputs[:1].to(task.device)
    devices = [task.device] if task.device.type == "cuda" else []
    with contextlib.ExitStack() as stack:
        stack.enter_context(evaluating(task))
        stack.enter_context(torch.random.fork_rng(devices))
        stack.enter_context(torch.no_grad())
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        board.experiment.add_graph(task.model, inputs)


def log_settings(board: TensorBoardLogger, task: Task) -> None:
    """All settings as YAML, in an indented block of Markdown: no text in them can end it."""
    text = yaml.safe_dump(dict(task.hparams), sort_keys=False, allow_unicode=True, width=100)
    board.experiment.add_text("settings", "\n".join(f"    {printable(line)}" for line in text.split("\n")))


def log_weights(board: TensorBoardLogger, task: Task, step: int) -> None:
    """A histogram of each of the model's weights."""
    for name, weight in task.model.named_parameters():
        board.experiment.add_histogram(f"weights/{name}", weight.detach(), step, bins=64)
