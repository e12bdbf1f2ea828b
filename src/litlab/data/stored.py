"""Inputs that stay as they are stored, such as uint8 images in memory or in a mapped file: batches become float32."""

import math
from collections.abc import Iterator
from functools import reduce
from typing import Any

import torch
from torch import Tensor

CHUNK = 2**20  # values that are converted at a time, where all are looked at


class StoredInputs:
    """Stands where a float32 tensor of inputs (N, ...) stands, in the memory of the stored type, or of none.

    What is taken from it, by index, slice or batch, is a float32 tensor with the values of the converted and normalized
    whole, to the bit: converted on the device, after the batch has been gathered. Splitting copies no samples.

    Args:
        stored: shape (M, ...), of any type that float32 holds; of a memory-mapped file as `torch.from_numpy` makes it.
        rows: int64, shape (N,): which of the M; None: all of them.
        mapped: `stored` is a file, perhaps larger than memory: it is read batch by batch.
        statistics: mean and standard deviation that broadcast to a batch, to normalize it; None: as stored.
        device: of the batches; None: where `stored` lies.
    """

    def __init__(
        self,
        stored: Tensor,
        rows: Tensor | None = None,
        *,
        mapped: bool = False,
        statistics: tuple[Tensor, Tensor] | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.stored, self.rows, self.mapped, self.statistics = stored, rows, mapped, statistics
        self.device = stored.device if device is None else device

    def __len__(self) -> int:
        return len(self.stored if self.rows is None else self.rows)

    @property
    def shape(self) -> torch.Size:
        """(N, ...)."""
        return torch.Size((len(self), *self.stored.shape[1:]))

    @property
    def dtype(self) -> torch.dtype:
        """The stored type."""
        return self.stored.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.stored.dim()

    def dim(self) -> int:
        """The number of axes."""
        return self.stored.dim()

    def __getitem__(self, key: slice | Tensor | Any) -> Tensor:
        """The samples of a slice, a number or indices, float32."""
        if isinstance(key, slice):
            return self._batch(self.stored[key] if self.rows is None else self.stored.index_select(0, self.rows[key]))
        index = torch.as_tensor(key)
        found = self.index_select(0, index.reshape(-1))
        return found if index.dim() else found[0]

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """The samples of these indices, float32; as of a tensor, and `dim` is 0."""
        index = index.to(self.stored.device)
        return self._batch(self.stored.index_select(dim, index if self.rows is None else self.rows[index]))

    def split(self, size: int) -> Iterator[Tensor]:
        """Successive batches of that size; the last one may be smaller."""
        return (self[start : start + size] for start in range(0, len(self), size))

    def chunks(self) -> Iterator[Tensor]:
        """All samples in parts that fit into memory."""
        return self.split(self._chunk)

    @property
    def _chunk(self) -> int:
        """Samples in a part."""
        return max(1, CHUNK // max(1, math.prod(self.shape[1:])))

    def take(self, index: Tensor) -> "StoredInputs":
        """The samples of these indices, or of a mask; not copied."""
        rows = torch.arange(len(self))[index] if self.rows is None else self.rows[index]
        return self._with(rows=rows)

    def normalized(self, mean: Tensor, std: Tensor) -> "StoredInputs":
        """The same samples, normalized when they are taken."""
        return self._with(statistics=(mean.to(self.device), std.to(self.device)))

    def to(self, device: torch.device | str) -> "StoredInputs":
        """For batches on another device: the samples move there as stored; those of a mapped file if there is room."""
        device = torch.device(device)
        if device == self.device:
            return self
        statistics = None if self.statistics is None else tuple(each.to(device) for each in self.statistics)
        moved: dict[str, Any] = {"device": device, "statistics": statistics}
        if not self.mapped or self._fits(device):
            own = self.stored if self.rows is None else self.stored.index_select(0, self.rows)
            moved |= {"stored": own.to(device), "rows": None}
        return self._with(**moved)

    def _fits(self, device: torch.device) -> bool:
        """Whether a GPU has room for the samples, and as much again for the work."""
        needed = 2 * math.prod(self.shape) * self.dtype.itemsize
        return device.type == "cuda" and needed < torch.cuda.mem_get_info(device)[0]

    def cpu(self) -> "StoredInputs":
        """The same on the CPU."""
        return self.to("cpu")

    def moments(self, axis: int) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (correction 0) over all axes but one, float32, that broadcast to a batch.

        Of uint8 exactly, from the counts of the 256 values; of other types in double precision, part by part. Only the
        rows of this split are read.
        """
        shape = [-1 if each == axis else 1 for each in range(self.dim())]
        total = math.prod(self.shape) / self.shape[axis]
        if self.dtype == torch.uint8:
            counts = reduce(torch.add, (_counts(each, axis) for each in self._stored_chunks())).double()
            values = torch.arange(256.0, dtype=torch.float64)
            mean = counts @ values / total
            square = (counts * (values - mean[:, None]).square()).sum(1) / total
        else:
            mean = reduce(torch.add, (_sums(each, axis) for each in self._stored_chunks())) / total
            squares = ((each.double() - mean.view(shape)).square() for each in self._stored_chunks())
            square = reduce(torch.add, (_sums(each, axis) for each in squares)) / total
        return mean.float().view(shape), square.sqrt().float().view(shape)

    def _stored_chunks(self) -> Iterator[Tensor]:
        """As `chunks`, of the stored type."""
        size = self._chunk
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield self.stored[part] if self.rows is None else self.stored.index_select(0, self.rows[part])

    def _batch(self, stored: Tensor) -> Tensor:
        batch = stored.to(self.device).to(torch.float32)  # moved as bytes
        if self.statistics is None:
            return batch
        mean, std = self.statistics
        return (batch - mean).div_(std)

    def _with(self, **changed: Any) -> "StoredInputs":
        kept = {name: getattr(self, name) for name in ("stored", "rows", "mapped", "statistics", "device")}
        return StoredInputs(**{**kept, **changed})


def _counts(part: Tensor, axis: int) -> Tensor:
    """How often each channel has each of the 256 values: (channels, 256)."""
    return torch.stack([torch.bincount(each.reshape(-1), minlength=256) for each in part.unbind(axis)])


def _sums(part: Tensor, axis: int) -> Tensor:
    """The sum of each channel, in double precision."""
    return part.double().movedim(axis, 0).flatten(1).sum(1)
