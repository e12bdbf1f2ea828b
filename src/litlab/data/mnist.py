"""MNIST, and data sets in its format."""

from pathlib import Path
from typing import Any

from litlab.data.reading import fetch
from litlab.data.tensors import Split, TensorData


class MNIST(TensorData):
    """60,000 + 10,000 grey images (1, 28, 28), values 0 to 1, of the handwritten digits 0 to 9.

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998.

    Args:
        data_dir: where the files are, or are downloaded to.
        settings: see `TensorData`.
    """

    input_shape = (1, 28, 28)
    num_outputs = 10
    class_names = tuple("0123456789")
    pixel_max = 255.0

    def __init__(self, *, data_dir: str | Path, **settings: Any) -> None:
        super().__init__(**settings)
        self.data_dir = Path(data_dir)

    def prepare_data(self) -> None:
        """Download missing files; in one process only."""
        fetch.fetch(type(self).__name__, self.data_dir)

    def load(self) -> tuple[Split, Split]:
        """The official training and test splits."""
        idx = fetch.load(type(self).__name__, self.data_dir)
        return _split(idx.train_images, idx.train_labels), _split(idx.test_images, idx.test_labels)


class FashionMNIST(MNIST):
    """60,000 + 10,000 grey images (1, 28, 28), values 0 to 1, of ten kinds of clothes.

    Source: Xiao, Rasul and Vollgraf, "Fashion-MNIST", 2017, arXiv:1708.07747.
    """

    class_names = (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    )


def _split(images: Any, labels: Any) -> Split:
    return Split(images.unsqueeze(1).float().div_(255), labels.long())
