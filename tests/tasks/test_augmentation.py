"""Images shifted and mirrored, each in its own way."""

import pytest
import torch

from litlab.errors import RequestError
from litlab.tasks.augmentation import ShiftAndFlip


def test_each_image_is_shifted_by_itself_half_are_mirrored_and_tables_refused():
    torch.manual_seed(0)
    image = torch.zeros(1, 2, 9, 9)
    image[..., 4, 4] = 1
    shifted = ShiftAndFlip(shift=2)(image.expand(500, 2, 9, 9))
    assert shifted.shape == (500, 2, 9, 9)
    assert (shifted.sum((2, 3)) == 1).all()
    places = {tuple(place) for place in shifted[:, 0].nonzero()[:, 1:].tolist()}
    assert places == {(row, column) for row in range(2, 7) for column in range(2, 7)}
    assert torch.equal(shifted[:, 0], shifted[:, 1])  # its channels together
    grey = torch.full((50, 1, 4, 4), 0.5)
    assert torch.equal(ShiftAndFlip(shift=3)(grey), grey), "the border is repeated"
    torch.manual_seed(0)
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    mirrored = ShiftAndFlip(flip=True)(image.expand(1000, 1, 3, 3))
    same = (mirrored == image).all((1, 2, 3))
    assert (mirrored[~same] == image.flip(3)).all()
    assert 400 < int(same.sum()) < 600
    images = torch.rand(4, 3, 8, 8)
    assert torch.equal(ShiftAndFlip()(images), images)
    with pytest.raises(RequestError, match="augmentation=none"):
        ShiftAndFlip(shift=1)(torch.rand(4, 8))


def test_only_training_is_augmented(fit):
    plain = fit("data=digits", "optimizer.lr=1e-12", "trainer.max_epochs=1")
    changed = fit("data=digits", "optimizer.lr=1e-12", "trainer.max_epochs=1", "augmentation=shift")
    assert changed.metrics["train/loss"] != pytest.approx(plain.metrics["train/loss"], abs=1e-3)
    assert changed.metrics["val/loss"] == pytest.approx(plain.metrics["val/loss"], abs=1e-6)
