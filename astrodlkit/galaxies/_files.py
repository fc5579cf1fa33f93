"""Files of cutouts that are filled row by row, in the forms that `Cutouts.read` knows."""

import io
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import meta, serialize

from .._optional import import_optional
from ..cutouts import Cutouts
from ..cutouts._store import plain_table
from ..engine import write_durably
from ..engine._rows_file import empty_dataset, reserve_fits, sync_chunk, write_at

__all__ = ["FORMATS", "CutoutFile"]

FORMATS = (".fits", ".fit", ".h5", ".hdf5", ".zarr")
"""Endings of files of cutouts."""

_NAME, _COLUMNS = "cutouts", "cutouts.__table_column_meta__"


class CutoutFile:
    """
    A file with room for cutouts.

    Parameters
    ----------
    path : `~pathlib.Path`
        Where it is, or is made when the first rows come.
    n : int
        Rows in the end.
    step : int
        Rows that are written together.
    """

    def __init__(self, path: Path, n: int, step: int) -> None:
        self._path, self._n, self._step = path, n, step
        kinds: Any = {".zarr": self._zarr, ".h5": self._hdf5, ".hdf5": self._hdf5}
        self._put = kinds.get(path.suffix.lower(), self._fits)

    def write(self, start: int, cutouts: Cutouts) -> None:
        """
        Write rows, and bring them to the disk.

        Parameters
        ----------
        start : int
            Number of the first.
        cutouts : `~astrodlkit.Cutouts`
            At most ``step``, and all alike.
        """
        self._put(start, cutouts)

    def _fits(self, start: int, cutouts: Cutouts) -> None:
        buffer = io.BytesIO()
        plain_table(cutouts).write(buffer, format="fits")
        raw = memoryview(buffer.getvalue())
        with fits.open(io.BytesIO(raw)) as hdus:
            place = hdus[1].fileinfo()
            row = hdus[1].header["NAXIS1"]
            header = hdus[1].header.copy()
        header["NAXIS2"] = self._n
        if not self._path.exists():
            head = bytes(raw[: place["hdrLoc"]]) + header.tostring().encode("ascii")
            write_durably(self._path, partial(reserve_fits, head=head, size=self._n * row))
        first = place["datLoc"]
        rows = raw[first : first + row * len(cutouts)]
        write_at(self._path, first + row * start, rows)

    def _hdf5(self, start: int, cutouts: Cutouts) -> None:
        h5py = import_optional("h5py", extra="hdf5", purpose="to write HDF5 files")
        plain = serialize.represent_mixins_as_columns(plain_table(cutouts))
        rows = plain.as_array()
        if not self._path.exists():
            about = np.array([line.encode() for line in meta.get_yaml_from_table(plain)])

            def make(part: Path) -> None:
                with h5py.File(part, "w") as file:
                    empty_dataset(file, _NAME, (self._n,), rows.dtype)
                    file.create_dataset(_COLUMNS, data=about, track_times=False)

            write_durably(self._path, make)
        with h5py.File(self._path) as file:
            place = file[_NAME].id.get_offset()
        if len(rows):
            write_at(self._path, place + rows.itemsize * start, rows.tobytes())

    def _zarr(self, start: int, cutouts: Cutouts) -> None:
        zarr = import_optional("zarr", extra="zarr", purpose="to write Zarr folders")
        plain = serialize.represent_mixins_as_columns(plain_table(cutouts))
        if not self._path.exists():
            part = self._path.with_name(".new")
            group = zarr.open_group(part, mode="w")
            group.attrs["table"] = "\n".join(meta.get_yaml_from_table(plain))
            for name, column in plain.items():
                rest = column.shape[1:]
                group.create_array(
                    name,
                    shape=(self._n, *rest),
                    chunks=(max(1, min(self._step, self._n)), *rest),
                    dtype=column.dtype,
                )
            part.replace(self._path)
        group = zarr.open_group(self._path, mode="r+")
        for name, column in plain.items():
            group[name][start : start + len(column)] = np.asarray(column)
        sync_chunk(self._path, plain.colnames, start // self._step)
