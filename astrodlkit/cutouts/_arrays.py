"""Bands out of arrays, with what belongs to them."""

from dataclasses import replace
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.nddata import InverseVariance, StdDevUncertainty, VarianceUncertainty
from astropy.wcs import WCS

from ._grids import quiet_wcs
from ._image import Image

__all__ = ["POWERS", "celestial", "from_array", "split", "with_uncertainty"]

POWERS = {StdDevUncertainty: 2, VarianceUncertainty: 1, InverseVariance: -1}
"""Power of the stored uncertainty that is the variance."""


def from_array(array: Any, wcs: WCS | None) -> Image:
    """An array, a Quantity or a masked array."""
    mask = getattr(array, "mask", None)
    array = getattr(array, "unmasked", array)
    unit = getattr(array, "unit", None)
    if unit is not None:
        array = array.value
    return Image(np.ma.getdata(array), wcs, unit, mask)


def with_uncertainty(image: Image, uncertainty: Any, name: str) -> Image:
    """An image with the uncertainty of NDData."""
    if uncertainty is None:
        return image
    power = POWERS.get(type(uncertainty))
    if power is None:
        raise TypeError(
            f"{name}: the uncertainty is a {type(uncertainty).__name__}; StdDevUncertainty, "
            "VarianceUncertainty and InverseVariance can be carried. Convert it, or set it to None"
        )
    scale = 1.0
    if uncertainty.unit is not None and image.unit is not None:
        scale = (uncertainty.unit ** (power / 2)).to(image.unit) ** (2 / power)
    return replace(
        image, uncertainty=np.asarray(uncertainty.array), power=power, uncertainty_scale=scale
    )


def celestial(wcs: Any, name: str) -> WCS | None:
    """The two celestial axes of a FITS WCS."""
    if wcs is None:
        return None
    if isinstance(wcs, fits.Header):
        wcs = quiet_wcs(wcs)
    wcs = _unsliced(wcs)
    if not isinstance(wcs, WCS):
        raise TypeError(
            f"{name}: the WCS must be an astropy.wcs.WCS, got {type(wcs).__name__}; "
            "a gwcs becomes one with WCS(gwcs.to_fits_sip())"
        )
    if not wcs.has_celestial:
        raise ValueError(
            f"{name}: the WCS has no celestial axes (CTYPE = {list(wcs.wcs.ctype)}); pass the "
            "image without it to cut at pixel positions"
        )
    if wcs.naxis == 2:
        return wcs
    if {wcs.wcs.lng, wcs.wcs.lat} != {0, 1}:
        raise ValueError(
            f"{name}: the celestial axes must be the last two of the array and the first two of "
            f"the WCS, got CTYPE = {list(wcs.wcs.ctype)}; numpy.moveaxis and WCS.sub bring them "
            "there"
        )
    return wcs.celestial


def _unsliced(wcs: Any) -> Any:
    """Sliced NDData wrap their FITS WCS, which can be sliced itself."""
    low = getattr(wcs, "low_level_wcs", wcs)
    inner, slices = getattr(low, "_wcs", None), getattr(low, "_slices_array", None)
    if isinstance(inner, WCS) and slices and all(isinstance(s, slice) for s in slices):
        return inner.slice(slices)
    return wcs if isinstance(wcs, WCS) else low


def split(image: Image, name: str) -> list[Image]:
    """Check one object's arrays and give its bands, each (ny, nx)."""
    data = image.data
    if data.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, not {data.dtype}")
    if data.ndim > 3 and set(data.shape[:-3]) == {1}:
        data = data.reshape(data.shape[-3:])
    if data.ndim not in (2, 3):
        raise ValueError(f"{name} must have shape (ny, nx) or (band, ny, nx), got {data.shape}")
    if 0 in data.shape:
        raise ValueError(f"{name} has no pixels: its shape is {data.shape}")
    if data.ndim == 3 and data.shape[2] in (3, 4) and data.shape[0] > 4:
        raise ValueError(
            f"{name} has shape {data.shape}, which looks like a picture with its colours last; "
            "bands come first: numpy.moveaxis(picture, -1, 0)"
        )
    extra: dict[str, Any] = {}
    for what in ("mask", "uncertainty"):
        array: Any = getattr(image, what)
        if array is None or array is np.ma.nomask:
            extra[what] = None
            continue
        array = np.asarray(array)
        if what == "mask":
            array = np.broadcast_to(array.astype(bool, copy=False), image.data.shape)
        if array.shape != image.data.shape:
            raise ValueError(f"{name}: the {what} has shape {array.shape}, not {image.data.shape}")
        extra[what] = array.reshape(data.shape)
    if data.ndim == 2:
        return [replace(image, data=np.asarray(data), **extra)]
    return [
        replace(
            image,
            data=np.asarray(data[i]),
            mask=None if extra["mask"] is None else extra["mask"][i],
            uncertainty=None if extra["uncertainty"] is None else extra["uncertainty"][i],
        )
        for i in range(len(data))
    ]
