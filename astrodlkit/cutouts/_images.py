"""Images out of whatever the user holds: one `Image` for each band."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import NDData
from astropy.wcs import WCS

from ._arrays import celestial, from_array, split, with_uncertainty
from ._fits import IMAGE_HDUS, from_hdu, from_hdus, from_path
from ._image import Image

__all__ = ["read_images"]

_INPUTS = (
    "NDData, CCDData, (array, wcs), an array, an HDU, an HDUList or the path of a FITS file, "
    "or a dict or list with one of these for each band"
)


def read_images(data: Any, bands: Sequence[str] | None = None) -> dict[str, Image]:
    """
    One `Image` for each band, all in the unit of the first.

    Parameters
    ----------
    data : object
        The ``data`` of `~astrodlkit.cutouts.extract_cutouts`.
    bands : sequence of str or None
        Which bands of a dict, in which order; names for a list or a 3-D array.

    Returns
    -------
    images : dict of Image
        By name of the band.

    Raises
    ------
    ValueError
        If the bands, their units or their WCSs do not go together.
    TypeError
        If ``data`` is something that no image can be made of.

    Examples
    --------
    >>> import numpy as np
    >>> from astrodlkit.cutouts import read_images
    >>> list(read_images(np.zeros((2, 8, 8)), ["g", "r"]))
    ['g', 'r']
    """
    if isinstance(bands, str):
        bands = (bands,)
    if isinstance(data, Mapping):
        unknown = [name for name in bands or () if name not in data]
        if unknown:
            raise ValueError(f"bands has {unknown}, but data only has {list(data)}")
        names = [str(name) for name in (bands or data)]
        groups = [_planes(data[name], f"data[{name!r}]") for name in (bands or data)]
        if any(len(group) != 1 for group in groups):
            raise ValueError("data: an image in a dict of bands must be two-dimensional")
        images = [group[0] for group in groups]
    else:
        if (
            isinstance(data, list | tuple)
            and not _is_pair(data)
            and not isinstance(data, fits.HDUList)
        ):
            images = [p for i, item in enumerate(data) for p in _planes(item, f"data[{i}]")]
        else:
            images = _planes(data, "data")
        names = [str(name) for name in bands or (f"band{i}" for i in range(len(images)))]
    _check_together(names, images)
    return dict(zip(names, _same_unit(names, images), strict=True))


def _check_together(names: list[str], images: list[Image]) -> None:
    """Refuse bands of which no `Cutouts` can be made."""
    if not images:
        raise ValueError("data holds no image")
    if len(names) != len(images):
        raise ValueError(f"bands has {len(names)} names for {len(images)} images")
    if len(set(names)) != len(names):
        raise ValueError(f"bands must differ, got {names}")
    without = [name for name, image in zip(names, images, strict=True) if image.wcs is None]
    if without and len(without) != len(names):
        raise ValueError(f"data: the bands {without} have no celestial WCS, but the others do")
    if without and len({image.shape for image in images}) > 1:
        raise ValueError("data: images of different shapes need a WCS to be cut at one position")
    unsure = [name for name, i in zip(names, images, strict=True) if i.uncertainty is None]
    if unsure and len(unsure) != len(names):
        raise ValueError(f"data: the bands {unsure} have no uncertainty, but the others do")


def _is_pair(data: Any) -> bool:
    """Whether this is (array, wcs)."""
    return (
        isinstance(data, tuple)
        and len(data) == 2
        and (
            data[1] is None
            or isinstance(data[1], WCS | fits.Header)
            or hasattr(data[1], "low_level_wcs")
        )
    )


def _same_unit(names: list[str], images: list[Image]) -> list[Image]:
    unit: Any = images[0].unit
    same = []
    for name, image in zip(names, images, strict=True):
        try:
            same.append(image.converted(unit))
        except u.UnitConversionError as exc:
            raise u.UnitConversionError(
                f"data: the unit of band {name!r} is {image.unit}, "
                f"that of band {names[0]!r} is {unit}: give all bands one kind of unit"
            ) from exc
    return same


def _planes(data: Any, name: str) -> list[Image]:
    """The band or bands of one object."""
    if isinstance(data, Image):
        return [data]
    if isinstance(data, str | os.PathLike):
        return from_path(Path(data), name)
    if isinstance(data, fits.HDUList):
        return from_hdus(data, name)
    if isinstance(data, IMAGE_HDUS):
        return split(from_hdu(data, name), name)
    if isinstance(data, NDData):
        return split(_from_nddata(data, name), name)
    array, wcs = data if _is_pair(data) else (data, None)
    if not hasattr(array, "dtype"):
        raise TypeError(f"{name} must be {_INPUTS}, got {type(data).__name__}")
    return split(from_array(array, celestial(wcs, name)), name)


def _from_nddata(data: NDData, name: str) -> Image:
    image = from_array(data.data, celestial(data.wcs, name))
    image = replace(image, unit=data.unit or image.unit)
    if data.mask is not None:
        inner = False if image.mask is None else image.mask
        image = replace(image, mask=np.asarray(data.mask, dtype=bool) | inner)
    return with_uncertainty(image, data.uncertainty, name)
