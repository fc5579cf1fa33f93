"""PSFs in all the forms that people have them in, as GalSim objects."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from astropy import units as u
from astropy.convolution import Kernel
from astropy.modeling import Model
from astropy.nddata import NDData

from .._optional import import_optional
from ..exceptions import AstrodlkitWarning

__all__ = ["MOFFAT_BETA", "Psf", "galsim", "read_psfs"]

MOFFAT_BETA = 3.5
"""Of the Moffat profile that a width alone stands for."""

# How far the sum may be from 1, and the centroid from the middle in pixels, before it is said.
_NORMALISED, _CENTRED = 0.01, 0.1
# How much longer in one direction pixels may be to be taken for square.
_SQUARE = 1e-3


@dataclass(frozen=True)
class Psf:
    """
    A PSF on the pixels of the stamps.

    ``profile`` is a GalSim object in pixels, or None for no PSF; ``has_pixel``
    says whether it is integrated over a pixel already.
    """

    profile: Any = None
    has_pixel: bool = False

    @cached_property
    def width(self) -> float:
        """Full width at half maximum in pixels, with the pixel's own."""
        if self.profile is None:
            return 1.0
        width = _width(self.profile)
        return width if self.has_pixel else float(np.hypot(width, 1))


def galsim() -> Any:
    """Load GalSim."""
    return import_optional("galsim", extra="galsim", purpose="to draw galaxies")


def read_psfs(psf: Any, bands: Sequence[str], scale: float, stretch: float = 1.0) -> list[Psf]:
    """
    Read the argument ``psf``.

    Parameters
    ----------
    psf : object
        The argument: a PSF, or a mapping with one for each band.
    bands : sequence of str
        The user's.
    scale : float
        Arcseconds a pixel, the root of its area.
    stretch : float
        How much longer a pixel is in x than in y.

    Returns
    -------
    psfs : list of Psf
        One for each band, the same object where it is the same.
    """
    if not isinstance(psf, Mapping):
        return [_read(psf, scale, stretch)] * len(bands)
    missing = [band for band in bands if band not in psf]
    if missing:
        raise ValueError(f"psf has no PSF for the bands {missing}, only for {list(psf)}")
    return [_read(psf[band], scale, stretch) for band in bands]


def _read(psf: Any, scale: float, stretch: float) -> Psf:
    gs = galsim()
    if psf is None:
        return Psf()
    if isinstance(psf, gs.GSObject):
        if not np.isfinite(psf.flux) or psf.flux <= 0:
            raise ValueError(f"psf must have a positive flux, got {psf.flux}")
        if abs(psf.flux - 1) > _NORMALISED:
            _say_normalised(psf.flux)
        return Psf(_stretched(psf.withFlux(1).dilate(1 / scale), stretch))
    if isinstance(psf, u.Quantity) and psf.isscalar:
        if psf.unit.is_equivalent(u.pix):
            fwhm, stretch = psf.to_value(u.pix), 1.0
        else:
            try:
                fwhm = psf.to_value(u.arcsec) / scale
            except u.UnitConversionError as exc:
                raise u.UnitConversionError(
                    f"psf must be a width in arcsec or pixels, got {psf}"
                ) from exc
        if not (np.isfinite(fwhm) and fwhm > 0):
            raise ValueError(f"psf must be a positive width, got {psf}")
        return Psf(_stretched(gs.Moffat(beta=MOFFAT_BETA, fwhm=fwhm), stretch))
    return Psf(_from_image(psf, gs), has_pixel=True)


def _stretched(profile: Any, stretch: float) -> Any:
    """What a profile on square pixels is on pixels that are longer in x, of the same area."""
    if abs(stretch - 1) < _SQUARE:
        return profile
    return profile.transform(stretch**-0.5, 0, 0, stretch**0.5)


def _from_image(psf: Any, gs: Any) -> Any:
    """A picture of a PSF: an array, NDData, an astropy kernel, or photutils' ImagePSF."""
    if isinstance(psf, Model) and not hasattr(psf, "oversampling"):
        raise TypeError(
            f"psf cannot be a {type(psf).__name__}, of which it is not known how wide it is and "
            "whether a pixel is in it: give a width with a unit (0.7 * u.arcsec), a GalSim object, "
            "or an image of it"
        )
    if isinstance(psf, Kernel):
        psf = psf.array
    if np.any(_mask(psf)):
        raise ValueError("psf has masked pixels: fill them, or cut them off")
    oversampling = np.broadcast_to(getattr(psf, "oversampling", 1), 2)
    origin = getattr(psf, "origin", None)
    array = getattr(psf, "data", psf) if isinstance(psf, NDData) or origin is not None else psf
    array = getattr(array, "value", array)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu" or array.ndim != 2:
        raise TypeError(
            "psf must be a width with a unit (0.7 * u.arcsec), an image, a photutils ImagePSF, a "
            f"GalSim object or None, got {psf!r}"
        )
    if oversampling[0] != oversampling[1]:
        raise ValueError(f"psf must have one oversampling for x and y, got {oversampling}")
    array = np.ascontiguousarray(array, dtype=np.float64)
    fine, total = int(oversampling[0]), float(array.sum())
    if not np.isfinite(array).all() or total <= 0:
        raise ValueError(f"psf must be finite with a positive sum, its sum is {total}")
    if abs(total / fine**2 - 1) > _NORMALISED:
        _say_normalised(total / fine**2)
    middle = (np.array(array.shape[::-1]) - 1) / 2
    if origin is None:
        y, x = np.indices(array.shape)
        off = np.array([(array * x).sum(), (array * y).sum()]) / total - middle
        if np.abs(off).max() > _CENTRED:
            warnings.warn(
                f"the centroid of psf lies {off[0]:.2f}, {off[1]:.2f} pixels (x, y) from the "
                "middle of its image, and so will galaxies",
                AstrodlkitWarning,
                stacklevel=2,
            )
    profile = gs.InterpolatedImage(gs.Image(array, scale=1 / fine), flux=1.0)
    shift = (0.0, 0.0) if origin is None else tuple((middle - origin) / fine)
    return profile.shift(*shift)


def _mask(psf: Any) -> Any:
    """Mask of NDData, or of a masked array; False of others."""
    mask = getattr(psf, "mask", None)
    return False if mask is None else np.asarray(mask, bool)


def _say_normalised(total: float) -> None:
    warnings.warn(
        f"psf is normalised: its sum is {total:.6g}, not 1", AstrodlkitWarning, stacklevel=2
    )


def _width(profile: Any) -> float:
    """Full width at half maximum in pixels."""
    if isinstance(profile, galsim().DeltaFunction) or profile.stepk > 1e6:
        return 0.0
    try:
        return float(profile.calculateFWHM())
    except (NotImplementedError, RuntimeError, ValueError):
        image = profile.drawImage(scale=0.25, method="no_pixel").array
        return float(2 * np.sqrt((image > image.max() / 2).sum() / np.pi) / 4)
