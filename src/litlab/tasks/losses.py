"""Training losses: accumulated on the device, read by the host in bulk."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from litlab.errors import RunError


class DivergedError(RunError):
    """A loss is not finite. The caller, which knows the data and the config, says what to try.

    Args:
        message: names step and epoch.
        rate: the learning rate at that step.
    """

    def __init__(self, message: str, rate: float) -> None:
        super().__init__(message)
        self.rate = rate


class TrainingLosses:
    """Means over the epoch and since the last log, weighted by `Task.loss_weight`, usually the batch size.

    Args:
        accumulate: batches per optimizer step.
    """

    def __init__(self, accumulate: int) -> None:
        self.accumulate = accumulate
        self.batches = 0  # of this epoch
        self.samples = 0  # of the run
        self._unread: list[Tensor] = []
        self._weights: list[float | Tensor] = []
        self.epoch, self.logged = WeightedMean(), WeightedMean()

    def add(self, loss: Tensor, samples: int, weight: float | Tensor | None = None) -> None:
        """Add the loss of a batch, a scalar on the device; no sync.

        Args:
            loss: with several devices, this one's contribution: see `Task.weigh`.
            samples: in the batch, over all devices.
            weight: of the loss in the means; `samples` by default. A number, or a scalar on the device.
        """
        self._unread.append(loss)
        self._weights.append(samples if weight is None else weight)
        self.samples += samples

    def state_dict(self) -> dict[str, list[float]]:
        """The sums of the epoch and since the last log; call `read` first."""
        return {name: [mean.total, mean.weight] for name, mean in (("epoch", self.epoch), ("logged", self.logged))}

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        """Continue with these sums."""
        for name, mean in (("epoch", self.epoch), ("logged", self.logged)):
            mean.total, mean.weight = state[name]

    def read(self, step: int, epoch: int, rate: float, average: Callable[[Tensor], Tensor] | None = None) -> None:
        """Fetch all losses with one device sync; two where the weights are on the device.

        Args:
            step: optimizer steps so far.
            epoch: the current one, counted from 0.
            rate: the current learning rate.
            average: over the devices, where there are several (all must call).

        Raises:
            DivergedError: a loss is not finite.
        """
        if not self._unread:
            return
        unread = torch.stack(self._unread)
        losses = (average(unread) if average else unread).tolist()
        on_device = [weight for weight in self._weights if isinstance(weight, Tensor)]  # all are, or none
        weights = torch.stack(on_device).tolist() if on_device else self._weights
        for position, (loss, weight) in enumerate(zip(losses, weights, strict=True)):
            if not math.isfinite(loss):
                at = step - (len(losses) - 1 - position) // self.accumulate
                raise DivergedError(
                    f"the loss is {loss} at step {at} (epoch {epoch + 1}, learning rate {rate:g})", rate
                )
            self.epoch.add(loss, weight)
            self.logged.add(loss, weight)
        self._unread.clear()
        self._weights.clear()


class WeightedMean:
    """A weighted mean on the host."""

    def __init__(self) -> None:
        self.total, self.weight = 0.0, 0.0

    def add(self, value: float, weight: float) -> None:
        """Add a value."""
        self.total += value * weight
        self.weight += weight

    @property
    def mean(self) -> float:
        """NaN without values."""
        return self.total / self.weight if self.weight else math.nan

    def reset(self) -> float:
        """Return the mean and start over."""
        mean = self.mean
        self.total, self.weight = 0.0, 0.0
        return mean
