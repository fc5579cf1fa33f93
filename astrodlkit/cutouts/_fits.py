"""Bands out of FITS files and what astropy reads of them."""

import bz2
import gzip
import io
import lzma
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from ..exceptions import AstrodlkitWarning
from ._arrays import POWERS, celestial, split, with_uncertainty
from ._grids import quiet_wcs
from ._image import Image

__all__ = [
    "IMAGE_HDUS",
    "from_hdu",
    "from_hdus",
    "from_opened",
    "from_path",
    "image_hdu",
    "is_image",
    "mask_hdu",
    "open_fits",
    "read_unit",
    "stored",
    "stored_uncertainty",
    "uncertainty_hdu",
    "unpacked",
]

IMAGE_HDUS = (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)
"""What of a FITS file may hold an image."""

_PACKED: dict[bytes, Any] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}


def from_path(path: Path, name: str, number: int | None = None) -> list[Image]:
    """The bands of a file, or of one of its HDUs; nothing but the headers need be read."""
    try:
        return from_opened(partial(open_fits, path), name, number)
    except FileNotFoundError:
        raise
    except (OSError, AstropyUserWarning) as exc:
        raise OSError(f"{name}: {path} is not a FITS file that can be read: {exc}") from exc


def from_opened(
    open_hdus: Callable[..., AbstractContextManager[fits.HDUList]], name: str, number: int | None
) -> list[Image]:
    """The bands of what can be opened with options of `astropy.io.fits.open`."""
    with warnings.catch_warnings():
        # astropy only warns that the file ends before its data do.
        warnings.filterwarnings("error", ".*truncated.*", AstropyUserWarning)
        # Scaled data cannot be memory-mapped, stored data can: the stamps are scaled later.
        with open_hdus(do_not_scale_image_data=True) as hdus:
            hdu = image_hdu(hdus, name, number)
            if not isinstance(hdu, fits.CompImageHDU):
                scaling, uncertain = stored(hdu), uncertainty_hdu(hdus, hdu, name)
                images = [replace(image, **scaling) for image in from_hdus(hdus, name, number)]
                if uncertain is not None:
                    images = [stored_uncertainty(image, uncertain[0]) for image in images]
                return images
        # What is unpacked is not mapped, and astropy would refuse to scale it.
        with open_hdus(memmap=False) as hdus:
            return from_hdus(hdus, name, number)


@contextmanager
def open_fits(path: Path, **options: Any) -> Iterator[fits.HDUList]:
    """A FITS file, memory-mapped if it is not compressed, and closed even if it is damaged."""
    with path.open("rb") as stream:
        packed: Any = unpacked(stream)
        source: IO[bytes] = stream
        if packed is not None:
            # Unpacked once: astropy would begin anew for each HDU.
            with packed, _as_oserror("what is packed in it is damaged"):
                source = io.BytesIO(packed.read())
        with fits.open(source, **{"memmap": packed is None, **options}) as hdus:
            yield hdus


def unpacked(stream: Any) -> IO[bytes] | None:
    """What is packed in a file, to be read in its order; None if nothing is."""
    start = stream.read(6)
    stream.seek(0)
    for magic, unpack in _PACKED.items():
        if start.startswith(magic):
            file: IO[bytes] = unpack(stream)
            return file
    return None


@contextmanager
def _as_oserror(what: str) -> Iterator[None]:
    """Whatever is raised for damaged data, by astropy, zlib, cfitsio..., as one kind of error."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as exc:
        raise OSError(f"{what}: {exc}") from exc


def stored(hdu: Any) -> dict[str, Any]:
    """How the values of an HDU that is not scaled become physical."""
    header = hdu.header
    return {
        "scale": header.get("BSCALE", 1.0),
        "zero": header.get("BZERO", 0.0),
        "blank": header.get("BLANK") if header["BITPIX"] > 0 else None,
    }


def stored_uncertainty(image: Image, hdu: Any) -> Image:
    """An image with the uncertainty of an HDU that is not scaled."""
    scaling = stored(hdu)
    return replace(
        image,
        uncertainty_scale=image.uncertainty_scale * scaling["scale"],
        uncertainty_zero=scaling["zero"] / scaling["scale"],
    )


def is_image(hdu: Any) -> bool:
    """Whether an HDU holds an image."""
    return isinstance(hdu, IMAGE_HDUS) and hdu.header.get("NAXIS", 0) >= 2


def image_hdu(hdus: fits.HDUList, name: str, number: int | None) -> Any:
    """An HDU with an image, by its number or the first."""
    for hdu in hdus if number is None else hdus[number : number + 1]:
        if is_image(hdu):
            return hdu
    which = "no HDU of the file" if number is None else f"no HDU {number}"
    raise ValueError(f"{name}: {which} holds an image")


def from_hdus(hdus: fits.HDUList, name: str, number: int | None = None) -> list[Image]:
    """One image of a file, with the mask and uncertainty that CCDData wrote beside it."""
    hdu = image_hdu(hdus, name, number)
    image = from_hdu(hdu, name, hdus)
    mask, uncertain = mask_hdu(hdus, hdu, name), uncertainty_hdu(hdus, hdu, name)
    if mask is not None:
        image = replace(image, mask=np.asarray(_pixels(mask, name), dtype=bool))
    if uncertain is not None:
        layer, kind, unit = uncertain
        image = with_uncertainty(image, kind(_pixels(layer, name), unit=unit), name)
    return split(image, name)


def mask_hdu(hdus: fits.HDUList, hdu: Any, name: str) -> Any:
    """The mask that CCDData wrote beside an image, or None."""
    if "MASK" not in hdus or getattr(hdus["MASK"], "shape", None) != hdu.shape:
        return None
    if hdus["MASK"].header["BITPIX"] == 8:
        return hdus["MASK"]
    _warn(f"{name}: the HDU MASK is not true or false, as CCDData has it, and is not used")
    return None


def uncertainty_hdu(hdus: fits.HDUList, hdu: Any, name: str) -> tuple[Any, type, Any] | None:
    """The uncertainty that CCDData wrote beside an image, its kind and its unit; or None."""
    if "UNCERT" not in hdus or getattr(hdus["UNCERT"], "shape", None) != hdu.shape:
        return None
    layer = hdus["UNCERT"]
    kind = layer.header.get("UTYPE", "StdDevUncertainty")
    kinds = {cls.__name__: cls for cls in POWERS} | {cls(0).uncertainty_type: cls for cls in POWERS}
    if kind not in kinds:
        raise TypeError(f"{name}: the uncertainty of the file is of the unknown kind {kind!r}")
    return layer, kinds[kind], read_unit(layer.header, name)


def from_hdu(hdu: Any, name: str, hdus: fits.HDUList | None = None) -> Image:
    """One HDU, with as many axes as it has; ``hdus`` may hold tables of its WCS."""
    data = _pixels(hdu, name)
    if data is None:
        raise ValueError(f"{name}: HDU {hdu.name or 'PRIMARY'!r} has no image")
    wcs = quiet_wcs(hdu.header, hdus)
    # Every header gives some WCS; one without a sky only means pixel positions.
    return Image(
        data, celestial(wcs, name) if wcs.has_celestial else None, read_unit(hdu.header, name)
    )


def _pixels(hdu: Any, name: str) -> Any:
    with _as_oserror(f"{name}: the pixels of the HDU cannot be read"):
        return hdu.data


def read_unit(header: fits.Header, name: str) -> u.UnitBase | None:
    """The unit of the pixels."""
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
