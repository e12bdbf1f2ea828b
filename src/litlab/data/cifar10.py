"""CIFAR-10, from the files that torchvision downloads or from a smaller sample in one file."""

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from filelock import FileLock
from torchvision import datasets
from torchvision.datasets.utils import check_integrity

from litlab.data.tensors import Split, TensorData
from litlab.errors import RequestError


class CIFAR10(TensorData):
    """50,000 + 10,000 colour images (3, 32, 32), values 0 to 1, of ten kinds of animals and vehicles.

    Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009. torchvision downloads the files
    to data_dir/cifar-10-batches-py and knows their md5.

    Args:
        data_dir: where the files are, or are downloaded to.
        sample: an npz file in data_dir to read instead: train_images, test_images (N, 32, 32, 3), uint8, and
            train_labels, test_labels (N,), uint8.
        settings: see `TensorData`.
    """

    input_shape = (3, 32, 32)
    num_outputs = 10
    class_names = (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    )
    pixel_max = 255.0

    def __init__(self, *, data_dir: str | Path, sample: str | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.data_dir, self.sample = Path(data_dir), sample

    def prepare_data(self) -> None:
        """Download missing or damaged files; in one process only.

        Raises:
            RequestError: they cannot be downloaded.
        """
        if self.sample is not None or self.splits:  # loaded, and checked, before
            return
        folder = self.data_dir / datasets.CIFAR10.base_folder
        files = [*datasets.CIFAR10.train_list, *datasets.CIFAR10.test_list]
        if all(check_integrity(folder / name, md5) for name, md5 in files):
            return
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            with FileLock(self.data_dir / ".cifar-10-batches-py.lock"):
                datasets.CIFAR10(str(self.data_dir), download=True)  # unless another process just has
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "reason", None) or error
            raise RequestError(
                f"data=cifar10: no intact cifar-10-batches-py in {self.data_dir}, and it cannot be downloaded "
                f"({reason}); set paths.data_dir to the folder that holds it, or use data=cifar10_sample"
            ) from error

    def load(self) -> tuple[Split, Split]:
        """The official training and test splits, or the sample's.

        Raises:
            RequestError: a file is missing or damaged.
        """
        if self.sample is not None:
            return self._load_sample()
        return self._load_batches(datasets.CIFAR10.train_list), self._load_batches(datasets.CIFAR10.test_list)

    def _load_batches(self, files: Sequence[Sequence[str]]) -> Split:
        """Files, given by name and md5. A pickle can run any code: unpickle only bytes of the right checksum."""
        images, labels = [], []
        for name, md5 in files:
            path = self.data_dir / datasets.CIFAR10.base_folder / name
            try:
                content = path.read_bytes()
            except OSError as error:
                raise RequestError(f"data=cifar10: {path} cannot be read ({error}); set paths.data_dir") from error
            if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
                raise RequestError(
                    f"data=cifar10: {path} is damaged (wrong checksum); delete it, or set paths.data_dir"
                )
            batch = pickle.loads(content, encoding="latin1")
            images.append(batch["data"])
            labels += batch["labels"]
        pixels = np.concatenate(images).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        return _split(pixels, np.array(labels))

    def _load_sample(self) -> tuple[Split, Split]:
        path = self.data_dir / str(self.sample)
        try:
            with np.load(path) as arrays:
                train, test = (_split(arrays[f"{part}_images"], arrays[f"{part}_labels"]) for part in ("train", "test"))
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise RequestError(
                f"data.sample={self.sample}: {path} cannot be read ({error}); set paths.data_dir to the folder that "
                "holds it, or use data=cifar10"
            ) from error
        return train, test


def _split(images: np.ndarray, labels: np.ndarray) -> Split:
    """A split of images (N, 32, 32, 3), uint8, and labels (N,)."""
    inputs = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()  # as bytes, a quarter of the memory of floats
    return Split(inputs.float().div_(255), torch.from_numpy(labels).long())
