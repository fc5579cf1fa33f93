"""Between data frames and tables: the rows that a network needs, and typed columns back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable

__all__ = ["answers_frame", "numeric_rows"]

# A type of its own in every version of pandas, and of zero rows too.
_TEXT = "string[pyarrow]"


def numeric_rows(
    frame: Any, *, units: Mapping[str, u.UnitBase], position: tuple[str, str] | None
) -> QTable:
    """
    The columns of a data frame that may tell places and sizes.

    Parameters
    ----------
    frame : `pandas.DataFrame`, n rows
        A partition.
    units : dict of `~astropy.units.Unit`
        Of columns of the frame.
    position : tuple of str, optional
        Names of the columns with right ascension and declination in degrees.

    Returns
    -------
    rows : `~astropy.table.QTable`, n rows
        The columns of numbers; and, where two of them tell it, ``position``.
    """
    columns = {}
    for name, given in frame.items():
        column = _from_objects(given)
        if getattr(column.dtype, "kind", "O") in "fiu":
            values = _numbers(column)
            columns[str(name)] = values * units[name] if name in units else values
    if position is None:
        position = next(
            (
                (name, f"{name[:-3]}.dec")
                for name in columns
                # As astropy writes coordinates to Parquet files.
                if name.endswith(".ra") and f"{name[:-3]}.dec" in columns
            ),
            None,
        )
    if position is not None:
        longitude, latitude = (u.Quantity(columns.pop(name)) for name in position)
        columns["position"] = SkyCoord(_degrees(longitude), _degrees(latitude))
    return QTable(columns, copy=False)


def _degrees(angle: u.Quantity) -> u.Quantity:
    return angle.value * u.deg if angle.unit == u.dimensionless_unscaled else angle


def _from_objects(column: Any) -> Any:
    """A column of objects that are numbers, or missing, as one of numbers."""
    if column.dtype != object:
        return column
    kind = getattr(column.dropna().infer_objects().dtype, "kind", "O")
    return column.astype(float) if kind in "fiu" else column


def _numbers(column: Any) -> np.ndarray:
    """The numbers of a column; what is missing becomes NaN."""
    if isinstance(column.dtype, np.dtype):
        return column.to_numpy()
    if column.isna().any():
        kind = column.dtype.numpy_dtype
        return column.to_numpy(dtype=kind if kind.kind == "f" else np.float64, na_value=np.nan)
    return column.to_numpy(dtype=column.dtype.numpy_dtype)


def answers_frame(result: QTable, names: Sequence[str], index: Any) -> Any:
    """
    A network's columns as a data frame.

    Parameters
    ----------
    result : `~astropy.table.QTable`, n rows
        What a classifier gave.
    names : sequence of str
        The columns that are its own.
    index : `pandas.Index`, length n
        Of the rows.

    Returns
    -------
    answers : `pandas.DataFrame`, n rows
        Text as ``string[pyarrow]``, all else in the types of the result.
    """
    import pandas as pd

    columns: dict[str, Any] = {}
    for name in names:
        values = np.asarray(getattr(result[name], "value", result[name]))
        is_text = values.dtype.kind == "U"
        columns[name] = pd.array(values.tolist(), dtype=_TEXT) if is_text else values
    return pd.DataFrame(columns, index=index, copy=False)
