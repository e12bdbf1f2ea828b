"""What is known of a finished run, for the rules to judge by: nothing of the test, which is there to be read once."""

import copy
import math
from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from omegaconf import DictConfig, OmegaConf
from torchmetrics.classification import BinaryStatScores, MulticlassStatScores

from litlab.config.overrides import available
from litlab.data.tensors import TensorData
from litlab.diagnostics.scales import NORMALIZED, ScaleProblem, scale_problem
from litlab.tasks.base import Task
from litlab.tasks.baseline import baseline_loss, mean_loss, untrained_loss


class RunSummary:
    """What is known of a finished run. Losses are judged by the baseline loss, that of the best constant prediction.

    Args:
        config, task, data: the run's; the task is trained, and tested last.
        history: of each epoch its metrics.
        metrics: of the tested weights, in validation if that took place.
        steps: that the optimizer took.
        unpredicted: see `unpredicted_classes`.

    Attributes:
        train, val: mean loss of each epoch; empty without training or validation.
        class_counts: of the training split; empty without classes.
    """

    def __init__(
        self,
        config: DictConfig,
        task: Task,
        data: TensorData,
        history: Sequence[Mapping[str, float]],
        metrics: Mapping[str, float],
        steps: int,
        unpredicted: Mapping[str, int],
    ) -> None:
        self.config, self.task, self.data, self.metrics = config, task, data, metrics
        self.steps, self.unpredicted, self.tokens = steps, unpredicted, data.num_tokens is not None
        self.train = [epoch["train/loss"] for epoch in history if "train/loss" in epoch]
        self.val = [epoch["val/loss"] for epoch in history if "val/loss" in epoch]
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
    def scales(self) -> ScaleProblem:
        """What is wrong with the scales of the data."""
        return scale_problem(self.config, self.data)

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
