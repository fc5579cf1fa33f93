"""Images that are opened when they are needed, and kept while there is room."""

import errno
import warnings
from collections import OrderedDict
from mmap import mmap
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning
from astropy.utils.exceptions import AstropyUserWarning

from ..exceptions import AstrodlkitWarning
from ._arrays import celestial
from ._fits import from_path, image_hdu, read_unit, stored
from ._grids import quiet_wcs
from ._image import Image

__all__ = ["BadImageError", "OpenImages", "is_url", "open_remote"]

# Images kept, and bytes of those that had to be unpacked into memory.
_MOST, _BYTES = 64, 1 << 29
# What says nothing of a file, and passes: the run had better stop and be started again.
_PASSING = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT}


class BadImageError(OSError):
    """An image that cannot be used, of which the user has been told."""


class OpenImages:
    """The images that were used last."""

    def __init__(self) -> None:
        self._images: OrderedDict[tuple[str, int | None], Image | None] = OrderedDict()
        self._lock = RLock()
        self.opened = 0

    def get(self, path: str, hdu: int | None) -> Image:
        """
        An image of a file.

        Parameters
        ----------
        path : str
            The file or URL.
        hdu : int or None
            Number of the HDU; None: the first image.

        Returns
        -------
        image : Image
            Memory-mapped where it can be; of a URL, only what is asked for is
            read.

        Raises
        ------
        BadImageError
            If it cannot be read; the first time with a warning.
        """
        key = path, hdu
        with self._lock:
            if key not in self._images:
                self.opened += 1
                self._images[key] = _open(path, hdu)
                self._make_room()
            self._images.move_to_end(key)
            image = self._images[key]
        if image is None:
            raise BadImageError(f"{path} cannot be read")
        return image

    def _make_room(self) -> None:
        sizes = {key: _resident(image) for key, image in self._images.items()}
        total = sum(sizes.values())
        good = [key for key, image in self._images.items() if image is not None]
        # The last one stays, however large. Bad ones are remembered, and take no room.
        for key in good[:-1]:
            if total <= _BYTES and len(good) <= _MOST:
                break
            total -= sizes[key]
            good = good[1:]
            del self._images[key]


def is_url(path: str) -> bool:
    """Whether a path is for fsspec."""
    return "://" in path


def open_remote(url: str, **options: Any) -> fits.HDUList:
    """A FITS file of which only what is asked for is fetched."""
    from .._optional import import_optional

    import_optional("fsspec", extra="remote", purpose="for images at URLs")
    return fits.open(url, use_fsspec=True, lazy_load_hdus=True, **options)


def _open(path: str, hdu: int | None) -> Image | None:
    try:
        with warnings.catch_warnings():
            # What is wrong with a file is said below.
            warnings.simplefilter("ignore", VerifyWarning)
            return _remote(path, hdu) if is_url(path) else _local(path, hdu)
    except (OSError, ValueError, TypeError) as exc:
        cause = exc.__cause__ if isinstance(exc.__cause__, OSError) else exc
        number = getattr(cause, "errno", None)
        missing = isinstance(exc, FileNotFoundError)
        if isinstance(cause, ConnectionError | TimeoutError) or number in _PASSING:
            raise
        if is_url(path) and number is not None and not missing:
            raise
        if missing and not is_url(path) and not Path(path).parent.is_dir():
            # The folder too: a disk that is not there.
            raise
        warnings.warn(
            f"an image is left out, and its sources get the flag 'unreadable': {exc}",
            AstrodlkitWarning,
            stacklevel=2,
        )
        return None


def _local(path: str, hdu: int | None) -> Image:
    images = from_path(Path(path), path, hdu)
    if len(images) != 1 or images[0].wcs is None:
        raise ValueError(f"{path}: an image of an index has two axes, and a celestial WCS")
    return images[0]


def _remote(url: str, hdu: int | None) -> Image:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*truncated.*", AstropyUserWarning)
        hdus = open_remote(url, do_not_scale_image_data=True)
        found = image_hdu(hdus, url, hdu)
    about = found.fileinfo()
    if about["datLoc"] + about["datSpan"] > about["file"].size:
        raise OSError(f"{url} ends before its pixels do")
    wcs = quiet_wcs(found.header, hdus)
    mask = hdus["MASK"].section if "MASK" in hdus else None
    # As much of an array as is asked of it.
    pixels: Any = _Pieces(found)
    return Image(
        pixels,
        celestial(wcs, url),
        read_unit(found.header, url),
        mask if mask is not None and mask.shape == found.shape else None,
        **stored(found),
    )


class _Pieces:
    """Pixels that are read when they are asked for, and of what type they will be."""

    def __init__(self, hdu: Any) -> None:
        self._section = hdu.section
        self.shape = hdu.shape
        # The sections of astropy 7.0 do not tell their type.
        self.dtype = np.dtype(fits.hdu.BITPIX2DTYPE[hdu.header["BITPIX"]])

    def __getitem__(self, box: Any) -> Any:
        return self._section[box]


def _resident(image: Image | None) -> int:
    """Bytes of memory that an image needs; none where a file is mapped or read in pieces."""
    layers = () if image is None else (image.data, image.mask, image.uncertainty)
    return sum(
        layer.nbytes for layer in layers if isinstance(layer, np.ndarray) and not _is_mapped(layer)
    )


def _is_mapped(array: Any) -> bool:
    while array is not None:
        if isinstance(array, np.memmap | mmap):
            return True
        array = getattr(array, "base", None) if not isinstance(array, memoryview) else array.obj
    return False
