"""Settings of two trainings: which of them differ, and which may where one goes on as the other.

It imports no torch, so that a change that is not allowed is refused at once.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from litlab.config.values import AUTO
from litlab.errors import RequestError

ANY = "*"  # among the settings that may change: all may
LENGTH = tuple(f"trainer.{name}" for name in ("max_epochs", "min_epochs", "max_steps", "min_steps", "max_time"))
# Settings, or groups of them, that may change without resume_changes.
IRRELEVANT = (
    # Paths, purpose and logging.
    *("paths", "reference", "resume", "resume_changes", "sweep", "tune", "debug", "trust", "logger"),
    *("evaluate_train", "checkpoint_seconds"),
    *("trainer.log_every_n_steps", "trainer.enable_progress_bar", "trainer.enable_model_summary", "trainer.profiler"),
    *("trainer.default_root_dir", "trainer.detect_anomaly", "trainer.num_sanity_val_steps"),
    "trainer.limit_test_batches",  # the test runs again
    # Device and speed: the weights are the same up to rounding.
    *("threads", "task.steps_per_execution", "task.compile", "data.eval_batch_size"),
    *("trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.strategy"),
    *LENGTH,  # whether the learning rate depends on it is checked apart
    "trainer.fast_dev_run",
)
OBSERVERS = (  # callbacks that do not change the training
    *(f"litlab.callbacks.{name}" for name in ("pictures.Pictures", "progress.Progress", "last.LastCheckpoint")),
    "litlab.callbacks.baseline_loops.BaselineLoops",
    *(f"lightning.pytorch.callbacks.{name}" for name in ("LearningRateMonitor", "DeviceStatsMonitor", "ModelSummary")),
    *(f"lightning.pytorch.callbacks.{name}" for name in ("RichProgressBar", "TQDMProgressBar", "ThroughputMonitor")),
)
CHECKPOINT = "lightning.pytorch.callbacks.ModelCheckpoint"
UNSET = "unset"


def is_longer(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether settings that end a training differ, so that one that is over may go on."""
    old, new = _flat(before), _flat(now)
    names = [name for name in (*old, *new) if name in LENGTH or name.startswith("callbacks.")]
    return any(old.get(name, UNSET) != new.get(name, UNSET) and not _is_observer(name, old, new) for name in names)


def check_changes(config: DictConfig, before: Mapping[str, Any], now: Mapping[str, Any], asked: str) -> frozenset[str]:
    """The settings that differ, all of which may; and those in `resume_changes` (`ANY`: all).

    Args:
        config: of the run that resumes, not resolved.
        before: the earlier settings, resolved.
        now: those of `config`.
        asked: what the user has typed.

    Raises:
        RequestError: others differ, which are named; or the state of another class would be needed.
    """
    allowed = config.resume_changes
    names = {True: (ANY,), False: (), None: ()}.get(allowed) if not isinstance(allowed, ListConfig) else tuple(allowed)
    if names is None or not all(isinstance(name, str) for name in names):
        raise RequestError(f"resume_changes={allowed}: must be true, or a list of settings, such as [optimizer.lr]")
    changed = differences(before, now)
    for name, (old, new) in changed.items():
        if name in ("model._target_", "optimizer._target_", "scheduler._target_", "task._target_"):
            raise RequestError(
                f"{asked}: was trained with {name}={old}, whose state {new} cannot take over; choose the same "
                f"{name.partition('.')[0]}"
            )
    named = [name for name in changed if ANY in names or any(_is_within(name, each) for each in names)]
    follows = {f"${{{name}}}" for name in named}  # such as scheduler.max_lr, which is optimizer.lr by default
    plain: Any = OmegaConf.to_container(config, resolve=False)
    written = _flat(plain)
    refused = [name for name in changed if name not in named and written.get(name) not in follows]
    if refused:
        changes = ", ".join(
            f"{name}={_as_text(changed[name][0])} (now {_as_text(changed[name][1])})" for name in refused
        )
        raise RequestError(
            f"{asked}: was trained with {changes}; leave that as it was, or allow the change with resume_changes=true"
        )
    _refuse_length(before, now, names, asked)
    return frozenset(changed) | frozenset(names)


def _refuse_length(before: Mapping[str, Any], now: Mapping[str, Any], allowed: Sequence[str], asked: str) -> None:
    """Refuse another length of the run where the learning rate was planned for the old one."""
    auto = [name for name, value in (now.get("scheduler") or {}).items() if value == AUTO]
    if not auto or {ANY, "scheduler"} & {each.partition(".")[0] for each in allowed}:
        return
    for name in ("max_epochs", "max_steps"):
        old, new = before["trainer"].get(name), now["trainer"].get(name)
        if old != new:
            raise RequestError(
                f"{asked}: the learning rate was planned for trainer.{name}={_as_text(old)} "
                f"(scheduler.{auto[0]}=auto), not for {_as_text(new)}; keep that length, or plan a new schedule with "
                "resume_changes=[scheduler]"
            )


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
    selects = any(each.get(f"{callback}.monitor") is not None for each in (old, new))
    return targets <= {*OBSERVERS} or (targets == {CHECKPOINT} and not selects)


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
