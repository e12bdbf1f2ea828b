"""Pictures of a data set: what is drawn is what was given."""

from itertools import pairwise

import numpy as np

from litlab.plots import canvas, dataset

RANDOM = np.random.default_rng(0)


def test_image_grid():
    for channels in [1, 3]:
        images, titles = RANDOM.normal(size=(7, channels, 5, 4)), [f"image {number}" for number in range(7)]
        axes = dataset.image_grid(images, titles, "images", columns=3).axes[0]
        assert [text.get_text() for text in axes.texts] == titles
        for image, drawn in zip(images, axes.images, strict=True):  # all channels by one scale: colours stay
            scaled = (image - image.min()) / (image.max() - image.min())
            np.testing.assert_allclose(np.asarray(drawn.get_array()), scaled.transpose(1, 2, 0).squeeze())
    names = [f"a name of sixty characters, of which the last are these: {number}" for number in range(10, 22)]
    figure = dataset.image_grid(RANDOM.normal(size=(12, 1, 5, 4)), [f"{name}\nis {name}" for name in names], "images")
    canvas.pixels(figure)
    assert figure.axes[0].texts[1].get_text() == "a name of …these: 11\nis a name …these: 11"
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    for row in (boxes[:6], boxes[6:]):
        assert all(left.x1 < right.x0 for left, right in pairwise(row))


def test_class_histogram():
    counts = {"train": np.array([5, 3]), "val": np.array([0, 0]), "test": np.array([2, 1])}
    figure = dataset.class_histogram(counts, ("c" * 60, "dog"))
    image, axes = canvas.pixels(figure), figure.axes[0]
    assert [[bar.get_width() for bar in bars] for bars in axes.containers] == [[5, 3], [2, 1]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["c" * 10 + "…" + "c" * 9, "dog"]
    assert axes.get_window_extent().width > 0.4 * image.shape[1]
    counts = {"train": RANDOM.integers(20, 60, 100), "val": np.zeros(100, int), "test": RANDOM.integers(1, 9, 100)}
    names = [f"class {number}" for number in range(100)]
    figure = dataset.class_histogram(counts, names)
    canvas.pixels(figure)
    for axes, split in zip(figure.axes, ("train", "test"), strict=True):
        assert axes.get_title() == f"{split} ({counts[split].sum():,})"
        (bars,) = axes.patches
        np.testing.assert_array_equal(bars.get_data().values, counts[split])
        np.testing.assert_array_equal(bars.get_data().edges, np.arange(101) - 0.5)
        assert (axes.get_ylim(), axes.get_xlim()[0]) == ((99.5, -0.5), 0)
    assert (figure.get_suptitle(), figure.get_supxlabel()) == ("Samples per class", "samples")
    assert figure.axes[0].get_ylabel() == "class, by number"
    canvas.pixels(dataset.class_histogram({"train": np.zeros(100, int)}, names))  # no samples


def test_feature_histograms():
    tail = np.r_[np.zeros(5000), 1.0]
    columns = {"even": np.arange(100.0), "tail": tail, "gaps": np.array([1, np.nan]), "none": np.array([np.inf])}
    figure = dataset.feature_histograms(columns)
    assert [axes.get_yscale() for axes in figure.axes] == ["linear", "log", "linear", "linear"]
    assert [axes.get_title() for axes in figure.axes] == ["even", "tail (log count)", "gaps", "none"]
    assert figure.get_supxlabel() == "value; counts are logarithmic where most bars would be too low to see"
    assert [text.get_text() for text in figure.axes[3].texts] == ["no finite value"]
    assert sum(figure.axes[0].patches[0].get_data().values) == 100
    canvas.pixels(figure)
    peaks = np.r_[RANDOM.normal(-122, 0.5, 6000), RANDOM.normal(-118, 0.5, 9000), -114.0]
    figure = dataset.feature_histograms({"Longitude": peaks})
    assert (figure.axes[0].get_yscale(), figure.get_supxlabel()) == ("linear", "value")
    columns = {"x": np.array([1.0, 2.0, 3.0]), "target: house value (100,000 $)": np.arange(5.0), "n" * 40: np.ones(2)}
    figure = dataset.feature_histograms(columns)
    canvas.pixels(figure)
    assert all(tick == int(tick) for axes in figure.axes for tick in axes.get_yticks())
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["x", "target: house value (100,000 $)", "n" * 18 + "…" + "n" * 17]
