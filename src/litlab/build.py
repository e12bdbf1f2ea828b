"""From a config to the objects it names: data, task, trainer."""

import functools
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as L
import torch
from hydra.errors import InstantiationException
from lightning.pytorch.callbacks import ModelCheckpoint, ProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy
from omegaconf import DictConfig, OmegaConf
from torch import nn

from litlab.callbacks.calls import BATCH_HOOKS, counts_batches, refuse_automatic_only
from litlab.callbacks.history import History
from litlab.callbacks.last import LastCheckpoint
from litlab.callbacks.train_evaluation import TrainEvaluation
from litlab.compat import instantiation, lightning
from litlab.config.hydra_errors import blame_setting, build_error
from litlab.config.job import in_sweep, sweep_folder
from litlab.config.trust import trusted, verify
from litlab.data.samples import Declaration, model_arguments
from litlab.data.shared import shared_copy
from litlab.data.tensors import TensorData
from litlab.distributed import hardware
from litlab.distributed.devices import refuse_missing_devices, refuse_what_cannot_be_shared
from litlab.distributed.ranks import process_info
from litlab.errors import RequestError
from litlab.models.category_embedding import CategoryEmbedding, embedded_width
from litlab.runs import loggers
from litlab.runs.checkpoints import AtomicCheckpointIO
from litlab.tasks.augmentation import ExceptColumns
from litlab.tasks.base import Task
from litlab.tasks.compatibility import check_model, check_monitored, check_targets
from litlab.tasks.hooks import STEP_HOOKS, has_hook
from litlab.tasks.schedule import Schedule

log = logging.getLogger(__name__)

# Settings that the Trainer leaves to the module, and refuses, under manual optimization.
MODULE_SETTINGS = {"accumulate_grad_batches": 1, "gradient_clip_val": None, "gradient_clip_algorithm": None}
# Settings that count batches or steps, and their defaults: see `steps_per_execution`.
COUNTED = {
    **{"limit_train_batches": 1.0, "overfit_batches": 0.0, "val_check_interval": 1.0, "fast_dev_run": False},
    "min_steps": None,
}


def instantiate(group: str, config: Any, trust: Sequence[str] = (), **kwargs: Any) -> Any:
    """hydra.utils.instantiate for trusted classes, with one-line errors.

    Args:
        group: of the config, for errors.
        config: its node.
        trust: packages that the user trusts, besides the known ones.
        kwargs: as for hydra.utils.instantiate.

    Raises:
        RequestError: the class is not trusted, or cannot be built with these settings.
    """
    try:
        node = instantiation.plain(config)
        verify(group, node, trust)
        return instantiation.instantiate(node, **kwargs)
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, RequestError):
            raise cause from None
        raise RequestError(blame_setting(group, config, build_error(cause or error))) from error


def build_data(config: DictConfig) -> TensorData:
    """The data of a config, not loaded yet; jobs of a sweep in one process load them once, see `SharedCopy`."""
    data: TensorData = instantiate("data", config.data, trusted(config))
    if in_sweep() and isinstance(data, TensorData):  # foreign data modules do not share
        settings: Any = OmegaConf.to_container(config.data, resolve=True)
        data.shared = functools.partial(shared_copy(sweep_folder()).get, settings)
    return data


def build_task(config: DictConfig, data: TensorData) -> Task:
    """Model, optimizer, scheduler and task of a config, for these data.

    Raises:
        RequestError: something cannot be built with these settings, or targets or monitor do not fit.
    """
    check_model(config, data)
    task = instantiate_task(config, data)
    check_targets(task, data)
    check_monitored(config, task, data.has_validation)
    return task


def instantiate_task(config: DictConfig, data: Declaration) -> Task:
    """`build_task` without its checks: also for a saved run, which has a `DataSpec` instead of a data set.

    Raises:
        RequestError: something cannot be built with these settings.
    """
    trust = trusted(config)
    model = build_model(config, data)
    return instantiate(
        "task",
        config.task,
        trust,
        model=model,
        optimizer=instantiate("optimizer", config.optimizer, trust),
        schedule=build_schedule(config.scheduler, trust),
        augmentation=build_augmentation(config, data),
        num_outputs=data.num_outputs,
        **{name: config.trainer.get(name, idle) for name, idle in MODULE_SETTINGS.items()},
    )


def build_model(config: DictConfig, data: Declaration) -> nn.Module:
    """The model of a config; with embeddings before it for a table's columns of many categories.

    Raises:
        RequestError: it cannot be built with these settings.
    """
    given = model_arguments(data)
    if embeddings := embedded(data):
        given["input_shape"] = (embedded_width(data.input_shape[0], embeddings),)
    model: nn.Module = instantiate("model", config.model, trusted(config), **given)
    return CategoryEmbedding(model, embeddings) if embeddings else model


def embedded(data: Declaration) -> tuple[tuple[int, int], ...]:
    """The inputs that are indices of embeddings, as `TableEncoding.embeddings`."""
    table = getattr(data, "table", None)  # foreign data modules lack it
    return () if table is None else table.embeddings


