"""Minkowski functionals: the formulae of Gaussian fields, shapes known exactly, symmetries."""

import numpy as np
import pytest
from astropy import units as u
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erfc

from astrodlkit.metrics import minkowski_functionals

PIXEL = 1 * u.Mpc


def test_gaussian_field(gaussian_maps):
    scale, pixel = 6.0, 2.0  # smoothing in Mpc
    maps = gaussian_maps(lambda k: np.exp(-((k * scale) ** 2)), 16, (96, 96), (pixel, pixel))
    nu = np.linspace(-2.5, 2.5, 11)
    sigma = np.sqrt((maps**2).mean())
    gradient = 1 / scale  # sigma_1 / sigma_0 of this spectrum
    found = minkowski_functionals(maps, nu * sigma, pixel_size=pixel * u.Mpc)
    area = found.area.mean(axis=0)
    length = found.boundary_length.to_value(1 / u.Mpc).mean(axis=0)
    euler = found.euler_characteristic.to_value(u.Mpc**-2).mean(axis=0)
    expected = erfc(nu / np.sqrt(2)) / 2
    np.testing.assert_allclose(area, expected, atol=0.02)
    expected = np.exp(-(nu**2) / 2) * gradient / np.sqrt(8)
    np.testing.assert_allclose(length, expected, atol=0.03 * expected.max())
    expected = nu * np.exp(-(nu**2) / 2) * gradient**2 / (2 * (2 * np.pi) ** 1.5)
    np.testing.assert_allclose(euler, expected, atol=0.08 * expected.max())


def counts(map_, threshold, pixel=(1.0, 1.0)):
    """Area in pixels, length in Mpc, Euler characteristic."""
    found = minkowski_functionals(map_, [threshold], pixel_size=pixel * u.Mpc)
    area = np.prod(pixel) * np.size(map_)
    return (
        found.area[0] * np.size(map_),
        found.boundary_length.value[0] * area,
        found.euler_characteristic.value[0] * area,
    )


def test_known_shapes():
    empty = np.zeros((12, 10))
    block, ring, stripe = empty.copy(), empty.copy(), empty.copy()
    block[2:5, 3:8] = 1
    corner = 4 * np.hypot(0.5 * 2, 0.5 * 3)
    assert counts(block, 0.5, (2, 3)) == pytest.approx((15, 2 * (2 * 2 + 4 * 3) + corner, 1))
    ring[2:7, 2:7] = 1
    ring[4, 4] = 0
    assert counts(ring, 0.5) == pytest.approx((24, 16 + 4 * np.sqrt(2), 0))
    stripe[3:5] = 1
    assert counts(stripe, 0.5) == pytest.approx((20, 20, 0))
    assert counts(empty, 0.5) == (0, 0, 0)
    assert counts(empty, 0.0) == (120, 0, 0)


def test_a_block_over_the_edge_is_one():
    block = np.zeros((9, 9))
    block[2:5, 3:6] = 1
    moved = np.roll(block, (-3, 4), axis=(0, 1))
    assert counts(moved, 0.5) == pytest.approx(counts(block, 0.5))


def test_saddles_join_or_part():
    """Two pixels meet at a corner: the surface between them is 0.5 high."""
    map_ = np.zeros((8, 8))
    map_[3, 3] = map_[4, 4] = 1
    assert counts(map_, 0.4)[2] == pytest.approx(1)
    assert counts(map_, 0.6)[2] == pytest.approx(2)
    assert counts(1 - map_, 0.6)[2] == pytest.approx(-1)
    assert counts(1 - map_, 0.4)[2] == pytest.approx(-2)
    sides = 2 * np.hypot(0.4, 0.4)  # what a threshold of 0.6 cuts off at a corner of one pixel
    assert counts(map_, 0.6)[1] == pytest.approx(8 * np.hypot(0.4, 0.4))
    assert counts(map_, 0.4)[1] == pytest.approx(6 * np.hypot(0.6, 0.6) + sides)


@settings(max_examples=30)
@given(
    shape=st.tuples(st.integers(3, 8), st.integers(3, 8)),
    pixel=st.tuples(st.floats(0.5, 5), st.floats(0.5, 5)),
    seed=st.integers(0, 1000),
)
def test_symmetries(shape, pixel, seed):
    rng = np.random.default_rng(seed)
    map_ = rng.normal(size=shape)
    levels = np.linspace(-1.5, 1.5, 5)
    one = minkowski_functionals(map_, levels, pixel_size=pixel * u.Mpc)
    negative = minkowski_functionals(-map_, levels, pixel_size=pixel * u.Mpc)
    np.testing.assert_allclose(negative.area[::-1], 1 - one.area, atol=1e-12)
    assert u.allclose(negative.boundary_length[::-1], one.boundary_length)
    assert u.allclose(-negative.euler_characteristic[::-1], one.euler_characteristic)
    whole = one.euler_characteristic.value * np.prod(pixel) * map_.size
    np.testing.assert_allclose(whole, np.rint(whole), atol=1e-9)
    moved = np.roll(map_, tuple(rng.integers(0, 9, 2)), axis=(0, 1))
    other = minkowski_functionals(moved.T[:, ::-1], levels, pixel_size=pixel[::-1] * u.Mpc)
    for name in ("area", "boundary_length", "euler_characteristic"):
        assert u.allclose(getattr(other, name), getattr(one, name), rtol=1e-9)


def test_scikit_image_agrees(gaussian_maps):
    measure = pytest.importorskip("skimage.measure")
    (map_,) = gaussian_maps(lambda k: np.exp(-((3 * k) ** 2)), 1, (40, 40))
    map_ /= map_.std()
    whole = np.pad(map_, ((0, 1), (0, 1)), mode="wrap")
    for level in (-0.55, 0.85):
        contours = measure.find_contours(whole, level)
        length = sum(np.hypot(*np.diff(each, axis=0).T).sum() for each in contours)
        assert counts(map_, level)[1] == pytest.approx(length)
    island = map_.copy()
    island[0] = island[:, 0] = -9  # so that nothing crosses the edge
    expected = measure.euler_number(island >= 0.85, connectivity=2)
    assert counts(island, 0.85)[2] == pytest.approx(expected)


def test_units_and_batches():
    maps = np.random.default_rng(1).normal(size=(2, 3, 8, 8))
    found = minkowski_functionals(maps * u.K, [-1000, 0] * u.mK, box_size=8000 * u.kpc)
    assert found.area.shape == found.euler_characteristic.shape == (2, 3, 2)
    assert found.thresholds.unit == u.K
    single = minkowski_functionals(maps[1, 2], [-1, 0], pixel_size=PIXEL)
    assert u.allclose(found.boundary_length[1, 2], single.boundary_length)
    assert minkowski_functionals(maps[:0], [0], pixel_size=PIXEL).area.shape == (0, 3, 1)


@pytest.mark.parametrize(
    ("thresholds", "error", "message"),
    [
        ([1, 1] * u.K, ValueError, "increase"),
        (1 * u.K, ValueError, "1 or more numbers"),
        ([1], TypeError, "has no unit"),
        ([1] * u.m, u.UnitConversionError, "must be in K"),
        ([np.nan] * u.K, ValueError, "finite"),
    ],
)
def test_what_makes_no_sense(thresholds, error, message):
    with pytest.raises(error, match=message):
        minkowski_functionals(np.ones((4, 4)) * u.K, thresholds, pixel_size=PIXEL)
