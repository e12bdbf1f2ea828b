"""What training images look like, in numbers, and which others look unlike them."""

import pytest
import torch

from litlab.data.preprocessing.appearance import Appearance


def dark(count=200):
    """Black images (N, 1, 5, 5) whose middle is 0.5 or, in the second half, 1."""
    images = torch.zeros(count, 1, 5, 5)
    images[:, :, 1:4, 1:4] = torch.linspace(0, 1, count).round().add(1).div(2).view(-1, 1, 1, 1)
    return images


def test_background_and_brightness_are_in_the_levels_of_a_file():
    look = Appearance.of(dark(), 255.0)
    assert (look.background, look.border, look.levels) == ((0.0,), (0.0, 0.0), 255.0)
    assert look.brightness == pytest.approx((9 / 25 * 127.5, 9 / 25 * 255))
    colour = torch.cat([dark(), 1 - dark(), dark() + 0.2], dim=1)
    assert Appearance.of(colour, 255.0).background == pytest.approx((0.0, 255.0, 51.0))


@pytest.mark.parametrize(
    ("inputs", "pixel_max", "levels"),
    [(dark(), 16.0, 16.0), (dark() * 255, 1.0, 255.0), (dark() * 2, 127.5, 255.0), (dark(), 255.0, 255.0)],
)
def test_white_is_as_bright_as_the_data_sets_own(inputs, pixel_max, levels):
    look = Appearance.of(inputs, pixel_max)
    assert look.levels == levels and look.brightness[1] == pytest.approx(9 / 25 * 255)


def test_other_samples_have_no_looks():
    assert Appearance.of(dark(), None) is Appearance.of(torch.zeros(5, 3), 255.0) is None
    assert Appearance.of(torch.zeros(5, 2, 4, 4), 255.0) is None


def test_a_light_background_and_another_brightness_are_unlike():
    look = Appearance.of(dark(), 255.0)
    own = dark() * 255
    assert not look.unlike(own).any() and look.unlike(255 - own).all()
    grey, flat = own + 63, torch.full_like(own[:1], 250.0)
    assert not look.unlike(grey[:100]).any() and look.unlike(own + 65).all()
    flat[:, :, [0, -1]] = flat[:, :, :, [0, -1]] = 0  # a dark border, but far too bright inside
    brighter = Appearance(look.background, look.border, (0.0, 20.0), 255.0)
    assert brighter.unlike(flat).tolist() == [True] and look.unlike(flat).tolist() == [False]
