"""Open a finished run: its model, its preprocessing and its settings, without Hydra and without the data set."""

import functools
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lightning.pytorch import seed_everything
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor, nn

from litlab.build import build_data, instantiate_task
from litlab.data.frames import unseen_remarks
from litlab.data.preprocessing.spec import KEY, DataSpec
from litlab.errors import RequestError
from litlab.escape import one_line, printable
from litlab.isolation import isolated, random_state
from litlab.plots import canvas, training
from litlab.plots.classification import Confusion
from litlab.plots.picture import Picture, Pictures
from litlab.runs import reading, report
from litlab.runs.checkpoints import UnreadableError, read_checkpoint
from litlab.runs.history import read_history
from litlab.runs.result import FILE, HISTORY, Result
from litlab.tasks.base import Task
from litlab.tasks.prediction import predict

MALFORMED = (LookupError, TypeError, ValueError, AttributeError, OmegaConfBaseException)  # anyone may have written it


class Opened(NamedTuple):
    """What the checkpoint of a run gives, see `LoadedRun`."""

    config: DictConfig
    data: DataSpec
    task: Task
    checkpoint: Path


@dataclass(frozen=True, repr=False)
class LoadedRun:
    """A run that was opened with `load_run`, or that `litlab.train` has trained.

    Attributes:
        directory: of the run.
        result: what result.json has, with `metrics`, `choices`, `settings`, ...
        trust: packages that its settings may name, besides litlab's own.
    """

    directory: Path
    result: Result
    trust: tuple[str, ...] = ()

    @functools.cached_property
    def opened(self) -> Opened:
        """The checkpoint's part, read when it is first needed.

        Raises:
            RequestError: as `load_run`.
        """
        return _open(self.directory, self.result, self.trust)

    @property
    def config(self) -> DictConfig:
        """The resolved settings of the run, from which `litlab.build` can rebuild its data and trainer."""
        return self.opened.config

    @property
    def data(self) -> DataSpec:
        """Shapes, names and normalization of the data; `data.prepare` converts raw inputs."""
        return self.opened.data

    @property
    def task(self) -> Task:
        """With the trained weights, on the CPU, in evaluation mode."""
        return self.opened.task

    @property
    def checkpoint(self) -> Path:
        """The file with the weights."""
        return self.opened.checkpoint

    @property
    def model(self) -> nn.Module:
        """The network: from `data.prepare`d inputs (N, *input_shape) to outputs (N, num_outputs)."""
        return self.task.model

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of the tested weights, such as val/accuracy and test/loss; NaN where one was not finite."""
        metrics = vars(self.result).get("metrics") or {}
        return {name: math.nan if value is None else float(value) for name, value in metrics.items()}

    @property
    def history(self) -> dict[str, list[float]]:
        """The metrics of each epoch as columns, with `epoch` from 1: what `pandas.DataFrame` takes."""
        return read_history(self.directory)

    @property
    def curves(self) -> Picture:
        """The loss and the monitored metric over the epochs.

        Raises:
            RequestError: the run has no epochs.
        """
        history = self.history
        epochs = [
            {name: value for name, value in zip(history, row, strict=True) if name != "epoch" and math.isfinite(value)}
            for row in zip(*history.values(), strict=True)
        ]
        if not any(epochs):
            raise RequestError(f"{self.directory}: has no {HISTORY} with the metrics of an epoch")
        monitor = vars(self.result).get("monitor")
        names = dict.fromkeys(("loss", monitor.metric.partition("/")[2] if monitor else "loss"))
        figure = training.curves(epochs, list(names), monitor.epoch if monitor else None)
        return Picture("curves", canvas.png(canvas.pixels(figure)))

    @property
    def pictures(self) -> Pictures:
        """The plots of the tested weights, by name."""
        return Pictures.of(self.directory / "plots")

    @functools.cached_property
    def confusion(self) -> Confusion:
        """The confusion matrix of the validation split: what you see of the test split could guide your next choice.

        The data set is loaded for it.

        Raises:
            RequestError: it is a regression, there is no validation split, or the data set is not there.
        """
        if self.data.class_names is None:
            raise RequestError(f"{self.directory}: a regression has no confusion matrix; see run.pictures")
        with isolated():
            seed_everything(self.config.seed, verbose=False)  # for a data set that draws its samples
            data = build_data(self.config)
            if not data.has_validation:
                raise RequestError(f"{self.directory}: has no validation split (data.val_size=0); see run.pictures")
            data.prepare_data()
            data.setup()
            inputs, targets = data.splits["val"]
            predicted = self._classes(predict(self.task, inputs, self.data.eval_batch_size))
        return Confusion(targets.cpu().numpy(), predicted.numpy(), self.data.class_names, "validation")

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

        Warns:
            UserWarning: rows of a table have categories that the run has not learned; one for each column.
        """
        prepared, table = self.data.prepare(inputs), self.data.table
        if table is not None:
            for remark in unseen_remarks(self.data, table.unseen(table.frame(inputs)), len(prepared)):
                warnings.warn(printable(remark), stacklevel=2)
        return predict(self.task, prepared, batch_size or self.data.eval_batch_size)

    def labels(self, predictions: Tensor) -> list[str]:
        """The names of the predicted classes.

        Args:
            predictions: from `predict`: probabilities (N, classes), or (N,) for binary targets.

        Raises:
            RequestError: a regression has none.
        """
        if self.data.class_names is None:
            raise RequestError(f"{self.directory}: a regression predicts numbers, not classes")
        return [self.data.class_names[number] for number in self._classes(predictions).tolist()]

    def _classes(self, predictions: Tensor) -> Tensor:
        return (predictions > 0.5).long() if self.data.target_kind == "binary" else predictions.argmax(1)

    def __repr__(self) -> str:
        return report.one_line(self.result, self.directory)

    def _repr_html_(self) -> str:
        return report.as_html(self.result, self.directory)


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
    run = read_run(directory, trust)
    run.opened  # noqa: B018  # what cannot be opened is refused here
    return run


def read_run(directory: str | Path, trust: Sequence[str] = ()) -> LoadedRun:
    """As `load_run`, but the checkpoint is opened when it is first needed: a run may have kept none.

    Raises:
        RequestError: it is not a run directory.
    """
    directory = Path(directory)
    try:
        result = Result.from_dict(reading.read(directory / FILE))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RequestError(_unreadable(directory, error)) from error
    return LoadedRun(directory, result, tuple(trust))


def _unreadable(directory: Path, error: Exception) -> str:
    return f"{directory}: is no directory of a run that can be read ({error})"


def _open(directory: Path, result: Result, trust: Sequence[str]) -> Opened:
    try:
        path = _tested_checkpoint(directory, result)
        checkpoint = read_checkpoint(path)
    except (OSError, TypeError) as error:
        raise RequestError(_unreadable(directory, error)) from error
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
        with random_state():  # which the first weights are drawn from
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
    return Opened(config, data, task.eval(), path)


def _tested_checkpoint(directory: Path, result: Result) -> Path:
    """The file that the run's result names, wherever the directory lies now; before the test, the best or the last."""
    folder = directory / "checkpoints"
    if "checkpoint" not in vars(result):
        return next((file for file in (folder / "best.ckpt", folder / "last.ckpt") if file.is_file()), folder)
    if result.checkpoint is None:
        raise FileNotFoundError("it has kept no checkpoint")
    return folder / Path(result.checkpoint).name
