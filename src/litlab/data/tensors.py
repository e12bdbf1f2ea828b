"""The base class of all data sets: loading, splitting, normalizing, and batches from memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import lightning.pytorch as L
import torch
from torch import Tensor

from litlab import signals
from litlab.config.values import PositiveInt, Seed, SizeOrFraction
from litlab.data.faults import refuse_faults
from litlab.data.guess import Guess
from litlab.data.loader import Batch, Chunks, Skipped, TensorLoader
from litlab.data.preprocessing.appearance import Appearance
from litlab.data.preprocessing.spec import DataSpec
from litlab.data.preprocessing.text_encoding import TextEncoding
from litlab.data.samples import as_divided, as_splits, column_axis, data_error
from litlab.data.splits import Split, carve, hold_out_fold
from litlab.data.stored import StoredInputs
from litlab.errors import RequestError
from litlab.escape import one_line

if TYPE_CHECKING:
    from litlab.data.preprocessing.encoding import TableEncoding

FIRST = 5  # samples that `first` keeps


class TensorData(L.LightningDataModule):
    """A data set that fits in memory. Subclasses set `input_shape` and `num_outputs` and implement `load`.

    Args:
        batch_size: samples per optimizer step, over all devices.
        eval_batch_size: samples per batch of validation and test, over all devices.
        val_size: size of the validation split, carved from the training split: samples (int) or a fraction (float).
        test_size: likewise of the test split, where there is no official one.
        test_on_train: test on the training split, where there is no official test split: for documents that show how
            a model fits. Such a test says nothing about new samples.
        split_seed: seed of the carving.
        folds: k of k-fold cross-validation on the training split, in place of val_size.
        fold: the fold that is the validation split, from 0.
        normalize: inputs to mean 0 and standard deviation 1, by the training split's statistics: tables per column,
            sequences (time, channels) and images (channels, height, width) per channel.
        passes_per_epoch: passes over the training split in one epoch.
        shuffle: train in a new random order in each pass.
        drop_last: drop the last batch of a pass if it is smaller than the others.
    """

    input_shape: tuple[int, ...]
    num_outputs: int
    class_names: tuple[str, ...] | None = None  # None: regression
    feature_names: tuple[str, ...] | None = None  # columns of a table, or channels of a sequence
    num_tokens: int | None = None  # the inputs are tokens, int64, from 0 to num_tokens - 1; None: float32 numbers
    target_name: str = "target"  # of a regression, with its unit
    pixel_max: float | None = None  # by which `load` divides uint8 pixels, such as 255
    table: "TableEncoding | None" = None  # how the columns of a table become the inputs
    background: Sequence[float] | None = None  # of each channel, 0 to 255: with which image files are padded
    text: TextEncoding | None = None  # how texts become tokens
    guesses: Sequence[Guess] = ()  # conclusions from the user's files
    remarks: Sequence[str] = ()  # a sentence for each thing that is unusual about them, or left out

    def __init__(
        self,
        *,
        batch_size: PositiveInt = 64,
        eval_batch_size: PositiveInt = 1024,
        val_size: Annotated[int | float, SizeOrFraction(0.1)] = 0,
        test_size: Annotated[int | float, SizeOrFraction(0.2)] = 0,
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
        self.test_split = "test"  # or train, once loaded, where the test repeats the training split
        self.splits: dict[str, Split] = {}
        self.first: Split | None = None  # samples as `load` returned them, once `raw_splits` has run
        self.statistics: tuple[Tensor, Tensor] | None = None  # mean and standard deviation, where inputs are normalized
        self.appearance: Appearance | None = None  # of the training split's images
        # Where jobs share loaded data: `litlab.data.shared.SharedCopy.get`, given the settings.
        self.shared: Callable[[object, Callable[[], dict[str, Split]]], dict[str, Split]] | None = None

    def load(self) -> tuple[Split, Split | None] | Mapping[str, Split]:
        """The training split and the official test split, or None where `test_size` is to be carved from the first.

        Data that divide themselves, as by groups or by folders, return their splits by name, train and others; val and
        test are carved from train where they are missing.

        It must depend on the settings and on files alone: jobs of a sweep with the same ones share the result.

        Inputs (N, *input_shape); targets (N,), class indices, or numbers (N,) or (N, num_outputs). Any numeric type:
        `raw_splits` converts to float32, and class indices and tokens to int64. Inputs of a smaller type, such as
        uint8, stay so until a batch is taken.
        """
        raise NotImplementedError

    def adopt(self, spec: DataSpec) -> None:
        """Before anything is read: prepare the user's files as a finished run has, whatever they suggest."""

    @property
    def has_validation(self) -> bool:
        """Whether there is a validation split."""
        return self.folds is not None or self.val_size > 0

    @property
    def passes(self) -> int:
        """Passes over the training split in one epoch; known once it is loaded."""
        return self.passes_per_epoch

    @property
    def spec(self) -> DataSpec | None:
        """The specification for predictions; None where a subclass prepares inputs in its own way."""
        own = ("setup", "_final_splits", "raw_splits", "on_before_batch_transfer", "on_after_batch_transfer")
        if any(getattr(type(self), name) is not getattr(TensorData, name) for name in own):
            return None
        mean, std = (tuple(each.flatten().tolist()) for each in self.statistics) if self.statistics else (None, None)
        return DataSpec(
            name=type(self).__name__,
            input_shape=tuple(self.input_shape),
            num_outputs=self.num_outputs,
            class_names=None if self.class_names is None else tuple(self.class_names),
            feature_names=None if self.feature_names is None else tuple(self.feature_names),
            target_name=self.target_name,
            num_tokens=self.num_tokens,
            pixel_max=self.pixel_max,
            mean=mean,
            std=std,
            eval_batch_size=self.eval_batch_size,
            appearance=self.appearance,
            table=self.table,
            text=self.text,
        )

    def setup(self, stage: str | None = None) -> None:
        """Load, split and normalize, once; a sweep's jobs in one process share the result.

        Raises:
            RequestError: there is no test split, values are not finite or outside the tokens or classes, or tokens are
                to be normalized; and as `raw_splits`.
        """
        if not self.splits:
            self.splits = self.shared(self, self._final_splits) if self.shared else self._final_splits()

    def _final_splits(self) -> dict[str, Split]:
        """The splits as batches use them: checked and normalized."""
        if self.normalize and self.num_tokens is not None:
            raise RequestError("data.normalize=true: tokens cannot be normalized; set false")
        with signals.at_once():  # a download may take minutes
            splits = self.raw_splits()
        if not len(splits["test"].inputs):
            raise RequestError(f"data.test_size={self.test_size}: that leaves no test split; try 0.2")
        refuse_faults(self, splits)
        self.appearance = Appearance.of(splits["train"].inputs, self.pixel_max)
        if self.appearance is not None and self.background is not None:
            self.appearance = replace(self.appearance, background=tuple(self.background))
        if self.normalize:
            self.statistics = mean, std = _statistics(splits["train"].inputs)
            for part, (
                inputs,
                targets,
            ) in splits.items():  # one at a time to save memory; load() may keep the originals
                stored = isinstance(inputs, StoredInputs)
                splits[part] = Split(inputs.normalized(mean, std) if stored else (inputs - mean).div_(std), targets)
        return splits

    def raw_splits(self) -> dict[str, Split]:
        """The splits train, val and test (val and test may be empty) as loaded: not normalized, NaN included.

        Raises:
            RequestError: `load` finds no file, does not return what this class declares, or too few samples to split.
        """
        try:
            loaded = self.load()
        except FileNotFoundError as error:
            missing = f"{error.filename} does not exist" if error.filename else one_line(error).rstrip(".")
            raise data_error(self, f"{missing}; set paths.data_dir, or fix the path in load()") from error
        if isinstance(loaded, Mapping):
            given: Mapping[str, Split | None] = as_divided(self, loaded)
        else:
            given = dict(zip(("train", "test"), as_splits(self, loaded), strict=True))
        train, test = given["train"], given.get("test")
        assert train is not None
        self.first = train.take(torch.arange(min(FIRST, len(train.inputs))))
        if train.inputs.dtype == torch.uint8:
            self.pixel_max = 1.0  # they are not divided
        if test is None and self.test_on_train:
            test, self.test_split = train, "train"
        elif test is None:
            train, test = carve(train, self.test_size, "test_size", self.split_seed)
        val = given.get("val")
        if val is not None:
            pass
        elif self.folds is not None:
            train, val = hold_out_fold(train, self.folds, self.fold, self.split_seed)
        else:
            train, val = carve(train, self.val_size, "val_size", self.split_seed)
        return {"train": train, "val": val, "test": test}

    def _loader(self, part: str, batch_size: int, **settings: Any) -> TensorLoader:
        trainer = self.trainer
        assert trainer is not None
        if len(self.splits[part].inputs) < trainer.world_size:  # each rank needs a sample for its metrics
            raise RequestError(
                f"trainer.devices: {trainer.world_size} in all cannot share {len(self.splits[part].inputs)} samples "
                f"({part} split); use trainer=cpu, or see data.val_size and data.test_size"
            )
        device = trainer.strategy.root_device  # the whole split moves there once, not batch by batch
        split = self.splits[part] = Split(*(tensor.to(device) for tensor in self.splits[part]))
        return TensorLoader(*split, batch_size, rank=trainer.global_rank, world_size=trainer.world_size, **settings)

    def train_dataloader(self) -> TensorLoader | Chunks:
        """Batches of the training split, shuffled by default, in lists of `steps_per_execution` where that is not 1."""
        trainer = self.trainer
        assert trainer is not None
        loader = self._loader(
            "train",
            self.batch_size,
            shuffle=self.shuffle and not trainer.overfit_batches,  # which repeats the same few batches
            drop_last=self.drop_last,
            seed=torch.initial_seed(),  # as given to seed_everything
            epoch=lambda: trainer.current_epoch,
            passes=self.passes,
        )
        size = getattr(trainer.lightning_module, "steps_per_execution", 1)
        if getattr(trainer.lightning_module, "replay", None) is not None:
            return Skipped(loader, len(loader))
        return Chunks(loader, size) if size > 1 else loader

    def val_dataloader(self) -> TensorLoader | Chunks | list[Any]:
        """Large batches of the validation split in order; an empty list without one."""
        if not self.has_validation:
            return []
        loader, trainer = self._loader("val", self.eval_batch_size), self.trainer
        is_replay = getattr(trainer.lightning_module, "replay", None) is not None
        return Skipped(loader, len(loader)) if is_replay else loader

    def test_dataloader(self) -> TensorLoader:
        """Large batches of the test split in order."""
        return self._loader("test", self.eval_batch_size)

    def train_eval_dataloader(self) -> TensorLoader:
        """Large batches of the training split in order, to evaluate the trained weights."""
        return self._loader("train", self.eval_batch_size)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Do nothing: the batch is there already, and Lightning's search through it costs time."""
        return batch


def _statistics(inputs: Tensor | StoredInputs) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation along `column_axis`; 1 for constant columns."""
    kept = column_axis(inputs)
    if isinstance(inputs, StoredInputs):
        mean, std = inputs.moments(kept)
    else:
        over = [axis for axis in range(inputs.dim()) if axis != kept]
        std, mean = torch.std_mean(inputs, dim=over, correction=0, keepdim=True)
    return mean, torch.where(std > 0, std, torch.ones_like(std))
