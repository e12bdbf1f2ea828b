"""What all data sets share: splitting, normalizing, and batches from memory."""

from typing import Any, NamedTuple

import lightning.pytorch as L
import torch
from torch import Tensor

from litlab.data.loader import Batch, Chunks, TensorLoader
from litlab.errors import RequestError


class Split(NamedTuple):
    """One split: inputs (N, ...), float32; targets (N,) or (N, K), float32, or for classes (N,), int64."""

    inputs: Tensor
    targets: Tensor


class TensorData(L.LightningDataModule):
    """A data set that fits in memory. A new one sets `input_shape` and `num_outputs` and writes `load`.

    Args:
        batch_size: samples per optimizer step (of all devices together).
        eval_batch_size: samples per batch of validation and test (of all devices together).
        val_size: what is carved from the training split for validation: samples (int) or a fraction (float); 0: none.
        test_size: likewise for the test, where a data set has no official test split.
        test_on_train: the test repeats the training rows, where a data set has no official test split: for documents
            that show how a model fits. Such a test tells nothing of new samples.
        split_seed: of the carving.
        normalize: inputs to mean 0 and standard deviation 1, by the training split's statistics; images per channel,
            tables per column.
        passes_per_epoch: times that one epoch goes through the training split.
        shuffle: a new random order of the training split in each pass; else as they come.
        drop_last: leave out the last batch of a pass where it is smaller than the others.
    """

    input_shape: tuple[int, ...]
    num_outputs: int
    class_names: tuple[str, ...] | None = None  # None: no classes but numbers
    feature_names: tuple[str, ...] | None = None  # of the columns of a table
    target_name: str = "target"  # what a number to predict is, and in which unit

    def __init__(
        self,
        *,
        batch_size: int = 64,
        eval_batch_size: int = 1024,
        val_size: int | float = 0,
        test_size: int | float = 0,
        test_on_train: bool = False,
        split_seed: int = 0,
        normalize: bool = False,
        passes_per_epoch: int = 1,
        shuffle: bool = True,
        drop_last: bool = False,
    ) -> None:
        super().__init__()
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.val_size, self.test_size, self.split_seed = val_size, test_size, split_seed
        self.test_on_train, self.normalize = test_on_train, normalize
        self.passes_per_epoch, self.shuffle, self.drop_last = passes_per_epoch, shuffle, drop_last
        self.steps_per_execution = 1  # how many batches the task's training_step takes at once
        self.splits: dict[str, Split] = {}

    def load(self) -> tuple[Split, Split | None]:
        """The training split and the official test split, or None where `test_size` is to be drawn from the first."""
        raise NotImplementedError

    @property
    def has_validation(self) -> bool:
        """Whether a validation split is carved."""
        return self.val_size > 0

    def setup(self, stage: str | None = None) -> None:
        """Load, carve and normalize, once.

        Raises:
            RequestError: a split would be empty, or the data hold something that is no number or no class.
        """
        if self.splits:
            return
        splits = self.raw_splits()
        self._check(splits)
        if self.normalize:
            mean, std = _statistics(splits["train"].inputs)
            for split in splits.values():
                split.inputs.sub_(mean).div_(std)
        self.splits = splits

    def raw_splits(self) -> dict[str, Split]:
        """The splits train, val (perhaps without samples) and test as loaded: neither checked nor normalized."""
        train, test = self.load()
        if test is None and self.test_on_train:
            test = Split(*(tensor.clone() for tensor in train))
        elif test is None:
            train, test = self._carve(train, self.test_size, "test_size")
        train, val = self._carve(train, self.val_size, "val_size")
        return {"train": train, "val": val, "test": test}

    def _carve(self, split: Split, size: int | float, setting: str) -> tuple[Split, Split]:
        total = len(split.inputs)
        if not size:
            return split, Split(split.inputs[:0], split.targets[:0])
        count = round(size * total) if isinstance(size, float) and size < 1 else int(size)
        if count >= total:
            raise RequestError(f"data.{setting}={size}: must leave something of {total} samples; try {total // 10}")
        order = torch.randperm(total, generator=torch.Generator().manual_seed(self.split_seed))
        kept, carved = order[count:], order[:count]
        return Split(split.inputs[kept], split.targets[kept]), Split(split.inputs[carved], split.targets[carved])

    def _check(self, splits: dict[str, Split]) -> None:
        name = type(self).__name__
        for part, (inputs, targets) in splits.items():
            if part != "val" and not len(inputs):
                raise RequestError(f"data={name}: the {part} split is empty; see data.val_size and data.test_size")
            if not _finite(inputs):
                raise RequestError(f"data={name}: the {part} inputs hold NaN or infinite values; clean the data first")
            if not _finite(targets):
                raise RequestError(f"data={name}: the {part} targets hold NaN or infinite values; clean the data first")
            if (
                self.class_names
                and len(targets)
                and not 0 <= int(targets.min()) <= int(targets.max()) < len(self.class_names)
            ):
                last = len(self.class_names) - 1
                raise RequestError(f"data={name}: a {part} label lies outside the classes 0 to {last}")

    def _loader(self, part: str, batch_size: int, **settings: Any) -> TensorLoader:
        trainer = self.trainer
        assert trainer is not None
        if len(self.splits[part].inputs) < trainer.world_size:  # metrics can be joined only of ranks that have some
            raise RequestError(
                f"trainer.devices: {trainer.world_size} in all cannot share {len(self.splits[part].inputs)} samples "
                f"({part} split); take trainer=cpu, or see data.val_size and data.test_size"
            )
        device = trainer.strategy.root_device  # the whole split lies where it is computed with
        split = self.splits[part] = Split(*(tensor.to(device) for tensor in self.splits[part]))
        return TensorLoader(*split, batch_size, rank=trainer.global_rank, world_size=trainer.world_size, **settings)

    def train_dataloader(self) -> TensorLoader | Chunks:
        """Batches of the training split in random order, `steps_per_execution` at once."""
        trainer = self.trainer
        assert trainer is not None
        loader = self._loader(
            "train",
            self.batch_size,
            shuffle=self.shuffle and not trainer.overfit_batches,  # overfitting means: the same few batches
            drop_last=self.drop_last,
            seed=torch.initial_seed(),  # what seed_everything was given
            epoch=lambda: trainer.current_epoch,
            passes=self.passes_per_epoch,
        )
        return Chunks(loader, self.steps_per_execution) if self.steps_per_execution > 1 else loader

    def val_dataloader(self) -> TensorLoader | list[Any]:
        """Large batches of the validation split in order; nothing where there is none."""
        return self._loader("val", self.eval_batch_size) if self.has_validation else []

    def test_dataloader(self) -> TensorLoader:
        """Large batches of the test split in order."""
        return self._loader("test", self.eval_batch_size)

    def train_eval_dataloader(self) -> TensorLoader:
        """Large batches of the training split in order, to evaluate the trained weights on it."""
        return self._loader("train", self.eval_batch_size)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Nothing: it is there already, and Lightning's search through the batch costs time."""
        return batch


def _finite(values: Tensor) -> bool:
    """Whether all are; their sum is not if one is not, and takes a tenth of the time of asking each."""
    return bool(values.sum().isfinite()) or bool(values.isfinite().all())


def _statistics(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per channel (N, C, H, W) or column (N, F); 1 for what is constant."""
    over = [axis for axis in range(inputs.dim()) if axis != 1]
    std, mean = torch.std_mean(inputs, dim=over, correction=0, keepdim=True)
    return mean, torch.where(std > 0, std, torch.ones_like(std))
