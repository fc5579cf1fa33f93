"""How wide the stamp of a source should be, from what its table says of its size."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import QTable

__all__ = ["MEASURED", "Widths", "given_widths", "read_widths"]

# Ratio of the Petrosian-90 radius to other measures of size: medians over the galaxies brighter
# than r = 19 of one SDSS field (N = 19), from benchmarks/size_ratios.py at a threshold of 1.5.
# For Sersic profiles with n = 1 and n = 4 it is 2.3 and 3.4 half-light radii.
MEASURED = {
    "petrosian": 1.2,
    "kron": 1.7,
    "half_light": 2.7,
    "equivalent": 1.3,
    "bbox": 1.0,
}

# Name in lower case without underscores, factor, and the unit of a column that has none.
_OUTER = (
    ("petror90", 1.0, u.arcsec),
    ("petroth90", 1.0, u.arcsec),
    ("r90", 1.0, None),
    ("petrorad", MEASURED["petrosian"], u.arcsec),
    ("petrotheta", MEASURED["petrosian"], u.arcsec),
)
_HALF_LIGHT = (
    ("petror50", MEASURED["half_light"], u.arcsec),
    ("petroth50", MEASURED["half_light"], u.arcsec),
    ("fluxradius", MEASURED["half_light"], u.pix),
    ("halflightradius", MEASURED["half_light"], None),
    ("r50", MEASURED["half_light"], None),
    ("reff", MEASURED["half_light"], None),
    ("rhalf", MEASURED["half_light"], None),
)
# What SDSS appends to Petrosian names.
_BANDS = ("", "r", "i", "g", "z", "u")
# The axis, and how much larger than photutils' the Kron radius beside it is.
_SEMIMAJOR = {"semimajoraxis": 1.0, "semimajorsigma": 1.0, "aimage": 2.5}


@dataclass(frozen=True)
class Widths:
    """
    Widths of the stamps of a table's rows.

    Parameters
    ----------
    values : `~astropy.units.Quantity`, shape (n,)
        Angles or pixels; NaN where the table does not say.
    rule : str
        Where they come from, in words.
    """

    values: u.Quantity
    rule: str


def read_widths(table: QTable, radii: float) -> Widths | None:
    """
    Widths from the columns of a table.

    The columns are tried in this order, under the names that SDSS, SExtractor
    and photutils give them (upper or lower case, with or without
    underscores); a row takes the first that is finite and positive:

    * ``petroR90``, ``petroR90_r``, ...: the radius with 90 % of the
      Petrosian flux;
    * ``petroRad``, ``petroRad_r``, ...: 1.2 times the Petrosian radius;
    * ``kron_radius`` times ``semimajor_axis`` (``semimajor_sigma``): 1.7 times;
      the same for ``KRON_RADIUS`` times ``A_IMAGE``, which SExtractor gives
      2.5 times as large;
    * ``petroR50``, ``half_light_radius``, ``flux_radius``, ``r50``, ``r_eff``:
      2.7 times the half-light radius;
    * ``equivalent_radius``, ``segment_area``, ``area``: 1.3 times the radius
      of the circle with the segment's area;
    * ``bbox_xmin`` to ``bbox_ymax``: half the longer side.

    Parameters
    ----------
    table : `~astropy.table.QTable`, length n
        Sources.
    radii : float
        Width of a stamp in Petrosian-90 radii.

    Returns
    -------
    widths : Widths or None
        None if there is no such column.

    Raises
    ------
    `~astropy.units.UnitConversionError`
        If the unit of the first such column is neither an angle nor pixels.
    ValueError
        If it has no unit and its name does not tell it. Others that do not say are passed over.
    """
    widths: u.Quantity | None = None
    rules = []
    for rule, measure in _radii(table):
        if widths is None:
            widths = measure()
            rules.append(rule)
            continue
        lacking = ~(np.isfinite(widths) & (widths > 0))
        if not lacking.any():
            break
        try:
            radius = measure()
        except ValueError:
            continue
        if radius.unit.is_equivalent(widths.unit):
            widths = np.where(lacking, radius, widths)
            rules.append(rule)
    if widths is None:
        return None
    return Widths(radii * widths, f"{radii:g} Petrosian-90 radii from {', else '.join(rules)}")


def given_widths(size: Any, table: QTable) -> Widths:
    """
    Widths that the user asked for.

    Parameters
    ----------
    size : int, Quantity, str or array_like
        Number of pixels, angle, name of a column, or one of these per row.
    table : `~astropy.table.QTable`, length n
        Sources.

    Returns
    -------
    widths : Widths
        One per row.

    Raises
    ------
    TypeError, ValueError
        If ``size`` is something else.
    """
    n = len(table)
    if isinstance(size, str):
        if size not in table.colnames:
            raise ValueError(
                f"size names no column of the table: got {size!r}, there are {table.colnames}"
            )
        return Widths(_quantity(table, size, None), f"column {size}")
    try:
        values = u.Quantity(_filled(size), dtype=float)
    except (TypeError, ValueError) as exc:
        raise TypeError(
            "size must be a number of pixels, an angle, a column name or one of these per row, "
            f"got {size!r}; for example size=30 * u.arcsec"
        ) from exc
    if values.unit == u.dimensionless_unscaled:
        values = values.value * u.pix
    _check_unit(values.unit, "size")
    if values.shape not in ((), (n,)):
        raise ValueError(
            f"size must be one width or one for each of the {n} rows, got shape {values.shape}"
        )
    if values.ndim == 0 and not (np.isfinite(values) and values > 0):
        raise ValueError(f"size must be positive, got {size}")
    rule = f"{values}" if values.ndim == 0 else "given per row"
    return Widths(np.broadcast_to(values, n, subok=True), rule)


def _radii(table: QTable) -> Iterator[tuple[str, Callable[[], u.Quantity]]]:
    """Every estimate of the Petrosian-90 radius that the table allows, the best first."""
    names = {
        name.lower().replace("_", ""): name
        for name in table.colnames
        if table[name].ndim == 1 and getattr(table[name], "dtype", np.dtype("O")).kind in "fiuO"
    }
    yield from _plain(table, names, _OUTER)
    yield from _kron(table, names)
    yield from _plain(table, names, _HALF_LIGHT)
    yield from _segment(table, names)


def _plain(
    table: QTable, names: dict[str, str], rules: tuple[tuple[str, float, u.UnitBase | None], ...]
) -> Iterator[tuple[str, Callable[[], u.Quantity]]]:
    for stem, factor, usual in rules:
        for band in _BANDS if stem.startswith("petro") else ("",):
            if stem + band in names:
                name = names[stem + band]
                yield name, partial(_quantity, table, name, usual, factor)


def _kron(table: QTable, names: dict[str, str]) -> Iterator[tuple[str, Callable[[], u.Quantity]]]:
    for axis, scale in _SEMIMAJOR.items():
        if "kronradius" in names and axis in names:
            kron, name = names["kronradius"], names[axis]
            yield f"{kron} * {name}", partial(_kron_radius, table, kron, name, scale)


def _kron_radius(table: QTable, kron: str, name: str, scale: float) -> u.Quantity:
    # In pixels for photutils, but a multiple of the axis all the same.
    multiple = u.Quantity(_filled(table[kron])).value / scale
    return multiple * _quantity(table, name, u.pix, MEASURED["kron"])


def _segment(
    table: QTable, names: dict[str, str]
) -> Iterator[tuple[str, Callable[[], u.Quantity]]]:
    yield from _plain(table, names, (("equivalentradius", MEASURED["equivalent"], u.pix),))
    for name in (names[name] for name in ("segmentarea", "area") if name in names):
        yield name, partial(_equivalent_radius, table, name)
    if {"bboxxmin", "bboxxmax", "bboxymin", "bboxymax"} <= set(names):
        yield "bbox", partial(_half_box, table, names)


def _equivalent_radius(table: QTable, name: str) -> u.Quantity:
    area = u.Quantity(_filled(table[name]), dtype=float)
    if area.unit in (u.dimensionless_unscaled, u.pix):
        area = area.value * u.pix**2
    radius = MEASURED["equivalent"] * np.sqrt(area / np.pi)
    _check_unit(radius.unit, f"the root of column {name!r}")
    return radius


def _half_box(table: QTable, names: dict[str, str]) -> u.Quantity:
    sides = [
        _quantity(table, names[f"bbox{axis}max"], u.pix)
        - _quantity(table, names[f"bbox{axis}min"], u.pix)
        + 1 * u.pix
        for axis in "xy"
    ]
    return MEASURED["bbox"] * np.maximum(*sides) / 2


def _quantity(
    table: QTable, name: str, usual: u.UnitBase | None, factor: float = 1.0
) -> u.Quantity:
    """A column as angles or pixels, times a factor; masked entries become NaN."""
    values = u.Quantity(_filled(table[name]), dtype=float)
    if values.unit == u.dimensionless_unscaled:
        if usual is None:
            raise ValueError(
                f"column {name!r} has no unit: angle or pixels? "
                f"Say it with table[{name!r}].unit = 'arcsec' (or 'pix')"
            )
        values = values.value * usual
    _check_unit(values.unit, f"column {name!r}")
    return factor * values


def _check_unit(unit: u.UnitBase, what: str) -> None:
    if not (unit.is_equivalent(u.arcsec) or unit.is_equivalent(u.pix)):
        raise u.UnitConversionError(f"{what} must be an angle or in pixels, got {unit}")


def _filled(values: Any) -> Any:
    """Masked entries as NaN, whatever kind of masked array it is."""
    mask = getattr(values, "mask", None)
    if mask is None:
        return values
    unit = getattr(values, "unit", None)
    plain = values.unmasked if hasattr(values, "unmasked") else np.ma.getdata(values)
    plain = np.where(mask, np.nan, np.asarray(plain, dtype=float))
    return plain if unit is None else plain * unit
