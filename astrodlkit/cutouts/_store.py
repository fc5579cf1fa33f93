"""Cutouts as tables and files."""

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table

from .._optional import import_optional
from .._typing import PathLike
from ._grids import ParentGrid, TangentGrid
from ._positions import read_table

if TYPE_CHECKING:
    from ._cutouts import Cutouts

__all__ = ["from_table", "read", "to_table", "write"]

# Upper case and short: FITS keywords are.
_META = "CUTOUTS"
_FORMATS = {".fits": "fits", ".fit": "fits", ".h5": "hdf5", ".hdf5": "hdf5"}
_GRIDS = {"parent": ParentGrid, "tangent": TangentGrid}


def to_table(cutouts: "Cutouts") -> QTable:
    """See `Cutouts.to_table`."""
    unit = cutouts.unit
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
    about: dict[str, Any] = {"bands": cutouts.bands, "meta": cutouts.meta}
    for kind, cls in _GRIDS.items():
        if isinstance(cutouts._grid, cls):
            columns |= cutouts._grid.columns()
            about |= {"grid": kind, "header": cutouts._grid.header()}
    try:
        text = json.dumps(about, allow_nan=False)
    except (TypeError, ValueError) as exc:
        raise TypeError(f"meta can only be stored in JSON types: {exc}") from exc
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
    data = _column(table, "cutout")
    unit = getattr(table["cutout"], "unit", None)
    position = table["position"] if "position" in table.colnames else None
    return Cutouts(
        data,
        unit=unit,
        mask=table["cutout_mask"] if "cutout_mask" in table.colnames else None,
        variance=_column(table, "cutout_variance") if "cutout_variance" in table.colnames else None,
        bands=about.get("bands"),
        positions=position if isinstance(position, SkyCoord) else None,
        flags=np.asarray(table["flags"]) if "flags" in table.colnames else None,
        wcs=grid,
        meta=about.get("meta"),
    )
