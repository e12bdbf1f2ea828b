"""Compatibility of model, task and monitors with the data, checked before anything is loaded."""

import inspect
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig

from litlab.config.signatures import REQUIRED, signature
from litlab.config.suggestions import suggestion
from litlab.data.preprocessing.spec import target_kind
from litlab.data.samples import Declaration, model_arguments
from litlab.errors import RequestError
from litlab.tasks.base import Task


def check_model(config: DictConfig, data: Declaration) -> None:
    """Refuse a model for numbers if the data are tokens, and a model for tokens if they are not."""
    model = get_object(config.model._target_)
    if "num_tokens" not in model_arguments(data):
        own = signature(config.model._target_).parameters.get("num_tokens")
        if own is not None and own.default is REQUIRED and "num_tokens" not in config.model:
            raise RequestError(
                f"model: {model.__name__} takes tokens, and these data have none; use another, such as mlp"
            )
        return
    parameters = inspect.signature(model).parameters.values()
    if not any(each.name == "num_tokens" or each.kind is each.VAR_KEYWORD for each in parameters):
        raise RequestError(
            f"model: {model.__name__} takes numbers, and the inputs of these data are tokens; use a model whose "
            "__init__ takes num_tokens, such as model=embedding_bag"
        )


def check_targets(task: Task, data: Any) -> None:
    """Refuse a task whose kind of targets differs from the data's."""
    if not hasattr(data, "class_names"):
        return
    kind = target_kind(data.class_names, data.num_outputs)
    described = {
        "regression": "numbers",
        "binary": "two classes with one output",
        "classification": f"{len(data.class_names or ())} classes",
    }[kind]
    if task.target_kind and task.target_kind != kind:
        raise RequestError(f"task={task.target_kind}: the targets of these data are {described}; use task={kind}")


def check_monitored(config: DictConfig, task: Task, has_validation: bool) -> None:
    """Refuse a monitor that is not a metric of the task or of each epoch that it is read in, or the wrong mode for it.

    Lightning's callbacks and the scheduler would only fail at the end of the first epoch.
    """
    monitor = str(config.scheduler.get("monitor") or "")
    if monitor.startswith("val/") and not has_validation:
        raise RequestError(
            f"scheduler.monitor={monitor}: there is no validation; set data.val_size, or watch train/loss"
        )
    every, frequency = config.trainer.get("check_val_every_n_epoch", 1), config.scheduler.get("frequency", 1)
    if monitor.startswith("val/") and every and frequency % every:  # null: by batches, which are not counted yet
        raise RequestError(
            f"scheduler.frequency={frequency}: would follow {monitor} after epochs without validation "
            f"(trainer.check_val_every_n_epoch={every}); set scheduler.frequency={every}, or "
            "trainer.check_val_every_n_epoch=1"
        )
    higher_is_better: dict[str, bool | None] = {"val/loss": False, "train/loss": False}
    higher_is_better |= {f"val/{name}": metric.higher_is_better for name, metric in task.metrics.items()}
    _check_metric("task.monitor", task.monitor, higher_is_better)
    higher = higher_is_better[task.monitor]  # None: the metric does not say
    if higher is not None and task.mode != (right := "max" if higher else "min"):
        better = "more" if higher else "less"
        raise RequestError(f"task.mode={task.mode}: of {task.monitor} {better} is better; set task.mode={right}, too")
    _check_metric("scheduler.monitor", config.scheduler.get("monitor"), higher_is_better)
    for name, callback in config.callbacks.items():
        parameter = signature(str(callback._target_)).parameters.get("monitor")
        if parameter is not None and parameter.owner.startswith("lightning."):  # another class may mean something else
            counts = dict.fromkeys(("epoch", "step"))
            _check_metric(f"callbacks.{name}.monitor", callback.get("monitor"), higher_is_better, counts)


def _check_metric(setting: str, metric: Any, metrics: dict[str, Any], others: dict[str, Any] | None = None) -> None:
    known = [*metrics, *(others or ())]
    if metric is not None and metric not in known:
        problem = f"there is no such metric{suggestion(str(metric), known)}"
        raise RequestError(f"{setting}={metric}: {problem}; choose from {', '.join(metrics)}")
