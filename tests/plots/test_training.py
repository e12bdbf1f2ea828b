"""Curves: what is drawn is what was given."""

from litlab.plots import training


def test_curves():
    history = [{"train/loss": 2.0}, {"train/loss": 1.0, "val/loss": 1.5, "val/accuracy": 0.5, "val/f1": 0.4}]
    loss, accuracy = training.curves(history, ["loss", "accuracy", "absent"], best=2).axes
    assert [list(line.get_xdata()) for line in loss.lines] == [[1, 2], [2], [2, 2]]
    assert list(loss.lines[0].get_ydata()) == [2.0, 1.0]
    assert accuracy.get_ylabel() == "accuracy"
    for low, scale in ((0.01, "log"), (0.0, "linear"), (-1.0, "linear"), (0.1, "linear")):
        (axes,) = training.curves([{"train/loss": 2.0}, {"train/loss": low}], ["loss"]).axes
        assert axes.get_yscale() == scale
    perfect = [{"train/loss": 1.0, "train/accuracy": 1.0}] * 3
    loss, accuracy = training.curves(perfect, ["loss", "accuracy"]).axes
    assert accuracy.get_ylim()[0] < 1 == accuracy.get_ylim()[1]
    assert not accuracy.lines[0].get_clip_on()
    assert loss.get_ylim()[1] > 1
    low = [{"train/accuracy": 0.1}, {"train/accuracy": 0.2}]
    assert training.curves(low, ["accuracy"]).axes[0].get_ylim()[1] < 0.3
