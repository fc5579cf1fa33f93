"""An SDSS field in three bands, where the development data are."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from astropy.table import QTable
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import classify_cutouts, extract_cutouts
from astrodlkit.cli._detect import detect

# SDSS headers are from 1998; astropy says what it puts right.
pytestmark = pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")

FIELD = "sky/sdss_stripe82_94_1_12"


@pytest.fixture(scope="module")
def frames(development_data):
    names = {band: f"{FIELD}/frame-{band}-000094-1-0012.fits.bz2" for band in "gri"}
    return {band: CCDData.read(development_data(name), unit=u.nmgy) for band, name in names.items()}


@pytest.fixture(scope="module")
def galaxies(development_data, frames):
    """Every galaxy brighter than r = 19 that the detection finds."""
    sdss = QTable.read(development_data(f"{FIELD}/photoObj-000094-1-0012.fits"))
    magnitude = 22.5 - 2.5 * np.log10(np.maximum(sdss["CMODELFLUX"][:, 2], 1e-3))
    sdss = sdss[(sdss["OBJC_TYPE"] == 3) & (sdss["NCHILD"] == 0) & (magnitude < 19)]
    sources = detect(frames["r"])
    where = SkyCoord(sdss["RA"], sdss["DEC"], unit="deg")
    nearest, distance, _ = where.match_to_catalog_sky(sources["sky_centroid"])
    assert (distance < 2 * u.arcsec).mean() > 0.9
    return sources[nearest[distance < 2 * u.arcsec]]


def test_every_galaxy_is_classified(frames, galaxies):
    result = classify_cutouts(galaxies, frames, views=8)
    assert len(result) == len(galaxies) >= 18
    assert_array_equal(result["label"], galaxies["label"])
    assert np.isfinite(result["class_probability"]).all()
    # Nearby galaxies in a field of SDSS are neither all smooth nor all spirals.
    assert len(set(result["class"])) >= 3
    assert float(np.median(result["class_probability"])) > 0.5


def test_the_bands_are_aligned(frames, galaxies):
    """The light of a galaxy is centred at the same place of its stamp in all bands."""
    cutouts = extract_cutouts(frames, galaxies, 20 * u.arcsec, pixel_scale=0.396 * u.arcsec / u.pix)
    side = cutouts.shape[-1]
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    window = np.exp(-(x**2 + y**2) / (2 * 4.0**2))
    weight = np.where(cutouts.mask, 0, cutouts.data) * window
    flux = weight.sum(axis=(2, 3))
    centre = np.stack([(weight * x).sum((2, 3)), (weight * y).sum((2, 3))]) / flux
    whole = ~cutouts.mask.any(axis=(1, 2, 3))
    offset = centre - centre[:, :, cutouts.bands.index("r")][:, :, None]
    assert_allclose(np.median(offset[:, whole], axis=1), 0, atol=0.15)
    # Without the WCS the bands would be some pixels apart.
    shifts = [frames["g"].wcs.world_to_pixel(c) for c in galaxies["sky_centroid"][:3]]
    r = [frames["r"].wcs.world_to_pixel(c) for c in galaxies["sky_centroid"][:3]]
    assert np.hypot(*(np.array(shifts) - np.array(r)).T).min() > 1
