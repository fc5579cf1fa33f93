"""Cutouts as tables and files."""

import json
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import QTable, serialize
from astropy.table.meta import get_header_from_yaml
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import NDArray

from .._optional import import_optional
from .._typing import PathLike
from ._grids import ParentGrid, TangentGrid
from ._positions import read_table

if TYPE_CHECKING:
    from ._cutouts import Cutouts

__all__ = [
    "from_table",
    "plain_table",
    "read",
    "read_first",
    "read_flags",
    "read_meta",
    "to_table",
    "write",
]

# Upper case and short: FITS keywords are.
_META = "CUTOUTS"
_FITS = {"format": "fits"}
_HDF5 = {"format": "hdf5", "path": "cutouts"}
_FORMATS = {".fits": _FITS, ".fit": _FITS, ".fits.gz": _FITS, ".h5": _HDF5, ".hdf5": _HDF5}
_GRIDS: dict[str, Any] = {"parent": ParentGrid, "tangent": TangentGrid}


def to_table(cutouts: "Cutouts") -> QTable:
    """See `Cutouts.to_table`."""
    unit = cutouts.unit
    if unit is not None and u.Unit(unit.to_string(), parse_strict="silent") != unit:
        raise ValueError(f"the unit {unit} is not one of astropy's: it could not be read again")
    columns: dict[str, Any] = {
        "cutout": cutouts.data if unit is None else cutouts.data << unit,
        "cutout_mask": cutouts.mask,
    }
    if cutouts.variance is not None:
        variance = cutouts.variance
        columns["cutout_variance"] = variance if unit is None else variance << unit**2
    if cutouts.positions is not None:
        columns["position"] = cutouts.positions
    columns["flags"] = cutouts.flags
    about: dict[str, Any] = {
        "bands": cutouts.bands,
        "unit": None if unit is None else unit.to_string(),
        "meta": cutouts.meta,
    }
    grid = cutouts._grid  # noqa: SLF001
    for kind, cls in _GRIDS.items():
        if isinstance(grid, cls):
            columns |= grid.columns()
            about |= {"grid": kind, "header": grid.header()}
    try:
        text = json.dumps(about, allow_nan=False)
    except (TypeError, ValueError) as exc:
        raise TypeError(f"meta can only be stored in JSON types: {exc}") from exc
    # Of a quote before a slash, astropy takes the end of a FITS header card's text.
    text = text.replace("'", "\\u0027")
    # Text, not a dict: stacking tables would merge the lists in it.
    return QTable(columns, meta={_META: text}, copy=False)


def from_table(table: Any) -> "Cutouts":
    """See `Cutouts.from_table`."""
    from ._cutouts import Cutouts

    table = read_table(table)
    if "cutout" not in table.colnames:
        raise ValueError(f"table has no column 'cutout', only {table.colnames}")
    about = json.loads(table.meta.get(_META, "{}"))
    grid = None
    if "grid" in about:
        cls = _GRIDS[about["grid"]]
        columns = {
            name: np.asarray(table[name]) for name in table.colnames if name.startswith("wcs_")
        }
        grid = cls.from_columns(columns, about["header"])
    columns = {name: table[name] for name in table.colnames}
    position = columns.get("position")
    return Cutouts(
        columns["cutout"],
        unit=getattr(columns["cutout"], "unit", None) or about.get("unit"),
        mask=columns.get("cutout_mask"),
        variance=columns.get("cutout_variance"),
        bands=about.get("bands"),
        positions=position if isinstance(position, SkyCoord) else None,
        # Any other table's are not of this package.
        flags=columns.get("flags") if about else None,
        wcs=grid,
        meta=about.get("meta"),
    )


def write(cutouts: "Cutouts", path: PathLike, *, overwrite: bool) -> None:
    """See `Cutouts.write`."""
    path = Path(path)
    suffix, options = _format(path)
    if path.exists() and not overwrite:
        raise OSError(f"{path} exists: pass overwrite=True to replace it")
    table = plain_table(cutouts)
    if options["format"] == "hdf5":
        options |= {"serialize_meta": True}
    # Written beside the target, so that putting it there is one step.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".astrodlkit") as folder:
        part = Path(folder, "part" + suffix)
        table.write(part, **options)
        part.replace(path)


def plain_table(cutouts: "Cutouts") -> QTable:
    """The table of cutouts that files hold."""
    table = to_table(cutouts)
    # The unit is in the text already; neither FITS nor HDF5 knows all of astropy's.
    for name in ("cutout", "cutout_variance"):
        if name in table.colnames:
            table.replace_column(name, _plain(table[name]), copy=False)
    return table


