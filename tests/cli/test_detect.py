"""Detection: Gaussian blobs of known place and width."""

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import NDData
from astropy.wcs import WCS
from numpy.testing import assert_allclose

from astrodlkit.cli._detect import detect

SHAPE = (220, 260)
X = np.array([40.3, 120.0, 200.6, 60.2])
Y = np.array([50.1, 110.4, 60.0, 170.7])
SIGMA = np.array([3.0, 4.0, 5.0, 6.0])


@pytest.fixture
def image() -> np.ndarray:
    y, x = np.indices(SHAPE)
    image = np.random.default_rng(5).normal(100, 1, SHAPE)
    for x0, y0, sigma in zip(X, Y, SIGMA, strict=True):
        image += 60 * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * sigma**2))
    return image


def centroids(sources):
    """Under the names of photutils 3, or of 2."""
    names = ("x_centroid", "y_centroid")
    if names[0] not in sources.colnames:
        names = ("xcentroid", "ycentroid")
    return tuple(u.Quantity(sources[name]).value for name in names)


def match(sources):
    x, y = centroids(sources)
    distance = np.hypot(x[:, None] - X, y[:, None] - Y)
    return distance.argmin(axis=0), distance.min(axis=0)


@pytest.mark.parametrize("dtype", ["f8", ">f4", ">f8", "i2"])
def test_every_blob_is_found_once(image, dtype):
    data = image.astype(dtype)
    data.setflags(write=False)
    sources = detect(NDData(data))
    assert len(sources) == len(X)
    rows, distance = match(sources)
    assert (distance < 0.2).all()
    assert "sky_centroid" not in sources.colnames
    # A Gaussian's isophotal radius grows with its width.
    assert (np.diff(sources["equivalent_radius"].value[rows]) > 0).all()
    assert (u.Quantity(sources["kron_radius"]).value > 0).all()


def test_sky_positions_are_those_of_the_wcs(image):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = (150.0, 2.0), (130, 110), (-1e-4, 1e-4)
    sources = detect(NDData(image, wcs=wcs))
    expected = wcs.pixel_to_world(*centroids(sources))
    assert (sources["sky_centroid"].separation(expected) < 1 * u.uas).all()


def test_bad_pixels_are_no_sources(image):
    image[20:90, 20:90] = np.nan
    image[:, 250:] = np.inf
    mask = np.zeros(SHAPE, dtype=bool)
    mask[100:120, 100:140] = True
    image[mask] = 1e6
    sources = detect(NDData(image, mask=mask))
    _, distance = match(sources)
    assert len(sources) == 2
    assert (distance[2:] < 0.2).all()
    assert np.isfinite(sources["segment_flux"]).all()


def test_touching_blobs_are_parted():
    y, x = np.indices((100, 100))
    image = np.random.default_rng(1).normal(0, 1, (100, 100))
    for x0 in (42, 58):
        image += 80 * np.exp(-((x - x0) ** 2 + (y - 50) ** 2) / (2 * 4**2))
    sources = detect(NDData(image))
    assert_allclose(np.sort(centroids(sources)[0]), [42, 58], atol=0.5)


def test_empty_sky_gives_an_empty_table():
    assert len(detect(NDData(np.random.default_rng(2).normal(0, 1, (100, 100))), threshold=9)) == 0


def test_no_usable_pixel():
    with pytest.raises(ValueError, match="no pixel of the image can be used"):
        detect(NDData(np.full((20, 20), np.nan)))
