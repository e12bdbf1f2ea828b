"""Predictions and what they miss: what is drawn is what was given."""

import numpy as np

from litlab.plots import regression

RANDOM = np.random.default_rng(0)


def test_regression_pictures_state_the_error() -> None:
    targets = RANDOM.normal(size=300)
    predicted = targets + 0.5
    assert "RMSE 0.5" in regression.predicted_vs_actual(targets, predicted).axes[0].get_title()
    cloud = regression.residuals(targets, predicted).axes[0]
    np.testing.assert_allclose(cloud.lines[0].get_ydata(), 0.5)
    np.testing.assert_allclose(cloud.lines[0].get_xdata(), predicted)


def test_many_points_are_counted_not_drawn() -> None:
    targets = RANDOM.normal(size=3000)
    figure = regression.predicted_vs_actual(targets, targets)
    assert sum(figure.axes[0].collections[0].get_array()) == 3000


def test_fit_is_sorted_by_input_and_keeps_to_the_truth() -> None:
    x = RANDOM.permutation(np.linspace(-1, 1, 50))
    axes = regression.fit(x, x**2, 100 * x, x**2, "x", "y").axes[0]
    truth, before, after = (line.get_ydata() for line in axes.lines)
    np.testing.assert_allclose(truth, np.linspace(-1, 1, 50) ** 2)
    np.testing.assert_allclose(before, 100 * np.linspace(-1, 1, 50))
    np.testing.assert_allclose(after, truth)
    assert axes.get_ylim()[1] < 2
