"""What to try next, where a finished run shows a known trouble; silent otherwise."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from litlab.data.tensors import Split, TensorData
from litlab.tasks.base import Task

STUCK = 0.05  # share of the constant answer's loss that training must at least take away
GAP = 0.15  # of the constant answer's loss, by which validation may lie above training
ZERO = 0.001  # of the constant answer's loss: what counts as none
IMBALANCE = 4.0  # times as many samples in the most common class as in the rarest
SAMPLES = 20_000  # that the constant answer's loss is computed on


@dataclass(frozen=True)
class Evidence:
    """What is known of a finished run. A constant answer's loss is the scale on which losses are judged."""

    config: DictConfig
    train: Sequence[float]  # loss per epoch
    val: Sequence[float]  # likewise; nothing without validation
    constant_train: float  # the least loss of an answer that does not look at its input
    constant_val: float
    tested: float  # the test loss, as a share of the constant answer's
    samples: int
    parameters: int
    class_counts: Mapping[str, int]  # of the training split; nothing where there are no classes

    @property
    def left(self) -> float:
        """The training loss at the end: 0 for none, 1 for that of the constant answer."""
        return self.train[-1] / self.constant_train

    @property
    def gap(self) -> float:
        """How far validation lies above training at the end, on the same scale; 0 without validation."""
        return self.val[-1] / self.constant_val - self.left if self.val else 0.0

    def settings(self, *wanted: str) -> str:
        """Those of NAME=VALUE that this config has and does not say already, as a list in words."""
        having = [each for each in wanted if _has(self.config, each.split("=")[0])]
        return ", ".join(each for each in having if not _says(self.config, each))


def hints(
    config: DictConfig,
    task: Task,
    data: TensorData,
    history: Sequence[Mapping[str, float]],
    metrics: Mapping[str, float],
) -> list[str]:
    """A line for each trouble that a run shows, each naming the setting to try.

    Args:
        config: the run's.
        task: trained.
        data: loaded.
        history: of each epoch its metrics.
        metrics: of the tested weights.
    """
    if OmegaConf.select(config, "trainer.fast_dev_run"):
        return ["trainer.fast_dev_run: a rehearsal on a batch or a few of each split; these numbers mean nothing"]
    train, val = ([epoch[key] for epoch in history if key in epoch] for key in ("train/loss", "val/loss"))
    if not train or "test/loss" not in metrics:
        return []
    counts = torch.bincount(data.splits["train"].targets.cpu()).tolist() if data.class_names else []

    def constant(part: str, batch_size: int) -> float:
        return constant_loss(task, data.splits[part], data.num_outputs, batch_size)

    evidence = Evidence(
        config=config,
        train=train,
        val=val,
        constant_train=constant("train", data.batch_size),
        constant_val=constant("val", data.eval_batch_size) if val else 0.0,
        tested=metrics["test/loss"] / max(constant("test", data.eval_batch_size), 1e-12),
        samples=len(data.splits["train"].inputs),
        parameters=sum(weight.numel() for weight in task.model.parameters()),
        class_counts=dict(zip(data.class_names or (), counts, strict=False)),
    )
    return judge(evidence)


def judge(evidence: Evidence) -> list[str]:
    """The hints that apply; of those on one trouble the first."""
    known = evidence.constant_train > 0 and (evidence.constant_val > 0 or not evidence.val)  # 0: all targets are equal
    fit = next(filter(None, (rule(evidence) for rule in (stuck, by_heart, overfitting))), None) if known else None
    return [hint for hint in (fit, imbalance(evidence)) if hint]


