"""Reference losses: of the best constant prediction, and of the untrained model."""

import math
from collections.abc import Callable
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from litlab.compat.instantiation import instantiate
from litlab.data.samples import model_arguments
from litlab.data.splits import Split
from litlab.data.tensors import TensorData
from litlab.tasks.base import Task
from litlab.tasks.losses import WeightedMean

SAMPLES = 20_000  # for the baseline loss
FEWER = 2000  # for a model's loss, which takes longer
TINY = 1e-30  # avoids log(0)
EQUAL = 1e-6  # relative tolerance of equal targets


def baseline_loss(task: Task, split: Split, num_outputs: int, batch_size: int) -> float:
    """The loss of the best constant prediction, on batches of a split.

    0 where all targets are equal; NaN where all classes weigh nothing, or the squares of the targets overflow.
    """
    if all_equal(split.targets):
        return 0.0
    outputs = constant_outputs(task, split.targets, num_outputs).to(task.device)
    loss = mean_loss(task, lambda inputs: outputs.expand(len(inputs), -1), split, batch_size, SAMPLES)
    return loss if math.isfinite(loss) else math.nan


def all_equal(targets: Tensor) -> bool:
    """Whether targets (N, ...) are the same for each sample, up to rounding in float32."""
    targets = targets.float()
    return bool((targets - targets[:1]).abs().max() <= EQUAL * targets.abs().max())


def constant_outputs(task: Any, targets: Tensor, num_outputs: int) -> Tensor:
    """The best constant outputs (1, num_outputs): they predict the mean, the median or the class frequencies.

    Exact for squared and absolute errors and cross entropy, with class weights, label smoothing and standardized
    targets; else approximate.
    """
    targets = targets.cpu()
    if targets.dtype != torch.int64:
        numbers = targets.double().reshape(len(targets), -1)
        median = getattr(task, "criterion", None) == "mae"
        best = (numbers.quantile(0.5, 0, keepdim=True) if median else numbers.mean(0, keepdim=True)).float()
        standardized = getattr(task, "standardize_targets", False)
        return (best - task.target_mean.cpu()) / task.target_std.cpu() if standardized else best
    classes, smoothing, weight = (
        max(num_outputs, 2),
        getattr(task, "label_smoothing", 0.0),
        getattr(task, "weight", None),
    )
    shares = torch.bincount(targets, minlength=classes) * (1 - smoothing) + len(targets) * smoothing / classes
    logits = (shares if weight is None else shares * weight.cpu()).clamp_min(TINY).log()[None]
    return logits if num_outputs > 1 else logits.diff()


def untrained_loss(config: DictConfig, task: Task, data: TensorData) -> float:
    """The loss of the config's model as it is built, on batches of the training split."""
    with torch.random.fork_rng():  # leaves the global generators as they are
        torch.manual_seed(config.seed)
        model = instantiate(config.model, **model_arguments(data)).to(task.device)
        return mean_loss(task, model, data.splits["train"], data.batch_size)


@torch.no_grad()
def mean_loss(
    task: Task, model: Callable[[Tensor], Tensor], split: Split, batch_size: int, samples: int = FEWER
) -> float:
    """The loss of a model on about `samples` samples, evenly spaced over a split.

    In batches as in training, which matters where the loss is a sum.
    """
    mean = WeightedMean()
    stride = math.ceil(len(split.inputs) / min(batch_size, len(split.inputs)))
    for start in range(0, stride, max(1, stride * batch_size // samples)):
        inputs, targets = (values[start::stride].to(task.device) for values in split)
        mean.add(float(task.loss(model(inputs), targets)), float(task.loss_weight(targets)))
    return mean.mean
