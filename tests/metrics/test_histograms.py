"""Histograms of pixels and peaks: known distributions, and counting by hand."""

import numpy as np
import pytest
from astropy import units as u
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from astrodlkit.metrics import peak_counts, pixel_histogram


def test_lognormal_pixels():
    maps = np.exp(np.random.default_rng(1).normal(size=(10, 50, 50)))
    edges = np.geomspace(0.2, 5, 9)
    histogram = pixel_histogram(maps, bins=edges)
    expected = 2500 * np.diff(norm.cdf(np.log(edges)))
    np.testing.assert_allclose(histogram.counts.sum(axis=0), 10 * expected, rtol=0.1)
    assert histogram.counts.shape == (10, 8)
    total = histogram.counts.sum(axis=-1) + histogram.below + histogram.above
    assert (total == 2500).all()


@pytest.mark.parametrize("log", [True, False])
def test_a_number_of_bins(log):
    maps = np.array([[[0, 1, 2], [3, 4, 5], [6, 7, 8]], [[0, 9, 9], [9, 9, 9], [9, 9, 100]]])
    histogram = pixel_histogram(maps * u.Msun, bins=4, log=log)
    edges = histogram.edges.to_value(u.Msun)
    steps = np.diff(np.log(edges) if log else edges)
    np.testing.assert_allclose(steps, steps[0])
    assert edges[[0, -1]].tolist() == [1 if log else 0, pytest.approx(100)]
    assert histogram.below.tolist() == ([1, 1] if log else [0, 0])
    assert histogram.above.tolist() == [0, 0]
    assert histogram.counts[1, -1] == 1


def test_peaks_of_white_noise():
    maps = np.random.default_rng(1).normal(size=(10, 60, 60))
    for n_neighbors in (8, 24):
        n = peak_counts(maps, bins=[-9.0, 9], n_neighbors=n_neighbors).counts.mean()
        assert n == pytest.approx(3600 / (n_neighbors + 1), rel=0.05)


def by_hand(map_, reach):
    ny, nx = map_.shape
    return sorted(
        map_[y, x]
        for y in range(ny)
        for x in range(nx)
        if all(
            map_[y, x] > map_[(y + dy) % ny, (x + dx) % nx]
            for dy in range(-reach, reach + 1)
            for dx in range(-reach, reach + 1)
            if (dy, dx) != (0, 0)
        )
    )


@given(
    shape=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    seed=st.integers(0, 1000),
    reach=st.sampled_from([1, 2]),
)
def test_peaks_by_hand(shape, seed, reach):
    map_ = np.random.default_rng(seed).integers(0, 30, shape)  # with plateaus
    expected = by_hand(map_, reach)
    edges = np.arange(31)
    found = peak_counts(map_, bins=edges, n_neighbors=8 if reach == 1 else 24)
    assert found.counts.tolist() == [expected.count(level) for level in range(30)]
    assert found.at_or_above.tolist() == [sum(e >= level for e in expected) for level in edges]


def test_peaks_on_the_edge_count_once():
    map_ = np.zeros((6, 6))
    map_[0, 0], map_[5, 3], map_[0, 3] = 2, 3, 1  # the last lies beside the second
    assert peak_counts(map_, bins=[0.5, 1.5, 2.5, 3.5]).counts.tolist() == [0, 1, 1]


def test_no_maps():
    assert peak_counts(np.ones((0, 8, 8)), bins=[1, 2]).at_or_above.shape == (0, 2)


@pytest.mark.parametrize("call", [pixel_histogram, peak_counts])
@pytest.mark.parametrize("log", [True, False])
def test_no_maps_have_no_range(call, log):
    found = call(np.ones((2, 0, 8, 8)) * u.K, bins=3, log=log)
    assert found.counts.shape == (2, 0, 3)
    assert found.below.shape == found.above.shape == (2, 0)
    assert found.edges.shape == (4,)
    assert found.edges.unit == u.K
    assert np.isnan(found.edges).all()


@pytest.mark.parametrize(
    ("maps", "options", "error", "message"),
    [
        (np.ones((4, 4)), {"bins": 0}, ValueError, "1 or more"),
        (np.ones((4, 4)), {"bins": 5}, ValueError, "that differ"),
        (-np.eye(4), {"bins": 5}, ValueError, "positive values"),
        (np.ones((4, 4)), {"bins": [2, 1]}, ValueError, "increase"),
        (np.ones((4, 4)), {"bins": 2.5}, TypeError, "bins must be a number of bins, or their edg"),
        (np.ones((4, 4)), {"bins": "a"}, TypeError, "bins must be .*, got 'a'"),
        (np.ones((4, 4)), {"bins": None}, TypeError, "bins must be .*, got None"),
        (np.ones((4, 4)), {"bins": True}, TypeError, "bins must be .*, got True"),
        (np.ones((4, 4)), {"bins": [1, "b"]}, TypeError, r"bins must be numbers, got \[1, 'b'\]"),
        (np.ones((4, 4)) * u.K, {"bins": [1, 2]}, TypeError, "has no unit"),
        (np.ones((4, 4)) * u.K, {"bins": [1, 2] * u.m}, u.UnitConversionError, "must be in K"),
        (np.full((4, 4), np.nan), {}, ValueError, "finite"),
    ],
)
def test_what_makes_no_sense(maps, options, error, message):
    for call in (pixel_histogram, peak_counts):
        with pytest.raises(error, match=message):
            call(maps, **options)


def test_neighbors():
    with pytest.raises(ValueError, match="8 or 24"):
        peak_counts(np.eye(5), n_neighbors=4)
    with pytest.raises(ValueError, match="5 pixels or more"):
        peak_counts(np.eye(4), n_neighbors=24)
