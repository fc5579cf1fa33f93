"""Files of maps that are written a few at a time, and appear when they are whole."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from .._optional import import_optional
from ._record import FORMATS, KEY, to_json
from ._request import Request

__all__ = ["check_path", "writer"]

Write: TypeAlias = Callable[[slice, NDArray[np.float32]], None]


def check_path(path: Path, *, overwrite: bool) -> Path:
    """
    See before the work starts whether a file can be written in the end.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file.
    overwrite : bool
        Whether it may exist.

    Returns
    -------
    path : `~pathlib.Path`
        The same.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"path must end in one of {', '.join(FORMATS)}, got {str(path)!r}")
    if suffix == ".zarr":
        import_optional("zarr", extra="zarr", purpose="to write Zarr folders")
    elif suffix != ".fits":
        import_optional("h5py", extra="hdf5", purpose="to write HDF5 files")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: the folder {path.parent} does not exist")
    if path.exists():
        if not overwrite:
            raise FileExistsError(f"{path} exists; pass overwrite=True to replace it")
        if path.is_dir() and not (suffix == ".zarr" and (path / "zarr.json").exists()):
            raise IsADirectoryError(f"{path} is a folder that is not of Zarr")
    return path


@contextmanager
def writer(path: Path, request: Request, step: int, *, overwrite: bool) -> Iterator[Write]:
    """
    Write maps, all of them or none.

    Parameters
    ----------
    path : `~pathlib.Path`
        What `check_path` let pass.
    request : Request
        What the maps are.
    step : int
        How many are written together.
    overwrite : bool
        Whether ``path`` may exist.

    Yields
    ------
    write : callable
        Called with rows and maps, in order.
    """
    formats = {".fits": _fits, ".zarr": _zarr}
    write_format = formats.get(path.suffix.lower(), _hdf5)
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        part = Path(folder, path.name)
        with write_format(part, request, step) as write:
            yield write
        check_path(path, overwrite=overwrite)
        if path.is_dir():
            # A folder is not replaced as a file is; the old one goes with the temporary one.
            path.replace(Path(folder, "old"))
        part.replace(path)


@contextmanager
def _fits(path: Path, request: Request, _: int) -> Iterator[Write]:
    header = fits.Header({"SIMPLE": True, "BITPIX": -32, "NAXIS": 3})
    for i, length in enumerate((*request.shape[::-1], request.n), start=1):
        header[f"NAXIS{i}"] = length
    header["BUNIT"] = request.unit.to_string("fits")
    header.update(request.wcs.to_header())
    meta = request.meta
    for key, value, comment in (
        ("COSMO", request.cosmology.name or "", "cosmology"),
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
    hdu = fits.StreamingHDU(path, header)
    try:
        yield lambda _, maps: hdu.write(maps)
    finally:
        hdu.close()


@contextmanager
def _hdf5(path: Path, request: Request, _: int) -> Iterator[Write]:
    h5py = import_optional("h5py", extra="hdf5", purpose="to write HDF5 files")
    with h5py.File(path, "w") as file:
        yield _array(file.create_dataset("maps", (request.n, *request.shape), "<f4"), request)


@contextmanager
def _zarr(path: Path, request: Request, step: int) -> Iterator[Write]:
    zarr = import_optional("zarr", extra="zarr", purpose="to write Zarr folders")
    yield _array(
        zarr.open_group(path, mode="w").create_array(
            "maps",
            shape=(request.n, *request.shape),
            chunks=(min(step, request.n), *request.shape),
            dtype="float32",
            dimension_names=("map", "y", "x"),
        ),
        request,
    )


def _array(array: Any, request: Request) -> Write:
    """Give a data set its attributes."""
    array.attrs["unit"] = request.unit.to_string()
    array.attrs["wcs"] = request.wcs.to_header_string()
    array.attrs[KEY] = to_json(request.meta)
    write: Write = array.__setitem__
    return write
