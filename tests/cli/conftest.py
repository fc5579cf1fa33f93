import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS

X = np.array([50.0, 150.0, 60.0, 140.0])
Y = np.array([60.0, 50.0, 150.0, 140.0])
SIGMA = np.array([3.0, 4.0, 5.0, 6.0])


@pytest.fixture(scope="session")
def frames(tmp_path_factory):
    """FITS files of four blobs in g, r and i, whose grids differ by a few pixels."""
    folder = tmp_path_factory.mktemp("frames")
    paths = []
    for k, band in enumerate("gri"):
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
        wcs.wcs.crval, wcs.wcs.cdelt = (150.0, 2.0), (-1.1e-4, 1.1e-4)
        wcs.wcs.crpix = 100 + 2 * k, 100 - k
        y, x = np.indices((200, 210))
        data = np.random.default_rng(k).normal(0, 0.02, x.shape)
        for x0, y0, sigma in zip(X + 2 * k, Y - k, SIGMA, strict=True):
            data += (1 + k) * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * sigma**2))
        path = folder / f"{band}.fits"
        header = wcs.to_header()
        header["BUNIT"] = "nmgy"
        fits.writeto(path, data.astype("f4"), header)
        paths.append(path)
    return paths


@pytest.fixture
def sources(frames) -> QTable:
    """The blobs' places in the sky and their sizes."""
    sky = WCS(fits.getheader(frames[0])).pixel_to_world(X, Y)
    return QTable(
        {
            "name": ["d", "c", "b", "a"],
            "ra": sky.ra,
            "dec": sky.dec,
            "petroR90": SIGMA * 0.396 * 2 * u.arcsec,
        }
    )
