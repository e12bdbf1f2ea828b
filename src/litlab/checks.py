"""What a request must satisfy: read from the config alone, before torch is imported and data are loaded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, ListConfig, OmegaConf

from litlab.errors import RequestError


class Rule(NamedTuple):
    """What a setting may be."""

    holds: Callable[[Any], bool]
    text: str  # what holds, and a right value


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_int(value) or isinstance(value, float)


POSITIVE_INT = Rule(lambda value: _is_int(value) and value > 0, "a whole number from 1, such as {example}")
LENGTH = Rule(lambda value: _is_int(value) and value >= -1, "a whole number, -1 for no limit, such as {example}")
NOT_NEGATIVE_INT = Rule(lambda value: _is_int(value) and value >= 0, "a whole number from 0, such as {example}")
POSITIVE = Rule(lambda value: _is_number(value) and value > 0, "a number above 0, such as {example}")
NOT_NEGATIVE = Rule(lambda value: _is_number(value) and value >= 0, "a number from 0, such as {example}")
SHARE = Rule(lambda value: _is_number(value) and 0 <= value < 1, "a number from 0 to below 1, such as {example}")
WIDTHS = Rule(
    lambda value: isinstance(value, list | ListConfig) and all(_is_int(each) and each > 0 for each in value),
    "a list of whole numbers from 1, such as {example}",
)
SIZE = Rule(
    lambda value: value >= 0 if _is_int(value) else isinstance(value, float) and 0 <= value < 1,
    "a share below 1, such as {example}, or a whole number of samples",
)
BOOL = Rule(lambda value: isinstance(value, bool), "true or false")
SEED = Rule(lambda value: _is_int(value) and 0 <= value < 2**32, "a whole number from 0, such as {example}")
CHECKPOINT = Rule(
    lambda value: Path(str(value)).is_file(), "a checkpoint that exists: RUN_DIRECTORY/checkpoints/last.ckpt"
)


def one_of(*words: str) -> Rule:
    """One of these words."""
    return Rule(lambda value: value in words, "one of " + ", ".join(words))


# Setting, rule, an example of a right value. null passes where the choice itself has null.
RULES: dict[str, tuple[Rule, Any]] = {
    "seed": (SEED, 0),
    "threads": (POSITIVE_INT, 1),
    "evaluate_train": (BOOL, True),
    "resume_from": (CHECKPOINT, None),
    "data.batch_size": (POSITIVE_INT, 64),
    "data.eval_batch_size": (POSITIVE_INT, 1024),
    "data.val_size": (SIZE, 0.1),
    "data.test_size": (SIZE, 0.2),
    "data.test_on_train": (BOOL, False),
    "data.split_seed": (SEED, 0),
    "data.normalize": (BOOL, True),
    "data.passes_per_epoch": (POSITIVE_INT, 1),
    "data.shuffle": (BOOL, True),
    "data.drop_last": (BOOL, False),
    "model.dropout": (SHARE, 0.1),
    "model.hidden_sizes": (WIDTHS, [64]),
    "model.channels": (WIDTHS, [32, 64]),
    "model.zero_init": (BOOL, False),
    "model.degree": (POSITIVE_INT, 3),
    "model.kernel_size": (POSITIVE_INT, 3),
    "model.padding": (NOT_NEGATIVE_INT, 1),
    "model.convs_per_stage": (POSITIVE_INT, 1),
    "model.pooling": (one_of("max", "avg"), "max"),
    "model.pool_size": (POSITIVE_INT, 2),
    "model.global_pooling": (BOOL, True),
    "model.batch_norm": (BOOL, True),
    "task.steps_per_execution": (POSITIVE_INT, 16),
    "task.compile": (BOOL, True),
    "task.mode": (one_of("min", "max"), "max"),
    "augmentation.shift": (NOT_NEGATIVE_INT, 2),
    "augmentation.flip": (BOOL, True),
    "task.label_smoothing": (SHARE, 0.1),
    "task.class_weights": (one_of("balanced"), "balanced"),
    "task.reduction": (one_of("mean", "sum"), "mean"),
    "optimizer.lr": (POSITIVE, 0.01),
    "optimizer.momentum": (SHARE, 0.9),
    "optimizer.weight_decay": (NOT_NEGATIVE, 0.0001),
    "scheduler.interval": (one_of("step", "epoch"), "epoch"),
    "scheduler.frequency": (POSITIVE_INT, 1),
    "sweep.on_failure": (one_of("continue", "stop"), "continue"),
    "sweep.dry_run": (BOOL, True),
    "sweep.max_jobs": (POSITIVE_INT, 10000),
    "trainer.accelerator": (one_of("auto", "cpu", "gpu", "cuda", "mps", "tpu"), "auto"),
    "trainer.max_epochs": (LENGTH, 10),
    "trainer.max_steps": (LENGTH, 1000),
    "trainer.accumulate_grad_batches": (POSITIVE_INT, 1),
    "trainer.gradient_clip_val": (POSITIVE, 1.0),
    "trainer.gradient_clip_algorithm": (one_of("norm", "value"), "norm"),
    "trainer.log_every_n_steps": (POSITIVE_INT, 50),
    "trainer.limit_train_batches": (NOT_NEGATIVE, 1.0),
    "trainer.limit_val_batches": (NOT_NEGATIVE, 1.0),
    "trainer.limit_test_batches": (NOT_NEGATIVE, 1.0),
}
OPTIONAL = {
    "threads",
    "resume_from",
    "task.class_weights",
    "trainer.max_epochs",
    "trainer.gradient_clip_val",
    "trainer.gradient_clip_algorithm",
}


def check(config: DictConfig, only: str = "") -> None:
    """Hold a config against the rules.

    Args:
        config: composed.
        only: the rules of settings that begin so.

    Raises:
        RequestError: all that is wrong, a line each.
    """
    mistakes = []
    for setting, (rule, example) in RULES.items():
        if not setting.startswith(only):
            continue
        value = OmegaConf.select(config, setting, default=None)
        if value is None and (setting in OPTIONAL or not _is_set(config, setting)):
            continue
        if not rule.holds(value):
            or_null = ", or null" if setting in OPTIONAL else ""
            mistakes.append(f"{setting}={value}: must be {rule.text.format(example=example)}{or_null}")
    momentum = OmegaConf.select(config, "optimizer.momentum")
    if not only and OmegaConf.select(config, "optimizer.nesterov") and not momentum:
        mistakes.append(
            f"optimizer.momentum={momentum}: Nesterov's needs one above 0; set optimizer.nesterov=false, too"
        )
    if mistakes:
        raise RequestError("\n".join(mistakes))


def _is_set(config: DictConfig, setting: str) -> bool:
    group, _, name = setting.rpartition(".")
    node = OmegaConf.select(config, group) if group else config
    return node is not None and name in node
