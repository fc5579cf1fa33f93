"""The first stamps of a file that may be larger than the memory."""

from pathlib import Path
from typing import Any

from astropy.io import fits
from astropy.table import QTable, serialize
from astropy.table.meta import get_header_from_yaml

from .._optional import import_optional
from ..cutouts import Cutouts

__all__ = ["first_stamps"]


def first_stamps(path: Path, n: int) -> Cutouts:
    """
    Read some stamps.

    Parameters
    ----------
    path : `~pathlib.Path`
        A file that `GalaxySimulator.write` wrote.
    n : int
        How many, at most.

    Returns
    -------
    stamps : `~astrodlkit.Cutouts`
        The first of the file.
    """
    suffix = path.suffix.lower()
    if suffix in (".h5", ".hdf5"):
        h5py = import_optional("h5py", extra="hdf5", purpose="to read HDF5 files")
        with h5py.File(path) as file:
            lines = [line.decode() for line in file["cutouts.__table_column_meta__"]]
            return _rebuilt(file["cutouts"][:n], lines)
    if suffix == ".zarr":
        zarr = import_optional("zarr", extra="zarr", purpose="to read Zarr folders")
        group = zarr.open_group(path, mode="r")
        rows = {name: group[name][:n] for name in group.array_keys()}
        return _rebuilt(rows, group.attrs["table"].split("\n"))
    with fits.open(path) as hdus:
        few = fits.BinTableHDU(hdus[1].data[:n], hdus[1].header)
        return Cutouts.from_table(QTable.read(few))


def _rebuilt(rows: Any, lines: list[str]) -> Cutouts:
    """Cutouts of columns of numbers, and what astropy wrote of them."""
    header = get_header_from_yaml(lines)
    columns = {column["name"]: rows[column["name"]] for column in header["datatype"]}
    table = QTable(columns, meta=header["meta"], copy=False)
    for column in header["datatype"]:
        if "unit" in column:
            table[column["name"]].unit = column["unit"]
    return Cutouts.from_table(serialize._construct_mixins_from_columns(table))  # noqa: SLF001