def build_augmentation(config: DictConfig, data: Declaration) -> Any:
    """The augmentation of a config, which leaves indices alone; None for augmentation=none.

    Raises:
        RequestError: it cannot be built with these settings.
    """
    augmentation = instantiate("augmentation", config.augmentation, trusted(config))
    indices = [position for position, _ in embedded(data)]
    return ExceptColumns(augmentation, indices) if augmentation and indices else augmentation or None


def build_schedule(config: DictConfig, trust: Sequence[str] = ()) -> Schedule | None:
    """The schedule of a config's scheduler group; None for scheduler=none."""
    settings = dict(config)
    if not settings:
        return None
    rhythm = {name: settings.pop(name) for name in ("interval", "frequency", "monitor") if name in settings}
    return Schedule(instantiate("scheduler", settings, trust), **rhythm)


def build_trainer(config: DictConfig, data: TensorData) -> L.Trainer:
    """The trainer of a config, with its loggers and callbacks.

    Raises:
        RequestError: there is no such device, several devices cannot share this, or a monitor needs a missing
            validation.
    """
    settings: dict[str, Any] = OmegaConf.to_container(config.trainer, resolve=True)  # type: ignore[assignment]
    if (info := process_info()) and settings.get("devices") == "auto":
        settings |= {"devices": info.local_world_size, "num_nodes": info.world_size // info.local_world_size}
    refuse_missing_devices(settings)
    settings["devices"] = hardware.device(settings, torch.cuda.device_count())
    settings.update({name: idle for name, idle in MODULE_SETTINGS.items() if name in settings})
    trust = trusted(config)
    callbacks = build_callbacks(config.callbacks, data, trust)
    if config.evaluate_train == "epoch":
        callbacks.insert(0, TrainEvaluation())
    callbacks.sort(key=lambda each: not isinstance(each, LastCheckpoint))  # it comes first
    if not settings.get("enable_progress_bar"):
        callbacks = [each for each in callbacks if not isinstance(each, ProgressBar)]
    files = AtomicCheckpointIO()
    settings |= {  # or Lightning would add its own bar and checkpoint
        "enable_progress_bar": any(isinstance(each, ProgressBar) for each in callbacks),
        "enable_checkpointing": any(isinstance(each, ModelCheckpoint) for each in callbacks),
    }
    with lightning.entry_points_once():
        trainer: L.Trainer = instantiate(
            "trainer",
            settings,
            trust,
            logger=[build_logger(name, logger, trust) for name, logger in config.logger.items()],
            callbacks=[History(), *callbacks],
            plugins=[files],
            default_root_dir=config.paths.run_dir,
        )
    lightning.leave_signals_alone(trainer)
    files.callbacks = trainer.callbacks
    refuse_what_cannot_be_shared(trainer, data)
    if isinstance(trainer.strategy, DDPStrategy):
        lightning.start_no_processes(trainer)
    return trainer


def build_logger(name: str, config: DictConfig, trust: Sequence[str] = ()) -> Logger:
    """A logger of a config.

    Raises:
        RequestError: it cannot be built with these settings, or its extra is not installed.
    """
    loggers.prepare(name, str(config.get("_target_")))
    return instantiate(f"logger.{name}", config, trust)


def steps_per_execution(config: DictConfig, trainer: L.Trainer, task: Task) -> int:
    """task.steps_per_execution, or 1 where more would change the run's behaviour.

    The Trainer counts calls of `training_step`, and calls callbacks' hooks once per call. So where something counts
    batches or must see every step, one call is one step. Several devices average the gradients once per call.
    """
    # By repr, for 1 == 1.0, but limit_train_batches=1 is one batch and 1.0 all of them.
    settings = {name: config.trainer.get(name, idle) for name, idle in COUNTED.items()}
    counted = [f"trainer.{name}" for name, value in settings.items() if repr(value) != repr(COUNTED[name])]
    callbacks = [type(each).__name__ for each in trainer.callbacks if counts_batches(each)]
    own = ("configure_callbacks", *BATCH_HOOKS, *STEP_HOOKS)  # of a user's task
    hooks = [f"{type(task).__name__}.{hook}" for hook in own if has_hook(task, hook, Task)]
    reasons = [*counted, *callbacks, *hooks, *(["trainer.devices"] if trainer.world_size > 1 else [])]
    if reasons and task.steps_per_execution > 1:
        log.info("one optimizer step per call, not task.steps_per_execution, because of %s", ", ".join(reasons))
        return 1
    return task.steps_per_execution


def build_callbacks(configs: Mapping[str, DictConfig], data: TensorData, trust: Sequence[str] = ()) -> list[L.Callback]:
    """The callbacks of a config; without validation, not the checkpoint that would select by it.

    Raises:
        RequestError: one monitors a missing validation, or needs Lightning's automatic optimization.
    """
    callbacks = []
    for name, config in configs.items():
        monitor = str(config.get("monitor") or "")
        if monitor.startswith("val/") and not data.has_validation:
            if "ModelCheckpoint" not in config._target_:
                raise RequestError(f"callbacks.{name}.monitor={monitor}: there is no validation; set data.val_size")
        else:
            callbacks.append(instantiate(f"callbacks.{name}", config, trust))
            refuse_automatic_only(name, callbacks[-1])
    return callbacks
