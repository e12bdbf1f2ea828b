"""The training losses: kept on the device step by step, read by the host many at once."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from litlab.errors import RunError


class DivergedError(RunError):
    """A loss is not finite. What to try then depends on the data and the config, which are known higher up.

    Args:
        message: says where.
        rate: the learning rate there.
    """

    def __init__(self, message: str, rate: float) -> None:
        super().__init__(message)
        self.rate = rate


class TrainingLosses:
    """Means over an epoch and over the steps since the last log, weighted by batch size.

    Args:
        accumulate: batches per optimizer step, to tell the step of a loss.
    """

    def __init__(self, accumulate: int) -> None:
        self.accumulate = accumulate
        self.batches = 0  # of this epoch
        self.samples = 0  # of the run
        self._unread: list[Tensor] = []
        self._sizes: list[int] = []
        self.epoch, self.logged = WeightedMean(), WeightedMean()

    def add(self, loss: Tensor, size: int) -> None:
        """Note the mean loss, a scalar on the device, of a batch of `size` samples; waits for nothing.

        Of a batch that devices share: this one's part in it (see `Task.standing`), and all samples.
        """
        self._unread.append(loss)
        self._sizes.append(size)
        self.samples += size

    def read(self, step: int, epoch: int, rate: float, average: Callable[[Tensor], Tensor] | None = None) -> None:
        """Fetch all that is noted, with one device sync.

        Args:
            step: optimizer steps so far.
            epoch: the present one, counted from 0.
            rate: the present learning rate.
            average: over the devices, where there are several; all must call then.

        Raises:
            DivergedError: a loss is not finite.
        """
        if not self._unread:
            return
        unread = torch.stack(self._unread)
        losses = (average(unread) if average else unread).tolist()
        for position, (loss, size) in enumerate(zip(losses, self._sizes, strict=True)):
            if not math.isfinite(loss):
                at = step - (len(losses) - 1 - position) // self.accumulate
                raise DivergedError(
                    f"the loss is {loss} at step {at} (epoch {epoch + 1}, learning rate {rate:g})", rate
                )
            self.epoch.add(loss, size)
            self.logged.add(loss, size)
        self._unread.clear()
        self._sizes.clear()


class WeightedMean:
    """A mean of numbers on the host."""

    def __init__(self) -> None:
        self.total, self.weight = 0.0, 0

    def add(self, value: float, weight: int) -> None:
        """Take in a value."""
        self.total += value * weight
        self.weight += weight

    @property
    def mean(self) -> float:
        """Of what was taken in; NaN of nothing."""
        return self.total / self.weight if self.weight else math.nan

    def reset(self) -> float:
        """The mean; then begin anew."""
        mean = self.mean
        self.total, self.weight = 0.0, 0
        return mean
