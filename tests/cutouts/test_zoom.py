"""Stamps that lie straight in their image, and larger pixels, against reproject."""

import numpy as np
import pytest
from astropy.nddata import NDData, VarianceUncertainty
from numpy.testing import assert_allclose, assert_array_equal
from reproject import reproject_adaptive, reproject_exact, reproject_interp

from astrodlkit import Flag, extract_cutouts
from astrodlkit.cutouts import _fill

X, Y = np.array([107.3, 60.8, 150.0]), np.array([96.6, 130.2, 70.0])


@pytest.fixture
def no_reproject(monkeypatch):
    """A stamp that lies straight must not need reproject."""
    monkeypatch.setattr(_fill, "resample_interp", None)


def _noise(shape=(200, 220), seed=1):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.usefixtures("no_reproject")
@pytest.mark.parametrize("angle", [0, 70])
@pytest.mark.parametrize("width", [7.0, 20.0, 33.0])
def test_smaller_pixels_are_interpolated(make_wcs, angle, width):
    wcs, picture = make_wcs(angle=angle), _noise()
    cutouts = extract_cutouts((picture, wcs), wcs.pixel_to_world(X, Y), width, shape=(33, 21))
    for i in range(len(X)):
        expected = reproject_interp(
            (picture, wcs), cutouts.image(i).wcs, shape_out=(33, 21), return_footprint=False
        )
        assert_allclose(cutouts.data[i, 0], expected, atol=2e-4)


@pytest.mark.usefixtures("no_reproject")
@pytest.mark.parametrize("width", [33.0, 45.0, 80.0])
@pytest.mark.parametrize("conserve", ["surface brightness", "flux"])
def test_larger_pixels_are_the_part_of_the_image_under_them(make_wcs, width, conserve):
    wcs, picture = make_wcs(angle=20), _noise()
    cutouts = extract_cutouts(
        (picture, wcs), wcs.pixel_to_world(X, Y), width, shape=33, conserve=conserve
    )
    for i in range(len(X)):
        stamp = cutouts.image(i).wcs
        exact = reproject_exact((picture, wcs), stamp, shape_out=(33, 33), return_footprint=False)
        factor = (width / 33) ** 2 if conserve == "flux" else 1
        assert_allclose(cutouts.data[i, 0], exact * factor, atol=2e-4 * factor)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("width", [60.0, 90.0, 120.0])
def test_larger_pixels_do_not_alias(make_wcs, turned, width):
    """Noise becomes as quiet, and a blob the same, as exact and Gaussian averages have it."""
    wcs = make_wcs(angle=30)
    yy, xx = np.mgrid[:200, :220]
    picture = _noise() + 20 * np.exp(-((xx - 107.3) ** 2 + (yy - 96.6) ** 2) / 128)
    options = {"shape": 40, "north_up": turned}
    coords = wcs.pixel_to_world(X[:1], Y[:1])
    ours = extract_cutouts((picture, wcs), coords, width, **options)
    data, stamp = ours.data[0, 0], ours.image(0).wcs
    # Of the exact average a turned stamp's is a sum over places: a tenth of the noise.
    exact = reproject_exact((picture, wcs), stamp, shape_out=(40, 40), return_footprint=False)
    assert_allclose(data, exact, atol=0.5 if turned else 1e-3)
    assert np.std(data - exact) < (0.12 if turned else 3e-4)
    # The Gaussian is 1.3 pixels wide, which takes more of the noise.
    smooth = reproject_adaptive((picture, wcs), stamp, shape_out=(40, 40), return_footprint=False)
    assert np.std(data - smooth) < 0.75 * 40 / width
    # What interpolation alone does is worse than either.
    point = reproject_interp((picture, wcs), stamp, shape_out=(40, 40), return_footprint=False)
    assert np.std(point - exact) > 2.5 * np.std(data - exact)


