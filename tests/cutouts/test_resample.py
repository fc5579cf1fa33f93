"""Resampled stamps: geometry, flux, variance and mask against what is known."""

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import (
    CCDData,
    InverseVariance,
    NDData,
    StdDevUncertainty,
    VarianceUncertainty,
)
from numpy.testing import assert_allclose, assert_array_equal
from reproject import reproject_exact, reproject_interp

from astrodlkit import Flag, extract_cutouts
from astrodlkit.cutouts import _fill

METHODS = ["interp", "adaptive", "exact"]
X, Y = 107.3, 96.6


def _moments(stamp):
    yy, xx = np.mgrid[: stamp.shape[0], : stamp.shape[1]]
    total = stamp.sum()
    x, y = (stamp * xx).sum() / total, (stamp * yy).sum() / total
    return total, x, y, (stamp * (xx - x) ** 2).sum() / total


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [0.25, 0.4, 0.7])
@pytest.mark.parametrize("place", [(150, 2, True), (0, 0, False), (30, 89.995, False)])
def test_blob_keeps_place_flux_and_width(make_wcs, make_blob, method, scale, place):
    ra, dec, sip = place
    wcs = make_wcs(ra, dec, angle=25, sip=sip)
    coords = wcs.pixel_to_world([X], [Y])
    options = {"pixel_scale": scale * u.arcsec, "north_up": True, "method": method}
    flux = extract_cutouts((make_blob(X, Y), wcs), coords, 81, conserve="flux", **options)
    total, x, y, width = _moments(flux.data[0, 0])
    # A kernel widens, by at most its own variance (adaptive: 1.3 pixels, the larger of the two).
    widest = {"interp": 0.3, "adaptive": 2.2, "exact": 0.3}[method] * max(1, 0.4 / scale) ** 2
    expected = (4.0 * 0.4 / scale) ** 2
    assert_allclose(total, 1, rtol=3e-3)
    assert_allclose((x, y), (40, 40), atol=5e-3 if not sip else 0.02)
    assert expected * 0.99 < width < (expected + widest) * (1.02 if sip else 1.001)
    bright = extract_cutouts((make_blob(X, Y), wcs), coords, 81, **options)
    area = (0.4 / scale) ** 2
    assert_allclose(_moments(bright.data[0, 0])[0], area, rtol=0.03 if sip else 3e-3)
    assert bright.flags[0] == flux.flags[0] == Flag.RESAMPLED
    assert not bright.mask.any()
    assert flux.meta == {"fill_value": 0.0, "method": method, "conserved": "flux"}
    # The target is a tangent plane centred on the source, with north up.
    stamp = flux.image(0).wcs
    assert_allclose(stamp.world_to_pixel(coords[0]), (40, 40), atol=1e-6)
    assert list(stamp.wcs.ctype) == ["RA---TAN", "DEC--TAN"]
    assert_allclose(stamp.pixel_scale_matrix * 3600, np.diag([-scale, scale]), atol=1e-12)
    assert_allclose(flux.pixel_scale.value, scale)


def test_same_as_reproject(make_wcs):
    picture = np.random.default_rng(1).normal(size=(200, 220))
    wcs = make_wcs(angle=70, sip=True)
    coords = wcs.pixel_to_world([X, 30.0], [Y, 150.0])
    # Larger pixels are not interpolated but averaged: test_zoom.py.
    for method, reproject, scale in (
        ("interp", reproject_interp, 0.4),
        ("exact", reproject_exact, 0.5),
    ):
        cutouts = extract_cutouts(
            (picture, wcs), coords, 33, pixel_scale=scale * u.arcsec, method=method, north_up=True
        )
        for i in range(2):
            expected, _ = reproject((picture, wcs), cutouts.image(i).wcs, shape_out=(33, 33))
            assert_allclose(cutouts.data[i, 0], expected, atol=1e-3)


def test_every_pixel_is_transformed_where_the_mapping_is_rough(make_wcs, make_blob, monkeypatch):
    wcs = make_wcs(sip=True)
    coords = wcs.pixel_to_world([X], [Y])
    options = {"pixel_scale": 0.3 * u.arcsec}
    smooth = extract_cutouts((make_blob(X, Y), wcs), coords, 40, **options)
    monkeypatch.setattr(_fill, "_TOLERANCE", 0.0)
    assert_allclose(
        extract_cutouts((make_blob(X, Y), wcs), coords, 40, **options).data, smooth.data, atol=1e-8
    )


