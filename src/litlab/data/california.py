"""House prices in California, from the file that scikit-learn downloads."""

import hashlib
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from filelock import FileLock
from sklearn.datasets import fetch_california_housing
from sklearn.model_selection import train_test_split

from litlab.data.tensors import Split, TensorData
from litlab.errors import RequestError

FILE = "cal_housing_py3.pkz"  # scikit-learn's cache
SHAPE = (20640, 9)
SHA256 = "5a6e1850914c2dc94eba36c5f025d01a90c49c13269281ea222a3c38a957ab60"  # of the values, float64, column by column


class California(TensorData):
    """20,640 districts of the 1990 census, 8 columns; the target is the median house value in 100,000 dollars.

    Source: Pace and Barry, "Sparse spatial autoregressions", 1997; sklearn.datasets.fetch_california_housing.

    Args:
        data_dir: where scikit-learn's cache is, or is downloaded to.
        split: rtdl, the split that the papers on deep learning for tables share since Gorishniy et al. 2021
            (arXiv:2106.11959), 13,209 / 3,303 / 4,128 rows; None: as the sizes say.
        settings: see `TensorData`.

    Raises:
        RequestError: another division is asked for besides `split`.
    """

    input_shape = (8,)
    num_outputs = 1
    feature_names = (
        *("MedInc", "HouseAge", "AveRooms", "AveBedrms"),
        *("Population", "AveOccup", "Latitude", "Longitude"),
    )
    target_name = "house value (100,000 $)"

    def __init__(self, *, data_dir: str | Path, split: Literal["rtdl"] | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        if split is not None and (self.folds is not None or self.test_on_train):
            raise RequestError(f"data.split={split}: divides the rows; leave data.folds and data.test_on_train out")
        self.data_dir, self.split = Path(data_dir), split

    @property
    def has_validation(self) -> bool:
        """Whether there is a validation split."""
        return self.split is not None or super().has_validation

    def prepare_data(self) -> None:
        """Download the file if it is missing or damaged; in one process only.

        Raises:
            RequestError: it cannot be downloaded.
        """
        if self.splits:  # loaded, and checked, before
            return
        path, problem = self.data_dir / FILE, "cannot be read"
        try:
            problem = _problem(path)
            if not problem:
                return
            self.data_dir.mkdir(parents=True, exist_ok=True)
            with FileLock(self.data_dir / f".{FILE}.lock"), tempfile.TemporaryDirectory(dir=self.data_dir) as folder:
                if _problem(path):  # unless another process has just downloaded it
                    fetch_california_housing(data_home=folder, n_retries=1, delay=1.0)  # checks its sha256
                    (Path(folder) / FILE).replace(path)
        except OSError as error:
            raise RequestError(
                f"data=california: {path} {problem} and cannot be downloaded "
                f"({getattr(error, 'reason', None) or error}); set paths.data_dir to the folder that holds it"
            ) from error

    def load(self) -> tuple[Split, None] | Mapping[str, Split]:
        """All rows, of which no official part is for the test; or the parts of `split`.

        Raises:
            RequestError: the file is missing or damaged.
        """
        rows = self.rows()
        if self.split is None:
            return rows, None
        # The authors publish RMSE and R2 of each part, and so its variance: ours to 7 digits (test_sets.py).
        train, test = train_test_split(torch.arange(len(rows.inputs)), test_size=0.2, random_state=0)
        train, val = train_test_split(train, test_size=0.2, random_state=1)
        return {"train": rows.take(train), "val": rows.take(val), "test": rows.take(test)}

    def rows(self) -> Split:
        """All rows in the file's order, which is by region.

        Raises:
            RequestError: the file is missing or damaged.
        """
        path = self.data_dir / FILE
        try:
            table = _read(path)
        except (OSError, ValueError) as error:
            raise RequestError(
                f"data=california: {path} cannot be read ({error}); delete it, or set paths.data_dir"
            ) from error
        # As scikit-learn does: rooms, bedrooms and people per household.
        target, columns = table[:, 0] / 100_000, table[:, 1:]
        columns[:, 2] /= columns[:, 5]
        columns[:, 3] /= columns[:, 5]
        columns[:, 5] = columns[:, 4] / columns[:, 5]
        return Split(torch.from_numpy(columns).float(), torch.from_numpy(target).float())


def _problem(path: Path) -> str:
    """What is wrong with the file, as the rest of a sentence that its name begins; nothing if it is intact."""
    if not path.is_file():
        return "does not exist"
    try:
        _read(path)
    except ValueError as error:
        return f"is damaged ({error})"
    return ""


def _read(path: Path) -> np.ndarray:
    """The values (20640, 9), float64, of joblib's compressed pickle, without unpickling: that could run any code.

    joblib writes the bytes of the array as they are, between its description and the one byte that ends a pickle. They
    are taken from there, and checked.

    Raises:
        ValueError: wrong checksum, or not zlib.
    """
    packed, size = path.read_bytes(), SHAPE[0] * SHAPE[1] * 8
    try:
        content = zlib.decompressobj().decompress(packed, size + 2**16)  # no zip bomb
    except zlib.error as error:
        raise ValueError(str(error)) from error
    values = content[-size - 1 : -1]
    if hashlib.sha256(values).hexdigest() != SHA256:
        raise ValueError("wrong checksum")
    return np.frombuffer(bytearray(values), dtype="<f8").reshape(SHAPE, order="F")
