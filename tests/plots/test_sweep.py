"""Pictures of a sweep: what is drawn is what was given."""

from typing import Any

import numpy as np
import pytest

from litlab.plots import canvas
from litlab.plots.setting import Setting
from litlab.plots.sweep import heatmap, line, parallel_coordinates, shown_range

LR = Setting("optimizer.lr", [0.01, 0.03, 0.1])
BATCH = Setting("data.batch_size", [32, 64])
MODEL = Setting("model", ["cnn", "mlp"])


@pytest.mark.parametrize(
    ("values", "logarithmic"),
    [
        ([0.01, 0.03, 0.1], True),
        ([32, 64, 128], True),
        ([0.001, 0.1], True),
        ([32, 64], False),
        ([1, 2, 3], False),
        ([0, 0.1, 10], False),
        ([0, 10], False),
        ([-1, 1, 100], False),
        ([0.5], False),
        (["a", "b"], False),
        ([True, False], False),
        ([0.01, 0.03, 0.1, 1e9], False),
    ],
)
def test_geometric_values_have_a_logarithmic_axis(values: list[Any], logarithmic: bool) -> None:
    assert Setting("name", values).logarithmic is logarithmic


def test_values_have_their_place_on_the_axis() -> None:
    np.testing.assert_allclose(Setting("n", [0.01, 0.1, 1]).shares([0.1, 1, 0.01]), [0.5, 1, 0])
    np.testing.assert_allclose(Setting("n", [1, 2, 3]).shares([1, 1.5]), [0, 0.25])
    np.testing.assert_allclose(Setting("n", [None, 0.1, "a", [8, 4]]).places([[8, 4], None, "a"]), [3, 0, 2])
    np.testing.assert_allclose(Setting("n", ["one"]).shares(["one"]), [0.5])
    assert Setting("n", [None, 1e-5, True, [8, 4]]).labels == ["-", "1e-05", "True", "[8, 4]"]
    assert len(Setting("n", list(range(100))).marked()) == 10
    assert Setting("n", [[1024] * 5, "a" * 60]).labels == ["[1024, 1024, 1024, 1024, 1024]", "a" * 15 + "…" + "a" * 14]


@pytest.mark.parametrize("values", [[0.01, 0.03, 0.1, 1e9], [0, 0.1, 0.2, 100], [1, 2, 3, float("inf")]])
def test_one_value_far_off_does_not_drive_the_others_into_a_corner(values: list[Any]) -> None:
    setting = Setting("n", values)
    assert not setting.numeric
    np.testing.assert_allclose(setting.places(values[::-1]), [3, 2, 1, 0])
    np.testing.assert_allclose(setting.shares(values), [0, 1 / 3, 2 / 3, 1])
    axes = line(setting, np.arange(4.0), np.zeros(4), {}, "val/accuracy").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == setting.labels


@pytest.mark.parametrize(("mode", "best"), [("max", (1, 0)), ("min", (0, 1))])
def test_heatmap_has_the_number_of_each_cell_and_frames_the_best(mode: str, best: tuple[int, int]) -> None:
    means = np.array([[0.5, 0.25], [0.875, np.nan], [0.75, np.nan]])
    written = {(0, 0): "0.500", (0, 1): "0.250", (1, 0): "0.875", (1, 1): "failed", (2, 0): "0.750"}
    figure = heatmap(LR, BATCH, means, written, "val/accuracy", mode)
    axes = figure.axes[0]
    texts = {text.get_position()[::-1]: text.get_text() for text in axes.texts}
    assert texts == written | {(2, 1): "-"}
    white = {text.get_position()[::-1] for text in axes.texts if text.get_color() == "white"}
    assert white == ({(1, 0), (2, 0)} if mode == "max" else {(0, 0), (0, 1)}), "on dark cells"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("data.batch_size", "optimizer.lr")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0.01", "0.03", "0.1"]
    (frame,) = axes.lines
    assert (frame.get_ydata().mean().round(), frame.get_xdata().mean().round()) == best
    image = axes.images[0]
    darkness = -image.cmap(image.norm(np.array([0.25, 0.875])))[:, :3].sum(axis=1)
    assert darkness.argmax() == (1 if mode == "max" else 0)
    canvas.pixels(figure)


def test_long_labels_leave_the_heatmap_its_room() -> None:
    columns = Setting("model.name", ["a model with a name of many words", "cnn"])
    figure = heatmap(BATCH, columns, np.array([[0.5, 0.25], [0.75, 0.875]]), {}, "val/accuracy", "max")
    canvas.pixels(figure)
    axes = figure.axes[0]
    assert axes.get_window_extent().height >= 90, "two rows"
    assert axes.xaxis.label.get_window_extent().y0 >= 0


