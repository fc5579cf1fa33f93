"""Skies with a known truth."""

import numpy as np
import pytest
from astropy.wcs import WCS, Sip


def _make_wcs(
    ra=150.0, dec=2.0, *, shape=(200, 220), scale=0.4, angle=0.0, sip=False, galactic=False
):
    wcs = WCS(naxis=2)
    axes = ("GLON-TAN", "GLAT-TAN") if galactic else ("RA---TAN", "DEC--TAN")
    wcs.wcs.ctype = [axis + "-SIP" * sip for axis in axes]
    wcs.wcs.crval = ra, dec
    wcs.wcs.crpix = shape[1] / 2 + 0.3, shape[0] / 2 - 0.7
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    wcs.wcs.cd = np.array([[-cos, sin], [sin, cos]]) * scale / 3600
    if sip:
        a, b = np.zeros((4, 4)), np.zeros((4, 4))
        a[2, 0], a[1, 1], a[0, 3] = 2e-5, -1e-5, 3e-8
        b[0, 2], b[1, 1], b[3, 0] = -1e-5, 2e-5, -2e-8
        wcs.sip = Sip(a, b, None, None, wcs.wcs.crpix)
    wcs.wcs.set()
    wcs.pixel_shape = shape[::-1]
    return wcs


@pytest.fixture(scope="session")
def make_wcs():
    """The WCS of an image of shape (200, 220), by where it is and how it lies."""
    return _make_wcs


@pytest.fixture(scope="session")
def make_blob():
    """An image of one Gaussian of unit flux."""

    def make_blob(x, y, *, sigma=4.0, shape=(200, 220)):
        yy, xx = np.mgrid[: shape[0], : shape[1]]
        blob = np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * sigma**2))
        return blob / (2 * np.pi * sigma**2)

    return make_blob
