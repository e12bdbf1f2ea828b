"""A line per epoch, and a progress bar."""

import contextlib
import io
import multiprocessing
import time
from typing import Any, cast

import lightning.pytorch as L
import rich
from lightning.pytorch.callbacks import ProgressBar
from rich import progress
from rich.console import Console

from litlab.callbacks.history import History
from litlab.config.job import in_sweep
from litlab.runs.number_format import metric_text
from litlab.tasks.base import Task

INTERVAL = 0.25  # seconds between two refreshes; one takes about 1 ms


class Progress(ProgressBar):
    """Prints a line per epoch; below them, on a terminal, a bar with loss, monitored metric and speed.

    A file or a pipe gets the lines alone, and a job of a sweep prints none. In a notebook's cell there is the bar
    alone, a line of text that IPython replaces: rich's own display there needs ipywidgets. It reads only what is on
    the host already, so drawing does not synchronize a device.
    """

    counts_batches = False  # it draws by time; see `litlab.callbacks.calls`

    def __init__(self) -> None:
        super().__init__()
        self._bar: progress.Progress | None = None
        self._task = progress.TaskID(0)
        self._drawn = 0.0
        self._samples = 0
        self._printed = 0  # epochs
        self._console = rich.get_console()  # a sweep's live line is of it, too: then both are drawn
        self._cell: Any = None  # IPython's handle of the line in a notebook
        self.enable()

    def disable(self) -> None:
        """Show nothing; the Trainer calls this on all ranks but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Show it again; but nothing in a worker, as of joblib: all would draw on one line."""
        self._enabled = multiprocessing.parent_process() is None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the bar."""
        self._printed = len(History.of(trainer).epochs)  # of the run that this one resumes
        if not self._enabled or not (self._console.is_terminal or self._console.is_jupyter):
            return
        self._bar = progress.Progress(
            progress.TextColumn("epoch {task.fields[epoch]}"),
            progress.BarColumn(),
            progress.TaskProgressColumn(),
            progress.TextColumn("{task.fields[text]}"),
            progress.TimeElapsedColumn(),
            console=self._console,
            auto_refresh=False,  # a refreshing thread would slow down training
            transient=True,
        )
        self._task = self._bar.add_task("", epoch="", text="")
        if not self._console.is_jupyter:
            self._bar.start()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print the epoch that is over, and reset the bar."""
        self._print_epochs(trainer, cast(Task, pl_module))
        if self._bar is not None:
            self._bar.reset(self._task, total=trainer.num_training_batches)
            self._bar.update(self._task, epoch=_of(trainer, trainer.current_epoch + 1))
            self._drawn, self._samples = time.monotonic(), cast(Task, pl_module).losses.samples

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Advance the bar, if it is time."""
        if self._bar is None or time.monotonic() - self._drawn < INTERVAL:
            return
        task, now = cast(Task, pl_module), time.monotonic()
        losses = task.losses
        speed = (losses.samples - self._samples) / (now - self._drawn)
        self._drawn, self._samples = now, losses.samples
        text = f"loss {metric_text(losses.epoch.mean)}  {speed:,.0f} samples/s"
        value = trainer.callback_metrics.get(task.monitor)
        if value is not None:
            text += f"  {task.monitor} {metric_text(float(value))}"
        self._bar.update(self._task, completed=batch_idx + 1, text=text)
        if self._console.is_jupyter:
            self._show_in_cell(self._bar)
        else:
            self._bar.refresh()

    def _show_in_cell(self, bar: progress.Progress) -> None:
        from IPython.display import display  # a notebook has it

        plain = Console(file=io.StringIO(), force_jupyter=False, width=100, color_system=None)
        with plain.capture() as captured:
            plain.print(bar.get_renderable())
        shown = {"text/plain": captured.get().rstrip()}
        if self._cell is None:
            self._cell = display(shown, raw=True, display_id=True)
        else:
            self._cell.update(shown, raw=True)

    def _print_epochs(self, trainer: L.Trainer, task: Task) -> None:
        """Those that have ended since the last call; the Trainer logs an epoch's loss after the callbacks' hook."""
        history = History.of(trainer)
        done, self._printed = self._printed, len(history.epochs)
        if not self._enabled or self._console.is_jupyter or in_sweep():
            return
        name = task.monitor.partition("/")[2]
        for number, values in enumerate(history.epochs[done:], start=done + 1):
            shown = dict.fromkeys(("train/loss", "train/eval_loss", f"train/{name}", "val/loss", task.monitor))
            parts = [f"{each} {metric_text(values[each])}" for each in shown if each in values]
            line = "  ".join([f"epoch {_of(trainer, number)}", *parts, f"{history.seconds[-1]:.1f} s"])
            with contextlib.suppress(OSError):  # the reader may be gone
                if self._bar is None:
                    print(line, flush=True)
                else:
                    self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print the last epoch, and remove the bar."""
        self._print_epochs(trainer, cast(Task, pl_module))
        self._stop()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Remove the bar."""
        self._stop()

    def _stop(self) -> None:
        if self._cell is not None:
            self._cell.update({"text/plain": ""}, raw=True)
            self._cell = None
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _of(trainer: L.Trainer, epoch: int) -> str:
    return f"{epoch}/{trainer.max_epochs if trainer.max_epochs not in (None, -1) else '?'}"