@pytest.mark.parametrize("mode", ["max", "min"])
def test_all_of_the_best_cells_are_framed(mode: str) -> None:
    means = np.array([[0.5, 0.25], [0.875, 0.875], [0.25, np.nan]])
    axes = heatmap(LR, BATCH, means, {}, "val/accuracy", mode).axes[0]
    framed = {(float(line.get_ydata()[:4].mean()), float(line.get_xdata()[:4].mean())) for line in axes.lines}
    assert framed == ({(1, 0), (1, 1)} if mode == "max" else {(0, 1), (2, 0)})


def test_a_large_heatmap_has_no_numbers() -> None:
    many = Setting("seed", list(range(50)))
    figure = heatmap(many, BATCH, np.random.default_rng(0).random((50, 2)), {}, "val/accuracy", "max")
    assert not figure.axes[0].texts
    assert len(figure.axes[0].get_yticks()) == 25
    canvas.pixels(figure)


def test_one_diverged_value_does_not_take_all_colours() -> None:
    assert shown_range(np.array([0.1, 0.9, 0.91, 0.92, np.nan]), "max") == pytest.approx((0.875, 0.92))
    assert shown_range(np.array([1e9, 1.0, 1.1, 1.2]), "min") == pytest.approx((1.0, 1.45))
    assert shown_range(np.array([0.9722, 0.9389, 0.9278, 0.85]), "max") == (0.85, 0.9722), "0.85 did not diverge"
    assert shown_range(np.array([0.1, 0.3, 0.7]), "min") == (0.1, 0.7)
    for same, width in ((0.0, 0.001), (3.0, 0.003), (-3.0, 0.003)):
        assert shown_range(np.array([same, same]), "max") == pytest.approx((same - width, same), abs=1e-12)
        assert shown_range(np.array([same, same]), "min") == pytest.approx((same, same + width), abs=1e-12)


def test_line_shows_means_and_deviations_over_a_logarithmic_axis() -> None:
    figure = line(LR, np.array([0.5, 0.75, np.nan]), np.array([0.125, 0.25, np.nan]), {2: "failed"}, "val/accuracy")
    axes = figure.axes[0]
    drawn, _, (bars,) = axes.containers[0]
    np.testing.assert_allclose(drawn.get_xydata(), [[0.01, 0.5], [0.03, 0.75]])
    np.testing.assert_allclose([bar[:, 1] for bar in bars.get_segments()], [[0.375, 0.625], [0.5, 1.0]])
    assert axes.get_xscale() == "log" and drawn.get_linestyle() == "-"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.01", "0.03", "0.1"]
    assert [text.get_text() for text in axes.texts] == ["failed"]
    canvas.pixels(figure)


def test_categories_are_points_without_a_line() -> None:
    figure = line(MODEL, np.array([0.5, 0.75]), np.array([np.nan, np.nan]), {}, "val/accuracy")
    drawn = figure.axes[0].containers[0][0]
    np.testing.assert_allclose(drawn.get_xydata(), [[0, 0.5], [1, 0.75]])
    assert drawn.get_linestyle() == "None"
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["cnn", "mlp"]


@pytest.mark.parametrize("mode", ["max", "min"])
def test_parallel_coordinates_lead_each_row_through_its_values(mode: str) -> None:
    values = [[0.01, 32, "cnn"], [0.1, 64, "mlp"], [0.03, 32, "mlp"], [0.1, 32, "cnn"]]
    means = np.array([0.5, 0.75, 0.625, np.nan])
    figure = parallel_coordinates([LR, BATCH, MODEL], values, means, "val/accuracy", mode)
    axes = figure.axes[0]
    unknown, known = axes.collections
    assert len(unknown.get_segments()) == 1 and len(known.get_segments()) == 3
    np.testing.assert_allclose(unknown.get_segments()[0], [[0, 1], [1, 0], [2, 0]], atol=0.021)
    best = axes.lines[0].get_xydata()
    way, end = ([1, 1, 1], 1) if mode == "max" else ([0, 0, 0], 0)
    np.testing.assert_allclose(best[:3, 1], way, atol=0.021)
    assert (best[3, 0], best[3, 1]) == (3, end)
    assert known.get_array().argmax() == 2, "the best is drawn last, and darkest"
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "optimizer.lr",
        "data.batch_size",
        "model",
        "val/accuracy",
    ]
    assert {"0.01", "64", "cnn", "0.5", "0.75"} <= {text.get_text() for text in axes.texts}
    canvas.pixels(figure)
