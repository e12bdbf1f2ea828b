"""What all data sets share: splitting, normalizing, and batches from memory."""

from collections.abc import Callable
from typing import Annotated, Any

import lightning.pytorch as L
import torch
from torch import Tensor

from litlab import signals
from litlab.config.values import PositiveInt, Seed, SizeOrShare
from litlab.data.loaded import as_splits
from litlab.data.loader import Batch, Chunks, TensorLoader
from litlab.data.splits import Split, carve, column_axis, fault, part_folds, refuse_unfit
from litlab.errors import RequestError


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
        folds: of the training split, for k-fold cross-validation in place of val_size; None: no folds.
        fold: the part that is the validation split, from 0.
        normalize: inputs to mean 0 and standard deviation 1, by the training split's statistics: tables per column,
            sequences (time, channels) and images (channels, height, width) per channel.
        passes_per_epoch: times that one epoch goes through the training split.
        shuffle: a new random order of the training split in each pass; else as they come.
        drop_last: leave out the last batch of a pass where it is smaller than the others.
    """

    input_shape: tuple[int, ...]
    num_outputs: int
    class_names: tuple[str, ...] | None = None  # None: no classes but numbers
    feature_names: tuple[str, ...] | None = None  # of the columns of a table, or of the channels of a sequence
    num_tokens: int | None = None  # inputs are tokens, 0 to num_tokens - 1: they stay int64; None: float32 numbers
    target_name: str = "target"  # what a number to predict is, and in which unit

    def __init__(
        self,
        *,
        batch_size: PositiveInt = 64,
        eval_batch_size: PositiveInt = 1024,
        val_size: Annotated[int | float, SizeOrShare(0.1)] = 0,
        test_size: Annotated[int | float, SizeOrShare(0.2)] = 0,
        test_on_train: bool = False,
        split_seed: Seed = 0,
        folds: int | None = None,
        fold: int = 0,
        normalize: bool = False,
        passes_per_epoch: PositiveInt = 1,
        shuffle: bool = True,
        drop_last: bool = False,
    ) -> None:
        super().__init__()
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.val_size, self.test_size, self.split_seed = val_size, test_size, split_seed
        if folds is None and fold:
            raise RequestError(f"data.fold={fold}: needs the number of folds, as in data.folds=5")
        if folds is not None and not 0 <= fold < folds:
            raise RequestError(f"data.fold={fold}: with data.folds={folds} it must be 0 to {folds - 1}")
        self.folds, self.fold = folds, fold
        self.test_on_train, self.normalize = test_on_train, normalize
        self.passes_per_epoch, self.shuffle, self.drop_last = passes_per_epoch, shuffle, drop_last
        self.steps_per_execution = 1  # how many batches the task's training_step takes at once
        self.tests_on_train = False  # whether it does, which `load` decides, too
        self.splits: dict[str, Split] = {}
        # Where jobs share loaded data: `litlab.data.shared.SharedCopy.get`, given the settings.
        self.shared: Callable[[object, Callable[[], dict[str, Split]]], dict[str, Split]] | None = None

    def load(self) -> tuple[Split, Split | None]:
        """The training split and the official test split, or None where `test_size` is to be drawn from the first.

        It depends on the settings and on files alone: jobs of a sweep that have these in common share what it gives.

        Inputs (N, *input_shape); targets (N,), the numbers of classes, or (N,) or (N, num_outputs), numbers to predict.
        Of any type of numbers: `raw_splits` makes float32 of them, and int64 of classes and tokens.
        """
        raise NotImplementedError

    @property
    def has_validation(self) -> bool:
        """Whether a validation split is carved."""
        return self.folds is not None or self.val_size > 0

    def setup(self, stage: str | None = None) -> None:
        """Load, carve and normalize, once; where data are shared, take what an earlier job has loaded.

        Raises:
            RequestError: there is no test split, the data hold something that is no number, no token or no class, or
                tokens are to be normalized; and as `raw_splits`.
        """
        if not self.splits:
            self.splits = self.shared(self, self._finished) if self.shared else self._finished()

    def _finished(self) -> dict[str, Split]:
        """The splits as batches are taken from them: whole, and normalized."""
        if self.normalize and self.num_tokens is not None:
            raise RequestError("data.normalize=true: the inputs are tokens, whose size means nothing; take false")
        with signals.at_once():  # a download may take minutes
            splits = self.raw_splits()
        if not len(splits["test"].inputs):
            raise RequestError(f"data.test_size={self.test_size}: there is no test split then; try 0.2")
        refuse_unfit(self, splits)
        if self.normalize:
            mean, std = _statistics(splits["train"].inputs)
            for part, (inputs, targets) in splits.items():  # one at a time, and not in place: load() may keep its own
                splits[part] = Split((inputs - mean).div_(std), targets)
        return splits

    def raw_splits(self) -> dict[str, Split]:
        """The splits train, val and test (both perhaps without samples) as loaded: with gaps, and not normalized.

        Raises:
            RequestError: `load` finds no file, or gives something else than samples as this class says they are, or too
                few to carve.
        """
        try:
            loaded = self.load()
        except FileNotFoundError as error:
            missing = f"{error.filename} is not there" if error.filename else " ".join(str(error).rstrip(".").split())
            raise fault(self, f"{missing}; set paths.data_dir, or mend the path in load()") from error
        train, test = as_splits(self, loaded)
        self.tests_on_train = test is None and self.test_on_train
        if self.tests_on_train:
            test = train
        elif test is None:
            train, test = carve(train, self.test_size, "test_size", self.split_seed)
        if self.folds is not None:
            train, val = part_folds(train, self.folds, self.fold, self.split_seed)
        else:
            train, val = carve(train, self.val_size, "val_size", self.split_seed)
        return {"train": train, "val": val, "test": test}

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


def _statistics(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation along `column_axis`; 1 for what is constant."""
    over = [axis for axis in range(inputs.dim()) if axis != column_axis(inputs)]
    std, mean = torch.std_mean(inputs, dim=over, correction=0, keepdim=True)
    return mean, torch.where(std > 0, std, torch.ones_like(std))