def read(path: PathLike) -> "Cutouts":
    """See `Cutouts.read`."""
    path = Path(path)
    if path.suffix.lower() == ".zarr":
        return from_table(_read_zarr(path))
    _, options = _format(path)
    if not path.exists():
        raise FileNotFoundError(f"no file {path}")
    try:
        # Opened here: astropy would leave a damaged file open.
        with warnings.catch_warnings(), path.open("rb") as stream:
            # astropy only warns that the file ends before its data do.
            warnings.filterwarnings("error", ".*truncated.*", AstropyUserWarning)
            table = QTable.read(stream, **options)
    except (OSError, ValueError, TypeError, KeyError, AstropyUserWarning) as exc:
        raise OSError(f"{path} is damaged or does not hold cutouts: {exc}") from exc
    return from_table(table)


def read_first(path: Path, n: int) -> "Cutouts":
    """
    The first cutouts in a file that may be larger than the memory.

    Parameters
    ----------
    path : `~pathlib.Path`
        A file that `read` reads.
    n : int
        How many, at most.

    Returns
    -------
    cutouts : `~astrodlkit.Cutouts`
        In their order.
    """
    if path.suffix.lower() == ".zarr":
        return from_table(_read_zarr(path, n))
    if path.suffix.lower() in (".h5", ".hdf5"):
        with _open_hdf5(path) as file:
            return from_table(_rebuilt(file["cutouts"][:n], _hdf5_header(file)))
    with fits.open(path) as hdus:
        return from_table(QTable.read(fits.BinTableHDU(hdus[1].data[:n], hdus[1].header)))


def read_meta(path: Path) -> dict[str, Any]:
    """
    The meta of cutouts in a file, without the pixels.

    Parameters
    ----------
    path : `~pathlib.Path`
        A file that `read` reads.

    Returns
    -------
    meta : dict
        Empty if it is another file.
    """
    try:
        if path.suffix.lower() == ".zarr":
            text = _zarr_header(_open_zarr(path))["meta"][_META]
        elif path.suffix.lower() in (".h5", ".hdf5"):
            with _open_hdf5(path) as file:
                text = _hdf5_header(file)["meta"][_META]
        else:
            text = fits.getheader(path, 1)[_META]
        about: dict[str, Any] = json.loads(text)["meta"]
    except (OSError, KeyError, ValueError, IndexError, AttributeError):
        return {}
    return about


def read_flags(path: Path) -> NDArray[np.int32]:
    """
    The flags of cutouts in a file, without the pixels.

    Parameters
    ----------
    path : `~pathlib.Path`
        A file that `read` reads.

    Returns
    -------
    flags : ndarray of int32, shape (n,)
        Of all rows.
    """
    if path.suffix.lower() == ".zarr":
        return np.asarray(_open_zarr(path)["flags"][:], np.int32)
    if path.suffix.lower() in (".h5", ".hdf5"):
        with _open_hdf5(path) as file:
            return np.asarray(file["cutouts"].fields("flags")[:], np.int32)
    with fits.open(path) as hdus:
        return np.array(hdus[1].data["flags"], np.int32)


def _open_hdf5(path: Path) -> Any:
    return import_optional("h5py", extra="hdf5", purpose="for HDF5 files").File(path)


def _hdf5_header(file: Any) -> dict[str, Any]:
    lines = [line.decode() for line in file["cutouts.__table_column_meta__"]]
    header: dict[str, Any] = get_header_from_yaml(lines)
    return header


def _open_zarr(path: Path) -> Any:
    zarr = import_optional("zarr", extra="zarr", purpose="to read Zarr folders")
    if not path.exists():
        raise FileNotFoundError(f"no folder {path}")
    return zarr.open_group(path, mode="r")


def _zarr_header(group: Any) -> dict[str, Any]:
    header: dict[str, Any] = get_header_from_yaml(group.attrs["table"].split("\n"))
    return header


def _read_zarr(path: Path, n: int | None = None) -> QTable:
    """A table whose columns are arrays of a Zarr folder, and the rest an attribute; ``n`` rows."""
    group = _open_zarr(path)
    try:
        header = _zarr_header(group)
        rows = {column["name"]: group[column["name"]][:n] for column in header["datatype"]}
    except (KeyError, ValueError, AttributeError) as exc:
        raise OSError(f"{path} is damaged or does not hold cutouts: {exc}") from exc
    return _rebuilt(rows, header)


def _rebuilt(rows: Any, header: dict[str, Any]) -> QTable:
    """A table of columns of numbers, and what astropy wrote of them."""
    columns = {column["name"]: rows[column["name"]] for column in header["datatype"]}
    table = QTable(columns, meta=header["meta"], copy=False)
    for column in header["datatype"]:
        if "unit" in column:
            table[column["name"]].unit = column["unit"]
    return serialize._construct_mixins_from_columns(table)  # noqa: SLF001


def _format(path: Path) -> tuple[str, dict[str, Any]]:
    for suffix, options in _FORMATS.items():
        if path.name.lower().endswith(suffix):
            if options["format"] == "hdf5":
                import_optional("h5py", extra="hdf5", purpose="for HDF5 files")
            return suffix, dict(options)
    raise ValueError(f"path must end in one of {', '.join(_FORMATS)}, got {path.name!r}")


def _plain(column: Any) -> NDArray:
    return np.asarray(getattr(column, "value", column))
