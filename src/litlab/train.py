"""Train, test and record one experiment."""

import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint, WeightAveraging
from omegaconf import DictConfig, OmegaConf

from litlab import signals
from litlab.build import build_data, build_task, build_trainer
from litlab.callbacks.history import History
from litlab.callbacks.stopwatch import Stopwatch
from litlab.config.job import in_sweep
from litlab.data.tensors import TensorData
from litlab.diagnostics.hints import after_divergence, hints_after
from litlab.diagnostics.run_summary import unpredicted_classes
from litlab.distributed.launcher import joined
from litlab.errors import RequestError, RunError
from litlab.runs.checkpoints import UnreadableError, read_checkpoint
from litlab.runs.hparams import log_metrics, session
from litlab.runs.result import Monitor, Result
from litlab.runs.resume import checkpoint_to_resume
from litlab.sweeps.worker import free_earlier_job
from litlab.tasks.base import Task
from litlab.tasks.losses import DivergedError
from litlab.tune import tuned

log = logging.getLogger(__name__)
FEW = 10  # weights of a model that the result shows


def train(config: DictConfig, result: Result | None = None) -> Result:
    """Run the experiment that `config` (conf/train.yaml, composed) describes, and fill in its result.

    Raises:
        RequestError: the config asks for something that cannot be.
        RunError: training diverged.
    """
    result = Result() if result is None else result
    send_notices_to_the_log()
    if in_sweep():
        free_earlier_job()
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)  # below 1e-38, as the momentum of pixels that are seldom lit, arithmetic is slow
    config = tuned(config, result)
    seed_everything(config.seed, verbose=False)
    data = build_data(config)
    task = build_task(config, data)
    trainer = build_trainer(config, data, task)
    settings: Any = OmegaConf.to_container(config, resolve=True)
    task.hparams.update(settings)  # plain data, for whoever opens a checkpoint
    result.parameters = sum(weight.numel() for weight in task.model.parameters())

    config.resume_from = checkpoint_to_resume(config, task, trainer)
    with signals.deferred(), joined(trainer):  # the processes of several devices
        result.environment |= describe_environment(trainer)
        try:
            with session(trainer.loggers, config, result):
                trainer.fit(task, datamodule=data, ckpt_path=config.resume_from, weights_only=True)
        except UnreadableError as error:  # of the best weights beside the checkpoint, or of one that is planted
            raise RequestError(f"resume_from={error}") from error
        except DivergedError as error:
            raise RunError(f"{error}: {after_divergence(config, data, error.rate)}") from error
        finally:  # a run that fails or is stopped tells how far it came
            result.update(epochs=trainer.current_epoch, steps=trainer.global_step)
        signals.check()
        result.update(**describe_speed(task, trainer))
        trained = trainer.callback_metrics.get("train/loss")  # none after trainer.max_epochs=0
        # The mean over the last epoch's steps; where it is asked for, `evaluate` gives the tested weights' train/loss.
        name = "train/loss_epoch" if config.evaluate_train else "train/loss"
        result.metrics = {} if trained is None else {name: float(trained)}
        # It would put the last average in the place of the tested weights whenever these are validated.
        trainer.callbacks = [each for each in trainer.callbacks if not isinstance(each, WeightAveraging)]

        loggers, trainer.loggers = trainer.loggers, []  # the curves end here
        result.monitor, result.checkpoint = select(task, trainer)
        result.update(**describe_weights(task))
        result.metrics |= evaluate(task, trainer, data, on_train=config.evaluate_train)
        unpredicted = unpredicted_classes(task, data)  # by what validation has left in the metrics
        result.metrics |= test(task, trainer, data)
        result.test_split = getattr(data, "test_split", "test")
    history = next(each for each in trainer.callbacks if isinstance(each, History))
    seen = {name: value for name, value in result.metrics.items() if not name.startswith("test/")}
    result.hints = hints_after(config, task, data, history.epochs, seen, result.steps, unpredicted)
    with signals.deferred():
        log_metrics(loggers, config, result)
    return result


