"""Read the files that `DensityMapEmulator.stream` writes."""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import NDDataArray
from astropy.wcs import WCS

from .._optional import import_optional
from .._typing import PathLike
from ._record import FORMATS, KEY, from_json, to_json
from ._request import Request

__all__ = ["holds", "read_density_maps"]

# The data set, its shape, and what is said of it.
Opened: TypeAlias = tuple[Any, tuple[int, ...], Mapping[str, Any]]


def read_density_maps(path: PathLike, start: int = 0, stop: int | None = None) -> NDDataArray:
    """
    Read maps that were streamed into a file.

    Parameters
    ----------
    path : str or path-like
        What `DensityMapEmulator.stream` wrote.
    start, stop : int, optional
        The first map to read, and the one after the last, as in a slice; by
        default all are read.

    Returns
    -------
    maps : `~astropy.nddata.NDDataArray` of float32, shape (n, ny, nx)
        As `emulate_density_maps` gives them, with the same ``unit``, ``wcs`` and
        ``meta``; the third axis of the WCS counts from ``start``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is another one.
    astrodlkit.exceptions.MissingDependencyError
        If a package is needed to read it.

    See Also
    --------
    DensityMapEmulator.stream : Writes such files, with an example.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a str or path-like, got {path!r}")
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"path must end in one of {', '.join(FORMATS)}, got {str(path)!r}")
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    with _opened(path) as (array, shape, said):
        if KEY not in said:
            raise ValueError(f"{path} does not hold maps that DensityMapEmulator.stream wrote")
        first, last, _ = slice(start, stop).indices(shape[0])
        maps = np.asarray(array[first:last], dtype=np.float32)
        wcs = WCS(said["wcs"], naxis=3)
        wcs.wcs.crval = [*wcs.wcs.crval[:2], first]
        return NDDataArray(maps, unit=u.Unit(said["unit"]), wcs=wcs, meta=from_json(said[KEY]))


def holds(path: Path, request: Request) -> bool:
    """
    Whether a file holds just these maps.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file.
    request : Request
        What the maps are.

    Returns
    -------
    same : bool
        False also if it is another kind of file, or the model has no weight file.
    """
    try:
        with _opened(path) as (_, shape, said):
            same = shape == (request.n, *request.shape) and said.get(KEY) == to_json(request.meta)
            unit = u.Unit(said.get("unit", ""))
    except (OSError, ValueError):
        return False
    return bool(same and unit == request.unit and request.meta["sha256"])


def _opened(path: Path) -> AbstractContextManager[Opened]:
    return {".fits": _fits, ".zarr": _zarr}.get(path.suffix.lower(), _hdf5)(path)


@contextmanager
def _fits(path: Path) -> Iterator[Opened]:
    with fits.open(path) as hdus:
        hdu = hdus[0]
        said = {"wcs": hdu.header, "unit": hdu.header.get("BUNIT", "")}
        if KEY in hdu.header:
            said[KEY] = hdu.header[KEY]
        yield hdu.section, hdu.shape, said


@contextmanager
def _hdf5(path: Path) -> Iterator[Opened]:
    h5py = import_optional("h5py", extra="hdf5", purpose="to read HDF5 files")
    with h5py.File(path) as file:
        yield _parts(file)


@contextmanager
def _zarr(path: Path) -> Iterator[Opened]:
    zarr = import_optional("zarr", extra="zarr", purpose="to read Zarr folders")
    yield _parts(zarr.open_group(path, mode="r"))


def _parts(group: Mapping[str, Any]) -> Opened:
    array = group.get("maps")
    return (None, (), {}) if array is None else (array, array.shape, array.attrs)
