"""House prices in California, as scikit-learn fetches them."""

import tempfile
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from sklearn.datasets import fetch_california_housing

from litlab.data.tensors import Split, TensorData
from litlab.errors import RequestError

FILE = "cal_housing_py3.pkz"  # scikit-learn's cache


class California(TensorData):
    """20,640 districts of the census of 1990: 8 columns; the target is the median house value in 100,000 dollars.

    Source: Pace and Barry, "Sparse spatial autoregressions", 1997; sklearn.datasets.fetch_california_housing.

    Args:
        data_dir: where scikit-learn's cache lies or is put.
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
        """Fetch the file if it is not there; in one process only.

        Raises:
            RequestError: it is neither here nor to be had.
        """
        path = self.data_dir / FILE
        if path.is_file():
            return
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            with FileLock(self.data_dir / f".{FILE}.lock"), tempfile.TemporaryDirectory(dir=self.data_dir) as aside:
                if not path.is_file():  # another process may have fetched it meanwhile
                    fetch_california_housing(data_home=aside, n_retries=1, delay=1.0)  # checks its sha256
                    (Path(aside) / FILE).replace(path)
        except OSError as error:
            raise RequestError(
                f"data=california: {FILE} is not in {self.data_dir} and cannot be fetched "
                f"({getattr(error, 'reason', None) or error}); set paths.data_dir to the folder that holds it"
            ) from error

    def load(self) -> tuple[Split, None]:
        """All rows in the file's order, north to south by regions; there is no official test split.

        Raises:
            RequestError: the file is damaged.
        """
        try:
            table = fetch_california_housing(data_home=str(self.data_dir), download_if_missing=False)
        except Exception as error:  # whatever unpickling damaged bytes may raise
            path = self.data_dir / FILE
            raise RequestError(
                f"data=california: {path} cannot be read ({error}); delete it, or set paths.data_dir"
            ) from error
        return Split(torch.from_numpy(table.data).float(), torch.from_numpy(table.target).float()), None
