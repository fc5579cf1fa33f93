"""How much of a shear is measured on templates: pairs of shears, rings of angles."""

import galsim
import numpy as np

SHEAR, PIXEL, HALF_LIGHT_ARCSEC = 0.02, 0.2, 0.6
NOISE = 200.0  # signal-to-noise ratio


def slopes(templates: np.ndarray, half_light: float, seed: int = 0) -> np.ndarray:
    """
    Measured over applied shear of each template, (n,); NaN where it cannot be measured.

    Templates in r are drawn at two angles, 90 degrees apart, with a shear and its opposite, through
    a Kolmogorov PSF of 0.7 arcsec, with the same noise four times, and measured by GalSim's
    re-Gaussianisation (Hirata & Seljak 2003, MNRAS, 343, 459).
    """
    rng = np.random.default_rng(seed)
    psf = galsim.Kolmogorov(fwhm=0.7)
    seen = psf.drawImage(nx=48, ny=48, scale=PIXEL)
    found = np.full(len(templates), np.nan)
    for row, template in enumerate(templates):
        image = galsim.Image(template.astype(float), scale=HALF_LIGHT_ARCSEC / half_light)
        galaxy = galsim.InterpolatedImage(image, x_interpolant="quintic", flux=1.0)
        first = float(rng.uniform(0, 180))
        noise = rng.normal(size=(64, 64))
        changes = []
        for turn in (0, 90):
            turned = galaxy.rotate((first + turn) * galsim.degrees)
            pair = [_measured(turned, sign * SHEAR, psf, seen, noise) for sign in (1, -1)]
            changes.append((pair[0] - pair[1]) / (2 * SHEAR))
        found[row] = np.mean(changes)
    return found


def _measured(
    galaxy: galsim.GSObject, shear: float, psf: galsim.GSObject, seen: galsim.Image,
    noise: np.ndarray,
) -> float:  # fmt: skip
    both = galsim.Convolve(galaxy.shear(g1=shear), psf)
    image = both.drawImage(nx=64, ny=64, scale=PIXEL)
    image.array[:] += noise * np.sqrt((image.array**2).sum()) / NOISE
    result = galsim.hsm.EstimateShear(image, seen, strict=False)
    if result.error_message:
        return np.nan
    # Re-Gaussianisation gives a distortion, whose response is 2 (1 - e^2) on the mean of galaxies.
    return result.corrected_e1 / 2
