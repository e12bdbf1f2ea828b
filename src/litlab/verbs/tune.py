"""Find a learning rate or a batch size before a run, with Lightning's tuner."""

import contextlib
import copy
import io
import logging
import time
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as L
import numpy as np
from lightning.pytorch import seed_everything
from lightning.pytorch.tuner import Tuner
from omegaconf import DictConfig, OmegaConf

from litlab.build import build_data, build_task, instantiate
from litlab.config.trust import trusted
from litlab.config.values import PositiveFloat, PositiveInt
from litlab.data.tensors import TensorData
from litlab.errors import RequestError, RunError
from litlab.plots.canvas import Array, pixels, save
from litlab.plots.training import lr_range_test
from litlab.runs.result import Result
from litlab.tasks.automatic import AutomaticTask

log = logging.getLogger(__name__)
SKIP_BEGIN, SKIP_END = 10, 1  # points of a range test: the running mean is still noisy, or diverging
LARGEST = 8192  # batch size at which Lightning's scaler stops


class Found(NamedTuple):
    """A setting (`optimizer.lr`), its value, and a remark."""

    setting: str
    value: int | float
    remark: str


def tuned(config: DictConfig, result: Result) -> DictConfig:
    """The config with the value that its `tune` finds, recorded in `result.tuned`; unchanged with tune=none.

    Nothing built or drawn at random is kept: the run equals, to the bit, one with the value typed in. With
    tune.apply=false the value is printed, and recorded as `suggested`.

    Raises:
        RequestError: such a run cannot be tuned, or not on this device.
        RunError: nothing was found.
    """
    if not config.tune:
        return config
    settings = dict(config.tune)
    apply, name = settings.pop("apply"), f"tune={settings['_target_'].rpartition('find_')[2]}"
    if config.trainer.fast_dev_run:
        raise RequestError(f"{name}: not together with debug; leave one of them out")
    started = time.perf_counter()
    found: Found = instantiate("tune", settings, trusted(config))(config, name)
    before, seconds = OmegaConf.select(config, found.setting), time.perf_counter() - started
    use = f"taken instead of {before:g}" if apply else f"not taken (tune.apply=false); it stays {before:g}"
    line = f"{name}: {found.setting}={found.value:g}, {use}; {found.remark}; {seconds:.1f} s"
    print(line, flush=True)
    log.info(line)
    if not apply:
        result.suggested = {found.setting: found.value}
        return config
    result.tuned = {found.setting: found.value}
    config = copy.deepcopy(config)
    OmegaConf.update(config, found.setting, found.value)
    return config


def find_lr(
    config: DictConfig, name: str, *, min_lr: PositiveFloat, max_lr: PositiveFloat, steps: PositiveInt
) -> Found:
    """The rate of a range test, `steps` steps while it rises from min_lr to max_lr: see `suggestion`.

    It takes the steepest fall over log(rate), not over the rate as Lightning's own does: that divides the noise at the
    smallest rates by almost nothing, and suggested 0.00000006 for data=california, 0.00002 for data=digits.
    """
    if not 0 < min_lr < max_lr:
        raise RequestError(f"tune.min_lr={min_lr:g}: must be above 0 and below tune.max_lr={max_lr:g}, such as 1e-5")
    if steps < 2 * SKIP_BEGIN:
        raise RequestError(f"tune.steps={steps}: too few to see a curve; set 100")
    data, plain, trainer = _build(config, name)
    with contextlib.redirect_stderr(io.StringIO()):  # Lightning's progress bar
        finder = Tuner(trainer).lr_find(
            plain, datamodule=data, min_lr=min_lr, max_lr=max_lr, num_training=steps, update_attr=False
        )
    assert finder is not None
    # Not the finder's losses: its running mean is off by one, and starts at half the loss.
    every = trainer.accumulate_grad_batches
    batches = np.array([float(loss) for loss in plain.losses])
    losses = smoothed(batches[: len(batches) // every * every].reshape(-1, every).mean(1))
    rates = np.array(finder.results["lr"][: len(losses)])
    rate = suggestion(rates, losses)
    if rate is None:
        raise RunError(f"{name}: the loss does not fall between {min_lr:g} and {max_lr:g}; set optimizer.lr yourself")
    picture = Path(config.paths.run_dir, "plots", "lr_range_test.png")
    save(pixels(lr_range_test(rates, losses, rate, config.optimizer.lr)), picture)
    return Found("optimizer.lr", rate, "see plots/lr_range_test.png")


def smoothed(losses: Array) -> Array:
    """The running mean of losses (N,), with weights that decay by 2% per step."""
    memory = 0.98
    weights = memory ** np.arange(len(losses))[::-1]
    return np.cumsum(losses * weights) / np.cumsum(weights)


def suggestion(rates: Array, losses: Array) -> float | None:
    """The rate, to three digits, where the loss falls fastest over log(rate); None if it never falls.

    At most a tenth of the rate with the lowest loss: a full batch's loss may fall fastest just before it diverges,
    which a rising rate shows some steps later.

    Args:
        rates: of the steps, rising, shape (N,).
        losses: smoothed, shape (N,); what is not finite is left out.
    """
    used = slice(SKIP_BEGIN, len(losses) - SKIP_END)
    rates, losses = rates[used], losses[used]
    rates, losses = rates[np.isfinite(losses)], losses[np.isfinite(losses)]
    if len(losses) < 2:
        return None
    slopes = np.gradient(losses, np.log(rates))
    rate = min(rates[slopes.argmin()], rates[losses.argmin()] / 10)
    return float(f"{rate:.3g}") if slopes.min() < 0 else None  # as a user would type it


def find_batch_size(config: DictConfig, name: str, *, steps: PositiveInt) -> Found:
    """The largest of data.batch_size, twice that, ... with which `steps` steps fit into the GPU's memory."""
    data, plain, trainer = _build(config, name)
    if not memory_bounds(trainer):
        raise RequestError(
            f"{name}: needs a GPU, where memory bounds the batch; on a CPU time and accuracy do: "
            "sweep them with -m data.batch_size=32,64,128"
        )
    data.setup("fit")
    samples = len(data.splits["train"].inputs)
    size = Tuner(trainer).scale_batch_size(
        plain, datamodule=data, mode="power", steps_per_trial=steps, init_val=data.batch_size, max_val=LARGEST + 1
    )
    assert size is not None
    remark = "all samples in one batch" if size >= samples else "more does not fit" if size < LARGEST else "or more"
    return Found("data.batch_size", min(size, samples), remark)


def memory_bounds(trainer: L.Trainer) -> bool:
    """Whether the device raises an error when its memory is full."""
    return trainer.strategy.root_device.type == "cuda"


def _build(config: DictConfig, name: str) -> tuple[TensorData, AutomaticTask, L.Trainer]:
    """Data and task as in the run, from the same seed, and a Trainer without output or limits."""
    seed_everything(config.seed, verbose=False)
    data = build_data(config)
    task = build_task(config, data)
    settings: Any = OmegaConf.to_container(config.trainer, resolve=True)
    idle = {"logger": False, "callbacks": [], "default_root_dir": config.paths.run_dir, "profiler": None}
    idle |= dict.fromkeys(("enable_progress_bar", "enable_checkpointing", "enable_model_summary"), False)
    idle |= {"max_epochs": -1, "min_epochs": None, "max_steps": -1, "max_time": None, "limit_val_batches": 0}
    trainer: L.Trainer = instantiate("trainer", settings | idle, trusted(config))
    if trainer.world_size > 1:
        raise RequestError(f"{name}: works on one device; find it with trainer.devices=1, then set it yourself")
    return data, AutomaticTask(task), trainer
