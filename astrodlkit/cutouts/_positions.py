"""Where the sources are: sky or pixel positions out of whatever the user holds."""

from typing import Any, TypeAlias

import numpy as np
from astropy import units as u
from astropy.coordinates import BaseCoordinateFrame, SkyCoord
from astropy.table import QTable, Table
from numpy.typing import NDArray

__all__ = ["PixelPositions", "first_pixel", "read_positions", "read_table"]

PixelPositions: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]

_SKY_COLUMNS = ("sky_centroid", "skycoord", "sky_coord", "coord", "coords", "position")

# Lower-case names; the first pair that is there is used.
_LONLAT_COLUMNS = (
    ("ra", "dec"),
    ("ra_deg", "dec_deg"),
    ("raj2000", "dej2000"),
    ("ra_icrs", "de_icrs"),
    ("_raj2000", "_dej2000"),
    ("ra_j2000", "dec_j2000"),
    ("alpha_j2000", "delta_j2000"),
    ("alphawin_j2000", "deltawin_j2000"),
    ("ramean", "decmean"),
)

# photutils' names, new and old, then SExtractor's; the last number is the first pixel's index.
_PIXEL_COLUMNS = (
    ("x_centroid", "y_centroid", 0),
    ("xcentroid", "ycentroid", 0),
    ("x_fit", "y_fit", 0),
    ("x_0", "y_0", 0),
    ("x_init", "y_init", 0),
    ("x_peak", "y_peak", 0),
    ("x_center", "y_center", 0),
    ("xcenter", "ycenter", 0),
    ("x", "y", 0),
    ("xwin_image", "ywin_image", 1),
    ("x_image", "y_image", 1),
)


def read_table(obj: Any) -> Table:
    """
    A table out of anything table-like.

    Parameters
    ----------
    obj : `~astropy.table.Table`, `~photutils.segmentation.SourceCatalog`, or table-like
        A table (given back as it is), a photutils catalogue, or anything that
        ``Table()`` takes: a dict of columns, a structured array, a
        `pandas.DataFrame`.

    Returns
    -------
    table : `~astropy.table.Table` or `~astropy.table.QTable`
        The table.

    Raises
    ------
    TypeError
        If no table can be made of ``obj``.
    """
    if isinstance(obj, Table):
        return obj
    if hasattr(obj, "to_table"):
        return obj.to_table()
    if isinstance(obj, str | bytes) or obj is None:
        raise TypeError(f"a table is needed, got {obj!r}; read a file with Table.read(...)")
    if hasattr(obj, "iloc") and hasattr(obj, "columns"):
        return QTable(Table.from_pandas(obj))
    try:
        # A QTable keeps a Quantity a Quantity.
        return QTable(obj)
    except (TypeError, ValueError) as exc:
        raise TypeError(
            f"a table (Table, QTable, SourceCatalog or something Table() takes) is needed, "
            f"got {type(obj).__name__}: {exc}"
        ) from exc


def read_positions(positions: Any, *, prefer_sky: bool = True) -> SkyCoord | PixelPositions:
    """
    Sky coordinates or pixel positions out of coordinates or a table.

    Parameters
    ----------
    positions : `~astropy.coordinates.SkyCoord` or table-like
        Coordinates, or a table with a coordinate column, a pair of longitude and
        latitude columns (``ra``, ``dec``; degrees when they have no unit), or a
        pair of pixel columns under any of the names of photutils.
    prefer_sky : bool
        Which to take from a table that has both kinds.

    Returns
    -------
    positions : `~astropy.coordinates.SkyCoord`, shape (n,), or tuple of ndarray, shape (n,)
        The coordinates, or 0-based x and y. What was masked is NaN.

    Raises
    ------
    ValueError
        If the table has no positions, or more than one candidate for them.
    TypeError
        If ``positions`` is something else, or its columns are not numbers.
    """
    if isinstance(positions, SkyCoord | BaseCoordinateFrame):
        return _flat(SkyCoord(positions))
    table = read_table(positions)
    readers = [_sky_column, _lonlat_columns, _pixel_columns]
    if not prefer_sky:
        readers = [_pixel_columns, _sky_column, _lonlat_columns]
    for reader in readers:
        found = reader(table)
        if found is not None:
            return found
    raise ValueError(
        f"positions has no columns known as positions, only {table.colnames}; name them "
        "'ra' and 'dec', or 'x' and 'y' (0-based pixels), or pass a SkyCoord"
    )


def first_pixel(x: str, y: str) -> int:
    """Number of an image's first pixel in columns of these names, 0 where they say nothing."""
    known = {(name_x, name_y): first for name_x, name_y, first in _PIXEL_COLUMNS}
    return known.get((x.lower(), y.lower()), 0)


def _flat(coords: SkyCoord) -> SkyCoord:
    if coords.ndim > 1:
        raise ValueError(f"positions must be one-dimensional, got shape {coords.shape}")
    coords = coords.reshape(-1)
    if getattr(coords, "masked", False):
        sphere = coords.unmasked.spherical
        lon, lat = (np.where(coords.mask, np.nan, angle) for angle in (sphere.lon, sphere.lat))
        coords = SkyCoord(lon, lat, frame=coords.frame.replicate_without_data())
    return coords


def _sky_column(table: Table) -> SkyCoord | None:
    names = [name for name in table.colnames if isinstance(table[name], SkyCoord)]
    preferred = [name for name in _SKY_COLUMNS if name in names]
    if preferred:
        return _flat(table[preferred[0]])
    if len(names) > 1:
        raise ValueError(
            f"positions has more than one coordinate column, {names}; "
            f"pass one of them, for example table[{names[0]!r}]"
        )
    return _flat(table[names[0]]) if names else None


def _lonlat_columns(table: Table) -> SkyCoord | None:
    names = {name.lower(): name for name in table.colnames}
    for lon, lat in _LONLAT_COLUMNS:
        if lon in names and lat in names:
            longitude, latitude = (_numbers(table, names[name], u.deg) for name in (lon, lat))
            latitude[np.abs(latitude) > 90] = np.nan
            return SkyCoord(longitude, latitude, unit=u.deg)
    return None


def _pixel_columns(table: Table) -> PixelPositions | None:
    names = {name.lower(): name for name in table.colnames}
    for x, y, first in _PIXEL_COLUMNS:
        if x in names and y in names:
            px, py = (_numbers(table, names[name], u.pix) - first for name in (x, y))
            return px, py
    return None


def _numbers(table: Table, name: str, unit: u.UnitBase) -> NDArray[np.float64]:
    """The column as floats in ``unit``; NaN where masked or infinite."""
    column = table[name]
    if column.dtype.kind not in "fiu":
        raise TypeError(f"positions: column {name!r} must hold numbers, not {column.dtype}")
    if column.ndim != 1:
        raise ValueError(
            f"positions: column {name!r} has shape {column.shape}, not one number a row"
        )
    mask = getattr(column, "mask", False)
    column = getattr(column, "unmasked", column)
    given = getattr(column, "unit", None)
    values = np.array(getattr(column, "value", column), dtype=np.float64)
    if given is not None and given != u.dimensionless_unscaled:
        try:
            values = u.Unit(given).to(unit, values)
        except ValueError as exc:  # of a unit that astropy does not know, too
            raise u.UnitConversionError(
                f"positions: column {name!r} has unit {given}, which is not {unit}"
            ) from exc
    values[np.broadcast_to(mask, values.shape) | ~np.isfinite(values)] = np.nan
    return values