def test_orientation_is_kept_unless_north_up(make_wcs):
    wcs = make_wcs(angle=50)
    ramp = np.broadcast_to(np.arange(220.0), (200, 220))
    coords = wcs.pixel_to_world([X], [Y])
    cutouts = extract_cutouts((ramp, wcs), coords, 11, pixel_scale=0.4 * u.arcsec)
    expected = np.broadcast_to(X + np.arange(-5.0, 6.0), (11, 11))
    assert_allclose(cutouts.data[0, 0], expected, atol=1e-3)
    # An image that is a mirror image stays one.
    wcs.wcs.cd = wcs.wcs.cd @ np.diag([-1, 1])
    coords = wcs.pixel_to_world([X], [Y])
    cutouts = extract_cutouts((ramp, wcs), coords, 11, pixel_scale=0.4 * u.arcsec)
    assert_allclose(cutouts.data[0, 0], expected, atol=1e-3)
    north = extract_cutouts((ramp, wcs), coords, 11, north_up=True)
    assert_allclose(north.pixel_scale.value, 0.4)
    cd = north.image(0).wcs.pixel_scale_matrix
    assert_allclose(cd * 3600, np.diag([-0.4, 0.4]), atol=1e-9)


def test_galactic_image_comes_out_equatorial(make_wcs, make_blob):
    wcs = make_wcs(120.0, 40.0, galactic=True, angle=10)
    coords = wcs.pixel_to_world([X], [Y]).icrs
    cutouts = extract_cutouts(
        (make_blob(X, Y), wcs), coords, 41, pixel_scale=0.4 * u.arcsec, north_up=True
    )
    assert_allclose(_moments(cutouts.data[0, 0])[1:3], (20, 20), atol=5e-3)
    stamp = cutouts.image(0).wcs
    assert stamp.wcs.ctype[0] == "RA---TAN"
    assert_allclose(stamp.world_to_pixel(coords[0]), (20, 20), atol=1e-6)


def test_bands_of_different_pixels(make_wcs, make_blob):
    first, second = make_wcs(angle=12), make_wcs(scale=0.25, angle=-40)
    coords = first.pixel_to_world([X], [Y])
    (x,), (y,) = second.world_to_pixel(coords)
    data = {"r": (make_blob(X, Y), first), "h": (make_blob(x, y, sigma=6.4), second)}
    cutouts = extract_cutouts(data, coords, 31, pixel_scale=0.4 * u.arcsec, conserve="flux")
    assert_allclose(cutouts.data[0, 0], cutouts.data[0, 1], atol=3e-4)


@pytest.mark.parametrize("by_angle", [True, False])
def test_size_by_row_fills_the_shape(make_wcs, make_blob, by_angle):
    wcs = make_wcs()
    x, y = [60.0, 150.0, 110.0, 40.0], [60.0, 140.0, 100.0, 40.0]
    image = make_blob(60, 60, sigma=2) + make_blob(150, 140, sigma=4)
    size = np.array([32.0, 64.0, np.nan, 0.0])
    if by_angle:
        size = size * 0.4 * u.arcsec
    cutouts = extract_cutouts((image, wcs), wcs.pixel_to_world(x, y), size, shape=(48, 24))
    assert cutouts.shape == (4, 1, 48, 24)
    # The longer side is filled, so both blobs are three pixels wide now.
    assert_allclose(cutouts.pixel_scale[:2].value, [0.4 * 32 / 48, 0.4 * 64 / 48], rtol=1e-6)
    for i in range(2):
        _, x_mean, y_mean, width = _moments(cutouts.data[i, 0])
        assert_allclose((x_mean, y_mean), (11.5, 23.5), atol=1e-2)
        assert_allclose(width, 9, rtol=0.05)
    assert (cutouts.flags[2:] & Flag.INVALID_SIZE).all()
    assert cutouts.mask[2:].all()
    # Without a WCS the same, in pixels.
    if not by_angle:
        plain = extract_cutouts(image, {"x": x, "y": y}, size, shape=(48, 24))
        assert plain.pixel_scale is None
        assert_allclose(plain.data, cutouts.data, atol=1e-6)
        assert_array_equal(plain.flags, cutouts.flags)


@pytest.mark.parametrize(
    ("size", "match"), [([1.0, 2.0, 3.0], "one for each of the 2"), (-1, "positive")]
)
def test_bad_size_by_row(make_blob, size, match):
    with pytest.raises(ValueError, match=match):
        extract_cutouts(make_blob(1, 1), {"x": [5, 6], "y": [5, 6]}, size, shape=8)


