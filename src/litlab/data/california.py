"""House prices in California, from the file that scikit-learn downloads."""

import hashlib
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from sklearn.datasets import fetch_california_housing

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
        settings: see `TensorData`.
    """

    input_shape = (8,)
    num_outputs = 1
    feature_names = (
        *("MedInc", "HouseAge", "AveRooms", "AveBedrms"),
        *("Population", "AveOccup", "Latitude", "Longitude"),
    )
    target_name = "house value (100,000 $)"

    def __init__(self, *, data_dir: str | Path, **settings: Any) -> None:
        super().__init__(**settings)
        self.data_dir = Path(data_dir)

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

    def load(self) -> tuple[Split, None]:
        """All rows in the file's order, which is by region; there is no official test split.

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
        return Split(torch.from_numpy(columns).float(), torch.from_numpy(target).float()), None


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
