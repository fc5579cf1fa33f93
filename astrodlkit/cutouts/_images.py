"""Images out of whatever the user holds: one `Image` for each band."""

import bz2
import gzip
import io
import lzma
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import (
    InverseVariance,
    NDData,
    StdDevUncertainty,
    VarianceUncertainty,
)
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS
from numpy.typing import NDArray

from ..exceptions import AstrodlkitWarning
from ._grids import lonlat_to_pixel, quiet_wcs, sky_to_lonlat

__all__ = ["Image", "read_images"]

_IMAGE_HDUS = (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)
_COMPRESSED = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ": lzma.decompress,
}
_INPUTS = (
    "NDData, CCDData, (array, wcs), an array, an HDU, an HDUList or the path of a FITS file, "
    "or a dict or list with one of these for each band"
)
# Power of the stored uncertainty that is the variance.
_POWERS = {StdDevUncertainty: 2, VarianceUncertainty: 1, InverseVariance: -1}


@dataclass(frozen=True)
class Image:
    """
    One band: pixels that are read, converted and scaled only where a stamp needs them.

    ``data``, ``mask`` and ``uncertainty`` have shape (ny, nx) and may be
    memory-mapped, big-endian and read-only. ``scale`` and ``zero`` turn stored
    into physical values and ``blank`` is the stored value of a pixel without one.
    """

    data: NDArray
    wcs: WCS | None = None
    unit: u.UnitBase | None = None
    mask: NDArray | None = None
    uncertainty: NDArray | None = None
    power: int = 1
    uncertainty_scale: float = 1.0
    scale: float = 1.0
    zero: float = 0.0
    blank: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx) of the image."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        """The floating type its stamps have."""
        wide = self.data.dtype.kind == "f" and self.data.dtype.itemsize >= 8
        return np.dtype(np.float64 if wide else np.float32)

    def to_pixel(self, lon: NDArray, lat: NDArray) -> tuple[NDArray, NDArray]:
        """0-based x and y of positions in degrees, in the frame of the WCS."""
        return lonlat_to_pixel(self.wcs, lon, lat, self.shape)

    def sky_to_pixel(self, coords: SkyCoord) -> tuple[NDArray, NDArray]:
        """0-based x and y of coordinates in any frame."""
        return self.to_pixel(*sky_to_lonlat(self.wcs, coords))

    def contains(self, x: NDArray, y: NDArray) -> NDArray[np.bool_]:
        """Whether positions lie on a pixel."""
        height, width = self.shape
        return (x >= -0.5) & (y >= -0.5) & (x < width - 0.5) & (y < height - 0.5)

    def values(self, box: tuple[Any, Any]) -> NDArray:
        """Physical values in a box; NaN where there are none."""
        values = self.data[box]
        if self.scale == 1 and self.zero == 0 and self.blank is None:
            return values
        physical = values * np.float64(self.scale) + self.zero
        if self.blank is not None:
            physical[values == self.blank] = np.nan
        return physical

    def variance(self, box: tuple[Any, Any]) -> NDArray[np.float64]:
        """Variance in a box, in the square of the unit."""
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            stored = np.asarray(self.uncertainty[box], dtype=np.float64)
            return (stored * self.uncertainty_scale) ** self.power


def read_images(data: Any, bands: Sequence[str] | None) -> dict[str, Image]:
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
    unit = images[0].unit
    same = []
    for name, image in zip(names, images, strict=True):
        factor = 1.0
        if image.unit != unit:
            try:
                factor = image.unit.to(unit)
            except (u.UnitConversionError, AttributeError, TypeError) as exc:
                raise u.UnitConversionError(
                    f"data: the unit of band {name!r} is {image.unit}, "
                    f"that of band {names[0]!r} is {unit}: give all bands one kind of unit"
                ) from exc
        same.append(
            replace(
                image,
                unit=unit,
                scale=image.scale * factor,
                zero=image.zero * factor,
                uncertainty_scale=image.uncertainty_scale * factor ** (2 / image.power),
            )
        )
    return same


def _planes(data: Any, name: str) -> list[Image]:
    """The band or bands of one object."""
    if isinstance(data, str | os.PathLike):
        return _from_path(Path(data), name)
    if isinstance(data, fits.HDUList):
        return _from_hdus(data, name)
    if isinstance(data, _IMAGE_HDUS):
        return _split(_from_hdu(data, name), name)
    if isinstance(data, NDData):
        return _split(_from_nddata(data, name), name)
    array, wcs = data if _is_pair(data) else (data, None)
    if not hasattr(array, "dtype"):
        raise TypeError(f"{name} must be {_INPUTS}, got {type(data).__name__}")
    return _split(_from_array(array, _celestial(wcs, name)), name)


def _from_array(array: Any, wcs: WCS | None) -> Image:
    mask = getattr(array, "mask", None)
    array = getattr(array, "unmasked", array)
    unit = getattr(array, "unit", None)
    if unit is not None:
        array = array.value
    return Image(np.ma.getdata(array), wcs, unit, mask)


def _from_nddata(data: NDData, name: str) -> Image:
    image = _from_array(data.data, _celestial(data.wcs, name))
    image = replace(image, unit=data.unit or image.unit)
    if data.mask is not None:
        inner = False if image.mask is None else image.mask
        image = replace(image, mask=np.asarray(data.mask, dtype=bool) | inner)
    return _with_uncertainty(image, data.uncertainty, name)


def _with_uncertainty(image: Image, uncertainty: Any, name: str) -> Image:
    if uncertainty is None:
        return image
    power = _POWERS.get(type(uncertainty))
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


def _from_path(path: Path, name: str) -> list[Image]:
    try:
        with warnings.catch_warnings():
            # astropy only warns that the file ends before its data do.
            warnings.filterwarnings("error", ".*truncated.*", AstropyUserWarning)
            # Scaled data cannot be memory-mapped, stored data can: the stamps are scaled later.
            with _open(path, do_not_scale_image_data=True) as hdus:
                hdu = _first_image(hdus, name)
                if not isinstance(hdu, fits.CompImageHDU):
                    header = hdu.header
                    scaling = {
                        "scale": header.get("BSCALE", 1.0),
                        "zero": header.get("BZERO", 0.0),
                        "blank": header.get("BLANK") if header["BITPIX"] > 0 else None,
                    }
                    return [replace(image, **scaling) for image in _from_hdus(hdus, name)]
            with _open(path) as hdus:
                return _from_hdus(hdus, name)
    except FileNotFoundError:
        raise
    except (OSError, AstropyUserWarning, EOFError, lzma.LZMAError) as exc:
        raise OSError(f"{name}: {path} is not a FITS file that can be read: {exc}") from exc


@contextmanager
def _open(path: Path, **options: Any) -> Iterator[fits.HDUList]:
    """A FITS file, memory-mapped if it is not compressed, and closed even if it is damaged."""
    with path.open("rb") as stream:
        start = stream.read(6)
        stream.seek(0)
        unpack = [unpack for magic, unpack in _COMPRESSED.items() if start.startswith(magic)]
        # Unpacked once: astropy would begin anew for each HDU.
        source = io.BytesIO(unpack[0](stream.read())) if unpack else stream
        with fits.open(source, memmap=not unpack, **options) as hdus:
            yield hdus


def _first_image(hdus: fits.HDUList, name: str) -> Any:
    for hdu in hdus:
        if isinstance(hdu, _IMAGE_HDUS) and hdu.header.get("NAXIS", 0) >= 2:
            return hdu
    raise ValueError(f"{name}: no HDU of the file holds an image")


def _from_hdus(hdus: fits.HDUList, name: str) -> list[Image]:
    """The first image of a file, with the mask and uncertainty that CCDData wrote beside it."""
    hdu = _first_image(hdus, name)
    image = _from_hdu(hdu, name, hdus)
    if "MASK" in hdus and hdus["MASK"].shape == hdu.shape:
        if hdus["MASK"].header["BITPIX"] == 8:
            image = replace(image, mask=np.asarray(hdus["MASK"].data, dtype=bool))
        else:
            _warn(f"{name}: the HDU MASK is not true or false, as CCDData has it, and is not used")
    if "UNCERT" in hdus and hdus["UNCERT"].shape == hdu.shape:
        kind = hdus["UNCERT"].header.get("UTYPE", "StdDevUncertainty")
        kinds = {cls.__name__: cls for cls in _POWERS} | {
            cls(0).uncertainty_type: cls for cls in _POWERS
        }
        if kind not in kinds:
            raise TypeError(f"{name}: the uncertainty of the file is of the unknown kind {kind!r}")
        unit = _unit(hdus["UNCERT"].header, name)
        image = _with_uncertainty(image, kinds[kind](hdus["UNCERT"].data, unit=unit), name)
    return _split(image, name)


def _from_hdu(hdu: Any, name: str, hdus: fits.HDUList | None = None) -> Image:
    try:
        data = hdu.data
    except (ValueError, TypeError, OSError) as exc:
        raise OSError(f"{name}: the pixels of the HDU cannot be read: {exc}") from exc
    if data is None:
        raise ValueError(f"{name}: HDU {hdu.name or 'PRIMARY'!r} has no image")
    wcs = quiet_wcs(hdu.header, hdus)
    # Every header gives some WCS; one without a sky only means pixel positions.
    return Image(
        data, _celestial(wcs, name) if wcs.has_celestial else None, _unit(hdu.header, name)
    )


def _unit(header: fits.Header, name: str) -> u.UnitBase | None:
    text = str(header.get("BUNIT", "")).strip()
    if not text:
        return None
    try:
        return u.Unit(text)
    except ValueError:
        _warn(f"{name}: BUNIT = {text!r} is not a unit astropy knows; the cutouts have no unit")
        return None


def _warn(message: str) -> None:
    warnings.warn(message, AstrodlkitWarning, stacklevel=3)


def _celestial(wcs: Any, name: str) -> WCS | None:
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
    return wcs if wcs.naxis == 2 else wcs.celestial


def _unsliced(wcs: Any) -> Any:
    """Sliced NDData wrap their FITS WCS, which can be sliced itself."""
    low = getattr(wcs, "low_level_wcs", wcs)
    inner, slices = getattr(low, "_wcs", None), getattr(low, "_slices_array", None)
    if isinstance(inner, WCS) and slices and all(isinstance(s, slice) for s in slices):
        return inner.slice(slices)
    return wcs if isinstance(wcs, WCS) else low


def _split(image: Image, name: str) -> list[Image]:
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
    extra = {}
    for what in ("mask", "uncertainty"):
        array = getattr(image, what)
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
            **{what: None if array is None else array[i] for what, array in extra.items()},
        )
        for i in range(len(data))
    ]