@pytest.mark.parametrize("sip", [False, True])
def test_wcs_is_that_of_the_pixels(make_wcs, sip):
    """A ramp says for each pixel of a stamp where in the image it is."""
    wcs = make_wcs(ra=150, dec=2, angle=33, sip=sip)
    yy, xx = np.mgrid[:200, :220].astype(float)
    # Some way off the tangent point, where pixels are a little skewed.
    wcs.wcs.crpix = 2000.3, -1500.7
    coords = wcs.pixel_to_world(X, Y)
    cutouts = extract_cutouts({"x": (xx, wcs), "y": (yy, wcs)}, coords, 14, shape=16)
    v, u_ = np.mgrid[:16, :16]
    for i in range(len(X)):
        stamp = cutouts.image(i).wcs
        assert_allclose(stamp.world_to_pixel(coords[i]), (7.5, 7.5), atol=1e-6)
        places = wcs.world_to_pixel(stamp.pixel_to_world(u_, v))
        assert_allclose(cutouts.data[i], places, atol=1e-3 if sip else 2e-5)


@pytest.mark.parametrize(("angle", "straight"), [(0.03, True), (3.0, False)])
def test_bands_are_never_turned_quite_alike(make_wcs, monkeypatch, angle, straight):
    if straight:
        monkeypatch.setattr(_fill, "resample_interp", None)
    first, second = make_wcs(), make_wcs(angle=angle)
    picture = _noise()
    coords = first.pixel_to_world(X, Y)
    data = {"a": (picture, first), "b": (picture, second)}
    cutouts = extract_cutouts(data, coords, 60, shape=64)
    for i in range(len(X)):
        expected = reproject_interp(
            (picture, second), cutouts.image(i).wcs, shape_out=(64, 64), return_footprint=False
        )
        # Right to the second order, but where a place comes to lie between other pixels.
        assert np.std(cutouts.data[i, 1] - expected) < 2e-3
        assert_allclose(cutouts.data[i, 1], expected, atol=0.05)


@pytest.mark.parametrize("width", [30.0, 70.0])
def test_straight_and_turned_code_agree(make_wcs, monkeypatch, width):
    """Mask, variance, missing pixels, edges and flags, from two ways to have them."""
    rng = np.random.default_rng(4)
    picture = rng.normal(100, 1, (200, 220))
    picture[rng.random(picture.shape) < 1e-3] = np.nan
    picture[80, 90] = np.inf
    variance = rng.uniform(1, 2, picture.shape)
    variance[rng.random(picture.shape) < 1e-3] = -1
    wcs = make_wcs(angle=10)
    image = NDData(
        picture,
        wcs=wcs,
        mask=rng.random(picture.shape) < 1e-3,
        uncertainty=VarianceUncertainty(variance),
    )
    x = np.append(X, [0.1, 218.9, 3.3, -300.0, 100.0])
    y = np.append(Y, [0.2, 100.3, 190.1, 50.0, 1e4])
    coords = wcs.pixel_to_world(x, y)
    options = {"shape": 35, "conserve": "flux", "fill_value": -3.0}
    zoomed = extract_cutouts(image, coords, width, **options)
    straight = _fill.find_straight

    def never(*args):
        found = straight(*args)
        found.holds[:] = False
        return found

    monkeypatch.setattr(_fill, "find_straight", never)
    turned = extract_cutouts(image, coords, width, **options)
    assert_array_equal(zoomed.flags, turned.flags)
    for flag in (Flag.NO_OVERLAP, Flag.PARTIAL_OVERLAP, Flag.NON_FINITE, Flag.MASKED_PIXELS):
        assert (zoomed.flags & flag).any()
    assert_allclose(zoomed.pixel_scale, turned.pixel_scale)
    # Averaged over places in it or over its area: what a pixel takes in at its rim differs.
    assert (zoomed.mask != turned.mask).mean() <= (0 if width == 30 else 0.02)
    good = ~zoomed.mask & ~turned.mask
    assert_array_equal(
        zoomed.data[zoomed.mask & turned.mask] == -3, turned.data[zoomed.mask & turned.mask] == -3
    )
    area = (width / 35) ** 2
    assert_allclose(zoomed.data[good], turned.data[good], atol=1e-5 if width == 30 else 3 * area)
    ratio = zoomed.variance[good] / turned.variance[good]
    assert_allclose(ratio, 1, atol=1e-5 if width == 30 else 0.5)
    assert (zoomed.variance[~good & np.isinf(turned.variance)] == np.inf).mean() > 0.9


