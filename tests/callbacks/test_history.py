"""Which time is training's."""

from types import SimpleNamespace

import lightning.pytorch as L

from litlab.callbacks import history


def test_an_epoch_is_its_training_without_validation(fit, monkeypatch):
    """By a clock of its own: a second for each call of training_step, 100 for each validation batch."""
    now = 0.0
    monkeypatch.setattr(history, "time", SimpleNamespace(perf_counter=lambda: now))

    class Clock(L.Callback):
        def on_train_batch_start(self, *_):
            nonlocal now
            now += 1

        def on_validation_batch_start(self, *_):
            nonlocal now
            now += 100

    run = fit("scheduler=none", "task.steps_per_execution=1", callbacks=[Clock()])
    kept = history.History.of(run.trainer)
    assert kept.seconds == [20, 20] and now >= 240
    resumed = history.History()
    resumed.load_state_dict({"epochs": kept.epochs, "seconds": kept.total_seconds})
    assert resumed.total_seconds == kept.total_seconds == 40  # of both parts of a resumed run