def test_masked_size_by_row(make_blob):
    size = np.ma.array([8.0, 8.0], mask=[False, True])
    cutouts = extract_cutouts(make_blob(9, 9), {"x": [9, 9], "y": [9, 9]}, size, shape=8)
    assert_array_equal((cutouts.flags & Flag.INVALID_SIZE) > 0, [False, True])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("scale", "conserve"),
    [(0.3, "surface brightness"), (0.55, "surface brightness"), (0.55, "flux")],
)
def test_variance_is_that_of_many_noises(make_wcs, method, scale, conserve):
    """One pattern of noise, tiled: stamps of the tiles are realisations of one stamp."""
    side, tile = (12 if method == "exact" else 20), 24
    shape = (side * tile, side * tile)
    wcs = make_wcs(shape=shape, angle=30)
    rng = np.random.default_rng(3)
    sigma = np.tile(rng.uniform(0.5, 2, (tile, tile)), (side, side))
    image = CCDData(
        rng.normal(size=shape) * sigma, wcs=wcs, unit="adu", uncertainty=StdDevUncertainty(sigma)
    )
    y, x = np.mgrid[:side, :side].reshape(2, -1) * tile + np.array([[11.1], [12.3]])
    coords = wcs.pixel_to_world(x, y)
    options = {"pixel_scale": scale * u.arcsec, "method": method, "conserve": conserve}
    ours = extract_cutouts(image, coords[:1], 8, north_up=True, **options)
    image.uncertainty = None
    many = extract_cutouts(image, coords, 8, north_up=True, **options)
    ratio = many.data.var(axis=0)[0] / ours.variance[0, 0]
    # One ratio has an error of sqrt(2 / n); neighbours share some noise.
    error = np.sqrt(2 / side**2)
    assert_allclose(ratio, 1, atol=5 * error)
    assert_allclose(ratio.mean(), 1, atol=4 * error / np.sqrt(64 / 9))


@pytest.mark.parametrize("kind", [StdDevUncertainty, VarianceUncertainty, InverseVariance])
@pytest.mark.parametrize("resampled", [False, True])
def test_uncertainties_become_variance(make_wcs, kind, resampled):
    sigma = np.full((40, 44), 3.0)
    array = {StdDevUncertainty: sigma, VarianceUncertainty: sigma**2, InverseVariance: sigma**-2}
    power = {StdDevUncertainty: 1, VarianceUncertainty: 2, InverseVariance: -2}[kind]
    wcs = make_wcs(shape=(40, 44))
    image = NDData(
        np.ones((40, 44)),
        unit="mJy",
        wcs=wcs,
        uncertainty=kind(array[kind] * 1000.0**power, unit=u.uJy**power),
    )
    options = {"method": "exact", "pixel_scale": 0.4 * u.arcsec} if resampled else {}
    # Centred on a pixel, at the image's own scale: nothing is mixed.
    cutouts = extract_cutouts(image, wcs.pixel_to_world([20.0], [20.0]), 5, **options)
    assert_allclose(cutouts.variance, 9, rtol=1e-3)
    assert cutouts.to_table()["cutout_variance"].unit == u.mJy**2


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [0.15, 0.4, 1.1, 2.1])
def test_mask_grows(make_wcs, method, scale):
    """Each stamp pixel with any part of a bad pixel's middle in it is bad."""
    rng = np.random.default_rng(5)
    wcs = make_wcs(shape=(60, 64), angle=35)
    bad = rng.random((60, 64)) < 0.02
    image = NDData(rng.normal(size=bad.shape), wcs=wcs, mask=bad)
    coords = wcs.pixel_to_world([31.2], [29.7])
    cutouts = extract_cutouts(
        image, coords, 15, pixel_scale=scale * u.arcsec, method=method, north_up=True
    )
    y, x = np.nonzero(bad)
    px, py = cutouts.image(0).wcs.world_to_pixel(wcs.pixel_to_world(x, y))
    px, py = np.round(px).astype(int), np.round(py).astype(int)
    there = (px >= 0) & (px < 15) & (py >= 0) & (py < 15)
    assert there.any()
    assert cutouts.mask[0, 0, py[there], px[there]].all()
    assert cutouts.flags[0] & Flag.MASKED_PIXELS
    if scale <= 0.4:
        assert not cutouts.mask.all()


