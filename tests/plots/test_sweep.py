"""Pictures of a sweep: what is drawn is what was given."""

import itertools

import numpy as np
import pytest

from litlab.plots import canvas
from litlab.plots.setting import Setting
from litlab.plots.sweep import colour_range, curves, heatmap, line, parallel_coordinates, scatter

pytestmark = pytest.mark.filterwarnings("error")
LR = Setting("optimizer.lr", [0.01, 0.03, 0.1])
BATCH = Setting("data.batch_size", [32, 64])
MODEL = Setting("model", ["cnn", "mlp"])


def test_places_of_values_on_linear_and_logarithmic_axes():
    for values, logarithmic in [
        *((values, True) for values in ([0.01, 0.03, 0.1], [32, 64, 128], [0.001, 0.1])),
        *((values, False) for values in ([32, 64], [1, 2, 3], [0, 0.1, 10], [0, 10], [-1, 1, 100], [0.5])),
        *((values, False) for values in (["a", "b"], [True, False], [0.01, 0.03, 0.1, 1e9])),
    ]:
        assert Setting("name", values).is_logarithmic is logarithmic
    np.testing.assert_allclose(Setting("n", [0.01, 0.1, 1]).fractions([0.1, 1, 0.01]), [0.5, 1, 0])
    np.testing.assert_allclose(Setting("n", [1, 2, 3]).fractions([1, 1.5]), [0, 0.25])
    np.testing.assert_allclose(Setting("n", [None, 0.1, "a", [8, 4]]).positions([[8, 4], None, "a"]), [3, 0, 2])
    np.testing.assert_allclose(Setting("n", ["one"]).fractions(["one"]), [0.5])
    assert Setting("n", [None, 1e-5, True, [8, 4]]).labels == ["-", "1e-05", "True", "[8, 4]"]
    assert len(Setting("n", list(range(100))).marks()) == 10
    assert Setting("n", [[1024] * 5, "a" * 60]).labels == ["[1024, 1024, 1024, 1024, 1024]", "a" * 15 + "…" + "a" * 14]
    for values in [[0.01, 0.03, 0.1, 1e9], [0, 0.1, 0.2, 100], [1, 2, 3, float("inf")]]:
        setting = Setting("n", values)
        assert not setting.has_scale
        np.testing.assert_allclose(setting.positions(values[::-1]), [3, 2, 1, 0])
        np.testing.assert_allclose(setting.fractions(values), [0, 1 / 3, 2 / 3, 1])
        axes = line(setting, np.arange(4.0), np.zeros(4), {}, "val/accuracy").axes[0]
        assert [label.get_text() for label in axes.get_xticklabels()] == setting.labels


def framed(axes):
    return {(frame.get_y() + 0.5, frame.get_x() + 0.5) for frame in axes.patches}


@pytest.mark.parametrize(("mode", "best"), [("max", (1, 0)), ("min", (0, 1))])
def test_heatmap_has_the_number_of_each_cell_and_frames_the_best(mode, best):
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
    assert framed(axes) == {best}
    image = axes.images[0]
    darkness = -image.cmap(image.norm(np.array([0.25, 0.875])))[:, :3].sum(axis=1)
    assert darkness.argmax() == (1 if mode == "max" else 0)
    canvas.pixels(figure)


