"""Whether a run can resume from a checkpoint: the same model and settings, and epochs left."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from omegaconf import DictConfig, ListConfig, OmegaConf

from litlab.errors import RequestError
from litlab.runs.checkpoints import UnreadableError, read_checkpoint
from litlab.tasks.base import Task
from litlab.tasks.position import KEY

log = logging.getLogger(__name__)

# Settings, or groups of them, that may change without being named in resume_changes.
IRRELEVANT = (
    # Paths, purpose and logging.
    *("paths", "reference", "resume_from", "resume_changes", "sweep", "tune", "debug", "trust", "logger"),
    "evaluate_train",
    *("trainer.log_every_n_steps", "trainer.enable_progress_bar", "trainer.enable_model_summary", "trainer.profiler"),
    *("trainer.default_root_dir", "trainer.detect_anomaly", "trainer.num_sanity_val_steps"),
    "trainer.limit_test_batches",  # the test runs again
    # Device and speed: the weights are the same up to rounding.
    *("threads", "task.steps_per_execution", "task.compile", "data.eval_batch_size"),
    *("trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.strategy"),
    # Length: `Schedule.check_length` checks whether the learning rate depends on it.
    *("trainer.max_epochs", "trainer.min_epochs", "trainer.max_steps", "trainer.min_steps", "trainer.max_time"),
    "trainer.fast_dev_run",
)
OBSERVERS = (  # callbacks that do not change the training
    *("litlab.callbacks.pictures.Pictures", "litlab.callbacks.progress.Progress"),
    "litlab.callbacks.baseline_loops.BaselineLoops",
    *(f"lightning.pytorch.callbacks.{name}" for name in ("LearningRateMonitor", "DeviceStatsMonitor", "ModelSummary")),
    *(f"lightning.pytorch.callbacks.{name}" for name in ("RichProgressBar", "TQDMProgressBar", "ThroughputMonitor")),
)
UNSET = "unset"


def checkpoint_to_resume(config: DictConfig, task: Task, trainer: L.Trainer) -> tuple[str | None, frozenset[str]]:
    """The checkpoint that a run resumes from, None for a fresh start; and `check_resume`'s settings.

    A job of a resumed sweep starts fresh where the checkpoint of its earlier attempt does not fit.

    Raises:
        RequestError: as `check_resume`, for the one that the user names.
    """
    if config.resume_from:
        return config.resume_from, check_resume(config.resume_from, config, task, trainer)
    if path := OmegaConf.select(config, "sweep.checkpoint"):
        try:
            return path, check_resume(path, config, task, trainer)
        except RequestError as error:
            log.warning("this job starts fresh: %s", error)
    return None, frozenset()


def check_resume(path: str, config: DictConfig, task: Task, trainer: L.Trainer) -> frozenset[str]:
    """Check that a run can resume from a checkpoint, before anything is loaded or overwritten.

    Returns:
        the settings that differ from the checkpoint's, and those in `resume_changes`.

    Raises:
        RequestError: it is damaged or no checkpoint of litlab, of another model, of other settings than
            `resume_changes` allows, of a run that has stopped early, or of one that was longer than this one.
    """
    asked = f"resume_from={path}"
    try:
        checkpoint = read_checkpoint(path)
    except UnreadableError as error:
        raise RequestError(f"{asked}: {error.problem}; use RUN/checkpoints/last.ckpt") from error
    except OSError as error:
        raise RequestError(f"{asked}: cannot be read ({error.strerror}); use RUN/checkpoints/last.ckpt") from error
    if not {"state_dict", "hyper_parameters", KEY} <= checkpoint.keys():
        raise RequestError(f"{asked}: is not a checkpoint of litlab; use RUN/checkpoints/last.ckpt")
    if "optimizer_states" not in checkpoint:
        raise RequestError(
            f"{asked}: holds the weights alone (save_weights_only=true), and training needs the optimizer's state, too"
        )
    shapes = {name: weight.shape for name, weight in checkpoint["state_dict"].items()}
    if shapes != {name: weight.shape for name, weight in task.state_dict().items()}:
        raise RequestError(f"{asked}: has weights of another model; choose the model that it was trained with")
    changes = _changes(config, checkpoint["hyper_parameters"], dict(task.hparams), asked)
    _refuse_stopped(trainer, checkpoint, changes, asked)
    at = checkpoint[KEY]
    done = at["epoch"] + (at["batches"] > 0)
    if trainer.max_epochs not in (None, -1) and done > trainer.max_epochs:
        raise RequestError(
            f"trainer.max_epochs={trainer.max_epochs}: {path} has done {done}; set more, or leave it out"
        )
    return changes


def _changes(config: DictConfig, before: Mapping[str, Any], now: Mapping[str, Any], asked: str) -> frozenset[str]:
    """The settings that differ, all of which may; and those in `resume_changes`."""
    allowed = config.resume_changes
    if not isinstance(allowed, ListConfig) or not all(isinstance(name, str) for name in allowed):
        raise RequestError(f"resume_changes={allowed}: must be a list of settings, such as [optimizer.lr]")
    changed = differences(before, now)
    for name, (old, new) in changed.items():
        if name in ("model._target_", "optimizer._target_", "scheduler._target_", "task._target_"):
            raise RequestError(
                f"{asked}: was trained with {name}={old}, whose state {new} cannot take over; choose the same "
                f"{name.partition('.')[0]}"
            )
    named = [name for name in changed if any(_is_within(name, each) for each in allowed)]
    follows = {f"${{{name}}}" for name in named}  # such as scheduler.max_lr, which is optimizer.lr by default
    plain: Any = OmegaConf.to_container(config, resolve=False)
    written = _flat(plain)
    refused = [name for name in changed if name not in named and written.get(name) not in follows]
    if refused:
        changes = ", ".join(
            f"{name}={_as_text(changed[name][0])} (now {_as_text(changed[name][1])})" for name in refused
        )
        raise RequestError(
            f"{asked}: was trained with {changes}; set them as they were, or allow the change with "
            f"resume_changes=[{','.join(refused)}]"
        )
    return frozenset(changed) | frozenset(allowed)


def _as_text(value: Any) -> str:
    return str(value) if isinstance(value, str) else json.dumps(value)


def differences(
    before: Mapping[str, Any], now: Mapping[str, Any], irrelevant: Sequence[str] = IRRELEVANT
) -> dict[str, tuple[Any, Any]]:
    """The relevant settings that differ, with both values; if a group's class differs, only the class.

    Args:
        before: a resolved config.
        now: another one.
        irrelevant: settings, or groups of them, that do not matter.
    """
    old, new = _flat(before), _flat(now)
    names = [name for name in dict.fromkeys((*old, *new)) if old.get(name, UNSET) != new.get(name, UNSET)]
    names = [name for name in names if not any(_is_within(name, each) for each in irrelevant)]
    names = [name for name in names if not _is_observer(name, old, new)]
    targets = [name.removesuffix("_target_") for name in names if name.endswith("._target_")]
    kept = [name for name in names if name.endswith("._target_") or not name.startswith(tuple(targets))]
    return {name: (old.get(name, UNSET), new.get(name, UNSET)) for name in kept}


def _is_within(name: str, group: str) -> bool:
    return name == group or name.startswith(f"{group}.")


def _is_observer(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    group, _, rest = name.partition(".")
    if group != "callbacks":
        return False
    callback = f"callbacks.{rest.partition('.')[0]}"
    targets = {each[f"{callback}._target_"] for each in (old, new) if f"{callback}._target_" in each}
    last = f"{ModelCheckpoint.__module__.rpartition('.')[0]}.{ModelCheckpoint.__name__}"
    selects = any(each.get(f"{callback}.monitor") is not None for each in (old, new))
    return targets <= {*OBSERVERS} or (targets == {last} and not selects)


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted name; a path below one of `paths` is written with its name, so that runs can be moved."""
    places = sorted(
        ((str(place), name) for name, place in (settings.get("paths") or {}).items() if place),
        key=lambda each: -len(each[0]),
    )
    flat: dict[str, Any] = {}

    def put(name: str, value: Any) -> None:
        if isinstance(value, Mapping) and value:
            for key, item in value.items():
                put(f"{name}.{key}" if name else str(key), item)
        elif isinstance(value, Mapping):
            return  # scheduler=none: no settings
        elif isinstance(value, str):
            place = next((each for each in places if value == each[0] or value.startswith(f"{each[0]}/")), None)
            flat[name] = value if place is None else f"${{paths.{place[1]}}}{value[len(place[0]) :]}"
        else:
            flat[name] = value

    put("", settings)
    return flat


def _refuse_stopped(trainer: L.Trainer, checkpoint: Mapping[str, Any], changes: frozenset[str], asked: str) -> None:
    for callback in trainer.callbacks:
        state = checkpoint.get("callbacks", {}).get(callback.state_key)
        if not isinstance(callback, EarlyStopping) or not state:
            continue
        eased = any(name.startswith("callbacks.") for name in changes) and state["wait_count"] < callback.patience
        if (state["stopped_epoch"] or state["wait_count"] >= state["patience"]) and not eased:
            raise RequestError(
                f"{asked}: this run has stopped early, after epoch {checkpoint['epoch'] + 1}, as {callback.monitor} no "
                "longer improved; to train on, set a larger callbacks.early_stopping.patience and "
                "resume_changes=[callbacks.early_stopping.patience]"
            )
