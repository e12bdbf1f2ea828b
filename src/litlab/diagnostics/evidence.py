"""What is known of a finished run, for the hints to judge by: nothing of the test, which is there to be read once."""

import copy
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn
from torchmetrics.classification import BinaryStatScores, MulticlassStatScores

from litlab.compat.hydra import instantiate
from litlab.data.samples import model_arguments
from litlab.data.tensors import Split, TensorData
from litlab.diagnostics.advice import NORMALIZED, Sizes, available, judge_sizes
from litlab.tasks.base import Task
from litlab.tasks.losses import WeightedMean

SAMPLES = 20_000  # that the constant answer's loss is computed on
EQUAL = 1e-6  # share of the largest target, by which equal ones may differ
FEWER = 2000  # that the untrained model's is, which takes longer


@dataclass(frozen=True)
class Evidence:
    """What is known of a finished run. A constant answer's loss is the scale on which losses are judged."""

    config: DictConfig
    train: Sequence[float]  # mean loss of each epoch
    val: Sequence[float]  # likewise; nothing without validation
    constant_train: float  # the least loss of an answer that does not look at its input
    constant_val: float
    selected: Callable[[], float]  # the loss of the tested weights as a share of the constant answer's, in validation
    untrained: Callable[[], float]  # the training loss before the first step
    steps: int  # of the optimizer
    samples: int
    parameters: int
    class_counts: Mapping[str, int]  # of the training split; nothing where there are no classes
    unanswered: Mapping[str, int]  # classes that the tested model never answers, with their samples in validation
    sizes: Sizes  # of inputs and targets
    tokens: bool = False  # whether the inputs are

    @property
    def left(self) -> float:
        """The training loss at the end: 0 for none, 1 for that of the constant answer."""
        return self.train[-1] / self.constant_train

    @property
    def gap(self) -> float:
        """How far validation lies above training at the end, on the same scale; 0 without validation, or below."""
        above = self.val and self.constant_val > 0 and self.val[-1] > self.train[-1]
        return max(self.val[-1] / self.constant_val - self.left, 0.0) if above else 0.0

    @property
    def longer(self) -> str:
        """A longer training, as a setting."""
        limit = OmegaConf.select(self.config, "trainer.max_steps") or -1
        ended_by_it = 0 < limit <= self.steps
        return f"trainer.max_steps={10 * limit}" if ended_by_it else f"trainer.max_epochs={10 * len(self.train)}"

    def settings(self, *wanted: str) -> list[str]:
        """Those of NAME=VALUE that such a run can be given, and was not."""
        return available(self.config, *(each for each in wanted if not (self.tokens and each == NORMALIZED)))


def gather(
    config: DictConfig,
    task: Task,
    data: TensorData,
    history: Sequence[Mapping[str, float]],
    metrics: Mapping[str, float],
    steps: int,
    unanswered: Mapping[str, int],
) -> Evidence | None:
    """What a finished run tells; None of one without training.

    Args:
        config: the run's.
        task: trained, and tested last.
        data: loaded.
        history: of each epoch its metrics.
        metrics: of the tested weights, in validation if that took place.
        steps: that the optimizer took.
        unanswered: see `unanswered`.
    """
    train, val = ([epoch[key] for epoch in history if key in epoch] for key in ("train/loss", "val/loss"))
    if not train:
        return None
    names = data.class_names or ()
    counts = torch.bincount(data.splits["train"].targets.cpu(), minlength=len(names)).tolist() if names else []

    def constant(part: str, batch_size: int) -> float:
        split = data.splits[part]
        return 0.0 if all_equal(split.targets) else constant_loss(task, split, data.num_outputs, batch_size)

    constant_train = constant("train", data.batch_size)
    constant_val = constant("val", data.eval_batch_size) if val else 0.0

    def selected() -> float:
        if "val/loss" in metrics:
            share = metrics["val/loss"] / max(constant_val, 1e-12)
        else:  # of some training samples, then
            share = training_loss(task, copy.deepcopy(task.model).eval(), data) / max(constant_train, 1e-12)
        return share if math.isfinite(share) else math.inf

    return Evidence(
        config=config,
        train=train,
        val=val,
        constant_train=constant_train,
        constant_val=constant_val,
        selected=functools.cache(selected),
        untrained=functools.cache(lambda: untrained_loss(config, task, data)),
        steps=steps,
        samples=len(data.splits["train"].inputs),
        parameters=sum(weight.numel() for weight in task.model.parameters()),
        class_counts=dict(zip(names, counts, strict=False)),
        unanswered=unanswered,
        sizes=judge_sizes(config, data),
        tokens=data.num_tokens is not None,
    )