def test_heatmap_frames_all_of_the_best_cells_and_has_numbers_if_small():
    for mode in ["max", "min"]:
        means = np.array([[0.5, 0.25], [0.875, 0.875], [0.25, np.nan]])
        axes = heatmap(LR, BATCH, means, {}, "val/accuracy", mode).axes[0]
        assert framed(axes) == ({(1, 0), (1, 1)} if mode == "max" else {(0, 1), (2, 0)})
    many = Setting("seed", list(range(50)))
    figure = heatmap(many, BATCH, np.random.default_rng(0).random((50, 2)), {}, "val/accuracy", "max")
    assert not figure.axes[0].texts
    assert len(figure.axes[0].get_yticks()) == 25
    canvas.pixels(figure)
    columns = Setting("model.name", ["a model with a name of many words", "cnn"])
    figure = heatmap(BATCH, columns, np.array([[0.5, 0.25], [0.75, 0.875]]), {}, "val/accuracy", "max")
    canvas.pixels(figure)
    axes = figure.axes[0]
    assert axes.get_window_extent().height >= 90, "two rows"
    assert axes.xaxis.label.get_window_extent().y0 >= 0
    assert colour_range(np.array([0.1, 0.9, 0.91, 0.92, np.nan]), "max") == pytest.approx((0.875, 0.92))
    assert colour_range(np.array([1e9, 1.0, 1.1, 1.2]), "min") == pytest.approx((1.0, 1.45))
    assert colour_range(np.array([0.9722, 0.9389, 0.9278, 0.85]), "max") == (0.85, 0.9722), "0.85 did not diverge"
    assert colour_range(np.array([0.1, 0.3, 0.7]), "min") == (0.1, 0.7)
    for same, width in ((0.0, 0.001), (3.0, 0.003), (-3.0, 0.003)):
        assert colour_range(np.array([same, same]), "max") == pytest.approx((same - width, same), abs=1e-12)
        assert colour_range(np.array([same, same]), "min") == pytest.approx((same, same + width), abs=1e-12)


@pytest.mark.parametrize("values", [[0.875, 0.875], [0.875, np.nan]])
def test_equal_values_have_no_colour_bar(values):
    grid, places = np.array([values]), np.array([[1.0, 1.0], [2.0, 2.0]])
    for figure in (
        heatmap(Setting("seed", [0]), BATCH, grid, {}, "val/accuracy", "max"),
        scatter((BATCH, BATCH), places, grid[0], {}, "val/accuracy", "max"),
    ):
        assert [axes.get_title() for axes in figure.axes] == ["val/accuracy: 0.875"]
    several = heatmap(Setting("seed", [0]), BATCH, np.array([[0.875, 0.5]]), {}, "val/accuracy", "max")
    assert [axes.get_title() for axes in several.axes] == ["val/accuracy: the best is framed", ""]
    assert several.axes[1].get_ylabel() == "val/accuracy"


def test_line_shows_means_and_deviations_and_categories_without_a_line():
    figure = line(LR, np.array([0.5, 0.75, np.nan]), np.array([0.125, 0.25, np.nan]), {2: "failed"}, "val/accuracy")
    axes = figure.axes[0]
    drawn, _, (bars,) = axes.containers[0]
    np.testing.assert_allclose(drawn.get_xydata(), [[0.01, 0.5], [0.03, 0.75]])
    np.testing.assert_allclose([bar[:, 1] for bar in bars.get_segments()], [[0.375, 0.625], [0.5, 1.0]])
    assert axes.get_xscale() == "log" and drawn.get_linestyle() == "-"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.01", "0.03", "0.1"]
    assert [text.get_text() for text in axes.texts] == ["failed"]
    canvas.pixels(figure)
    figure = line(MODEL, np.array([0.5, 0.75]), np.array([np.nan, np.nan]), {}, "val/accuracy")
    drawn = figure.axes[0].containers[0][0]
    np.testing.assert_allclose(drawn.get_xydata(), [[0, 0.5], [1, 0.75]])
    assert drawn.get_linestyle() == "None"
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["cnn", "mlp"]


@pytest.mark.parametrize("mode", ["max", "min"])
def test_parallel_coordinates_lead_each_row_through_its_values(mode):
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
    names = ["optimizer.lr", "data.batch_size", "model", "val/accuracy"]
    assert [label.get_text() for label in axes.get_xticklabels()] == names
    assert {"0.01", "64", "cnn", "0.5", "0.75"} <= {text.get_text() for text in axes.texts}
    canvas.pixels(figure)


