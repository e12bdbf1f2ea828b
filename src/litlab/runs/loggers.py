"""What a run sends to its loggers, each in its own way: pictures, settings and how the run ended.

MLflow keeps all runs in a database, W&B in a folder each; as configured, both write to this machine alone.
"""

import contextlib
import importlib.util
import io
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from tensorboard.compat.proto.summary_pb2 import Summary

from litlab.compat.tensorboard import write_summary
from litlab.distributed.ranks import is_first_process
from litlab.errors import Interrupted, Pruned, RequestError
from litlab.plots.canvas import Array

EXTRAS = {"MLFlowLogger": "mlflow", "WandbLogger": "wandb"}  # by class; package and extra have the same name
# Read by the packages when they are imported; what the user has set stays.
QUIET = {
    **{"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_CONFIGURE_LOGGING": "false", "DO_NOT_TRACK": "true"},
    **{"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"},
}


def prepare(name: str, target: str) -> None:
    """Before a logger is built: is its package there? And let it ask nobody and print nothing.

    Args:
        name: in the config.
        target: its class.

    Raises:
        RequestError: the package is not installed.
    """
    extra = EXTRAS.get(target.rpartition(".")[2])
    if extra is None:
        return
    if importlib.util.find_spec(extra) is None:
        raise RequestError(
            f"logger={name}: needs the extra {extra}, which is not installed: make setup EXTRAS={extra}, or "
            f"pip install -e .[{extra}] -c constraints.txt"
        )
    for variable, value in QUIET.items():
        os.environ.setdefault(variable, value)


def tensorboards(loggers: Iterable[Logger]) -> list[TensorBoardLogger]:
    """The loggers that write event files; none in ranks other than 0."""
    return [each for each in loggers if isinstance(each, TensorBoardLogger)] if is_first_process() else []


def trackers(loggers: Iterable[Logger]) -> list[MLFlowLogger | WandbLogger]:
    """The loggers of MLflow and W&B; none in ranks other than 0."""
    kinds = (MLFlowLogger, WandbLogger)
    return [each for each in loggers if isinstance(each, kinds)] if is_first_process() else []


def log_settings(loggers: Iterable[Logger], settings: Callable[[], Mapping[str, Any]]) -> None:
    """The run's settings, as MLflow's parameters and W&B's config; called only if there are such loggers."""
    for logger in trackers(loggers):
        with contextlib.redirect_stderr(io.StringIO()):  # W&B warns of an argument that Lightning always passes
            logger.log_hyperparams(dict(settings()))


def log_picture(loggers: Iterable[Logger], file: Path, image: Array, step: int) -> None:
    """A picture (H, W, 3) and the PNG file that it was saved to: `plots/NAME` in TensorBoard and W&B."""
    tag = f"plots/{file.stem}"
    for board in tensorboards(loggers):
        png = Summary.Image(height=image.shape[0], width=image.shape[1], colorspace=3)
        png.encoded_image_string = file.read_bytes()
        write_summary(board, Summary(value=[Summary.Value(tag=tag, image=png)]), step)
        board.experiment.flush()
    for logger in trackers(loggers):
        if isinstance(logger, WandbLogger):
            logger.log_image(tag, [str(file)], step=step)
        else:
            logger.experiment.log_artifact(logger.run_id, str(file), "plots")


def close(loggers: Iterable[Logger], error: BaseException | None = None) -> None:
    """The run has ended, with an error or without: MLflow's status, W&B's exit code, and what they hold."""
    for logger in trackers(loggers):
        if isinstance(logger, WandbLogger):
            logger.experiment.finish(exit_code=0 if error is None or isinstance(error, Pruned) else 1)
        else:
            import mlflow  # here: it takes seconds

            mlflow.flush_async_logging()
            stopped = isinstance(error, Interrupted | KeyboardInterrupt | Pruned)
            logger.finalize("KILLED" if stopped else "success" if error is None else "failed")
