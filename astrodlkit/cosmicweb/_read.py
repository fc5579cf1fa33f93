"""Read the files that `DensityMapEmulator.stream` writes."""

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import NDDataArray
from astropy.utils.exceptions import AstropyUserWarning
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
    TypeError
        If ``path`` is no path, or ``start`` or ``stop`` no whole number.
    ValueError
        If it is another file, or damaged.
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
    wanted = slice(_read_place(start, "start"), _read_place(stop, "stop"))
    with _opened(path) as (array, shape, said):
        ours = KEY in said and len(shape) == 3
        if ours:
            first, last, _ = wanted.indices(shape[0])
            maps = array[first:last] if first < last else np.empty((0, *shape[1:]))
            maps = np.asarray(maps, dtype=np.float32)
            wcs = WCS(said["wcs"], naxis=3)
            wcs.wcs.crval = [*wcs.wcs.crval[:2], first]
            unit, text = u.Unit(said["unit"]), said[KEY]
    if not ours:
        raise ValueError(f"{path} does not hold maps that DensityMapEmulator.stream wrote")
    try:
        meta = from_json(text)
    except ValueError as exc:
        raise ValueError(f"{path}: {exc}") from exc
    return NDDataArray(maps, unit=unit, wcs=wcs, meta=meta)


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
    except (OSError, ValueError):  # `_opened` makes ValueErrors of the others
        return False
    return bool(same and unit == request.unit and request.meta["sha256"])


def _read_place(value: Any, name: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    return int(value)


@contextmanager
def _opened(path: Path) -> Iterator[Opened]:
    """A file to read from; whatever comes of its being damaged is an error with its path."""
    kind: Callable[[Path], AbstractContextManager[Opened]]
    kind = {".fits": _fits, ".zarr": _zarr}.get(path.suffix.lower(), _hdf5)
    try:
        with kind(path) as opened:
            yield opened
    except PermissionError:
        raise
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, AstropyUserWarning) as exc:
        words = " ".join(str(exc).split())
        raise ValueError(
            f"{path}: {words}; it is damaged, or no file that DensityMapEmulator.stream wrote: "
            "write it anew with overwrite=True"
        ) from exc


@contextmanager
def _fits(path: Path) -> Iterator[Opened]:
    with warnings.catch_warnings(), path.open("rb") as stream:
        # astropy only warns that the file ends before its data do.
        warnings.filterwarnings("error", ".*truncated.*", AstropyUserWarning)
        with fits.open(stream) as hdus:
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