@pytest.mark.parametrize("mode", ["max", "min"])
def test_equal_values_have_one_label_in_the_middle_of_the_metrics_axis(mode):
    values = [[0.01, 32, "cnn"], [0.1, 64, "mlp"]]
    axes = parallel_coordinates([LR, BATCH, MODEL], values, np.array([0.625, 0.625]), "val/accuracy", mode).axes[0]
    assert [text.get_text() for text in axes.texts if text.xy[0] == 3] == ["0.625"]
    assert axes.lines[0].get_xydata()[-1].tolist() == [3, 0.5]


RATES = [1e-4, 7e-4, 2e-3, 1e-2, 4e-2, 3e-1]
RATE, DROPOUT = Setting("optimizer.lr", RATES), Setting("model.dropout", [0.05, 0.1, 0.2, 0.25, 0.4, 0.5])
MEANS = np.array([0.25, 0.875, 0.5, 0.875, 0.75, np.nan])


@pytest.mark.parametrize(("mode", "best"), [("max", [1, 3]), ("min", [0])])
def test_each_trial_is_a_point_and_the_best_are_ringed(mode, best):
    places = np.stack([RATE.positions(RATES), DROPOUT.positions([0.4, 0.1, 0.05, 0.2, 0.5, 0.25])], axis=1)
    figure = scatter((RATE, DROPOUT), places, MEANS, {5: "failed"}, "val/accuracy", mode)
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


def test_scattered_rates_have_room_and_names_their_axis():
    rates = Setting("optimizer.lr", [*RATES, 1e30])
    places = np.stack([rates.positions(rates.values), np.linspace(0.05, 0.5, 7)], axis=1)
    axes = scatter((rates, DROPOUT), places, np.linspace(0, 1, 7), {}, "val/accuracy", "max").axes[0]
    np.testing.assert_allclose(places[:, 0], range(7))
    assert [label.get_text() for label in axes.get_xticklabels()] == rates.labels
    model = Setting("model", ["mlp", "cnn"])
    places = np.stack([RATE.positions(RATES), model.positions(3 * ["cnn", "mlp"])], axis=1)
    axes = scatter((RATE, model), places, MEANS, {}, "val/accuracy", "max").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["mlp", "cnn"]
    hidden = Setting("model.hidden", ["[64]", "[256, 128]"])
    axes = scatter((hidden, model), np.array([[0.0, 0], [1, 1]]), MEANS[:2], {}, "val/accuracy", "max").axes[0]
    assert [label.get_rotation() for label in axes.get_xticklabels()] == [40, 40], "long ones side by side"


@pytest.mark.parametrize(
    "values", [[0.06, 0.2, 0.235, 0.238, 0.9], [32, 33, 40, 64], [128734, 533505, 3001461, 7274625, 9699585]]
)
def test_labels_of_close_values_do_not_overlap(values):
    """As a search draws them: where labels at the values would, the axis has round numbers."""
    setting = Setting("optimizer.lr", values)
    places = np.stack([setting.positions(values), np.linspace(0.1, 0.5, len(values))], axis=1)
    axes = scatter((setting, DROPOUT), places, np.linspace(0, 1, len(values)), {}, "val/accuracy", "max").axes[0]
    axes.figure.canvas.draw()
    assert not set(setting.labels) <= {label.get_text() for label in axes.get_xticklabels()}
    boxes = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
    inside = [box for box in boxes if 0 <= (box.x0 + box.x1) / 2 <= axes.figure.bbox.width]
    assert len(inside) > 1 and not any(one.overlaps(other) for one, other in itertools.pairwise(inside))


@pytest.mark.parametrize(("label", "legends"), [("lr=0.1", 1), ("", 0)])
def test_curves_of_seeds_alone_have_no_legend(label, legends):
    (axes,) = curves([[np.arange(3.0), np.ones(3)]], [label], "val/accuracy").axes
    assert (axes.get_legend() is not None) == legends and len(axes.lines) == 3
