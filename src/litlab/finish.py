"""The second half of a run: select the weights, measure them on every split, advise.

It does not matter who trained them: `litlab.verbs.train`, a loaded run, or a stacked sweep.
"""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, WeightAveraging
from omegaconf import DictConfig
from torchmetrics.classification import BinaryStatScores, MulticlassStatScores

from litlab.callbacks.history import History
from litlab.callbacks.last import LastCheckpoint
from litlab.data.tensors import TensorData
from litlab.diagnostics.hints import hints_after
from litlab.runs.checkpoints import UnreadableError, read_checkpoint
from litlab.runs.result import Monitor, Result
from litlab.tasks.base import Task
from litlab.tasks.hooks import has_hook
from litlab.tasks.metrics import metric_name
from litlab.tasks.prediction import evaluating

log = logging.getLogger(__name__)
FEW = 10  # weights of a model small enough to show
VALIDATION = (  # hooks of a task that the Trainer calls
    *("validation_step", "on_validation_start", "on_validation_epoch_start", "on_validation_epoch_end"),
    *("on_validation_end", "on_validation_batch_start", "on_validation_batch_end"),
)
BATCHES = ("val_dataloader", "on_before_batch_transfer", "on_after_batch_transfer", "transfer_batch_to_device")


class Measured(NamedTuple):
    """Metrics of a task's weights on each split, and the classes that it never predicted in validation."""

    metrics: dict[str, float]
    unpredicted: Mapping[str, int]


def finish(config: DictConfig, trainer: Trainer, task: Task, data: TensorData, result: Result) -> Mapping[str, int]:
    """Select the weights that are tested, measure them, and fill in the result; the classes never predicted."""
    # It would swap the tested weights for the last average in every validation.
    trainer.callbacks = [each for each in trainer.callbacks if not isinstance(each, WeightAveraging)]
    result.monitor, result.checkpoint = select(task, trainer)
    result.update(**describe_weights(task))
    measured = measure(trainer, task, data, on_train=config.evaluate_train)
    result.metrics |= measured.metrics
    result.test_split = getattr(data, "test_split", "test")
    return measured.unpredicted


def select(task: Task, trainer: Trainer) -> tuple[Monitor, str | None]:
    """Load the best weights into the task, if a checkpoint monitored them; else it keeps the last ones.

    Returns:
        what selected them, and their checkpoint or None.
    """
    monitor = Monitor(task.monitor, task.mode)
    saved = [each for each in trainer.callbacks if isinstance(each, ModelCheckpoint) and each.best_model_path]
    scored = next((each for each in saved if each.best_model_score is not None), None)
    unscored = [each.best_model_path for each in saved if each.best_model_score is None]
    last = [str(each.path) for each in trainer.callbacks if isinstance(each, LastCheckpoint)]
    kept = next((path for path in (*last, *unscored) if Path(path).is_file()), None)
    if scored is None:
        return monitor, kept
    try:
        best = read_checkpoint(scored.best_model_path)
    except (FileNotFoundError, UnreadableError) as error:
        gone = f"{scored.best_model_path} is gone"
        warn_of_lost_weights(str(error) if isinstance(error, UnreadableError) else gone)
        return monitor, kept
    task.load_state_dict(best["state_dict"])
    score = scored.best_model_score.item()
    return Monitor(str(scored.monitor), scored.mode, score, best["epoch"] + 1), scored.best_model_path


def warn_of_lost_weights(what: str) -> None:
    """Warn in the log and on the terminal that the tested weights are not the best."""
    warning = f"{what}: the last weights are tested instead of the best"
    log.warning(warning)
    print(f"warning: {warning}", file=sys.stderr, flush=True)


def measure(trainer: Trainer, task: Task, data: TensorData, on_train: bool = False) -> Measured:
    """Metrics of the task's present weights in validation and test; with `on_train`, on the training split too.

    Only this reads the test split, once: no advice is based on it.
    """
    metrics: dict[str, float] = {}
    if on_train:
        metrics |= task.evaluate(trainer, "train", dataloaders=data.train_eval_dataloader())
    if data.has_validation:
        metrics |= validate(trainer, task, data)
    unpredicted = unpredicted_classes(task, data)  # from the metrics' state after validation
    return Measured(metrics | test(trainer, task, data), unpredicted)


def validate(trainer: Trainer, task: Task, data: TensorData) -> dict[str, float]:
    """Metrics of the task's present weights on the validation split: val/loss, val/accuracy, ...

    After a fit on the CPU without the Trainer, which takes longer than the validation of a small split.
    """
    precision = trainer.precision_plugin
    plain = not any(has_hook(task, hook, Task) for hook in VALIDATION) and isinstance(data, TensorData)
    plain = plain and not any(has_hook(data, hook, TensorData) for hook in BATCHES)
    whole = repr(trainer.limit_val_batches) == "1.0" and trainer.world_size == 1  # one batch would be 1
    if not (plain and whole and data.trainer is trainer and trainer.strategy.root_device.type == "cpu"):
        return task.evaluate(trainer, datamodule=data)
    with evaluating(task), torch.no_grad():
        task.start_evaluation()
        for number, batch in enumerate(map(precision.convert_input, data.val_dataloader())):
            with precision.forward_context():
                task.validation_step(batch, number)
        return {metric_name("val", name): float(value) for name, value in task.evaluation().items()}


def test(trainer: Trainer, task: Task, data: TensorData) -> dict[str, float]:
    """Metrics of the task's present weights on the test split: test/loss, test/accuracy, ..."""
    trainer.test(task, datamodule=data, verbose=False)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def unpredicted_classes(task: Task, data: TensorData) -> dict[str, int]:
    """Classes that were never predicted in the validation just done, each with its samples there.

    Empty without validation, or where the task's metrics do not tell, or have not seen all of it (several devices).
    """
    validation = getattr(data, "splits", {}).get("val")  # foreign data have none
    recall = dict(task.metrics.items()).get("recall")
    if validation is None or not data.has_validation or not isinstance(recall, BinaryStatScores | MulticlassStatScores):
        return {}
    tp, fp, tn, fn = (getattr(recall, name) for name in ("tp", "fp", "tn", "fn"))
    predicted, labels = tp + fp, tp + fn
    if isinstance(recall, BinaryStatScores):  # these are class 1's
        predicted, labels = torch.stack((tn + fn, predicted)), torch.stack((tn + fp, labels))
    if int(labels.sum()) != len(validation.targets):
        return {}
    counts = zip(data.class_names or (), predicted.flatten().tolist(), labels.flatten().tolist(), strict=False)
    return {name: samples for name, given, samples in counts if samples and not given}


def advise(
    config: DictConfig, trainer: Trainer, task: Task, data: TensorData, result: Result, unpredicted: Mapping[str, int]
) -> list[str]:
    """Hints on the run, by its history and all metrics but the test's; `unpredicted` as `finish` gives it."""
    seen = {name: value for name, value in result.metrics.items() if not name.startswith("test/")}
    return hints_after(config, task, data, History.of(trainer).epochs, seen, result.steps, unpredicted)


def describe_weights(task: Task) -> dict[str, Any]:
    """The tested weights of a small model by name: those of a line or a polynomial are the result.

    With the scale of its standardized targets.
    """
    weights = {name: weight.flatten().tolist() for name, weight in task.model.named_parameters()}
    if sum(map(len, weights.values())) > FEW:
        return {}
    names = ("target_mean", "target_std")
    scale = {name: values.tolist() for name, values in task.named_buffers(recurse=False) if name in names}
    return {"weights": weights} | scale
