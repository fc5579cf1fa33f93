"""Stars and neighbours that the cleaning has left on a template."""

import warnings

import numpy as np
from photutils.aperture import CircularAperture
from photutils.detection import DAOStarFinder
from photutils.utils.exceptions import NoDetectionsWarning

# Of the light in an aperture, what must be without a counterpart across the centre.
ALONE = 0.7
# Magnitudes in g - r by which knots of young stars are bluer than their galaxy: these are its own.
BLUER = 0.2
# Share of the galaxy's light that is looked for.
LEAST = 0.005
# Aperture's radius, and how far from the centre at least, in widths of the PSF.
APERTURE, AWAY = 0.75, 0.6
WIDTHS = 2.0, 5.0  # pixels


def stray(stamp: np.ndarray, psf_fwhm: float) -> float:
    """
    Light of the brightest point that is not the galaxy's, over the galaxy's in r; 0 without one.

    Parameters
    ----------
    stamp : `~numpy.ndarray`, (3, side, side)
        In g, r and i, around the middle.
    psf_fwhm : float
        Full width at half maximum of the PSF, in pixels.
    """
    stamp = stamp.astype(float)
    width = float(np.clip(psf_fwhm, *WIDTHS))
    odd = stamp - stamp[:, ::-1, ::-1]
    # The peak of a Gaussian of so much light.
    peak = LEAST * stamp[1].sum() * 4 * np.log(2) / np.pi / width**2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        found = DAOStarFinder(peak, width, sharpness_range=(0.3, 1.0))(odd[1])
    if found is None:
        return 0.0
    places = np.transpose([found["x_centroid"], found["y_centroid"]])
    off = np.hypot(*(places - (stamp.shape[-1] - 1) / 2).T)
    places = places[off > AWAY * width]
    if len(places) == 0:
        return 0.0
    apertures = CircularAperture(places, APERTURE * width)
    (g, r, _), light = (
        np.array([apertures.do_photometry(band)[0] for band in bands]) for bands in (odd, stamp)
    )
    total = stamp.sum((1, 2))
    red = np.maximum(g, 0) / total[0] < 10 ** (0.4 * BLUER) * r / total[1]
    strays = r[(r > ALONE * light[1]) & red]
    return float(strays.max(initial=0) / total[1])
