"""A progress bar."""

import io
import multiprocessing
import time
from typing import Any, cast

import lightning.pytorch as L
import rich
from lightning.pytorch.callbacks import ProgressBar
from rich import progress
from rich.console import Console

from litlab.tasks.base import Task

INTERVAL = 0.25  # seconds between two refreshes; one takes about 1 ms


class Progress(ProgressBar):
    """Shows epoch, loss, monitored metric and speed, a few times a second, on a terminal or in a notebook's cell.

    Nothing where the output goes elsewhere. In a cell it is a line of text that IPython replaces: rich's own display
    there needs ipywidgets. It reads only what is on the host already, so drawing does not synchronize a device.
    """

    counts_batches = False  # it draws by time; see `litlab.callbacks.calls`

    def __init__(self) -> None:
        super().__init__()
        self._bar: progress.Progress | None = None
        self._task = progress.TaskID(0)
        self._drawn = 0.0
        self._samples = 0
        self._console = rich.get_console()  # a sweep's live line is of it, too: then both are drawn
        self._cell: Any = None  # IPython's handle of the line in a notebook
        self.enable()

    def disable(self) -> None:
        """Show nothing; the Trainer calls this on all ranks but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Show the bar again; none in a worker, as of joblib: all would draw on one line."""
        is_worker = multiprocessing.parent_process() is not None
        self._enabled = (self._console.is_terminal or self._console.is_jupyter) and not is_worker

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the bar."""
        if not self._enabled:
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
        """Reset the bar."""
        if self._bar is not None:
            last = trainer.max_epochs if trainer.max_epochs not in (None, -1) else "?"
            self._bar.reset(self._task, total=trainer.num_training_batches)
            self._bar.update(self._task, epoch=f"{trainer.current_epoch + 1}/{last}")
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
        text = f"loss {losses.epoch.mean:.4f}  {speed:,.0f} samples/s"
        value = trainer.callback_metrics.get(task.monitor)
        if value is not None:
            text += f"  {task.monitor} {float(value):.4f}"
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

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Remove the bar."""
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
