"""Baseline training loops on the same model and batches, for the benchmark."""

import copy
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import lightning.pytorch as L
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST, VisionDataset
from torchvision.transforms import ToTensor

from litlab.callbacks.history import History
from litlab.data.loader import Chunks, TensorLoader
from litlab.errors import RequestError
from litlab.models.polynomial import Polynomial
from litlab.tasks.base import Task

Epoch = Callable[[nn.Module, Optimizer, Tensor], None]  # model, optimizer, the order of the samples


class BaselineLoops(L.Callback):
    """After each of litlab's epochs, trains copies of the model for the same epoch, one copy in each loop.

    All loops start from the same weights and see the same batches in the same order, so they must end with the same
    weights. The clock of `History`, which times litlab, stops meanwhile.

    Args:
        loops: names in LOOPS.
        file: JSON, written at the end of training; see `_report`.
    """

    def __init__(self, loops: list[str], file: str) -> None:
        self.names, self.file = loops, Path(file)
        self.seconds: dict[str, list[float]] = {name: [] for name in loops}
        self.validation: list[float] = []
        self.started = 0.0
        self._loops: dict[str, tuple[Epoch, nn.Module, Optimizer]] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Copy the model for each loop."""
        self.started = time.perf_counter()
        task, loader = cast(Task, pl_module), train_loader(trainer)
        self._loss = task.loss
        for name in self.names:
            model = copy.deepcopy(task.model).train()
            self._loops[name] = (LOOPS[name](loader), model, task.make_optimizer(model.parameters()))

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Time the validation."""
        self.validation.append(-time.perf_counter())

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Time the validation."""
        self.validation[-1] += time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Run the epoch that litlab has just finished in each loop."""
        history, loader = History.of(trainer), train_loader(trainer)
        history.pause()
        torch.set_flush_denormal(False)  # PyTorch's default; litlab.verbs.train sets it
        for name, (epoch, model, optimizer) in self._loops.items():
            started = time.perf_counter()
            epoch(model, optimizer, loader.order(0))
            if loader.inputs.device.type != "cpu":
                torch.accelerator.synchronize()
            self.seconds[name].append(time.perf_counter() - started)
        torch.set_flush_denormal(True)
        history.resume()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the report."""
        report = self._report(History.of(trainer).seconds, cast(Task, pl_module).model, train_loader(trainer))
        self.file.write_text(json.dumps(report), encoding="utf-8")

    def _report(self, epochs: list[float], model: nn.Module, loader: TensorLoader) -> dict[str, object]:
        """Epoch times by loop; final losses, and distances from litlab's weights, which show equal work."""
        models = {"litlab": model} | {name: other for name, (_, other, _) in self._loops.items()}
        with torch.no_grad():
            weights = {name: nn.utils.parameters_to_vector(each.parameters()) for name, each in models.items()}
            loss = {name: float(self._loss(each(loader.inputs), loader.targets)) for name, each in models.items()}
        return {
            "started": self.started,
            "samples": len(loader.inputs) * loader.passes,
            "batch_size": loader.batch_size,
            "seconds": self.seconds | {"litlab": epochs},
            "validation": self.validation,
            "loss": loss,
            "distance": {name: float((each - weights["litlab"]).abs().max()) for name, each in weights.items()},
        }


def train_loader(trainer: L.Trainer) -> TensorLoader:
    """The loader of the training split."""
    loader = trainer.train_dataloader
    return cast(TensorLoader, loader.loader if isinstance(loader, Chunks) else loader)


def raw_epoch(loader: TensorLoader) -> Epoch:
    """The shortest PyTorch loop, over tensors in memory."""
    inputs, targets, batch_size = loader.inputs, loader.targets, loader.batch_size

    def epoch(model: nn.Module, optimizer: Optimizer, order: Tensor) -> None:
        for index in order.split(batch_size):
            loss = F.cross_entropy(model(inputs[index]), targets[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return epoch


def tutorial_epoch(loader: TensorLoader) -> Epoch:
    """The tutorial's loop (seeds/004): torchvision's data set, ToTensor for each sample, DataLoader."""
    device, batch_size, images = loader.inputs.device, loader.batch_size, Images(loader.inputs, loader.targets)

    def epoch(model: nn.Module, optimizer: Optimizer, order: Tensor) -> None:
        # The tutorial's shuffle=True draws an order and makes a list of it, too; here it is litlab's order.
        batches: DataLoader[tuple[Tensor, int]] = DataLoader(images, batch_size, sampler=order.tolist())
        model.train()
        for data, target in batches:
            data, target = data.to(device), target.to(device)
            optimizer.zero_grad()
            output = model(data)
            loss = F.cross_entropy(output, target)
            loss.backward()
            optimizer.step()

    return epoch


def by_hand_epoch(loader: TensorLoader) -> Epoch:
    """The loop of seeds/000, section 5: full-batch steps of a cubic polynomial, with the gradient written by hand."""
    x, y = loader.inputs.flatten(), loader.targets

    def epoch(model: nn.Module, optimizer: Optimizer, order: Tensor) -> None:
        coefficients = cast(Polynomial, model).coefficients
        learning_rate = optimizer.param_groups[0]["lr"]
        a, b, c, d = coefficients.detach().flatten().clone()
        for _ in range(loader.passes):
            y_pred = a * x**3 + b * x**2 + c * x + d
            (y_pred - y).pow(2).sum().item()  # the document reads the loss in each step
            grad_y_pred = 2.0 * (y_pred - y)
            grad_a = (grad_y_pred * x**3).sum()
            grad_b = (grad_y_pred * x**2).sum()
            grad_c = (grad_y_pred * x).sum()
            grad_d = grad_y_pred.sum()
            a -= learning_rate * grad_a
            b -= learning_rate * grad_b
            c -= learning_rate * grad_c
            d -= learning_rate * grad_d
        with torch.no_grad():
            coefficients.copy_(torch.stack((a, b, c, d)).unsqueeze(1))

    return epoch


LOOPS: dict[str, Callable[[TensorLoader], Epoch]] = {
    "tutorial": tutorial_epoch,
    "raw": raw_epoch,
    "by hand": by_hand_epoch,
}


class Images(MNIST):
    """torchvision's MNIST (a PIL image per sample, then ToTensor) of the images of litlab's training split.

    MNIST's constructor is skipped, because it reads the whole training split from files.

    Args:
        inputs: (N, 1, height, width), bytes divided by 255.
        targets: (N,).

    Raises:
        RequestError: the inputs are other images.
    """

    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        VisionDataset.__init__(self, root="", transform=ToTensor())
        self.data = (inputs.squeeze(1) * 255).round().to("cpu", torch.uint8)
        self.targets = targets.cpu()
        if not torch.equal(self.data.unsqueeze(1).float() / 255, inputs.cpu()):
            raise RequestError("data: the tutorial's loop needs grey images that are not normalized: data=fashion")
