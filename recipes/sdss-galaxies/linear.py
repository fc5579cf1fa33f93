"""Undo the stretch of the SDSS colour pictures, as well as 8 bits allow."""

import numpy as np
from scipy.stats import norm

from astrodlkit.specs import LuptonStretch

BANDS = ("g", "r", "i")
# The pictures of SkyServer, which Galaxy Zoo shows, in nanomaggies per square arcsecond; how the
# numbers were found is told in the README. Light below ``minimum`` is black.
SDSS = LuptonStretch(stretch=1.42, Q=8.88, minimum=0.06, scales=(0.8, 1.0, 1.55))
# EFIGI's: the mean of the channels is a power of the light; scales of i, r and g.
EFIGI_POWER, EFIGI_WHITE, EFIGI_SCALES = 3.3, 66.0, (0.735, 1.0, 2.1)
SATURATED = 254
# Noise of the sky in a pixel of SDSS, r band, nanomaggies per square arcsecond.
SKY_NOISE = 0.15
# How much of it the black level met: with this share `undercut` leaves least in check.py.
MET = 0.55


def linear(picture: np.ndarray, *, efigi: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """
    Light from a stretched picture; the sky is still in it.

    Parameters
    ----------
    picture : `~numpy.ndarray` of uint8, (side, side, 3)
        Red, green and blue.
    efigi : bool
        Whether it was made as EFIGI's pictures.

    Returns
    -------
    light : `~numpy.ndarray` of float32, (3, side, side)
        Nanomaggies per square arcsecond in g, r and i.
    saturated : `~numpy.ndarray` of bool, (side, side)
        Pixels as bright as the picture can show.
    """
    levels = picture.astype(int)
    total = levels.sum(2)
    # A level stands for all that was rounded down to it.
    table = np.array([(n + 1.5 * (n > 0)) / 765 for n in range(766)])
    if efigi:
        table, scales = EFIGI_WHITE * table**EFIGI_POWER, EFIGI_SCALES
    else:
        # Light above the black level, which is taken from each channel.
        table = np.array([SDSS.inverse(level) for level in table]) - SDSS.minimum
        scales = SDSS.scales
    share = 3 * levels / np.maximum(total, 1)[..., None]
    light = share * table[total][..., None] / np.array(scales)
    return np.moveaxis(light[..., ::-1], 2, 0).astype(np.float32), picture.max(2) >= SATURATED


def undercut(light: np.ndarray, band: str, noise: float = SKY_NOISE) -> np.ndarray:
    """
    What the black level took away from smooth light above the sky, in the same unit.

    Noise lifts part of the pixels above the black level, so that of faint light some is left:
    the mean of what is left is that of a clipped Gaussian.
    """
    scale, noise = SDSS.scales["irg".index(band)], MET * noise
    true = np.linspace(0, 12 * noise, 400)
    above = (true - SDSS.minimum) / noise
    left = (true - SDSS.minimum) * norm.cdf(above) + noise * norm.pdf(above)
    left -= left[0]
    gone = true - left
    below = np.minimum(light * scale, 0) * gone[1] / left[1]  # as steep on the other side of 0
    return (np.interp(light * scale, left, gone) + below) / scale
