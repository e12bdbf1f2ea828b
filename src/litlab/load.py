"""Open a finished run: its model, its preprocessing and its settings, without Hydra and without the data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor, nn

from litlab.build import instantiate_task
from litlab.data.spec import KEY, DataSpec
from litlab.errors import RequestError
from litlab.escape import one_line
from litlab.runs import reading
from litlab.runs.checkpoints import UnreadableError, read_checkpoint
from litlab.runs.result import FILE, Result
from litlab.tasks.base import Task
from litlab.tasks.prediction import predict

MALFORMED = (LookupError, TypeError, ValueError, AttributeError, OmegaConfBaseException)  # anyone may have written it


@dataclass(frozen=True)
class LoadedRun:
    """A run that was opened with `load_run`.

    Attributes:
        directory: of the run.
        result: what result.json has, with `metrics`, `choices`, `settings`, ...
        config: the resolved settings of the run, from which `litlab.build` can rebuild its data and trainer.
        data: shapes, names and normalization of the data; `data.prepare` converts raw inputs.
        task: with the trained weights, on the CPU, in evaluation mode.
        checkpoint: the file that has them.
    """

    directory: Path
    result: Result
    config: DictConfig
    data: DataSpec
    task: Task
    checkpoint: Path

    @property
    def model(self) -> nn.Module:
        """The network: from `data.prepare`d inputs (N, *input_shape) to outputs (N, num_outputs)."""
        return self.task.model

    def predict(self, inputs: Any, batch_size: int | None = None) -> Tensor:
        """Predictions for raw inputs, one sample or several.

        Args:
            inputs: what `data.prepare` takes: images uint8 (N, height, width), rows of a table in their own units, ...
            batch_size: samples at a time; the run's own data.eval_batch_size by default, with which predictions equal
                the run's to the bit.

        Returns:
            float32: probabilities (N, classes), (N,) of class 1 for binary targets, or numbers (N, num_outputs) in the
            targets' own unit.

        Raises:
            RequestError: the inputs are not what the run was trained on.
        """
        return predict(self.task, self.data.prepare(inputs), batch_size or self.data.eval_batch_size)

    def labels(self, predictions: Tensor) -> list[str]:
        """The names of the predicted classes.

        Args:
            predictions: from `predict`: probabilities (N, classes), or (N,) for binary targets.

        Raises:
            RequestError: a regression has none.
        """
        if self.data.class_names is None:
            raise RequestError(f"{self.directory}: a regression predicts numbers, not classes")
        chosen = predictions > 0.5 if self.data.target_kind == "binary" else predictions.argmax(1)
        return [self.data.class_names[int(number)] for number in chosen]


def load_run(directory: str | Path, trust: Sequence[str] = ()) -> LoadedRun:
    """Open the run in a directory: the weights that were tested.

    Its settings may only name trusted packages, as for a new run. The run's own `trust` does not count.

    Args:
        directory: of the run, with result.json and checkpoints/.
        trust: further trusted packages.

    Raises:
        RequestError: it is not a run directory, or has no checkpoint; the checkpoint is damaged, of an older litlab, or
            of data with their own preprocessing; or its settings name an untrusted class.
    """
    directory = Path(directory)
    try:
        result = Result.from_dict(reading.read(directory / FILE))
        path = _tested_checkpoint(directory, result)
        checkpoint = read_checkpoint(path)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RequestError(f"{directory}: is no directory of a run that can be read ({error})") from error
    except UnreadableError as error:
        raise RequestError(str(error)) from error
    if KEY not in checkpoint:
        raise RequestError(f"{path}: an older litlab wrote it, without what predictions need; train the run again")
    if checkpoint[KEY] is None:
        raise RequestError(
            f"{path}: its data set prepares inputs in its own way, which was not kept; derive its class from "
            "TensorData, override load() alone, and train the run again"
        )
    try:
        config = OmegaConf.create(checkpoint["hyper_parameters"] | {"trust": list(trust)})
        data = DataSpec.from_dict(checkpoint[KEY])
        task = instantiate_task(config, data)
        if not isinstance(task, Task):
            raise TypeError(f"its task is {type(task).__name__}")
    except RequestError:
        raise
    except MALFORMED as error:
        raise RequestError(f"{path}: holds no run that can be built ({one_line(error)})") from error
    try:
        task.load_state_dict(checkpoint["state_dict"])
    except (RuntimeError, LookupError, TypeError) as error:
        raise RequestError(f"{path}: its weights do not fit the model that its settings name") from error
    return LoadedRun(directory, result, config, data, task.eval(), path)


def _tested_checkpoint(directory: Path, result: Result) -> Path:
    """The file that the run's result names, wherever the directory lies now; before the test, the best or the last."""
    folder = directory / "checkpoints"
    if "checkpoint" not in vars(result):
        return next((file for file in (folder / "best.ckpt", folder / "last.ckpt") if file.is_file()), folder)
    if result.checkpoint is None:
        raise FileNotFoundError("it has kept no checkpoint")
    return folder / Path(result.checkpoint).name
