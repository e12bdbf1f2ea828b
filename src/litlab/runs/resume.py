"""Whether a run can resume from a checkpoint: the same model and settings, and epochs left."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as L
from lightning.pytorch.callbacks import EarlyStopping
from omegaconf import DictConfig

from litlab.config.changes import check_changes, is_longer
from litlab.config.job import in_sweep
from litlab.errors import RequestError
from litlab.runs.checkpoints import UnreadableError, read_checkpoint
from litlab.runs.logs import KEY as MARKS
from litlab.tasks.base import Task
from litlab.tasks.position import KEY

log = logging.getLogger(__name__)


class Resumed(NamedTuple):
    """What a run goes on from.

    Attributes:
        checkpoint: the file, or None: from the beginning.
        changes: the settings that differ from the checkpoint's, and those that may.
        is_over: whether the training is over, and only the test is left.
        logs: how far the loggers' files were: see `litlab.runs.logs`.
    """

    checkpoint: Path | None = None
    changes: frozenset[str] = frozenset()
    is_over: bool = False
    logs: Mapping[str, int] = {}


def resumed(config: DictConfig, task: Task, trainer: L.Trainer) -> Resumed:
    """What the run goes on from: last.ckpt of the directory that `resume` names, if there is one.

    A job of a resumed sweep starts fresh where the checkpoint of its earlier attempt does not fit.

    Raises:
        RequestError: it cannot: see `check_resume`.
    """
    if not config.resume:
        return Resumed()
    path = Path(config.resume, "checkpoints", "last.ckpt")
    if not path.exists():
        log.info("there is no %s: the run starts from the beginning", path)
        return Resumed()
    try:
        return check_resume(path, config, task, trainer)
    except RequestError as error:
        if not in_sweep():
            raise
        log.warning("this job starts fresh: %s", error)
        return Resumed()


def check_resume(path: Path, config: DictConfig, task: Task, trainer: L.Trainer) -> Resumed:
    """Check that a run can resume from a checkpoint, before anything is loaded or overwritten.

    Raises:
        RequestError: it is damaged or no checkpoint of litlab, of another model, of other settings than
            `resume_changes` allows, of a run that has stopped early, or of one that was longer than this one.
    """
    asked = f"resume={config.resume}"
    try:
        checkpoint = read_checkpoint(path)
    except UnreadableError as error:
        raise RequestError(f"{asked}: {error}") from error
    except OSError as error:
        raise RequestError(f"{asked}: {path} cannot be read ({error.strerror})") from error
    if not {"state_dict", "hyper_parameters", KEY, "optimizer_states"} <= checkpoint.keys():
        raise RequestError(f"{asked}: {path} is not a checkpoint of litlab")
    shapes = {name: weight.shape for name, weight in checkpoint["state_dict"].items()}
    if shapes != {name: weight.shape for name, weight in task.state_dict().items()}:
        raise RequestError(f"{asked}: {path} has weights of another model; choose the model that it was trained with")
    before, now = checkpoint["hyper_parameters"], dict(task.hparams)
    changes = check_changes(config, before, now, asked)
    at = checkpoint[KEY]
    done = at["epoch"] + (at["batches"] > 0)
    if trainer.max_epochs not in (None, -1) and done > trainer.max_epochs:
        raise RequestError(f"trainer.max_epochs={trainer.max_epochs}: {config.resume} has done {done}; set more")
    goes_on = not at.get("over") or is_longer(before, now)
    if goes_on and at.get("over") and (callback := _stopper(trainer, checkpoint)):
        raise RequestError(
            f"{asked}: has stopped early, after epoch {done}, as {callback.monitor} no longer improved; to train on, "
            "set a larger callbacks.early_stopping.patience and resume_changes=[callbacks.early_stopping.patience]"
        )
    return Resumed(path, changes, not goes_on, checkpoint.get(MARKS, {}))


def _stopper(trainer: L.Trainer, checkpoint: Mapping[str, Any]) -> EarlyStopping | None:
    """The callback that has ended the training, unless it has more patience now."""
    for callback in trainer.callbacks:
        state = checkpoint.get("callbacks", {}).get(callback.state_key)
        if isinstance(callback, EarlyStopping) and state and state["stopped_epoch"]:
            eased = state["patience"] < callback.patience and state["wait_count"] < callback.patience
            return None if eased else callback
    return None
