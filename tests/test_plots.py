"""Pictures: what is drawn is what was given."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn import metrics

from litlab import plots

RANDOM = np.random.default_rng(0)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_confusion_matrix_has_the_counts_of_scikit_learn() -> None:
    targets, predicted = RANDOM.integers(0, 3, (2, 200))
    figure = plots.confusion_matrix(targets, predicted, ("a", "b", "c"))
    counts = metrics.confusion_matrix(targets, predicted)
    drawn = {text.get_position()[::-1]: int(text.get_text()) for text in figure.axes[0].texts}
    assert drawn == {place: count for place, count in np.ndenumerate(counts) if count}
    assert f"{metrics.accuracy_score(targets, predicted):.2%} right" in figure.axes[0].get_title()
    shares = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_allclose(shares, metrics.confusion_matrix(targets, predicted, normalize="true"))


def test_confusion_matrix_of_many_classes_and_absent_ones_has_no_numbers() -> None:
    figure = plots.confusion_matrix(np.array([0, 1]), np.array([0, 2]), [str(each) for each in range(100)])
    assert not figure.axes[0].texts
    assert np.isfinite(plots.pixels(figure)).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_image_grid_shows_every_image_with_its_title(channels: int) -> None:
    images, titles = RANDOM.normal(size=(7, channels, 5, 4)), [f"image {number}" for number in range(7)]
    figure = plots.image_grid(images, titles, "images", columns=3)
    assert texts(figure) == titles
    shown = [np.asarray(image.get_array()) for image in figure.axes[0].images]
    assert len(shown) == 7
    assert all(image.min() == 0 and image.max() == 1 for image in shown)


def test_class_histogram_leaves_out_empty_splits() -> None:
    counts = {"train": np.array([5, 3]), "val": np.array([0, 0]), "test": np.array([2, 1])}
    axes = plots.class_histogram(counts, ("cat", "dog")).axes[0]
    assert [[bar.get_width() for bar in bars] for bars in axes.containers] == [[5, 3], [2, 1]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]


def test_feature_histograms_tell_long_tails_and_bear_what_is_not_finite() -> None:
    tail = np.r_[np.zeros(5000), 1.0]
    columns = {"even": np.arange(100.0), "tail": tail, "gaps": np.array([1, np.nan]), "none": np.array([np.inf])}
    figure = plots.feature_histograms(columns)
    assert [axes.get_yscale() for axes in figure.axes] == ["linear", "log", "linear", "linear"]
    assert sum(figure.axes[0].patches[0].get_data().values) == 100
    plots.pixels(figure)


def test_regression_pictures_state_the_error() -> None:
    targets = RANDOM.normal(size=300)
    predicted = targets + 0.5
    assert "RMSE 0.5" in plots.predicted_vs_actual(targets, predicted).axes[0].get_title()
    cloud = plots.residuals(targets, predicted).axes[0]
    np.testing.assert_allclose(cloud.lines[0].get_ydata(), 0.5)
    np.testing.assert_allclose(cloud.lines[0].get_xdata(), predicted)


def test_many_points_are_counted_not_drawn() -> None:
    targets = RANDOM.normal(size=3000)
    figure = plots.predicted_vs_actual(targets, targets)
    assert sum(figure.axes[0].collections[0].get_array()) == 3000


def test_fit_is_sorted_by_input_and_keeps_to_the_truth() -> None:
    x = RANDOM.permutation(np.linspace(-1, 1, 50))
    axes = plots.fit(x, x**2, 100 * x, x**2, "x", "y").axes[0]
    truth, before, after = (line.get_ydata() for line in axes.lines)
    np.testing.assert_allclose(truth, np.linspace(-1, 1, 50) ** 2)
    np.testing.assert_allclose(before, 100 * np.linspace(-1, 1, 50))
    np.testing.assert_allclose(after, truth)
    assert axes.get_ylim()[1] < 2


def test_curves_show_the_metrics_asked_for() -> None:
    history = [{"train/loss": 2.0}, {"train/loss": 1.0, "val/loss": 1.5, "val/accuracy": 0.5, "val/f1": 0.4}]
    loss, accuracy = plots.curves(history, ["loss", "accuracy", "absent"], best=2).axes
    assert [list(line.get_xdata()) for line in loss.lines] == [[1, 2], [2], [2, 2]]
    assert list(loss.lines[0].get_ydata()) == [2.0, 1.0]
    assert accuracy.get_ylabel() == "accuracy"


def test_a_saved_picture_reads_back_the_same(tmp_path: Path) -> None:
    from PIL import Image

    image = plots.pixels(plots.curves([{"train/loss": 1.0}, {"train/loss": 100.0}], ["loss"]))
    plots.save(image, tmp_path / "new" / "curves.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new" / "curves.png")), image)
