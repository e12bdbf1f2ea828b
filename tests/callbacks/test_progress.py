"""The progress bar: what it shows on a terminal, and nothing elsewhere."""

import io
import sys
import types

import pytest
from rich.console import Console

from litlab.callbacks import progress
from litlab.callbacks.progress import Progress

SETTING = ("scheduler=none", "callbacks=none", "trainer.enable_progress_bar=true")


class OnTerminal(Progress):
    def __init__(self):
        super().__init__()
        self.out = io.StringIO()
        self._console = Console(file=self.out, force_terminal=True, width=120)
        self._enabled = True


def test_it_shows_epoch_loss_metric_and_speed(fit, monkeypatch):
    monkeypatch.setattr(progress, "INTERVAL", 0)
    bar = OnTerminal()
    fit(*SETTING, "task.steps_per_execution=4", callbacks=[bar])
    shown = bar.out.getvalue()
    for words in ("epoch 1/2", "epoch 2/2", "loss ", "samples/s", "val/accuracy 0."):
        assert words in shown
    assert bar._bar is None  # it is gone at the end


def test_a_notebooks_cell_has_a_line_that_is_replaced(fit, monkeypatch):
    """As IPython's display with a display_id does it: no escape codes, and nothing stays."""
    shown = []

    class Cell:
        def update(self, data, raw):
            shown.append(data["text/plain"])

    def display(data, raw, display_id):
        assert raw and display_id and not shown
        cell = Cell()
        cell.update(data, raw)
        return cell

    monkeypatch.setattr(progress, "INTERVAL", 0)
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    bar = Progress()
    bar._console = Console(force_jupyter=True)
    bar.enable()
    fit(*SETTING, callbacks=[bar])
    assert shown[0].startswith("epoch 1/2 ━") and "val/accuracy 0." in shown[-2] and shown[-1] == ""
    assert not any("\x1b" in line or "\n" in line for line in shown)


@pytest.mark.parametrize("interval", [1000, 0.25])
def test_it_is_drawn_seldom(fit, monkeypatch, interval):
    """A drawing costs about a millisecond: a run of less than an interval has none but the first."""
    drawn = []
    monkeypatch.setattr(progress, "INTERVAL", interval)
    monkeypatch.setattr(progress.progress.Progress, "refresh", lambda self: drawn.append(1))
    fit(*SETTING, "task.steps_per_execution=1", callbacks=[OnTerminal()])
    assert len(drawn) <= 10


def test_nothing_where_the_output_is_no_terminal_or_the_run_breaks(fit, capsys):
    bar = Progress()
    fit(*SETTING, callbacks=[bar])
    captured = capsys.readouterr()
    assert captured.out == "" and "epoch" not in captured.err
    bar = OnTerminal()
    with pytest.raises(RuntimeError, match="the loss is"):
        fit(*SETTING, "optimizer.lr=1000", callbacks=[bar])
    assert bar._bar is None


def test_a_worker_draws_no_bar_on_the_terminal_that_it_shares(monkeypatch):
    monkeypatch.setattr("rich.get_console", lambda: Console(file=io.StringIO(), force_terminal=True))
    assert Progress()._enabled
    monkeypatch.setattr("multiprocessing.parent_process", lambda: object())
    assert not Progress()._enabled
