"""Galaxies of any size and at any place take a picture of bounded cost."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, vstack
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import Flag

galsim = pytest.importorskip("galsim")

PSFS = {
    "none": None,
    "narrow": 0.002 * u.arcsec,
    "galsim": galsim.Gaussian(sigma=1e-5),
    "point": galsim.DeltaFunction(),
    "image": np.ones((1, 1)),
}


@pytest.fixture
def transforms(monkeypatch):
    """Sides of the transforms that are made."""
    sides = []
    make = galsim.GSObject.drawFFT_makeKImage

    def recorded(self, image):
        kimage, size = make(self, image)
        sides.append(kimage.bounds.numpyShape()[0])
        # Before the memory is needed.
        assert sides[-1] <= 4097
        return kimage, size

    monkeypatch.setattr(galsim.GSObject, "drawFFT_makeKImage", recorded)
    return sides


def _one(radius, **more):
    """One galaxy of flux 1; the radius is in arcseconds."""
    columns = {"flux": [1.0] * u.nJy, "half_light_radius": [radius] * u.arcsec}
    given = {"axis_ratio": [0.5], "position_angle": [25.0] * u.deg, "sersic_index": [1.0]}
    return QTable({**columns, **given, **more})


@pytest.mark.parametrize("psf", PSFS)
@pytest.mark.parametrize("shape", [64, 63])
def test_a_small_galaxy_takes_a_small_transform(profiles, transforms, psf, shape):
    radii = [0.1, 0.05, 1e-3, 1e-6, 1e-300]
    options = {"pixel_scale": 0.2 * u.arcsec, "shape": shape, "psf": PSFS[psf], "rng": 1}
    stamps = profiles.simulate(vstack([_one(radius) for radius in radii]), **options)
    assert not (stamps.flags & Flag.NO_RESULT).any()
    assert len(transforms) == len(radii)
    assert max(transforms) <= 2049
    light = stamps.data[:, 0]
    assert_allclose(light.sum((1, 2)), 1, atol=1e-3)
    assert light.min() > -0.06
    if psf == "image":
        # What comes between its pixels is the interpolation's.
        return
    assert light.min() > -1e-4
    # All in the pixel of the middle, or shared by the four there.
    few = slice((shape - 1) // 2, shape // 2 + 1)
    assert_allclose(light[2:, few, few].sum((1, 2)), 1, atol=1e-3)
    assert_allclose(light[3], light[4], atol=5e-3)


@pytest.mark.parametrize("radius", [0.1, 0.04])
def test_a_small_galaxy_is_what_fine_pixels_add_up_to(profiles, radius):
    table = _one(radius, dx=[0.3] * u.pix, dy=[-0.2] * u.pix)
    coarse = profiles.simulate(table, pixel_scale=0.2 * u.arcsec, shape=16, rng=1)
    table["dx"], table["dy"] = 3.0 * u.pix, -2.0 * u.pix
    fine = profiles.simulate(table, pixel_scale=0.02 * u.arcsec, shape=160, rng=1)
    binned = fine.data.reshape(1, 1, 16, 10, 16, 10).sum((3, 5))
    assert_allclose(coarse.data, binned, atol=3e-3)


def test_a_needle_is_drawn(profiles, transforms):
    table = _one(1.0, axis_ratio=[1e-12])
    stamps = profiles.simulate(table, pixel_scale=0.2 * u.arcsec, shape=64, rng=1)
    assert not stamps.flags[0] & Flag.NO_RESULT
    assert stamps.data.sum() > 0.8
    assert max(transforms) <= 4097


@pytest.mark.usefixtures("transforms")
def test_what_would_be_too_large_is_a_flag(profiles):
    table = _one(100.0, axis_ratio=[1e-3])
    stamps = profiles.simulate(table, pixel_scale=0.2 * u.arcsec, shape=64, rng=1)
    assert stamps.flags[0] & Flag.INVALID_SIZE
    assert stamps.flags[0] & Flag.NO_RESULT
    for radius in (1e200, 1e308):
        stamps = profiles.simulate(_one(radius), pixel_scale=0.2 * u.arcsec, shape=64, rng=1)
        assert stamps.flags[0] & Flag.INVALID_SIZE


@pytest.mark.usefixtures("transforms")
@pytest.mark.parametrize("name", ["dx", "dy"])
def test_a_galaxy_beyond_its_stamp_leaves_it_empty(profiles, options, table, name):
    options["psf"] = None if name == "dx" else 0.7 * u.arcsec
    good = profiles.simulate(table, **options)
    for shift in (-100.0, 1e3, 1e4, 1e6, 1e300):
        table[name] = [0.0, shift, 0.0, 0.0, 0.0] * u.pix
        stamps = profiles.simulate(table, **options)
        assert stamps.flags[1] & Flag.NO_OVERLAP
        assert not stamps.flags[1] & Flag.NO_RESULT
        assert not stamps.data[1].any()
        assert not stamps.mask[1].any()
        assert_array_equal(stamps.data[[0, 2, 3, 4]], good.data[[0, 2, 3, 4]])
        assert not (stamps.flags[[0, 2, 3, 4]] & Flag.NO_OVERLAP).any()
    for shift in (np.nan, np.inf):
        table[name] = [0.0, shift, 0.0, 0.0, 0.0] * u.pix
        stamps = profiles.simulate(table, **options)
        assert stamps.flags[1] & Flag.INVALID_VALUE
        assert stamps.flags[1] & Flag.NO_RESULT
        assert_array_equal(stamps.data[0], good.data[0])


@pytest.mark.usefixtures("transforms")
def test_a_large_galaxy_beyond_its_stamp_reaches_into_it(profiles):
    table = _one(5.0, dx=[60.0] * u.pix)
    stamps = profiles.simulate(table, pixel_scale=0.2 * u.arcsec, shape=32, rng=1)
    table["dx"] = 0.0 * u.pix
    whole = profiles.simulate(table, pixel_scale=0.2 * u.arcsec, shape=256, rng=1)
    assert not stamps.flags[0] & Flag.NO_OVERLAP
    assert_allclose(stamps.data[0, 0], whole.data[0, 0, 112:144, 52:84], atol=1e-5)


def test_a_long_galaxy_shows_no_edge_of_its_template(profiles):
    """Its light fades where the template ends, 40 pixels from the centre."""
    galaxy = QTable(
        {
            "flux": [1.0] * u.nJy,
            "half_light_radius": [9 * 0.2] * u.arcsec,
            "axis_ratio": [0.25],
            "position_angle": [90.0] * u.deg,
            "sersic_index": [4.0],
        }
    )
    stamps = profiles.simulate(galaxy, pixel_scale=0.2 * u.arcsec, shape=121, rng=1)
    along = stamps.data[0, 0, 60, 60:]
    assert along[30] > 0.1 * along[20]
    assert np.abs(np.diff(along[28:])).max() < 0.35 * along[30]
    assert_allclose(along[45:], 0, atol=0.01 * along[30])
    assert_allclose(stamps.data.sum(), 1, rtol=2e-3)
