"""The handwritten digits bundled with scikit-learn."""

import torch
from sklearn.datasets import load_digits

from litlab.data.tensors import Split, TensorData


class Digits(TensorData):
    """1,797 grey images (1, 8, 8), values 0 to 1, of the digits 0 to 9.

    Source: sklearn.datasets.load_digits; the test part of UCI's "Optical Recognition of Handwritten Digits".
    """

    input_shape = (1, 8, 8)
    num_outputs = 10
    class_names = tuple("0123456789")
    pixel_max = 16.0

    def load(self) -> tuple[Split, None]:
        """All samples; there is no official test split."""
        images, labels = load_digits(return_X_y=True)
        inputs = torch.from_numpy(images).float().div(16).reshape(-1, *self.input_shape)
        return Split(inputs, torch.from_numpy(labels).long()), None
