"""A finished run as the rules see it; never the test, which is read once."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from omegaconf import DictConfig, OmegaConf

from litlab.config.overrides import available
from litlab.data.tensors import TensorData
from litlab.diagnostics.rules import NORMALIZED, Rule, scale_rule
from litlab.tasks.base import Task
from litlab.tasks.baseline import baseline_loss, mean_loss, untrained_loss


@dataclass(eq=False)
class RunSummary:
    """A finished run. Losses are relative to the baseline loss, that of the best constant prediction.

    Args:
        config, task, data: the run's; the task is trained, and tested last.
        history: metrics of each epoch.
        metrics: of the tested weights, in validation if there was one.
        steps: optimizer steps.
        unpredicted: classes that were never predicted in validation, each with its samples there.

    Attributes:
        train, val: mean loss of each epoch; empty without training or validation.
        class_counts: of the training split; empty without classes.
    """

    config: DictConfig
    task: Task
    data: TensorData
    history: Sequence[Mapping[str, float]]
    metrics: Mapping[str, float]
    steps: int
    unpredicted: Mapping[str, int]

    def __post_init__(self) -> None:
        task, data = self.task, self.data
        self.tokens = data.num_tokens is not None
        self.train = [epoch["train/loss"] for epoch in self.history if "train/loss" in epoch]
        self.val = [epoch["val/loss"] for epoch in self.history if "val/loss" in epoch]
        split, names = data.splits["train"], data.class_names or ()
        counts = torch.bincount(split.targets.cpu(), minlength=len(names)).tolist() if names else []
        self.class_counts = dict(zip(names, counts, strict=False))
        self.samples, self.parameters = len(split.inputs), sum(weight.numel() for weight in task.model.parameters())
        self.baseline_train = baseline_loss(task, split, data.num_outputs, data.batch_size)
        self.baseline_val = 0.0
        if self.val:
            self.baseline_val = baseline_loss(task, data.splits["val"], data.num_outputs, data.eval_batch_size)

    @cached_property
    def untrained(self) -> float:
        """The training loss before the first step."""
        return untrained_loss(self.config, self.task, self.data)

    @cached_property
    def selected(self) -> float:
        """The loss of the tested weights relative to the baseline; without validation, of some training samples."""
        if "val/loss" in self.metrics:
            relative = self.metrics["val/loss"] / max(self.baseline_val, 1e-12)
        else:
            model, split = copy.deepcopy(self.task.model).eval(), self.data.splits["train"]
            relative = mean_loss(self.task, model, split, self.data.batch_size) / max(self.baseline_train, 1e-12)
        return relative if math.isfinite(relative) else math.inf

    @cached_property
    def scales(self) -> Rule:
        """What is wrong with the scales of the data."""
        return scale_rule(self.config, self.data)

    @property
    def relative(self) -> float:
        """The training loss at the end: 0 for none, 1 for the baseline."""
        return self.train[-1] / self.baseline_train

    @property
    def gap(self) -> float:
        """How far validation lies above training at the end, relative to the baseline; 0 where it does not."""
        above = self.val and self.baseline_val > 0 and self.val[-1] > self.train[-1]
        return max(self.val[-1] / self.baseline_val - self.relative, 0.0) if above else 0.0

    @property
    def longer(self) -> str:
        """A longer training, as a setting."""
        limit = OmegaConf.select(self.config, "trainer.max_steps") or -1
        ended_by_it = 0 < limit <= self.steps
        return f"trainer.max_steps={10 * limit}" if ended_by_it else f"trainer.max_epochs={10 * len(self.train)}"

    def settings(self, *wanted: str) -> list[str]:
        """Those of NAME=VALUE that such a run can be given, and was not; tokens are not to be normalized."""
        return available(self.config, *(each for each in wanted if not (self.tokens and each == NORMALIZED)))
