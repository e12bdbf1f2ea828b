"""The picture of a search over two settings."""

import numpy as np
import pytest

from litlab.plots import canvas
from litlab.plots.search import scatter
from litlab.plots.setting import Setting

RATES = [1e-4, 7e-4, 2e-3, 1e-2, 4e-2, 3e-1]
LR, DROPOUT = Setting("optimizer.lr", RATES), Setting("model.dropout", [0.05, 0.1, 0.2, 0.25, 0.4, 0.5])
MEANS = np.array([0.25, 0.875, 0.5, 0.875, 0.75, np.nan])


@pytest.mark.parametrize(("mode", "best"), [("max", [1, 3]), ("min", [0])])
def test_each_trial_is_a_point_and_the_best_are_ringed(mode: str, best: list[int]) -> None:
    places = np.stack([LR.places(RATES), DROPOUT.places([0.4, 0.1, 0.05, 0.2, 0.5, 0.25])], axis=1)
    figure = scatter((LR, DROPOUT), places, MEANS, {5: "failed"}, "val/accuracy", mode)
    axes = figure.axes[0]
    points, rings, crosses = axes.collections
    drawn = dict(zip(map(tuple, points.get_offsets().tolist()), points.get_array().tolist(), strict=True))
    assert drawn == dict(zip(map(tuple, places[:5].tolist()), MEANS[:5].tolist(), strict=True))
    np.testing.assert_allclose(rings.get_offsets(), places[best])
    np.testing.assert_allclose(crosses.get_offsets(), places[5:])
    assert [text.get_text() for text in axes.texts] == ["failed"]
    darkness = -points.cmap(points.norm(MEANS[:5]))[:, :3].sum(axis=1)
    assert darkness.argmax() == best[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("optimizer.lr", "model.dropout")
    canvas.pixels(figure)


def test_one_rate_far_off_leaves_the_others_their_room() -> None:
    rates = Setting("optimizer.lr", [*RATES, 1e30])
    places = np.stack([rates.places(rates.values), np.linspace(0.05, 0.5, 7)], axis=1)
    axes = scatter((rates, DROPOUT), places, np.linspace(0, 1, 7), {}, "val/accuracy", "max").axes[0]
    np.testing.assert_allclose(places[:, 0], range(7))
    assert [label.get_text() for label in axes.get_xticklabels()] == rates.labels


def test_names_are_written_at_their_axis() -> None:
    model = Setting("model", ["mlp", "cnn"])
    places = np.stack([LR.places(RATES), model.places(3 * ["cnn", "mlp"])], axis=1)
    axes = scatter((LR, model), places, MEANS, {}, "val/accuracy", "max").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["mlp", "cnn"]
