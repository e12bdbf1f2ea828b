"""Breast tumours, bundled with scikit-learn."""

import torch
from sklearn.datasets import load_breast_cancer

from litlab.data.tensors import Split, TensorData


class BreastCancer(TensorData):
    """569 tumours, 30 measurements of their cell nuclei; class 0 malignant (212), 1 benign (357).

    Source: Street, Wolberg and Mangasarian, "Nuclear feature extraction for breast tumor diagnosis", 1993;
    sklearn.datasets.load_breast_cancer.
    """

    input_shape = (30,)
    num_outputs = 1  # one logit, of class 1
    class_names = ("malignant", "benign")
    # Mean, standard error, and mean of the three largest values, of ten measures.
    feature_names = tuple(
        name.format(measure)
        for name in ("mean {}", "{} error", "worst {}")
        for measure in (
            *("radius", "texture", "perimeter", "area", "smoothness"),
            *("compactness", "concavity", "concave points", "symmetry", "fractal dimension"),
        )
    )

    def load(self) -> tuple[Split, None]:
        """All rows; there is no official test split."""
        inputs, labels = load_breast_cancer(return_X_y=True)
        return Split(torch.from_numpy(inputs).float(), torch.from_numpy(labels).long()), None