@pytest.mark.usefixtures("no_reproject")
@pytest.mark.parametrize("width", [12.0, 20.0, 33.0, 61.7])
@pytest.mark.parametrize("dtype", ["<f4", ">f8"])
def test_weights_are_known_to_the_last(width, dtype):
    """One bright pixel at a time shows every weight: sums, variance and mask follow from them."""
    n, shape = 20, (70, 70)
    rng = np.random.default_rng(6)
    picture, variance = rng.normal(size=shape), rng.uniform(1, 2, shape)
    bad = rng.random(shape) < 0.01
    image = NDData(picture.astype(dtype), mask=bad, uncertainty=VarianceUncertainty(variance))
    place = {"x": [34.37], "y": [33.71]}
    cutouts = extract_cutouts(image, place, width, shape=n)

    def weights(middle):
        """Overlap of intervals, that of the stamp's pixel at least as long as the image's."""
        step = width / n
        at = middle + step * (np.arange(n) - (n - 1) / 2)[:, None]
        half = max(step, 1) / 2
        j = np.arange(70)
        overlap = np.minimum(at + half, j + 0.5) - np.maximum(at - half, j - 0.5)
        return np.maximum(overlap, 0) / max(step, 1)

    down, across = weights(place["y"][0]), weights(place["x"][0])
    assert_allclose(down.sum(axis=1), 1)
    tolerance = 3e-7 if dtype == "<f4" else 1e-14
    assert_allclose(cutouts.data[0, 0], down @ picture @ across.T, atol=10 * tolerance)
    assert_allclose(cutouts.variance[0, 0], down**2 @ variance @ across.T**2, rtol=10 * tolerance)
    touched = (down > 0).astype(int) @ bad @ (across > 0).astype(int).T > 0
    assert_array_equal(cutouts.mask[0, 0], touched)


def test_what_is_lost_stays_at_its_place():
    """A NaN reaches no further than the pixels it is part of."""
    picture = np.arange(2500, dtype=np.float32).reshape(50, 50)
    wide = picture[15:35, 15:35].copy()
    picture[20, 30] = np.nan
    cutouts = extract_cutouts(picture, {"x": [24.5], "y": [24.5]}, 20, shape=20, fill_value=7)
    wanted = np.zeros((20, 20), dtype=bool)
    wanted[5, 15] = True
    assert_array_equal(cutouts.mask[0, 0], wanted)
    assert_array_equal(cutouts.data[0, 0], np.where(wanted, 7, wide))
    assert cutouts.flags[0] == Flag.RESAMPLED | Flag.NON_FINITE | Flag.MASKED_PIXELS


def test_mirrored_and_oblong_pixels(make_wcs):
    """A second band whose x runs the other way, with pixels twice as wide as high."""
    first, second = make_wcs(), make_wcs()
    second.wcs.cd = second.wcs.cd @ np.diag([-2.0, 1.0])
    xx = np.broadcast_to(np.arange(220.0), (200, 220))
    coords = first.pixel_to_world(X, Y)
    cutouts = extract_cutouts({"a": (xx, first), "b": (xx, second)}, coords, 30, shape=30)
    v, u_ = np.mgrid[:30, :30]
    for i in range(len(X)):
        x, _ = second.world_to_pixel(cutouts.image(i).wcs.pixel_to_world(u_, v))
        on = ~cutouts.mask[i, 1]
        assert on.sum() > 200
        # At the edge of the image a mean is one-sided.
        inner = on & (x > 1) & (x < 218)
        assert_allclose(cutouts.data[i, 1][inner], x[inner], atol=1e-3)
