"""Train, test and record one experiment."""

import logging
import os
import warnings
from dataclasses import asdict
from typing import Any

import lightning
import torch
from lightning.pytorch import Trainer, seed_everything
from omegaconf import DictConfig, OmegaConf

from litlab import signals
from litlab.build import build_data, build_task, build_trainer, steps_per_execution
from litlab.callbacks.history import History
from litlab.config.job import in_sweep
from litlab.data.tensors import TensorData
from litlab.diagnostics.hints import after_divergence
from litlab.distributed.group import process_group
from litlab.distributed.processes import run_on_ranks
from litlab.distributed.ranks import RENDEZVOUS, is_first_process, process_info
from litlab.errors import RequestError, RunError
from litlab.finish import advise, finish
from litlab.runs.checkpoints import UnreadableError
from litlab.runs.hparams import log_metrics, session
from litlab.runs.result import Result
from litlab.runs.resume import checkpoint_to_resume
from litlab.sweeps.worker import free_memory
from litlab.tasks.base import Task
from litlab.tasks.losses import DivergedError
from litlab.verbs.tune import tuned

log = logging.getLogger(__name__)


def train(config: DictConfig, result: Result | None = None) -> Result:
    """Run the experiment that `config` (conf/train.yaml, composed) describes, and fill in its result.

    Raises:
        RequestError: the config asks for something impossible.
        RunError: training diverged.
    """
    result = Result() if result is None else result
    prepare_process(config)
    config = tuned(config, result)
    seed_everything(config.seed, verbose=False)
    data = build_data(config)
    task = build_task(config, data)
    note_table(data, result)
    trainer = build_trainer(config, data)
    if trainer.world_size > 1 and process_info() is None:
        run_on_ranks(train, config, result, trainer.world_size)
        return result
    task.steps_per_execution = steps_per_execution(config, trainer, task)
    settings: Any = OmegaConf.to_container(config, resolve=True)
    task.hparams.update(settings)  # into checkpoints, as plain data
    result.parameters = sum(weight.numel() for weight in task.model.parameters())
    checkpoint, task.resume_changes = checkpoint_to_resume(config, task, trainer)
    with signals.deferred(), process_group(trainer, config):
        result.environment |= describe_environment(trainer)
        fit(config, trainer, task, data, result, checkpoint)
        signals.check()
        loggers, trainer.loggers = trainer.loggers, []  # the curves end here
        unpredicted = finish(config, trainer, task, data, result)
    result.hints = advise(config, trainer, task, data, result, unpredicted)
    with signals.deferred():
        log_metrics(loggers, config, result)
    return result


def prepare_process(config: DictConfig) -> None:
    """Set up memory, threads, arithmetic and logging of this process."""
    if in_sweep():
        free_memory()
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)  # denormals (below 1e-38), as in the momentum of dark pixels, are slow on CPUs
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):  # to train.log, not to the terminal
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(is_wanted)
    # Lightning expects a stateful loader; here the task keeps the position.
    warnings.filterwarnings("ignore", "You're resuming from a checkpoint that ended before the epoch ended")


def note_table(data: TensorData, result: Result) -> None:
    """Say what a table was taken for, and record it with the reasons."""
    if data.table is None:
        return
    result.found |= {"columns": [asdict(each) for each in data.table.columns], "target": asdict(data.table.target)}
    line = f"data: {getattr(data, 'summary', '')}"
    log.info(line)
    if not in_sweep() and is_first_process():
        print(line, flush=True)


def is_wanted(record: logging.LogRecord) -> bool:
    """Whether a message of Lightning belongs in the log: no advertisement, nor a rank's repetition of its parent."""
    unwanted = ["litlogger", *(("available: ", "was configured so") if RENDEZVOUS in os.environ else ())]
    return not any(text in record.getMessage() for text in unwanted)


def fit(
    config: DictConfig, trainer: Trainer, task: Task, data: TensorData, result: Result, checkpoint: str | None
) -> None:
    """Train the task, from a checkpoint if one is given; a run that fails or is stopped records how far it came."""
    try:
        with session(trainer.loggers, config, result):
            trainer.fit(task, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except UnreadableError as error:  # of the best weights beside the checkpoint, or a planted file
        raise RequestError(f"resume_from={error}") from error
    except DivergedError as error:
        raise RunError(f"{error}: {after_divergence(config, data, error.rate)}") from error
    finally:
        result.update(epochs=trainer.current_epoch, steps=trainer.global_step)
    result.update(**describe_speed(task, trainer))
    loss = trainer.callback_metrics.get("train/loss")  # none after trainer.max_epochs=0
    # The mean over the last epoch's steps; with evaluate_train, train/loss is that of the tested weights.
    name = "train/loss_epoch" if config.evaluate_train else "train/loss"
    result.metrics = {} if loss is None else {name: float(loss)}


def describe_speed(task: Task, trainer: Trainer) -> dict[str, Any]:
    """Seconds of the training epochs (validation apart), and samples per second; compiling counts as training."""
    history = History.of(trainer)
    seconds = sum(history.seconds)
    return {
        "seconds_training": round(history.total_seconds, 3),
        "seconds_compiling": round(task.seconds_compiling, 3),
        "samples_per_second": round(task.losses.samples / seconds) if seconds else None,
    }


def describe_environment(trainer: Trainer) -> dict[str, Any]:
    """Versions, device and threads, on which results depend."""
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "torch": torch.__version__,
        "lightning": lightning.__version__,
        "device": name,
        "devices": trainer.world_size,
        "threads": torch.get_num_threads(),
    }
