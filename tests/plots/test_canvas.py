"""Names in pictures, and a picture as a file."""

import warnings

import numpy as np

from litlab.plots import canvas, training

LOSSES = [{"train/loss": 1.0}, {"train/loss": 100.0}]


def test_long_names_are_cut_in_the_middle_and_equal_ones_numbered():
    for name, drawn in [
        ("n" * 20, "n" * 20),
        ("abcdefghijklmnopqrstuvwxyz", "abcdefghij…rstuvwxyz"),
        ("a crop, that of year 1 and of field 1", "a crop, th…f field 1"),
        ("two\nlines", "two lines"),
        ("", ""),
    ]:
        assert canvas.shortened(name) == drawn
        assert [len(canvas.shortened("n" * 60, length)) for length in (11, 20, 25, 36)] == [11, 20, 25, 36]
    names = ["dog", *(f"all of what has the number {number} among the classes" for number in (1, 2)), "a" * 21]
    drawn = ["dog", "1: all of w… classes", "2: all of w… classes", "a" * 10 + "…" + "a" * 9]
    assert canvas.distinct_names(names) == drawn


def test_pictures_read_back_with_literal_dollars(tmp_path):
    from PIL import Image

    image = canvas.pixels(training.curves(LOSSES, ["loss"]))
    canvas.save(image, tmp_path / "new" / "curves.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new" / "curves.png")), image)
    from matplotlib import rcParams
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    def figure(text):
        figure, axes = canvas.new_figure(4, 3)
        axes.plot([0, 1], label=text)
        axes.set(xlabel=text, title=text)
        axes.set_xticks([0, 1], [text, "1"])
        axes.legend()
        return figure

    escaped = FigureCanvasAgg(figure(r"cost \$\frac\$ of"))  # as matplotlib wants it
    escaped.draw()
    np.testing.assert_array_equal(canvas.pixels(figure(r"cost $\frac$ of")), np.asarray(escaped.buffer_rgba())[..., :3])
    assert rcParams["text.parse_math"], "only our pictures have no formulas"


def test_fonts(monkeypatch):
    from matplotlib.text import Text

    monkeypatch.setattr(canvas, "FALLBACKS", ("No Such Font", "cmss10"))  # the second comes with matplotlib
    figure = training.curves(LOSSES, ["loss"])
    canvas.pixels(figure)
    assert {tuple(text.get_fontfamily()) for text in figure.findobj(Text)} == {("DejaVu Sans", "cmss10")}
    monkeypatch.setattr(canvas, "FALLBACKS", ())
    figure, axes = canvas.new_figure(4, 3)
    axes.set_title("한국어")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        canvas.pixels(figure)
