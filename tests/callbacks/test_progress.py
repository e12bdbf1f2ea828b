"""A line per epoch everywhere but in sweeps, and a bar on a terminal."""

import io
import re
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
    for words in ("epoch 1/2", "epoch 2/2", " loss ", "samples/s", "val/accuracy 0."):
        assert words in shown
    assert re.findall(r"(epoch \d/\d)  train/loss", shown) == ["epoch 1/2", "epoch 2/2"]  # they stay above the bar
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


def test_a_file_gets_a_line_per_epoch_and_a_sweep_none(fit, capsys, monkeypatch):
    words = (*SETTING, "trainer.max_epochs=1", "data.val_size=180")
    fitted = fit(*words, callbacks=[Progress()])
    captured = capsys.readouterr()
    shown = "  ".join(f"{name} {fitted.metrics[name]:.4f}" for name in ("train/loss", "val/loss", "val/accuracy"))
    assert re.fullmatch(rf"epoch 1/1  {re.escape(shown)}  \d+\.\d s\n", captured.out)
    assert "epoch" not in captured.err
    monkeypatch.setattr(progress, "in_sweep", lambda: True)
    fit(*words, callbacks=[Progress()])
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_the_training_split_is_on_the_line_where_every_epoch_evaluates_it(fit, capsys):
    fit(*SETTING, "evaluate_train=epoch", "data.val_size=0", "trainer.max_epochs=1", callbacks=[Progress()])
    assert re.match(
        r"epoch 1/1  train/loss \S+  train/eval_loss \S+  train/accuracy \S+  \S+ s\n", capsys.readouterr().out
    )


@pytest.mark.slow
def test_a_resumed_run_prints_its_own_epochs(run, capsys):
    words = ("trainer.enable_progress_bar=true", "scheduler=none")
    first = run(*words)
    assert capsys.readouterr().out.startswith("epoch 1/1 ")
    run(*words, "trainer.max_epochs=2", f"resume={first}", "resume_changes=true")
    assert [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()] == ["epoch 2/2"]


def test_a_reader_that_is_gone_and_a_run_that_breaks(fit, monkeypatch):
    def gone(*_, **__):
        raise BrokenPipeError

    monkeypatch.setattr(progress, "print", gone, raising=False)
    assert fit(*SETTING, callbacks=[Progress()]).trainer.current_epoch == 2
    bar = OnTerminal()
    with pytest.raises(RuntimeError, match="the loss is"):
        fit(*SETTING, "optimizer.lr=1000", callbacks=[bar])
    assert bar._bar is None


def test_a_worker_draws_no_bar_on_the_terminal_that_it_shares(monkeypatch):
    monkeypatch.setattr("rich.get_console", lambda: Console(file=io.StringIO(), force_terminal=True))
    assert Progress()._enabled
    monkeypatch.setattr("multiprocessing.parent_process", lambda: object())
    assert not Progress()._enabled
