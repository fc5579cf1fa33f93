"""Stars, evenly over an image."""

from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import ICRS
from astropy.wcs import WCS
from numpy.typing import NDArray

from .._flags import Flag
from ..cutouts._grids import mean_scale
from ._draw import draw
from ._paste import overlap
from ._place import elongation, sky_jacobian
from ._psf import Psf, galsim, read_psfs

__all__ = ["add_stars"]

# Pixels on a side of a star's stamp.
_SIDES = (16, 512)


def add_stars(
    light: NDArray,
    n: int,
    *,
    band: str,
    flux: Any,
    psf: Any,
    wcs: WCS,
    unit: u.UnitBase,
    rng: np.random.Generator,
) -> dict[str, NDArray]:
    """
    Add stars to the light of an image.

    Parameters
    ----------
    light : ndarray, shape (ny, nx)
        To add them to.
    n : int
        How many.
    band : str
        Of the image: ``psf`` may have one for each.
    flux, psf : object
        The arguments of `insert_cutouts`.
    wcs : `~astropy.wcs.WCS`
        Of the image.
    unit : `~astropy.units.UnitBase`
        Of the image.
    rng : `~numpy.random.Generator`
        Where places and fluxes come from.

    Returns
    -------
    stars : dict of ndarray, shape (n,)
        ``x`` and ``y``, ``flux`` and ``flux_on_image``, ``flags``.
    """
    if psf is None:
        raise ValueError("psf is missing: n_stars needs one, such as 0.7 * u.arcsec")
    ny, nx = light.shape
    fluxes = _fluxes(flux, n, unit, rng)
    middle_x, middle_y = (np.array([(length - 1) / 2]) for length in (nx, ny))
    jacobian = sky_jacobian(wcs, middle_x, middle_y, ICRS())
    scale, stretch = 3600 * mean_scale(jacobian)[0], elongation(jacobian)[0]
    (profile,) = read_psfs(psf, (band,), float(scale), float(stretch))
    side = _side(profile)
    x, y = rng.uniform(-0.5, nx - 0.5, n), rng.uniform(-0.5, ny - 0.5, n)
    on_image, flags = np.zeros(n), np.zeros(n, np.int32)
    middle = (side - 1) / 2
    for i in range(n):
        place = np.array([x[i], y[i]])
        first = np.ceil(place - side / 2)
        picture = draw(None, profile, (side, side), place - first - middle)
        parts = overlap((int(first[0]), int(first[1])), (side, side), light.shape)
        if picture is None or parts is None:
            flags[i] = Flag.NO_RESULT
            continue
        ours, theirs = parts
        part = fluxes[i] * picture[theirs].astype(np.float64)
        light[ours] += part
        on_image[i] = part.sum()
        if part.shape != picture.shape:
            flags[i] = Flag.PARTIAL_OVERLAP
    return {"x": x, "y": y, "flux": fluxes, "flux_on_image": on_image, "flags": flags}


def _fluxes(flux: Any, n: int, unit: u.UnitBase, rng: np.random.Generator) -> NDArray[np.float64]:
    """Read the argument ``star_flux``."""
    if not isinstance(flux, u.Quantity):
        raise TypeError(
            f"star_flux={flux!r} has no unit: [1, 1000] * u.Unit('{unit}'), the lowest and the "
            f"highest, or {n} fluxes"
        )
    try:
        values = np.atleast_1d(flux.to_value(unit)).astype(np.float64)
    except u.UnitConversionError as exc:
        raise u.UnitConversionError(
            f"star_flux must have a unit like that of the image, {unit}, got {flux.unit}"
        ) from exc
    if values.shape not in ((n,), (1,), (2,)):
        raise ValueError(f"star_flux must be two fluxes, or {n}, got the shape {flux.shape}")
    if not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(f"star_flux must be positive and finite, got {flux}")
    if values.shape == (2,) and n != 2:
        low, high = np.sort(np.log(values)).tolist()
        return np.exp(rng.uniform(low, high, n))
    return np.broadcast_to(values, n).copy()


def _side(psf: Psf) -> int:
    """Pixels that hold nearly all of a star."""
    wide = galsim().GSParams(folding_threshold=1e-3)
    size = psf.profile.withGSParams(wide).getGoodImageSize(1.0)
    return int(np.clip(size, *_SIDES))
