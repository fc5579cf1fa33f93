"""Cutouts written part by part are the cutouts written at once."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from astropy.wcs import WCS
from numpy.testing import assert_array_equal

from astrodlkit import Cutouts, extract_cutouts
from astrodlkit.cutouts import write_cutouts


@pytest.fixture
def cutouts():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ("RA---TAN", "DEC--TAN"), (10, 20)
    wcs.wcs.crpix, wcs.wcs.cdelt = (50, 50), (-1e-4, 1e-4)
    image = CCDData(np.random.default_rng(1).normal(size=(100, 100)), unit="nJy", wcs=wcs)
    x, y = np.random.default_rng(2).uniform(10, 90, (2, 23))
    return extract_cutouts(image, wcs.pixel_to_world(x, y), 9)


@pytest.mark.parametrize("resampled", [False, True])
@pytest.mark.parametrize("step", [1, 7, 23])
def test_the_file_is_the_same(cutouts, tmp_path, step, resampled):
    if resampled:
        wcs = cutouts.image(0).wcs
        image = CCDData(np.ones((100, 100)), unit="nJy", wcs=wcs)
        cutouts = extract_cutouts(
            image, cutouts.positions, 1 * u.arcsec, pixel_scale=0.2 * u.arcsec, north_up=True
        )
    cutouts.write(tmp_path / "whole.fits")
    n = write_cutouts((cutouts[i : i + step] for i in range(0, 23, step)), tmp_path / "parts.fits")
    assert n == 23
    assert (tmp_path / "parts.fits").read_bytes() == (tmp_path / "whole.fits").read_bytes()
    again = Cutouts.read(tmp_path / "parts.fits")
    assert_array_equal(again.data, cutouts.data)
    assert isinstance(again.positions, SkyCoord)


def test_no_rows(cutouts, tmp_path):
    assert write_cutouts([cutouts[:0]], tmp_path / "a.fits") == 0
    assert len(Cutouts.read(tmp_path / "a.fits")) == 0


def test_what_is_refused(cutouts, tmp_path):
    path = tmp_path / "a.fits"
    with pytest.raises(ValueError, match=r"path must end in \.fits or \.fit, got 'a\.h5'"):
        write_cutouts([cutouts], tmp_path / "a.h5")
    with pytest.raises(ValueError, match="parts must be one or more"):
        write_cutouts([], path)
    other = Cutouts(np.zeros((2, 1, 9, 8)))
    with pytest.raises(ValueError, match="parts must be alike"):
        write_cutouts([cutouts, other], path)
    assert not path.exists()
    assert not list(tmp_path.iterdir())
    path.write_text("precious")
    with pytest.raises(OSError, match="exists: pass overwrite=True"):
        write_cutouts([cutouts], path)
    assert path.read_text() == "precious"
    assert write_cutouts([cutouts], path, overwrite=True) == 23
