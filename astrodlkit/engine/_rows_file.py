"""Rows of one size, put where they belong in a file, and on the disk."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .._optional import import_optional

__all__ = ["empty_dataset", "reserve_fits", "sync", "sync_chunk", "write_at"]

_BLOCK = 2880  # bytes; of which FITS files are made


def write_at(path: Path, place: int, data: Any) -> None:
    """
    Write bytes into a file that has room for them.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file.
    place : int
        Of the first byte.
    data : bytes-like
        What is written.
    """
    with path.open("rb+") as stream:
        stream.seek(place)
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def reserve_fits(path: Path, *, head: bytes, size: int) -> None:
    """
    Make a FITS file of zeros, which take no place on most disks.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file.
    head : bytes
        All that comes before the data.
    size : int
        Bytes of the data.
    """
    with path.open("wb") as stream:
        stream.write(head)
        stream.truncate(len(head) + -(-size // _BLOCK) * _BLOCK)


def empty_dataset(group: Any, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
    """
    A data set in HDF5 whose rows lie one after another, and are written later.

    With all of its place known from the beginning, a run that is killed while it
    writes rows damages nothing else.

    Parameters
    ----------
    group : `h5py.Group`
        Where it is made.
    name : str
        Its name.
    shape : tuple of int
        Its shape.
    dtype : dtype-like
        Its type.

    Returns
    -------
    dataset : `h5py.Dataset`
        Without values; ``dataset.id.get_offset()`` is where they go, or None
        if it has no rows.
    """
    h5py = import_optional("h5py", extra="hdf5", purpose="to write HDF5 files")
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    # A time of creation would make every file another.
    return group.create_dataset(name, shape, dtype, dcpl=layout, track_times=False)


def sync_chunk(path: Path, arrays: Iterable[str], number: int) -> None:
    """
    Bring rows of a Zarr folder to the disk.

    Parameters
    ----------
    path : `~pathlib.Path`
        The folder.
    arrays : iterable of str
        Its arrays.
    number : int
        Of the chunk of rows.
    """
    for name in arrays:
        top = path / name / "c"
        sync(top)
        for place in (top / str(number), *(top / str(number)).rglob("*")):
            sync(place)


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    # A chunk that holds nothing but zeros is not written.
    if os.name != "posix" or not path.exists():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
