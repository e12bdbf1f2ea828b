"""Train, test and record one experiment."""

import logging
import os
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch import Trainer, seed_everything
from omegaconf import DictConfig, OmegaConf

from litlab import signals
from litlab.build import build_data, build_task, build_trainer, steps_per_execution
from litlab.callbacks.history import History
from litlab.callbacks.last import LastCheckpoint
from litlab.config.job import in_sweep
from litlab.data.tensors import TensorData
from litlab.diagnostics.hints import after_divergence
from litlab.distributed.group import process_group
from litlab.distributed.processes import run_on_ranks
from litlab.distributed.ranks import RENDEZVOUS, is_first_process, process_info
from litlab.errors import Pruned, RequestError, RunError
from litlab.finish import advise, finish
from litlab.runs.checkpoints import UnreadableError
from litlab.runs.hparams import log_metrics, session
from litlab.runs.logs import rewind
from litlab.runs.result import Monitor, Result
from litlab.runs.resume import Resumed, resumed
from litlab.sweeps.pruning import add_pruning
from litlab.sweeps.stacks.stack import replay_of_this_job
from litlab.sweeps.stacks.stackable import is_trained
from litlab.sweeps.worker import free_memory
from litlab.tasks.base import Task
from litlab.tasks.losses import DivergedError
from litlab.tasks.steps.replayed import Replay
from litlab.verbs.tune import tuned

log = logging.getLogger(__name__)


def train(config: DictConfig, result: Result | None = None) -> Result:
    """Run the experiment that `config` (conf/train.yaml, composed) describes, and fill in its result.

    Raises:
        RequestError: the config asks for something impossible.
        RunError: training diverged.
        Pruned: the sweep has ended the run early.
    """
    result = Result() if result is None else result
    prepare_process(config)
    config = tuned(config, result)
    replay = replay_of_this_job()
    seed_everything(config.seed, verbose=False)
    data = build_data(config)
    task = build_task(config, data)
    note_data(data, result)
    trainer = build_trainer(config, data)
    if trainer.world_size > 1 and process_info() is None:
        run_on_ranks(train, config, result, trainer.world_size)
        return result
    add_pruning(config, trainer, replay)
    task.steps_per_execution = steps_per_execution(config, trainer, task)
    if replay is not None:
        take_over(replay, trainer, task, result)
    settings: Any = OmegaConf.to_container(config, resolve=True)
    task.hparams.update(settings | {"resume": None, "resume_changes": False})  # into checkpoints, as plain data
    result.parameters = sum(weight.numel() for weight in task.model.parameters())
    earlier = resumed(config, task, trainer)
    task.resume_changes, task.progress.is_over = earlier.changes, earlier.is_over
    if config.resume and trainer.is_global_zero:
        rewind(trainer, Path(config.resume), earlier.logs)
    with signals.deferred(), process_group(trainer, config), session(trainer.loggers, config, result):
        result.environment |= describe_environment(trainer)
        fit(config, trainer, task, data, result, earlier)
        signals.check()
        loggers, trainer.loggers = trainer.loggers, []  # the curves end here
        unpredicted = finish(config, trainer, task, data, result)
        result.hints = advise(config, trainer, task, data, result, unpredicted)
        log_metrics(loggers, config, result)
    return result


def take_over(replay: Replay, trainer: Trainer, task: Task, result: Result) -> None:
    """Let the Trainer go through a training that has been taken elsewhere."""
    task.replay, save = replay, trainer.save_checkpoint
    latest = {each.path for each in trainer.callbacks if isinstance(each, LastCheckpoint)}

    def save_kept(path: str | Path, *args: Any, **settings: Any) -> None:
        """Save, unless a later checkpoint replaces this one."""
        if replay.has_weights and (replay.is_last or Path(path) not in latest):
            save(path, *args, **settings)

    vars(trainer)["save_checkpoint"] = save_kept
    replay.passed = History.of(trainer).add
    result.stacked = replay.stacked


def prepare_process(config: DictConfig) -> None:
    """Set up memory, threads, arithmetic and logging of this process."""
    if in_sweep() and not is_trained():  # what a job of a stack leaves is small
        free_memory()
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)  # denormals (below 1e-38), as in the momentum of dark pixels, are slow on CPUs
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):  # to train.log, not to the terminal
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    for name in ("utilities.rank_zero", "trainer.connectors.checkpoint_connector"):
        logging.getLogger(f"lightning.pytorch.{name}").addFilter(is_wanted)
    # Lightning expects a stateful loader; here the task keeps the position.
    warnings.filterwarnings("ignore", "You're resuming from a checkpoint that ended before the epoch ended")


def note_data(data: TensorData, result: Result) -> None:
    """Say what the user's own files were taken for, and record it with the reasons."""
    if data.table is not None:
        columns = [asdict(each) for each in data.table.columns]
        result.found |= {"columns": columns, "target": asdict(data.table.target)}
        lines = [f"data: {getattr(data, 'summary', '')}"]
    elif data.guesses:
        result.found |= {"guesses": [guess._asdict() for guess in data.guesses], "notes": list(data.remarks)}
        lines = [f"data: {'; '.join(f'{each.what} {each.value} ({each.reason})' for each in data.guesses)}"]
        lines += [f"note: {remark}" for remark in data.remarks]
    else:
        return
    for line in lines:
        log.info(line)
        if not in_sweep() and is_first_process():
            print(line, flush=True)


def is_wanted(record: logging.LogRecord) -> bool:
    """Whether a message of Lightning belongs in the log: no advertisement, nor a rank's repetition of its parent.

    Nor what it says of saving a checkpoint whole, which alarms: litlab loads with weights_only=True.
    """
    unwanted = [
        "litlogger",
        "`weights_only` was not set",
        *(("available: ", "was configured so") if RENDEZVOUS in os.environ else ()),
    ]
    return not any(text in record.getMessage() for text in unwanted)


def fit(config: DictConfig, trainer: Trainer, task: Task, data: TensorData, result: Result, earlier: Resumed) -> None:
    """Train the task, from a checkpoint if there is one; a run that fails or is stopped records how far it came."""
    try:
        trainer.fit(task, datamodule=data, ckpt_path=earlier.checkpoint, weights_only=True)
    except UnreadableError as error:  # of the best weights beside the checkpoint, or a planted file
        raise RequestError(f"resume={config.resume}: {error}") from error
    except DivergedError as error:
        raise RunError(f"{error}: {after_divergence(config, data, error.rate)}") from error
    except Pruned:
        result.update(**describe_speed(task, trainer), **describe_pruned(task, trainer))
        raise
    finally:
        result.update(epochs=trainer.current_epoch, steps=trainer.global_step)
    result.update(**describe_speed(task, trainer))
    epochs = History.of(trainer).epochs  # none after trainer.max_epochs=0
    result.metrics = {"train/loss": epochs[-1]["train/loss"]} if epochs else {}


def describe_pruned(task: Task, trainer: Trainer) -> dict[str, Any]:
    """The metrics of the last epoch, and the best epoch so far."""
    history, metric = History.of(trainer), task.monitor
    best = history.best(metric, task.mode)
    monitor = Monitor(metric, task.mode, history.epochs[best - 1][metric] if best else None, best)
    return {"metrics": dict(history.epochs[-1]) if history.epochs else {}, "monitor": monitor}


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