def stuck(run: Evidence) -> str | None:
    """The training loss hardly fell."""
    # The training loss is the mean over an epoch: where that is the first, it tells little of the end.
    if min(run.left, run.tested) < 1 - STUCK:
        return None
    rate = OmegaConf.select(run.config, "optimizer.lr")
    found = (
        f"the training loss is {run.train[-1]:.4g}, and an answer that ignores the input has {run.constant_train:.4g}"
    )
    slower, faster = (f"optimizer.lr={rate * factor:g}" if rate else "another optimizer.lr" for factor in (0.1, 10))
    falling = len(run.train) > 2 and all(
        later < before for before, later in zip(run.train, run.train[1:], strict=False)
    )
    if falling and run.left > 1:
        longer = f"trainer.max_epochs={10 * len(run.train)}"
        return f"{found}; it falls, but slowly: try " + run.settings(faster, longer, "data.normalize=true")
    plain = "augmentation=none, " if run.config.get("augmentation") else ""  # it may leave nothing to see
    return f"{found}: try {plain}" + run.settings(slower, faster, "data.normalize=true")


def by_heart(run: Evidence) -> str | None:
    """No loss is left, with too little data to mean much."""
    alone = not run.val and run.parameters > run.samples
    if _wants_it(run) or run.left > ZERO or not (alone or run.gap > GAP):
        return None
    found = f"the training loss is zero ({run.train[-1]:.2g})"
    found += f": {run.parameters:,} weights know {run.samples:,} samples by heart"
    smaller = run.settings("model.hidden_sizes=[32]", "model.dropout=0.2", "optimizer.weight_decay=0.001")
    measure = "" if run.val else "; data.val_size=0.1 would show how new samples fare"
    return f"{found}: try more data" + (f", or {smaller}" if smaller else "") + measure


def overfitting(run: Evidence) -> str | None:
    """Training is far better than validation, or validation grew worse while training went on."""
    if _wants_it(run) or not run.val:
        return None
    best = min(range(len(run.val)), key=run.val.__getitem__)
    risen = (run.val[-1] - run.val[best]) / run.constant_val > GAP / 2 and run.train[-1] < run.train[0]
    if not (run.gap > GAP or risen):
        return None
    found = f"overfitting: loss {run.train[-1]:.4g} in training, {run.val[-1]:.4g} in validation"
    if risen:
        found += f" (lowest after epoch {best + 1}: {run.val[best]:.4g})"
    remedies = run.settings("model.dropout=0.2", "optimizer.weight_decay=0.001")
    if "early_stopping" not in run.config.get("callbacks", {}):
        remedies = ", ".join(filter(None, (remedies, "callbacks=early_stopping")))
    return f"{found}: try " + ", ".join(filter(None, (remedies, "more data")))


def imbalance(run: Evidence) -> str | None:
    """One class has many times the samples of another."""
    if not run.class_counts or not run.settings("task.class_weights=balanced"):
        return None
    rarest, common = (choose(run.class_counts, key=run.class_counts.__getitem__) for choose in (min, max))
    few, many = run.class_counts[rarest], run.class_counts[common]
    if many < IMBALANCE * few:
        return None
    return f"classes out of balance: {many:,} samples of {common}, {few:,} of {rarest}: try task.class_weights=balanced"


def constant_loss(task: Task, split: Split, num_outputs: int, batch_size: int) -> float:
    """The least loss of outputs that are the same for every sample, found by L-BFGS; of batches of a split.

    The batches matter where a task sums over them.
    """
    targets = split.targets
    stride = math.ceil(len(targets) / min(batch_size, len(targets)))
    batches = [targets[start::stride] for start in range(0, stride, max(1, stride * batch_size // SAMPLES))]
    outputs = torch.zeros(1, num_outputs, device=targets.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([outputs], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        losses = [task.loss(outputs.expand(len(batch), -1), batch) * len(batch) for batch in batches]
        loss = torch.stack(losses).sum() / sum(map(len, batches))
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
        return float(closure().detach())


def _wants_it(run: Evidence) -> bool:
    """Whether learning a few batches by heart is what was asked for (debug=overfit)."""
    return bool(OmegaConf.select(run.config, "trainer.overfit_batches"))


def _has(config: DictConfig, setting: str) -> bool:
    group, _, name = setting.rpartition(".")
    node: Any = OmegaConf.select(config, group)
    return node is not None and name in node


def _says(config: DictConfig, setting: str) -> bool:
    name, _, value = setting.partition("=")
    return str(OmegaConf.select(config, name)).lower() == value
