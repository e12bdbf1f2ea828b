"""TensorBoard's HParams page: a row for every run, with its choices and final metrics."""

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger
from omegaconf import DictConfig, OmegaConf
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.api_pb2 import Experiment, HParamInfo, MetricInfo, MetricName
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo

from litlab.compat.tensorboard import open_directly, write_summary
from litlab.runs.loggers import close, log_settings, tensorboards, trackers
from litlab.runs.result import Result, settings

SETTINGS = ("optimizer.lr", "data.batch_size", "trainer.max_epochs", "seed")  # of a single run, overridden or not
# What TensorBoard calls them: the field of a value, the type of a column.
TYPES = {
    bool: ("bool_value", "DATA_TYPE_BOOL"),
    int: ("number_value", "DATA_TYPE_FLOAT64"),
    float: ("number_value", "DATA_TYPE_FLOAT64"),
    str: ("string_value", "DATA_TYPE_STRING"),
}

Value = bool | int | float | str


@contextlib.contextmanager
def session(loggers: Iterable[Logger], config: DictConfig, result: Result) -> Iterator[None]:
    """Add the row while the body trains and tests; its status becomes FAILURE if the body raises.

    (A run that is killed leaves the status UNKNOWN.) `log_metrics` completes the row. MLflow and W&B get the settings,
    and are closed with the body.
    """
    values = hparams(config, result)
    # Without a group's name each run has a row of its own: TensorBoard shows runs of one group as their mean.
    start = SessionStartInfo(start_time_secs=time.time())
    for name, value in values.items():
        setattr(start.hparams[name], TYPES[type(value)][0], value)
    for logger in tensorboards(loggers):
        open_directly(logger)
        logger.log_hyperparams(values)  # to hparams.yaml
        _write(logger, metadata.SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=start))
        logger.experiment.flush()
    try:
        log_settings(loggers, lambda: {"choices": chosen(result)} | settings(config))
        yield
    except BaseException as error:
        for logger in tensorboards(loggers):
            with contextlib.suppress(OSError):  # of a full disk: it must not hide what ended the run
                _end(logger, "STATUS_FAILURE")
        with contextlib.suppress(Exception):
            close(loggers, error)
        raise
    close(loggers)


def log_metrics(loggers: Iterable[Logger], config: DictConfig, result: Result) -> None:
    """Write the final metrics and the columns of the page.

    TensorBoard uses the columns of any one run for the whole folder, so only completed runs declare them.
    """
    metrics = final_metrics(result)
    columns = [
        HParamInfo(name=name, type=TYPES[type(value)][1], differs=True)
        for name, value in hparams(config, result).items()
    ]
    experiment = Experiment(
        hparam_infos=columns, metric_infos=[MetricInfo(name=MetricName(tag=name)) for name in metrics]
    )
    for tracker in trackers(loggers):
        tracker.log_metrics(metrics, step=result.steps)
    for logger in tensorboards(loggers):
        logger.log_metrics(metrics, step=result.steps)
        _write(logger, metadata.EXPERIMENT_TAG, HParamsPluginData(experiment=experiment))
        _end(logger, "STATUS_SUCCESS")


def hparams(config: DictConfig, result: Result) -> dict[str, Value]:
    """The swept settings of a sweep's job; the choices, main settings and overrides of a single run.

    Numbers stay numbers; a choice is its name; lists and null are as typed.
    """
    words = (override.lstrip("+").partition("=") for override in result.overrides)
    typed = {key.split("@")[0]: text for key, equals, text in words if equals}
    if swept := OmegaConf.select(config, "sweep.swept"):
        return _values(config, swept, typed)
    choices = chosen(result)
    return choices | _values(config, (*SETTINGS, *(name for name in typed if name not in choices)), typed)


def chosen(result: Result) -> dict[str, Value]:
    """The chosen option of each group that has one."""
    return {group: choice for group, choice in result.choices.items() if choice}


def final_metrics(result: Result) -> dict[str, float]:
    """The best validation metric, then the test metrics, its counterpart first.

    Names differ from the curves': best/val/accuracy is the best value of the curve val/accuracy. For a test on the
    training split, test/r2 becomes test_on_train/r2.
    """
    monitor, metrics = result.monitor, result.metrics
    best = {} if monitor.best is None else {f"best/{monitor.metric}": monitor.best}
    first = monitor.metric.replace("val/", "test/")
    names = sorted((name for name in metrics if name.startswith("test/")), key=lambda name: name != first)
    group = "test_on_train/" if result.test_split == "train" else "test/"
    return best | {name.replace("test/", group): metrics[name] for name in names}


def _values(config: DictConfig, names: Iterable[str], typed: Mapping[str, str]) -> dict[str, Value]:
    found = {}
    for name in names:
        value = OmegaConf.select(config, name)
        value = value if type(value) in TYPES else typed.get(name)
        if value is not None:
            found[name] = value
    return found


def _end(logger: TensorBoardLogger, status: Any) -> None:
    end = SessionEndInfo(status=status, end_time_secs=time.time())
    _write(logger, metadata.SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=end))
    logger.finalize("success")


def _write(logger: TensorBoardLogger, tag: str, content: HParamsPluginData) -> None:
    about = metadata.create_summary_metadata(content)
    summary = Summary(value=[Summary.Value(tag=tag, metadata=about, tensor=metadata.NULL_TENSOR)])
    write_summary(logger, summary)
