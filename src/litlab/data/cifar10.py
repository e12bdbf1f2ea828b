"""CIFAR-10, as torchvision reads it, and a part of it in one file."""

from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from filelock import FileLock
from torchvision import datasets

from litlab.data.tensors import Split, TensorData
from litlab.errors import RequestError


class CIFAR10(TensorData):
    """50,000 + 10,000 colour images (3, 32, 32), values 0 to 1, of ten kinds of things.

    Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009. The files in
    data_dir/cifar-10-batches-py are checked by torchvision's md5, and fetched from where it fetches them.

    Args:
        data_dir: where the files lie or are put.
        sample: a file in data_dir to read instead: train_images, test_images (N, 32, 32, 3), uint8, and train_labels,
            test_labels (N,), uint8, in an npz.
        settings: see `TensorData`.
    """

    input_shape = (3, 32, 32)
    num_outputs = 10
    class_names = (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    )

    def __init__(self, *, data_dir: str | Path, sample: str | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.data_dir, self.sample = Path(data_dir), sample

    def prepare_data(self) -> None:
        """Fetch the files if they are not there or damaged; in one process only.

        Raises:
            RequestError: they are neither here nor to be had.
        """
        if self.sample is not None:
            return
        try:
            datasets.CIFAR10(str(self.data_dir))
            return
        except RuntimeError:
            pass  # missing or damaged
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            with FileLock(self.data_dir / ".cifar-10-batches-py.lock"):
                datasets.CIFAR10(str(self.data_dir), download=True)  # nothing, if another process has fetched them
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "reason", None) or error
            raise RequestError(
                f"data=cifar10: no whole cifar-10-batches-py in {self.data_dir}, and it cannot be fetched ({reason}); "
                "set paths.data_dir to the folder that holds it, or take data=cifar10_sample"
            ) from error

    def load(self) -> tuple[Split, Split]:
        """The official training and test splits, or the sample's."""
        if self.sample is not None:
            return self._load_sample()
        parts = [datasets.CIFAR10(str(self.data_dir), train=train) for train in (True, False)]
        train, test = (_split(part.data, np.array(part.targets)) for part in parts)
        return train, test

    def _load_sample(self) -> tuple[Split, Split]:
        path = self.data_dir / str(self.sample)
        try:
            with np.load(path) as arrays:
                train, test = (_split(arrays[f"{part}_images"], arrays[f"{part}_labels"]) for part in ("train", "test"))
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise RequestError(
                f"data.sample={self.sample}: {path} cannot be read ({error}); set paths.data_dir to the folder that "
                "holds it, or take data=cifar10"
            ) from error
        return train, test


def _split(images: np.ndarray, labels: np.ndarray) -> Split:
    """Images (N, 32, 32, 3), uint8, and labels (N,) as inputs and targets."""
    inputs = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()  # a float copy is four times as large
    return Split(inputs.float().div_(255), torch.from_numpy(labels).long())
