"""A picture as a file."""

from pathlib import Path

import numpy as np

from litlab.plots import canvas, training


def test_a_saved_picture_reads_back_the_same(tmp_path: Path) -> None:
    from PIL import Image

    image = canvas.pixels(training.curves([{"train/loss": 1.0}, {"train/loss": 100.0}], ["loss"]))
    canvas.save(image, tmp_path / "new" / "curves.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new" / "curves.png")), image)
