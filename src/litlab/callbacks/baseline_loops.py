"""Other ways to train the same model on the same batches, by turns with litlab: what the benchmark compares."""

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

from litlab.callbacks.stopwatch import Stopwatch
from litlab.data.loader import Chunks, TensorLoader
from litlab.errors import RequestError
from litlab.models.polynomial import Polynomial
from litlab.tasks.base import Task

Epoch = Callable[[nn.Module, Optimizer, Tensor], None]  # model, optimizer, the order of the samples


class BaselineLoops(L.Callback):
    """Trains copies of the model beside it: after each of litlab's epochs, the same epoch in each of the loops.

    All loops begin with the same weights and see the same batches in the same order, so that they must come to the
    same weights; litlab's time is what `Stopwatch` took, which rests meanwhile.

    Args:
        loops: names out of LOOPS.
        file: is written at the end of training: JSON as `_report` makes it.
    """

    def __init__(self, loops: list[str], file: str) -> None:
        self.names, self.file = loops, Path(file)
        self.seconds: dict[str, list[float]] = {name: [] for name in loops}
        self.validation: list[float] = []
        self.began = 0.0
        self._loops: dict[str, tuple[Epoch, nn.Module, Optimizer]] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Copy the model, once for each loop."""
        self.began = time.perf_counter()
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
        """Let each of the other loops go through the epoch that litlab has just been through."""
        stopwatch = next(each for each in trainer.callbacks if isinstance(each, Stopwatch))
        loader = train_loader(trainer)
        stopwatch.pause()
        torch.set_flush_denormal(False)  # `train` sets it; PyTorch by itself does not
        for name, (epoch, model, optimizer) in self._loops.items():
            started = time.perf_counter()
            epoch(model, optimizer, loader.order(0))
            if loader.inputs.device.type != "cpu":
                torch.accelerator.synchronize()
            self.seconds[name].append(time.perf_counter() - started)
        torch.set_flush_denormal(True)
        stopwatch.resume()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write what was measured."""
        stopwatch = next(each for each in trainer.callbacks if isinstance(each, Stopwatch))
        report = self._report(stopwatch.epochs, cast(Task, pl_module).model, train_loader(trainer))
        self.file.write_text(json.dumps(report), encoding="utf-8")

    def _report(self, epochs: list[float], model: nn.Module, loader: TensorLoader) -> dict[str, object]:
        """Seconds of each epoch by loop; the final loss and distance from litlab's weights, which prove the work."""
        models = {"litlab": model} | {name: rival for name, (_, rival, _) in self._loops.items()}
        with torch.no_grad():
            weights = {name: nn.utils.parameters_to_vector(each.parameters()) for name, each in models.items()}
            loss = {name: float(self._loss(each(loader.inputs), loader.targets)) for name, each in models.items()}
        return {
            "began": self.began,
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
    """The shortest loop that PyTorch has, over tensors in memory."""
    inputs, targets, batch_size = loader.inputs, loader.targets, loader.batch_size

    def epoch(model: nn.Module, optimizer: Optimizer, order: Tensor) -> None:
        for index in order.split(batch_size):
            loss = F.cross_entropy(model(inputs[index]), targets[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return epoch


def tutorial_epoch(loader: TensorLoader) -> Epoch:
    """The tutorial's loop (seeds/004): torchvision's set, ToTensor for each sample, DataLoader."""
    device, batch_size, images = loader.inputs.device, loader.batch_size, Images(loader.inputs, loader.targets)

    def epoch(model: nn.Module, optimizer: Optimizer, order: Tensor) -> None:
        # The tutorial's shuffle=True draws an order and turns it into a list, just so; this is litlab's order.
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
    """The loop of seeds/000, section 5: a cubic polynomial on one full batch, its gradient written by hand."""
    x, y = loader.inputs.flatten(), loader.targets

    def epoch(model: nn.Module, optimizer: Optimizer, order: Tensor) -> None:
        coefficients = cast(Polynomial, model).coefficients
        learning_rate = optimizer.param_groups[0]["lr"]
        a, b, c, d = coefficients.detach().flatten().clone()
        for _ in range(loader.passes):
            y_pred = a * x**3 + b * x**2 + c * x + d
            (y_pred - y).pow(2).sum().item()  # the document looks at it in each step
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
    """torchvision's own way to a sample (a PIL image, then ToTensor), on the images of litlab's training split.

    Its constructor is left out: it reads the whole training split, from files under a folder of its own.

    Args:
        inputs: (N, 1, height, width), multiples of 1/255, as bytes divided by 255 are.
        targets: (N,).

    Raises:
        RequestError: the inputs are no such images.
    """

    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        VisionDataset.__init__(self, root="", transform=ToTensor())
        self.data = (inputs.squeeze(1) * 255).round().to("cpu", torch.uint8)
        self.targets = targets.cpu()
        if not torch.equal(self.data.unsqueeze(1).float() / 255, inputs.cpu()):
            raise RequestError("data: the tutorial's loop needs grey images of bytes, not normalized: data=fashion")
