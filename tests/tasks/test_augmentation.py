"""Images shifted and mirrored, each in its own way; noise on any numbers."""

from types import SimpleNamespace

import pytest
import torch

from litlab.build import build_augmentation
from litlab.errors import RequestError
from litlab.tasks.augmentation import Affine, ExceptColumns, Noise, ShiftAndFlip


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


def test_each_image_is_turned_resized_and_shifted_by_itself():
    torch.manual_seed(0)
    images = torch.rand(4, 3, 10, 16)
    torch.testing.assert_close(Affine(degrees=0, scale=0, shift=0)(images), images)
    with pytest.raises(RequestError, match="augmentation=none"):
        Affine()(torch.rand(4, 8))
    rows, columns = torch.meshgrid(torch.arange(41.0) - 20, torch.arange(61.0) - 30, indexing="ij")

    def spots(x, y, **settings):  # where a spot at (x, y) from the centre goes
        spot = torch.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8).expand(400, 1, 41, 61)
        found = Affine(**settings)(spot)
        return [(found * axis).sum((1, 2, 3)) / found.sum((1, 2, 3)) for axis in (columns, rows)]

    x, y = spots(12, 0, degrees=30, scale=0, shift=0)
    assert torch.allclose(x.hypot(y), torch.full((400,), 12.0), atol=0.05)
    angles = torch.rad2deg(torch.atan2(y, x))
    assert 28 < angles.max() < 30.1 and -30.1 < angles.min() < -28
    x, y = spots(12, 0, degrees=0, scale=0.2, shift=0)
    assert 12 / 1.2 - 0.05 < x.min() < 10.3 and 14.5 < x.max() < 12 / 0.8 + 0.05 and y.abs().max() < 0.01
    x, y = spots(0, 0, degrees=0, scale=0, shift=3)
    for each in (x, y):
        assert 2.8 < each.max() < 3.01 and -3.01 < each.min() < -2.8
    assert abs(float(torch.corrcoef(torch.stack([x, y]))[0, 1])) < 0.2


def test_noise_has_its_deviation_and_leaves_indices_and_tokens_alone():
    torch.manual_seed(0)
    rows = torch.full((20_000, 3), 7.0)
    noisy = Noise(std=0.2)(rows)
    assert (noisy.mean(0) - 7).abs().max() < 0.01 and (noisy.std(0) - 0.2).abs().max() < 0.01
    assert (rows == 7).all(), "the data stay as they are"
    kept = ExceptColumns(Noise(std=0.2), [1])(rows)
    assert (kept[:, 1] == 7).all() and (kept[:, [0, 2]] != 7).all(1).float().mean() > 0.99
    assert Noise()(torch.zeros(4, 5, 2)).shape == (4, 5, 2)
    assert torch.equal(Noise(std=0)(rows), rows)
    with pytest.raises(RequestError, match="not tokens"):
        Noise()(torch.tensor([[1, 2]]))


def test_a_tables_indices_are_not_augmented(compose):
    class Rows:
        input_shape, num_outputs, class_names, num_tokens = (3,), 1, ("no", "yes"), None
        table = SimpleNamespace(embeddings=((2, 60),))

    augment = build_augmentation(compose("augmentation=noise"), Rows)
    changed = augment(torch.full((5, 3), 41.0))
    assert (changed[:, 2] == 41).all() and (changed[:, :2] != 41).all()
    assert build_augmentation(compose(), Rows) is None


@pytest.mark.slow
def test_a_tables_training_rows_alone_get_noise(fit):
    words = ("data=breast_cancer", "model=linear", "optimizer.lr=1e-12", "trainer.max_epochs=1")
    plain, noisy = fit(*words), fit(*words, "augmentation=noise", "augmentation.std=1")
    assert noisy.metrics["train/loss"] != pytest.approx(plain.metrics["train/loss"], abs=1e-3)
    assert noisy.metrics["val/loss"] == pytest.approx(plain.metrics["val/loss"], abs=1e-6)


def test_only_training_is_augmented(fit):
    plain = fit("data=digits", "optimizer.lr=1e-12", "trainer.max_epochs=1")
    changed = fit("data=digits", "optimizer.lr=1e-12", "trainer.max_epochs=1", "augmentation=shift")
    assert changed.metrics["train/loss"] != pytest.approx(plain.metrics["train/loss"], abs=1e-3)
    assert changed.metrics["val/loss"] == pytest.approx(plain.metrics["val/loss"], abs=1e-6)
