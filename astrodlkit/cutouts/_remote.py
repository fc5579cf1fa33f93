"""Images at URLs, of which only what is asked for is fetched."""

import io
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from threading import RLock
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import NDArray

from ._arrays import celestial, with_uncertainty
from ._fits import (
    from_opened,
    image_hdu,
    mask_hdu,
    read_unit,
    stored,
    stored_uncertainty,
    uncertainty_hdu,
    unpacked,
)
from ._grids import quiet_wcs
from ._image import Image

__all__ = ["BadImageError", "is_url", "open_remote", "remote_images", "strips"]

# Bytes that are fetched at a time, and how many such pieces of a file are kept: the rows of a
# stamp lie near each other, and those of the next stamp often too.
_PIECE, _KEPT = 1 << 20, 8


class BadImageError(OSError):
    """An image, or a part of it, that cannot be used."""

    def __init__(self, path: str, reason: object) -> None:
        # Errors of decompression may say nothing but their kind.
        text = str(reason) or type(reason).__name__
        super().__init__(text if path in text else f"{path} cannot be read: {text}")
        self.path = path


def is_url(path: str) -> bool:
    """Whether a path is for fsspec."""
    return "://" in path


@contextmanager
def open_remote(url: str) -> Iterator[fits.HDUList]:
    """The HDUs of a file, of which no more than the headers is fetched if it is not packed."""
    stream = _Stream(url)
    with closing(stream), stream.reading():
        packed = unpacked(stream)
        with fits.open(stream if packed is None else packed, lazy_load_hdus=True) as hdus:
            yield hdus


def remote_images(url: str, hdu: int | None) -> list[Image]:
    """
    The bands of a file at a URL; as those of a local file, but read when they are cut.

    Parameters
    ----------
    url : str
        Of anything that fsspec reads.
    hdu : int or None
        Number of the HDU; None: the first image.

    Returns
    -------
    images : list of Image
        Of a packed file (gzip, bzip2, xz) wholly in memory.

    Raises
    ------
    BadImageError
        If what was fetched cannot be read.
    Exception
        What the file system raised, as it came.
    """
    stream = _Stream(url)
    with ExitStack() as stack:
        stack.callback(stream.close)
        stack.enter_context(stream.reading())
        packed = unpacked(stream)
        if packed is not None:
            with packed:
                content = packed.read()
            return from_opened(partial(fits.open, io.BytesIO(content)), url, hdu)
        stack.enter_context(warnings.catch_warnings())
        # Of what may lie behind the pixels nothing is needed.
        warnings.filterwarnings("ignore", ".*truncated.*", AstropyUserWarning)
        hdus = fits.open(stream, do_not_scale_image_data=True, lazy_load_hdus=True)
        image = _in_pieces(hdus, image_hdu(hdus, url, hdu), stream)
        stack.pop_all()
    return [image]


def _in_pieces(hdus: fits.HDUList, hdu: Any, stream: "_Stream") -> Image:
    url = stream.url
    if len(hdu.shape) > 2 and set(hdu.shape[:-2]) != {1}:
        raise ValueError(f"{url}: an image of an index has two axes, not shape {hdu.shape}")
    wcs, unit = quiet_wcs(hdu.header, hdus), read_unit(hdu.header, url)
    pixels: Any = _Pieces(hdu, stream)
    image = Image(pixels, celestial(wcs, url), unit, **stored(hdu))
    mask, uncertain = mask_hdu(hdus, hdu, url), uncertainty_hdu(hdus, hdu, url)
    if mask is not None:
        pixels = _Pieces(mask, stream)
        image = replace(image, mask=pixels)
    if uncertain is not None:
        layer, kind, unit = uncertain
        # The kind and the unit matter here; the pixels come later.
        image = with_uncertainty(image, kind(np.zeros(()), unit=unit), url)
        pixels = _Pieces(layer, stream)
        image = stored_uncertainty(replace(image, uncertainty=pixels), layer)
    return image


def strips(image: Image, coords: SkyCoord) -> list[NDArray[np.intp]]:
    """Positions in the order in which they are best cut, so that no piece is fetched twice."""
    height = getattr(image.data, "strip", None)
    if height is None:
        return [np.arange(len(coords))]
    strip = np.floor(np.nan_to_num(image.sky_to_pixel(coords)[1]) / height)
    order = np.argsort(strip, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(strip[order])) + 1)


class _Stream:
    """A file of fsspec that knows whether it was it that failed, or what was read from it."""

    mode = "rb"

    def __init__(self, url: str) -> None:
        from .._optional import import_optional

        import_optional("fsspec", extra="remote", purpose="for images at URLs")
        from fsspec.core import url_to_fs

        self.url = url
        system, path = url_to_fs(url)
        self._file = system.open(
            path,
            "rb",
            block_size=_PIECE,
            cache_type="blockcache",
            cache_options={"maxblocks": _KEPT},
        )
        self._failure: Exception | None = None
        self._lock = RLock()

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return bool(self._file.closed)

    def read(self, size: int = -1) -> bytes:
        """As of any file; so are the following."""
        try:
            found: bytes = self._file.read(size)
        except Exception as exc:
            self._failure = exc
            raise
        return found

    def seek(self, place: int, whence: int = 0) -> int:
        """Move."""
        return int(self._file.seek(place, whence))

    def tell(self) -> int:
        """Tell the place."""
        return int(self._file.tell())

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def seekable(self) -> bool:
        """Whether it can be moved in."""
        return True

    def close(self) -> None:
        """Close it."""
        self._file.close()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Raise what the file system raised as it came, and all else as a `BadImageError`."""
        with self._lock:
            self._failure = None
            try:
                yield
            except MemoryError:
                raise
            except Exception as exc:
                if self._failure is None or isinstance(self._failure, FileNotFoundError):
                    raise BadImageError(self.url, exc) from exc
                if self._failure is exc:
                    raise
                raise self._failure from exc
            if self._failure is not None:
                # astropy takes some errors for the end of the file.
                raise self._failure


class _Pieces:
    """Pixels that are read when they are asked for, and of what type they will be."""

    def __init__(self, hdu: Any, stream: _Stream) -> None:
        about = hdu.fileinfo()
        # astropy 7.0 does not say it of compressed images.
        if about is not None and about["datLoc"] + about["datSpan"] > about["file"].size:
            raise OSError(f"{stream.url} ends before its pixels do")
        self._section, self._stream = hdu.section, stream
        self._leading = (0,) * (len(hdu.shape) - 2)
        self.shape = hdu.shape[-2:]
        # The sections of astropy 7.0 do not tell their type.
        self.dtype = np.dtype(fits.hdu.BITPIX2DTYPE[hdu.header["BITPIX"]])
        # Rows of pixels that half of what is kept has room for.
        self.strip = max(_KEPT * _PIECE // 2 // (self.dtype.itemsize * self.shape[1]), 1)

    def __getitem__(self, box: tuple[Any, Any]) -> Any:
        with self._stream.reading():
            return self._section[(*self._leading, *box)]
