"""Which jobs of a sweep can be trained as one stack, by their settings."""

import json
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from litlab.sweeps.job import Job

# The stack (`litlab.sweeps.stacks.stack.Stack`) of the job that runs here, and the job's number in it. It is set around
# the launcher, which passes nothing on to its jobs.
CURRENT: ContextVar[Any] = ContextVar("CURRENT", default=None)
MOST = 32  # members of a stack; more gain little

# Settings in which members may differ. The rest must be the same: it changes shapes, data or the number of steps.
FREE: tuple[str, ...] = ("seed", "optimizer.lr", "optimizer.momentum", "optimizer.weight_decay", "optimizer.betas")
FREE += ("optimizer.alpha", "task.label_smoothing", "task.monitor", "task.mode", "model.dropout")
FREE += ("trainer.gradient_clip_val", "scheduler", "callbacks", "logger", "evaluate_train")

# Settings of the Trainer that a stack does not have, at the values at which they do nothing.
IDLE: dict[str, Sequence[Any]] = {
    **{"devices": (1, "1", "auto"), "strategy": ("auto",), "accelerator": ("auto", "cpu", "gpu", "cuda")},
    **{"precision": ("32-true", "64-true", "bf16-mixed", 32, 64, "32", "64", "bf16"), "max_steps": (-1,)},
    **{"max_time": (None,)},
    **{"min_steps": (None,), "accumulate_grad_batches": (1,), "limit_train_batches": (1.0,)},
    **{"limit_val_batches": (1.0,), "overfit_batches": (0.0,), "fast_dev_run": (False,), "num_nodes": (1,)},
    **{"val_check_interval": (1.0,), "check_val_every_n_epoch": (1,), "num_sanity_val_steps": (0,)},
    **{"detect_anomaly": (False,), "profiler": (None,), "deterministic": (None, False), "benchmark": (None,)},
}
CHECKPOINT = ("_target_", "dirpath", "filename", "monitor", "mode", "enable_version_counter", "verbose")
# And those of a ModelCheckpoint, besides these.
IDLE_CHECKPOINT = {"save_top_k": 1, "save_weights_only": False, "save_last": None, "every_n_epochs": None}
EARLY_STOPPING = "lightning.pytorch.callbacks.EarlyStopping"
HARMLESS = tuple(
    f"litlab.callbacks.{name}"
    for name in ("pictures.Pictures", "progress.Progress", "dashboard.Dashboard", "last.LastCheckpoint")
)


def is_trained() -> bool:
    """Whether the training of the job that runs here is there: no limit of time must lose it."""
    current = CURRENT.get()
    return current is not None and current[0].has_trained(current[1])


def refusal(settings: Mapping[str, Any]) -> str | None:
    """Why a job of these settings (`litlab.runs.result.settings`) cannot be in a stack; None if it may.

    What only its objects can tell, such as a layer, is found out when the stack is built.
    """
    trainer = settings["trainer"]
    for name, values in IDLE.items():
        if name in trainer and not any(type(trainer[name]) is type(each) and trainer[name] == each for each in values):
            return f"trainer.{name}={_shown(trainer[name])}"
    if trainer.get("max_epochs") in (None, -1, 0):
        return f"trainer.max_epochs={_shown(trainer.get('max_epochs'))}"
    if settings["task"].get("loss") not in (None, "cross_entropy", "mse"):
        return f"task.loss={_shown(settings['task']['loss'])}"
    if settings.get("evaluate_train") == "epoch":
        return "evaluate_train=epoch: needs the weights of every epoch"
    for group in ("augmentation", "tune"):
        if settings.get(group):
            return f"{group}: changes the training of each job in its own way"
    return next(filter(None, (_refused(name, each, settings) for name, each in settings["callbacks"].items())), None)


def _refused(name: str, callback: Mapping[str, Any], settings: Mapping[str, Any]) -> str | None:
    kind = str(callback.get("_target_"))
    if kind == EARLY_STOPPING and (settings["trainer"].get("min_epochs") or 0) > 1:
        return f"callbacks.{name} with trainer.min_epochs={settings['trainer']['min_epochs']}"
    if kind in (*HARMLESS, EARLY_STOPPING):
        return None
    if not kind.endswith(".ModelCheckpoint"):
        return f"callbacks.{name}: {kind.rpartition('.')[2]} watches a training of its own"
    for setting, value in callback.items():
        if setting not in CHECKPOINT and (setting not in IDLE_CHECKPOINT or value != IDLE_CHECKPOINT[setting]):
            return f"callbacks.{name}.{setting}={_shown(value)}"
    task = settings["task"]
    if callback.get("monitor") not in (None, task["monitor"]) or callback.get("mode") not in (None, task["mode"]):
        return f"callbacks.{name}.monitor={callback.get('monitor')}: is not task.monitor"
    return None


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def key(settings: Mapping[str, Any]) -> str:
    """Equal for jobs that can be in the same stack."""
    shared = json.loads(json.dumps(settings))
    for name in FREE:
        group, _, setting = name.partition(".")
        if not setting:
            shared.pop(group, None)
        elif isinstance(shared.get(group), dict):
            # Whether there is one at all decides about layers and buffers.
            shared[group][setting] = bool(shared[group].get(setting)) if setting in ("dropout", "momentum") else None
    return json.dumps(shared, sort_keys=True)


def stacks(jobs: Sequence[Job], size: int | str, swept: Sequence[str]) -> list[list[Job]]:
    """The jobs of each stack; a job that is trained alone is a list of its own, and a line tells why.

    Args:
        jobs: to be run.
        size: members of a stack at most; auto: `MOST`.
        swept: the settings that differ, for the line.
    """
    able, alone = [], []
    for job in jobs:
        reason = "it resumes from its checkpoint" if job.resume else refusal(job.settings)
        if reason is None:
            able.append(job)
        else:
            alone.append((job, reason))
    for reason in dict.fromkeys(reason for _, reason in alone):
        labels = [job.label(swept) for job, why in alone if why == reason]
        more = f" and {len(labels) - 1} more" if len(labels) > 1 else ""
        print(f"{labels[0]}{more}: trained alone, not in a stack: {reason}".lstrip(), flush=True)
    found = groups([job.settings for job in able], MOST if size == "auto" else int(size))
    return [[able[index] for index in indices] for indices in found] + [[job] for job, _ in alone]


def groups(settings: Sequence[Mapping[str, Any]], most: int) -> list[list[int]]:
    """The jobs of each stack by their indices, at most `most`, in the order of their first ones; one alone is no stack.

    Args:
        settings: of each job that may be in a stack.
        most: members of one stack.
    """
    found: dict[str, list[int]] = {}
    for index, each in enumerate(settings):
        found.setdefault(key(each), []).append(index)
    parts = []
    for indices in found.values():
        number, size = -(-len(indices) // most), len(indices)  # of stacks as even as can be
        parts += [indices[size * part // number : size * (part + 1) // number] for part in range(number)]
    return sorted(parts)