def send_notices_to_the_log() -> None:
    """What Lightning says of itself belongs in train.log with the rest, not on the terminal."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    # It looks for a loader that keeps its place; here the task does.
    warnings.filterwarnings("ignore", "You're resuming from a checkpoint that ended before the epoch ended")


def select(task: Task, trainer: Trainer) -> tuple[Monitor, str | None]:
    """Put the best weights into the task where a checkpoint watched for them, else it keeps the last ones.

    Returns:
        what selected them, and their checkpoint; None where there is none.
    """
    monitor = Monitor(task.monitor, task.mode)
    saved = [each for each in trainer.callbacks if isinstance(each, ModelCheckpoint) and each.best_model_path]
    saved.sort(key=lambda each: each.best_model_score is None)  # the last weights come last
    if saved and saved[0].best_model_score is not None:
        try:
            best = read_checkpoint(saved[0].best_model_path)
        except (FileNotFoundError, UnreadableError) as error:
            gone = f"{saved[0].best_model_path} is gone"
            warn_of_lost_weights(str(error) if isinstance(error, UnreadableError) else gone)
            left = [each.best_model_path for each in saved[1:] if Path(each.best_model_path).is_file()]
            return monitor, left[0] if left else None
        task.load_state_dict(best["state_dict"])
        score = saved[0].best_model_score.item()
        monitor = Monitor(str(saved[0].monitor), saved[0].mode, score, best["epoch"] + 1)
    return monitor, saved[0].best_model_path if saved else None


def warn_of_lost_weights(what: str) -> None:
    """In the log and on the terminal: what is tested is not what validation chose."""
    warning = f"{what}: the last weights are tested instead of the best"
    log.warning(warning)
    print(f"warning: {warning}", file=sys.stderr, flush=True)


def evaluate(task: Task, trainer: Trainer, data: TensorData, on_train: bool = False) -> dict[str, float]:
    """Validation metrics of the task's present weights; with `on_train`, those of the training split too."""
    metrics: dict[str, float] = {}
    if on_train:
        metrics |= task.evaluate(trainer, "train", dataloaders=data.train_eval_dataloader())
    if data.has_validation:
        metrics |= task.evaluate(trainer, datamodule=data)
    return metrics


def test(task: Task, trainer: Trainer, data: TensorData) -> dict[str, float]:
    """Test metrics of the task's present weights. The one time that the test split is read: no advice comes from it."""
    trainer.test(task, datamodule=data, verbose=False)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def describe_weights(task: Task) -> dict[str, Any]:
    """The tested weights by name, where they are few: those of a line or a polynomial are the answer itself.

    And what makes predictions of such a model's outputs, where its targets were standardized.
    """
    weights = {name: weight.flatten().tolist() for name, weight in task.model.named_parameters()}
    if sum(map(len, weights.values())) > FEW:
        return {}
    names = ("target_mean", "target_std")
    scale = {name: values.tolist() for name, values in task.named_buffers(recurse=False) if name in names}
    return {"weights": weights} | scale


def describe_speed(task: Task, trainer: Trainer) -> dict[str, Any]:
    """Seconds of the training epochs (validation apart), and samples per second; compiling counts as training."""
    stopwatch = next(each for each in trainer.callbacks if isinstance(each, Stopwatch))
    seconds = sum(stopwatch.epochs)
    return {
        "seconds_training": round(stopwatch.earlier + seconds, 3),
        "seconds_compiling": round(task.seconds_compiling, 3),
        "samples_per_second": round(task.losses.samples / seconds) if seconds else None,
    }


def describe_environment(trainer: Trainer) -> dict[str, Any]:
    """Versions, device and threads that the numbers depend on."""
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "torch": torch.__version__,
        "lightning": lightning.__version__,
        "device": name,
        "devices": trainer.world_size,
        "threads": torch.get_num_threads(),
    }
