"""Files of maps that are written a few at a time, and appear when they are whole."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from .._optional import import_optional
from ..engine import write_durably
from ..engine._rows_file import empty_dataset, reserve_fits, sync_chunk, write_at
from ..engine._unfinished import Unfinished, unfinished
from ._record import KEY, to_dict, to_json
from ._request import Request

__all__ = ["Maps", "writer"]


class Maps:
    """
    A file that maps are put into.

    Parameters
    ----------
    partial : Unfinished
        Where it is.
    request : Request
        What the maps are.
    step : int
        How many are written together.
    """

    def __init__(self, partial: Unfinished, request: Request, step: int) -> None:
        self._partial, self._step = partial, step
        self._shape = (request.n, *request.shape)
        path = partial.path
        self._put = {".fits": self._fits, ".zarr": self._zarr}.get(path.suffix.lower(), self._hdf5)(
            request, new=not path.exists()
        )

    @property
    def done(self) -> int:
        """Maps that are in the file already."""
        return self._partial.done

    def write(self, rows: slice, maps: NDArray[np.float32]) -> None:
        """
        Write maps, and bring them to the disk.

        Parameters
        ----------
        rows : slice
            Which they are.
        maps : ndarray, shape (n, ny, nx)
            Their pixels.
        """
        self._put(rows, maps)
        self._partial.reach(rows.stop)

    def _fits(self, request: Request, *, new: bool) -> Any:
        head = _header(request).tostring().encode("ascii")
        path, size = self._partial.path, 4 * int(np.prod(self._shape))
        if new:
            write_durably(path, partial(reserve_fits, head=head, size=size))
        return partial(self._flat, place=len(head), kind=">f4")

    def _hdf5(self, request: Request, *, new: bool) -> Any:
        h5py = import_optional("h5py", extra="hdf5", purpose="to write HDF5 files")
        path = self._partial.path

        def make(part: Path) -> None:
            with h5py.File(part, "w") as file:
                _describe(empty_dataset(file, "maps", self._shape, "<f4"), request)

        if new:
            write_durably(path, make)
        with h5py.File(path) as file:
            place = file["maps"].id.get_offset()
        return partial(self._flat, place=place, kind="<f4")

    def _flat(self, rows: slice, maps: NDArray[np.float32], *, place: int, kind: str) -> None:
        raw = np.ascontiguousarray(maps, kind)
        write_at(self._partial.path, place + rows.start * raw[:1].nbytes, raw.data)

    def _zarr(self, request: Request, *, new: bool) -> Any:
        zarr = import_optional("zarr", extra="zarr", purpose="to write Zarr folders")
        path = self._partial.path
        if new:
            part = path.with_name(".new")
            array = zarr.open_group(part, mode="w").create_array(
                "maps",
                shape=self._shape,
                chunks=(min(self._step, request.n), *request.shape),
                dtype="float32",
                dimension_names=("map", "y", "x"),
            )
            _describe(array, request)
            part.replace(path)
        array = zarr.open_group(path, mode="r+")["maps"]

        def put(rows: slice, maps: NDArray[np.float32]) -> None:
            array[rows] = maps
            sync_chunk(path, ["maps"], rows.start // self._step)

        return put


@contextmanager
def writer(
    path: Path, request: Request, step: int, *, digest: str, overwrite: bool
) -> Iterator[Maps]:
    """
    Write maps, or go on with a file that was not finished.

    Parameters
    ----------
    path : `~pathlib.Path`
        What `check_target` let pass.
    request : Request
        What the maps are.
    step : int
        How many are written together.
    digest : str
        Checksum of the model's weights.
    overwrite : bool
        Whether what another run left unfinished may be thrown away.

    Yields
    ------
    file : Maps
        Takes maps, in order.
    """
    manifest = {
        "format": 1,
        "n": request.n,
        "shape": list(request.shape),
        "unit": request.unit.to_string(),
        **to_dict(request.meta),
        "sha256": digest,
    }
    if path.suffix.lower() == ".zarr":
        manifest["chunk"] = step
    with unfinished(path, manifest, overwrite=overwrite) as part:
        _check_room(path, request, part.done)
        yield Maps(part, request, step)


def _check_room(path: Path, request: Request, done: int) -> None:
    """See before the work starts that what is not yet in a file has room on the disk."""
    needed = (request.n - done) * request.map_bytes
    if path.suffix.lower() == ".zarr":
        needed //= 2  # they are compressed, if never by half
    disk = shutil.disk_usage(path.parent)
    # Some file systems do not say how large they are.
    if disk.total and needed > disk.free:
        raise OSError(
            errno.ENOSPC,
            f"n={request.n} maps of {request.shape} pixels take {request.size}, and the disk has "
            f"{disk.free / 2**30:.4g} GiB of room",
            str(path),
        )


def _header(request: Request) -> fits.Header:
    header = fits.Header({"SIMPLE": True, "BITPIX": -32, "NAXIS": 3})
    for i, length in enumerate((*request.shape[::-1], request.n), start=1):
        header[f"NAXIS{i}"] = length
    header["BUNIT"] = request.unit.to_string("fits")
    header.update(request.wcs.to_header())
    meta = request.meta
    for key, value, comment in (
        ("COSMO", _ascii(request.cosmology.name or ""), "cosmology"),
        ("H0", request.cosmology.H0.to_value("km / (s Mpc)"), "[km/s/Mpc] Hubble constant"),
        ("OM0", float(request.cosmology.Om0), "matter density today"),
        ("SIGMA8", request.sigma8, "today"),
        ("REDSHIFT", request.redshift, ""),
        ("THICKNES", request.spec.thickness, "[Mpc] of the slab, comoving"),
        ("SEED", request.seed, "of the random numbers"),
        ("MODEL", meta["model"], ""),
        ("SHA256", meta["sha256"], ""),
        ("CREATOR", f"astrodlkit {meta['version']}", ""),
        (KEY, to_json(meta), ""),
    ):
        header[key] = (value, comment)
    for text in request.flags.values():
        header["COMMENT"] = f"outside the domain of the model: {text}"
    return header


def _ascii(text: str) -> str:
    """Text as a header takes it."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text)


def _describe(array: Any, request: Request) -> None:
    """Give a data set its attributes."""
    array.attrs["unit"] = request.unit.to_string()
    array.attrs["wcs"] = request.wcs.to_header_string()
    array.attrs[KEY] = to_json(request.meta)
