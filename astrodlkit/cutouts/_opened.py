"""Images that are opened when they are needed, and kept while there is room."""

import errno
import warnings
from collections import OrderedDict
from mmap import mmap
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from astropy.io.fits.verify import VerifyWarning

from ..exceptions import AstrodlkitWarning
from ._fits import from_path
from ._image import Image
from ._remote import BadImageError, is_url, remote_images

__all__ = ["OpenImages"]

# Images kept, and bytes of those that had to be unpacked into memory.
_MOST, _BYTES = 64, 1 << 29
# What says nothing of a file, and passes: the run had better stop and be started again.
_PASSING = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT}
# What a web server says of a file that is not there.
_GONE = (404, 410)


class OpenImages:
    """The images that were used last."""

    def __init__(self) -> None:
        self._images: OrderedDict[tuple[str, int | None], Image | None] = OrderedDict()
        self._notes: dict[tuple[str, int | None], str] = {}
        self._told: set[str] = set()
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
                self._images[key], note = _open(path, hdu)
                if self._images[key] is None:
                    self.leave_out(path, note)
                elif note:
                    self._notes[key] = note
                self._make_room()
            self._images.move_to_end(key)
            image = self._images[key]
        if image is None:
            raise BadImageError(path, "see the warning")
        return image

    def leave_out(self, path: str, why: object, *, part: bool = False) -> None:
        """Tell the user, once for each file, that an image or a part of it is not used."""
        what = "a part of an image" if part else "an image"
        whose = "the sources there" if part else "its sources"
        self._tell(path, f"{what} is left out, and {whose} get the flag 'unreadable': {why}")

    def note(self, path: str, hdu: int | None) -> str:
        """What was found when an image was opened, and not said."""
        return self._notes.get((path, hdu), "")

    def use(self, path: str, hdu: int | None) -> None:
        """Tell the user what was found when an image was opened, now that it is used."""
        if note := self._notes.pop((path, hdu), ""):
            self._tell(path, note)

    def _tell(self, path: str, message: str) -> None:
        if path not in self._told:
            self._told.add(path)
            warnings.warn(message, AstrodlkitWarning, stacklevel=3)

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


def _open(path: str, hdu: int | None) -> tuple[Image | None, str]:
    """An image, and what is to be said of it; None if it cannot be used."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            # What is wrong with a file is said below.
            warnings.simplefilter("ignore", VerifyWarning)
            warnings.simplefilter("always", AstrodlkitWarning)
            images = remote_images(path, hdu) if is_url(path) else from_path(Path(path), path, hdu)
    except (OSError, ValueError, TypeError) as exc:
        if _passes(exc, path):
            raise
        return None, str(exc)
    if len(images) != 1 or images[0].wcs is None:
        return None, f"{path}: an image of an index has two axes, and a celestial WCS"
    said = [warning for warning in caught if issubclass(warning.category, AstrodlkitWarning)]
    for warning in caught:
        if warning not in said:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return images[0], "; ".join(str(warning.message) for warning in said)


def _passes(exc: BaseException, path: str) -> bool:
    """Whether an error says nothing of a file."""
    missing = isinstance(exc, FileNotFoundError)
    if missing and not is_url(path):
        # The folder too: a disk that is not there.
        return not Path(path).parent.is_dir()
    cause: BaseException | None = exc
    while cause is not None:
        number = getattr(cause, "errno", None)
        if isinstance(cause, ConnectionError | TimeoutError) or number in _PASSING:
            return True
        if is_url(path) and number is not None and not isinstance(cause, FileNotFoundError):
            return True
        # To fsspec a server that refuses or fails is a missing file too.
        if getattr(cause, "status", _GONE[0]) not in _GONE:
            return True
        cause = cause.__cause__
    return False


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
