"""Curves: what is drawn is what was given."""

from litlab.plots import training


def test_curves_show_the_metrics_asked_for() -> None:
    history = [{"train/loss": 2.0}, {"train/loss": 1.0, "val/loss": 1.5, "val/accuracy": 0.5, "val/f1": 0.4}]
    loss, accuracy = training.curves(history, ["loss", "accuracy", "absent"], best=2).axes
    assert [list(line.get_xdata()) for line in loss.lines] == [[1, 2], [2], [2, 2]]
    assert list(loss.lines[0].get_ydata()) == [2.0, 1.0]
    assert accuracy.get_ylabel() == "accuracy"
