"""Predictions and residuals: what is drawn is what was given."""

import numpy as np

from litlab.plots import canvas, regression

RANDOM = np.random.default_rng(0)


def test_pictures_state_the_error_and_shorten_units():
    targets = RANDOM.normal(size=300)
    predicted = targets + 0.5
    assert "RMSE 0.5" in regression.predicted_vs_actual(targets, predicted).axes[0].get_title()
    zero, points = regression.residuals(targets, predicted).axes[0].lines
    assert list(zero.get_ydata()) == [0, 0]
    np.testing.assert_allclose(points.get_ydata(), 0.5)
    np.testing.assert_allclose(points.get_xdata(), predicted)
    values, unit = np.arange(3.0), "the price of a house in a district in units of 100,000 dollars"
    drawn = "the price of a hou…f 100,000 dollars"
    assert regression.predicted_vs_actual(values, values, unit).axes[0].get_ylabel() == f"predicted {drawn}"
    assert regression.residuals(values, values, unit).axes[0].get_xlabel() == f"predicted {drawn}"
    axes = regression.fit(values, values, values, values, unit, unit).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == (drawn, drawn)


def test_an_outlier_lies_outside_and_is_counted_but_all_are_in_view_where_none_is_far():
    for count in [1000, 20_000]:
        targets = RANDOM.uniform(0, 5, count)
        predicted = targets + RANDOM.normal(0, 0.1, count)
        predicted[:3] = -115, 60, np.nan
        axes = regression.predicted_vs_actual(targets, predicted).axes[0]
        assert axes.get_title().endswith(f"\n3 of {count:,} predictions lie outside the picture")
        assert axes.get_ylim()[0] > -1 and axes.get_ylim()[1] < 6
        cloud, bars = regression.residuals(targets, np.where(np.isnan(predicted), 60, predicted)).axes[:2]
        assert cloud.get_title().endswith("outside the picture") and cloud.get_ylim()[1] < 1
        assert sum(bars.patches[0].get_data().values) == count - 3
    truth = RANDOM.normal(size=300)
    assert regression.in_view(truth, truth).all()
    assert regression.in_view(truth, truth + 100).all(), "all are far off: that is what there is to see"
    assert regression.in_view(truth, np.zeros(300)).all()
    assert regression.in_view(np.zeros(300), truth).all()
    assert regression.in_view(np.arange(3.0), np.array([0.0, 1.0, 100.0])).all(), "few points"


def test_fit_is_sorted_and_few_points_are_large_and_many_counted():
    x = RANDOM.permutation(np.linspace(-1, 1, 50))
    axes = regression.fit(x, x**2, 100 * x, x**2, "x", "y").axes[0]
    truth, before, after = (line.get_ydata() for line in axes.lines)
    np.testing.assert_allclose(truth, np.linspace(-1, 1, 50) ** 2)
    np.testing.assert_allclose(before, 100 * np.linspace(-1, 1, 50))
    np.testing.assert_allclose(after, truth)
    assert axes.get_ylim()[1] < 2
    few, many = (np.linspace(0, 1, count) for count in (3, 300))
    line, points = regression.predicted_vs_actual(few, few).axes[0].lines
    assert points.get_zorder() > line.get_zorder() and points.get_markersize() == 8
    truth, before, after = regression.fit(few, few, 0 * few, few).axes[0].lines
    assert truth.get_zorder() > max(before.get_zorder(), after.get_zorder()) and truth.get_markersize() == 8
    assert regression.fit(many, many, many, many).axes[0].lines[0].get_markersize() == 5
    figure = regression.residuals(np.arange(3.0), np.array([0.1, 0.9, 2.2]))
    canvas.pixels(figure)
    assert [tick for tick in figure.axes[1].get_xticks() if 0 <= tick <= 1] == [0, 1]
    targets = RANDOM.normal(size=30_000)
    figure = regression.predicted_vs_actual(targets, targets + RANDOM.normal(size=30_000), "price ($) in $")
    canvas.pixels(figure)
    cloud, bar = figure.axes
    assert sum(cloud.collections[0].get_array()) == 30_000
    low, high = bar.get_ylim()
    ticks = zip(bar.get_yticks(), bar.get_yticklabels(), strict=True)
    assert [label.get_text() for tick, label in ticks if low <= tick <= high] == ["1", "10", "100"]
    assert cloud.get_xlabel() == "actual price ($) in $"
    assert [axes.get_ylabel() for axes in regression.residuals(targets, 2 * targets).axes][2:] == ["test samples"]