def all_equal(targets: Tensor) -> bool:
    """Whether targets (N, ...) are the same for each sample, as far as float32 can tell."""
    targets = targets.float()
    return bool((targets - targets[:1]).abs().max() <= EQUAL * targets.abs().max())


def constant_loss(task: Task, split: Split, num_outputs: int, batch_size: int) -> float:
    """The least loss of outputs that are the same for every sample, found by L-BFGS; of batches of a split.

    NaN where there is none: of classes that all weigh nothing, or of targets too large to be squared.
    """
    batches = [targets.to(task.device) for targets in _batches(split.targets, batch_size, SAMPLES)]
    weights = [task.loss_weight(batch) for batch in batches]
    outputs = torch.zeros(1, num_outputs, device=task.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([outputs], max_iter=50, line_search_fn="strong_wolfe")

    def mean() -> Tensor:
        """Of what is minimized, and of the loss: (2,)."""
        pairs = [torch.stack(task.objective(outputs.expand(len(batch), -1), batch)) for batch in batches]
        weighted = [pair * weight for pair, weight in zip(pairs, weights, strict=True)]
        return torch.stack(weighted).sum(0) / sum(weights)

    def closure() -> Tensor:
        optimizer.zero_grad()
        minimized = mean()[0]
        minimized.backward()
        return minimized

    with torch.enable_grad():
        if not mean().isfinite().all():
            return math.nan
        optimizer.step(closure)
        return float(mean()[1].detach())


def untrained_loss(config: DictConfig, task: Task, data: TensorData) -> float:
    """The loss of the config's model as it is built, on batches of the training split."""
    with torch.random.fork_rng():  # nobody's random numbers change
        torch.manual_seed(config.seed)
        model = instantiate(config.model, **model_arguments(data)).to(task.device)
        return training_loss(task, model, data)


def training_loss(task: Task, model: nn.Module, data: TensorData) -> float:
    """The loss of a model on batches of the training split, of about `FEWER` samples."""
    mean = WeightedMean()
    with torch.no_grad():
        for batch in zip(*(_batches(values, data.batch_size, FEWER) for values in data.splits["train"]), strict=True):
            inputs, targets = (values.to(task.device) for values in batch)
            mean.add(float(task.loss(model(inputs), targets)), float(task.loss_weight(targets)))
    return mean.mean


def unanswered(task: Task, data: TensorData) -> dict[str, int]:
    """Classes that were never answered in the validation just done, each with its samples there.

    Nothing without validation, or where the task's metrics do not tell, or have not seen all of it (several devices).
    """
    validation = getattr(data, "splits", {}).get("val")  # others' data have none
    if validation is None or not data.has_validation:
        return {}
    recall = dict(task.metrics.items()).get("recall")
    if not isinstance(recall, BinaryStatScores | MulticlassStatScores):
        return {}
    hits, alarms, quiet, misses = (getattr(recall, name) for name in ("tp", "fp", "tn", "fn"))
    answers, labels = hits + alarms, hits + misses
    if isinstance(recall, BinaryStatScores):  # what it counts is class 1's
        answers, labels = torch.stack((quiet + misses, answers)), torch.stack((quiet + alarms, labels))
    if int(labels.sum()) != len(validation.targets):
        return {}
    counts = zip(data.class_names or (), answers.flatten().tolist(), labels.flatten().tolist(), strict=False)
    return {name: there for name, given, there in counts if there and not given}


def _batches(values: Tensor, batch_size: int, samples: int) -> list[Tensor]:
    """About so many samples from all over a split, in batches as in training: these matter where a loss is a sum."""
    stride = math.ceil(len(values) / min(batch_size, len(values)))
    return [values[start::stride] for start in range(0, stride, max(1, stride * batch_size // samples))]
