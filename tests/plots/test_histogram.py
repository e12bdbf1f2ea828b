"""Bins that fit the values."""

import numpy as np
import pytest

from litlab.plots.histogram import histogram

RANDOM = np.random.default_rng(0)


def middles(values):
    counts, edges = histogram(np.asarray(values))
    return [float(middle) for middle in ((edges[1:] + edges[:-1]) / 2)[counts > 0]]


def test_bins_fit_the_levels_and_all_values_are_counted():
    for scale in [1, 1 / 255]:
        counts, edges = histogram((np.repeat(np.arange(256), 7) * scale).astype(np.float32))
        assert counts.tolist() == [28] * 64
        np.testing.assert_allclose(edges / scale, np.arange(0, 257, 4) - 0.5, rtol=1e-5)
    for levels in [[0, 1], [1, 2, 3], [0.0, 0.5, 4.0], list(range(17)), list(range(1, 53))]:
        assert middles(levels * 3) == pytest.approx(levels)
    assert len(histogram(np.array([73.0, 93.0, 89.0, 96.0, 73.0]))[0]) == 50
    assert len(histogram(np.array([0.0, 1e-300, 1e300]))[0]) == 50
    values = np.append(RANDOM.normal(size=1000), (np.nan, np.inf, -np.inf))
    counts, edges = histogram(values)
    assert (counts.sum(), len(counts)) == (1000, 50)
    assert (edges[0], edges[-1]) == (values[:1000].min(), values[:1000].max())
    values = (1.6e7 + RANDOM.integers(0, 40, 3000)).astype(np.float32)
    counts, edges = histogram(values)
    np.testing.assert_array_equal(counts, np.bincount((values - 1.6e7).astype(int)))
    np.testing.assert_allclose(edges - 1.6e7, np.arange(41) - 0.5)
    for values in [[], [np.nan, np.inf]]:
        counts, edges = histogram(np.array(values))
        assert (counts.tolist(), edges.tolist()) == ([0], [0.0, 1.0])
    for dtype in [np.float32, np.float64]:
        for value in [0.0, 0.1, -3.0, 1e-30, 1e30]:
            constant = np.full(40, value, dtype)
            assert middles(constant) == pytest.approx([value])
            nearly = np.append(constant, np.nextafter(constant[:2], np.asarray(np.inf, dtype)))
            assert histogram(nearly)[0].sum() == 42
            if value:
                assert middles(nearly) == pytest.approx([value])
