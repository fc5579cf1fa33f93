"""Images that travel as paths, or as an index, and are opened once in each process."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from os import PathLike as _PathLike
from pathlib import Path
from threading import Lock
from typing import Any

from astropy.table import Table

from ..cutouts import TileIndex, read_images
from ..cutouts._remote import is_url
from ..engine import fingerprint

__all__ = ["Images", "find_images", "open_images"]

_OPENING = Lock()


@dataclass(frozen=True, eq=False)
class Images:
    """
    What of images travels.

    Parameters
    ----------
    source : object
        The path or URL of an index, its table, or the paths of FITS files.
    digest : str
        Checksum of the index, or of the paths.
    """

    source: Any
    digest: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Images) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def is_index(self) -> bool:
        """Whether there are many, with an index."""
        return isinstance(self.source, Table) or (
            isinstance(self.source, str) and self.source.lower().endswith(".parquet")
        )


def find_images(data: Any) -> Images:
    """
    The form in which images travel.

    Parameters
    ----------
    data : `~astrodlkit.cutouts.TileIndex`, table, path-like, or a dict or list of paths
        As of `classify_cutouts`.

    Returns
    -------
    images : Images
        To be given to `open_images`, here or elsewhere.

    Raises
    ------
    TypeError
        If ``data`` is in memory.
    ValueError
        If it is the URL of a FITS file.
    """
    if isinstance(data, TileIndex | Table):
        table = data.table if isinstance(data, TileIndex) else data
        return Images(table, fingerprint(TileIndex(table)))
    paths = _paths(data)
    found = Images(paths, fingerprint(paths))
    if found.is_index:
        return Images(paths, fingerprint(TileIndex.read(paths)))
    return found


def _paths(data: Any) -> Any:
    """Paths that mean the same in another working folder."""
    if isinstance(data, str) and is_url(data) and data.lower().endswith(".parquet"):
        return data
    if isinstance(data, str | _PathLike):
        return _path(data)
    if isinstance(data, Mapping) and data:
        return {str(band): _path(path) for band, path in data.items()}
    if isinstance(data, list | tuple) and data:
        return [_path(path) for path in data]
    raise TypeError(
        "data must be an index of images (a TileIndex, its table or its Parquet file), the path "
        f"of a FITS file, or a dict or list of paths, got {type(data).__name__}: workers open "
        "the images themselves"
    )


def _path(path: Any) -> str:
    if not isinstance(path, str | _PathLike):
        raise TypeError(
            f"data must name a FITS file for each band, got {type(path).__name__}: workers open "
            "the images themselves"
        )
    if is_url(str(path)):
        raise ValueError(
            f"data: {path}: FITS files at URLs are read through an index of them, for example "
            f"that of astrodlkit.cutouts.index_images([{path!r}])"
        )
    return str(Path(path).absolute())


def open_images(images: Images) -> Any:
    """
    The images, opened at the first call in a process.

    Parameters
    ----------
    images : Images
        What travelled.

    Returns
    -------
    data : object
        What `astrodlkit.classify_cutouts` takes.

    Raises
    ------
    ValueError
        If an index is another than where it was found.
    """
    with _OPENING:
        return _opened(images)


@lru_cache(maxsize=4)
def _opened(images: Images) -> Any:
    source = images.source
    if isinstance(source, Table):
        return TileIndex(source)
    if images.is_index:
        index = TileIndex.read(source)
        if fingerprint(index) != images.digest:
            raise ValueError(f"the index {source} is another one than where the call was made")
        return index
    found = read_images(source)
    # Only the bands of a dict have names.
    return found if isinstance(source, Mapping) else list(found.values())
