"""What a generator has to beat: each galaxy's Sersic fit and bulge and disc, drawn by GalSim."""

from concurrent.futures import ProcessPoolExecutor
from functools import partial

import galsim
import numpy as np
from measure import HALF_LIGHT, SIDE
from scipy.optimize import least_squares

KINDS = ("Sersic fits", "bulge+disc fits")
# As the generator's tolerance: what a pixel may be off where it is bright.
TOLERANCE = 0.04
_ACCURACY = galsim.GSParams(maximum_fft_size=16384, folding_threshold=1e-2)


def fit_all(
    templates: np.ndarray, noise: np.ndarray, fwhm: np.ndarray, kind: str, processes: int = 1
) -> np.ndarray:
    """
    Fits to templates in r, with as much in g and i as suits them, (n, 3, side, side).

    Parameters
    ----------
    templates, noise, fwhm : `~numpy.ndarray`
        As for ``measures.measure_all``.
    kind : str
        One of `KINDS`.
    processes : int
        That work at once.
    """
    rows = list(zip(templates, noise, fwhm, strict=True))
    if processes == 1:
        return np.array([_fitted(kind, row) for row in rows])
    with ProcessPoolExecutor(processes) as pool:
        return np.array(list(pool.map(partial(_fitted, kind), rows, chunksize=4)))


def _fitted(kind: str, row: tuple[np.ndarray, np.ndarray, float]) -> np.ndarray:
    light, noise, fwhm = row[0].astype(float), row[1].astype(float), float(row[2])
    psf = galsim.Gaussian(fwhm=max(fwhm, 1.0))
    around = np.maximum(light[1], 0)
    error = np.hypot(max(noise[1], 1e-7), TOLERANCE * around) * 3
    bulge = kind != KINDS[0]
    start = [0.0, 0.0, np.log(HALF_LIGHT), 0.7, 0.0]
    start += [np.log(HALF_LIGHT / 4), 0.9] if bulge else [np.log(1.5)]
    low = [-8, -8, np.log(2), 0.12, -0.4, *([np.log(0.5), 0.3] if bulge else [np.log(0.35)])]
    high = [8, 8, np.log(30), 1, 0.4, *([np.log(15), 1] if bulge else [np.log(6)])]
    found = least_squares(
        lambda p: _off(_components(p, bulge, psf), light[1], error), start, bounds=(low, high),
        diff_step=1e-3, max_nfev=25,
    ).x  # fmt: skip
    parts = _components(found, bulge, psf)
    made = np.array([_mixture(parts, band, error) for band in light])
    # The flux and the colours are those of the galaxy, as a generator has them exactly.
    totals = light.sum((1, 2)) / np.maximum(made.sum((1, 2)), 1e-9)
    return made * totals[:, None, None]


def _components(p: np.ndarray, bulge: bool, psf: galsim.GSObject) -> list[np.ndarray]:
    """Pictures of unit flux: of a Sersic profile, or of a disc and a bulge."""
    x, y, size, q, angle = p[:5]
    if bulge:
        own = [
            galsim.Exponential(half_light_radius=np.exp(size), gsparams=_ACCURACY),
            galsim.DeVaucouleurs(half_light_radius=np.exp(p[5]), trunc=40, gsparams=_ACCURACY),
        ]
        shapes = [q, p[6]]
    else:
        # GalSim tabulates each index anew: hundredths are fine enough.
        n = float(np.clip(np.round(np.exp(p[5]), 2), 0.35, 6))
        own = [galsim.Sersic(n=n, half_light_radius=np.exp(size), trunc=80, gsparams=_ACCURACY)]
        shapes = [q]
    drawn = []
    for profile, ratio in zip(own, shapes, strict=True):
        shear = galsim.Shear(q=float(ratio), beta=float(angle) * galsim.radians)
        both = galsim.Convolve(profile.shear(shear), psf).shift(float(x), float(y))
        drawn.append(both.drawImage(nx=SIDE, ny=SIDE, scale=1, method="no_pixel").array)
    return [image.astype(float) for image in drawn]


def _mixture(parts: list[np.ndarray], light: np.ndarray, error: np.ndarray) -> np.ndarray:
    """As much of each as suits the light, no less than nothing."""
    matrix = np.stack([(part / error).ravel() for part in parts], axis=1)
    amounts, *_ = np.linalg.lstsq(matrix, (light / error).ravel(), rcond=None)
    if (amounts < 0).any() and len(parts) > 1:
        keep = int(amounts.argmax())
        return _mixture([parts[keep]], light, error)
    return sum(a * part for a, part in zip(amounts, parts, strict=True))


def _off(parts: list[np.ndarray], light: np.ndarray, error: np.ndarray) -> np.ndarray:
    return ((_mixture(parts, light, error) - light) / error).ravel()
