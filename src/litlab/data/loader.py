"""Batches from tensors in memory: no Dataset, no workers, no Python code per sample."""

import itertools
import math
from collections.abc import Callable, Iterator, Sized
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]


class Shard(NamedTuple):
    """One rank's part of a batch that several ranks share.

    Each rank gets a part of every batch, because DDP waits for all ranks in every step. Sizes differ by one at most.
    If a batch has fewer samples than there are ranks, some parts are idle: they repeat a sample, with weight 0.
    """

    inputs: Tensor  # (n, ...)
    targets: Tensor  # (n, ...)
    all_targets: Tensor  # of the whole batch
    idle: bool


class TensorLoader:
    """Iterates over the batches of one split.

    A batch is gathered by one index operation on the device that holds the tensors. The order of each pass depends on
    `seed`, the epoch and the pass alone: a resumed run continues with the same orders, and all devices have the same.

    Args:
        inputs: shape (N, ...).
        targets: shape (N, ...).
        batch_size: samples in a batch, over all ranks; the last one of a pass may be smaller.
        drop_last: drop a smaller last batch, unless it is the only one.
        shuffle: draw a new order for each pass.
        seed: seed of the orders.
        epoch: returns the number of the current epoch.
        passes: passes over the data in one iteration.
        rank: rank of this process; it takes every world_size-th sample of a batch.
        world_size: processes that share each batch; the batches of several are `Shard`s.
    """

    def __init__(
        self,
        inputs: Tensor,
        targets: Tensor,
        batch_size: int,
        *,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
        epoch: Callable[[], int] = int,
        passes: int = 1,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.inputs, self.targets = inputs, targets
        self.batch_size, self.shuffle, self.seed, self.passes = batch_size, shuffle, seed, passes
        self.epoch, self.rank, self.world_size = epoch, rank, world_size
        self.skip: dict[int, int] = {}  # by epoch, batches that the resumed run has already taken
        full_batches = len(inputs) - len(inputs) % batch_size if drop_last else 0
        self.used = full_batches or len(inputs)  # samples of one pass

    def __len__(self) -> int:
        return self.passes * math.ceil(self.used / self.batch_size)

    def __iter__(self) -> Iterator[Batch | Shard]:
        start = self.skip.get(self.epoch(), 0)
        if self.shuffle or self.world_size > 1:
            indices = (index for number in range(self.passes) for index in self.order(number).split(self.batch_size))
            for index in itertools.islice(indices, start, None):
                if self.world_size > 1:
                    yield self._shard(index)
                else:  # in a quarter of the time of inputs[index]
                    yield self.inputs.index_select(0, index), self.targets.index_select(0, index)
        else:
            inputs, targets = self.inputs.split, self.targets[: self.used].split  # the targets end with what is used
            pairs = (zip(inputs(self.batch_size), targets(self.batch_size), strict=False) for _ in range(self.passes))
            passes = itertools.chain.from_iterable(pairs)
            yield from itertools.islice(passes, start, None)

    def order(self, number: int) -> Tensor:
        """The sample indices of one pass, drawn on the CPU so that they are the same on every device."""
        size = len(self.inputs)
        if not self.shuffle:
            return torch.arange(self.used, device=self.inputs.device)
        entropy = np.random.SeedSequence([self.seed, self.epoch(), number]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(entropy >> np.uint64(1)))
        return torch.randperm(size, generator=generator)[: self.used].to(self.inputs.device)

    def _shard(self, index: Tensor) -> Shard:
        """This rank's part of a batch: every sample is in the part of exactly one rank."""
        idle = self.rank >= len(index)
        mine = index[:1] if idle else index[self.rank :: self.world_size]
        targets = self.targets.index_select(0, index)
        return Shard(self.inputs.index_select(0, mine), self.targets.index_select(0, mine), targets, idle)


class SizedLoader(Sized, Protocol):
    """What `Chunks` wraps: a `TensorLoader` or a `DataLoader` of torch."""

    def __iter__(self) -> Iterator[Any]: ...


class Chunks:
    """Lists of `size` successive batches of a loader: the input of one `training_step`."""

    def __init__(self, loader: SizedLoader, size: int) -> None:
        self.loader, self.size = loader, size

    def __len__(self) -> int:
        return math.ceil(len(self.loader) / self.size)

    def __iter__(self) -> Iterator[list[Any]]:
        batches = iter(self.loader)
        while chunk := list(itertools.islice(batches, self.size)):
            yield chunk


class Skipped(Chunks):
    """An empty list in place of the batches of an epoch that has been gone through elsewhere."""

    def __iter__(self) -> Iterator[list[Any]]:
        yield []
