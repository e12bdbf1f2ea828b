"""Bins that fit the values."""

from typing import Any

import numpy as np
import pytest

from litlab.plots.histogram import histogram

RANDOM = np.random.default_rng(0)


def middles(values: Any) -> list[float]:
    """Of the bins that hold something."""
    counts, edges = histogram(np.asarray(values))
    return [float(middle) for middle in ((edges[1:] + edges[:-1]) / 2)[counts > 0]]


def test_all_finite_values_are_counted() -> None:
    values = np.append(RANDOM.normal(size=1000), (np.nan, np.inf, -np.inf))
    counts, edges = histogram(values)
    assert (counts.sum(), len(counts)) == (1000, 50)
    assert (edges[0], edges[-1]) == (values[:1000].min(), values[:1000].max())


@pytest.mark.parametrize("value", [0.0, 0.1, -3.0, 1e-30, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_constant_or_nearly_so_is_one_bin(value: float, dtype: Any) -> None:
    constant = np.full(40, value, dtype)
    assert middles(constant) == pytest.approx([value])
    nearly = np.append(constant, np.nextafter(constant[:2], np.asarray(np.inf, dtype)))
    assert histogram(nearly)[0].sum() == 42
    if value:
        assert middles(nearly) == pytest.approx([value])


def test_values_that_a_float32_hardly_tells_apart_are_counted() -> None:
    values = (1.6e7 + RANDOM.integers(0, 40, 3000)).astype(np.float32)
    counts, edges = histogram(values)
    np.testing.assert_array_equal(counts, np.bincount((values - 1.6e7).astype(int)))
    np.testing.assert_allclose(edges - 1.6e7, np.arange(41) - 0.5)


@pytest.mark.parametrize("values", [[], [np.nan, np.inf]])
def test_without_values_there_is_an_empty_bin(values: list[float]) -> None:
    counts, edges = histogram(np.array(values))
    assert (counts.tolist(), edges.tolist()) == ([0], [0.0, 1.0])


@pytest.mark.parametrize("scale", [1, 1 / 255])
def test_each_bin_of_bytes_has_as_many_levels(scale: float) -> None:
    counts, edges = histogram((np.repeat(np.arange(256), 7) * scale).astype(np.float32))
    assert counts.tolist() == [28] * 64
    np.testing.assert_allclose(edges / scale, np.arange(0, 257, 4) - 0.5, rtol=1e-5)


@pytest.mark.parametrize("levels", [[0, 1], [1, 2, 3], [0.0, 0.5, 4.0], list(range(17)), list(range(1, 53))])
def test_few_levels_are_in_the_middle_of_their_bins(levels: list[float]) -> None:
    assert middles(levels * 3) == pytest.approx(levels)


def test_uneven_values_have_ordinary_bins() -> None:
    assert len(histogram(np.array([73.0, 93.0, 89.0, 96.0, 73.0]))[0]) == 50
    assert len(histogram(np.array([0.0, 1e-300, 1e300]))[0]) == 50
