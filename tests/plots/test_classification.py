"""What a classifier gets right and wrong: what is drawn is what was given."""

import numpy as np
from sklearn import metrics

from litlab.plots import canvas, classification

RANDOM = np.random.default_rng(0)


def test_confusion_matrix_has_the_counts_of_scikit_learn_and_borders():
    targets, predicted = RANDOM.integers(0, 3, (2, 200))
    axes = classification.confusion_matrix(targets, predicted, ("a", "b", "c")).axes[0]
    counts = metrics.confusion_matrix(targets, predicted)
    drawn = {text.get_position()[::-1]: int(text.get_text()) for text in axes.texts}
    assert drawn == {place: count for place, count in np.ndenumerate(counts) if count}
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("actual class", "predicted class")
    assert f"200 test samples, accuracy {metrics.accuracy_score(targets, predicted):.2%}" in axes.get_title()
    shares = np.asarray(axes.images[0].get_array())
    np.testing.assert_allclose(shares, metrics.confusion_matrix(targets, predicted, normalize="true"))
    axes = classification.confusion_matrix(np.arange(3), np.zeros(3, int), ("a", "b", "c")).axes[0]
    rows, columns = (lines.get_segments() for lines in axes.collections)
    np.testing.assert_allclose(rows, [[[-0.5, 0.5], [2.5, 0.5]], [[-0.5, 1.5], [2.5, 1.5]]])
    np.testing.assert_allclose(columns, [[[0.5, -0.5], [0.5, 2.5]], [[1.5, -0.5], [1.5, 2.5]]])
    assert (axes.get_xlim(), axes.get_ylim()) == ((-0.5, 2.5), (2.5, -0.5))
    for classes in (21, 100):
        figure = classification.confusion_matrix(np.array([0, 1]), np.array([0, 2]), list(map(str, range(classes))))
        canvas.pixels(figure)
        (axes,) = figure.axes
        assert not axes.texts and np.isfinite(axes.images[0].get_array()).all()
        assert all(tick == int(tick) for tick in (*axes.get_xticks(), *axes.get_yticks()))


def test_long_names_leave_the_matrix_its_room():
    names = [f"the class that has the number {number} among all of them" for number in range(10)]
    figure = classification.confusion_matrix(np.arange(10), np.arange(10), names)
    canvas.pixels(figure)
    axes = figure.axes[0]
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels] == [f"{number}: the clas… of them" for number in range(10)]
    width, height = figure.get_size_inches() * figure.dpi
    for text in (axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels()):
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, text
    assert axes.get_window_extent().width > 0.6 * width