@pytest.mark.parametrize("method", METHODS)
def test_values_under_a_mask_are_kept_and_nan_is_filled(make_wcs, method):
    wcs = make_wcs(shape=(60, 64))
    data = np.ones((60, 64))
    data[10:28] += np.arange(64)
    data[30, 30] = np.nan
    mask = np.zeros(data.shape, dtype=bool)
    mask[25, 25] = True
    coords = wcs.pixel_to_world([30.0, 50.0], [30.0, 12.0])
    cutouts = extract_cutouts(
        NDData(data, wcs=wcs, mask=mask),
        coords,
        15,
        pixel_scale=0.4 * u.arcsec,
        method=method,
        fill_value=-5.0,
    )
    assert cutouts.data[0, 0, 7, 7] == -5
    assert cutouts.mask[0, 0, 7, 7]
    assert cutouts.mask[0, 0, 2, 2]
    assert_allclose(cutouts.data[0, 0, 2, 2], 26, atol=0.2)
    assert cutouts.flags[0] == Flag.RESAMPLED | Flag.MASKED_PIXELS | Flag.NON_FINITE
    assert cutouts.flags[1] == Flag.RESAMPLED


@pytest.mark.parametrize("method", METHODS)
def test_off_the_edge(make_wcs, make_blob, method):
    wcs = make_wcs()
    coords = wcs.pixel_to_world([X, 0.0, 219.0, 400.0], [Y, 0.0, 100.0, 90.0])
    cutouts = extract_cutouts(
        (make_blob(X, Y) + 1, wcs), coords, 20, pixel_scale=0.4 * u.arcsec, method=method
    )
    partial, nowhere = Flag.PARTIAL_OVERLAP | Flag.MASKED_PIXELS, Flag.NO_OVERLAP
    assert cutouts.flags[0] == Flag.RESAMPLED
    assert (cutouts.flags[1:3] & partial == partial).all()
    assert cutouts.flags[3] & nowhere
    for i in range(1, 4):
        px, py = np.meshgrid(np.arange(20), np.arange(20))
        x, y = wcs.world_to_pixel(cutouts.image(i).wcs.pixel_to_world(px, py))
        off = (x < -0.5) | (y < -0.5) | (x > 219.5) | (y > 199.5)
        assert cutouts.mask[i, 0][off].all()
        assert (cutouts.data[i, 0][off] == 0).all()
        assert_allclose(cutouts.data[i, 0][~off & ~cutouts.mask[i, 0]], 1, atol=1e-2)


@pytest.mark.parametrize("method", METHODS)
def test_a_row_does_not_depend_on_the_others(make_wcs, monkeypatch, method):
    rng = np.random.default_rng(7)
    wcs = make_wcs(sip=True)
    image = NDData(rng.normal(size=(200, 220)), wcs=wcs, mask=rng.random((200, 220)) < 0.01)
    x, y = rng.uniform(-5, 220, (2, 9))
    size = rng.uniform(3, 40, 9) * u.arcsec
    coords = wcs.pixel_to_world(x, y)
    whole = extract_cutouts(image, coords, size, shape=16, method=method)
    monkeypatch.setattr(_fill, "_BUDGET", 2000)
    order = rng.permutation(9)
    shuffled = extract_cutouts(image, coords[order], size[order], shape=16, method=method)
    assert_allclose(shuffled.data, whole.data[order], atol=1e-12)
    assert_array_equal(shuffled.mask, whole.mask[order])
    assert_array_equal(shuffled.flags, whole.flags[order])


@pytest.mark.parametrize("method", METHODS)
def test_stamp_much_larger_than_the_image(make_wcs, make_blob, method):
    wcs = make_wcs(shape=(30, 30))
    image = NDData(
        make_blob(15, 15, shape=(30, 30)),
        wcs=wcs,
        uncertainty=StdDevUncertainty(np.ones((30, 30))),
        mask=np.eye(30, dtype=bool),
    )
    # The box in the image is bounded by the image, not by the stamp.
    size = [100 * 0.4 / 3600, 20] * u.deg
    cutouts = extract_cutouts(
        image, wcs.pixel_to_world([15, 15], [15, 15]), size, shape=11, method=method
    )
    assert cutouts.flags[0] & Flag.PARTIAL_OVERLAP
    # One pixel of the stamp larger than the image: no size that a source can have.
    assert cutouts.flags[1] & Flag.INVALID_SIZE
    assert cutouts.mask[1].all()
