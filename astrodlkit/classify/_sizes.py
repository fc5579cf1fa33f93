"""How wide the stamp of a source should be, from what its table says of its size."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import QTable

__all__ = ["MEASURED", "Widths", "given_widths", "read_widths"]

_BANDS = ("r", "i", "g", "z", "u")
_SEMIMAJOR = ("semimajoraxis", "semimajorsigma")

# Ratio of the Petrosian-90 radius to other measures of size: medians over the galaxies brighter
# than r = 19 of SDSS frame 94-1-12 (N = 34, Stripe 82), measured in r with photutils' defaults.
# For Sersic profiles with n = 1 and n = 4 it is 2.3 and 3.4 half-light radii.
MEASURED = {
    "petrosian": 1.2,
    "kron": 1.6,
    "half_light": 2.7,
    "equivalent": 1.1,
    "bbox": 0.8,
}


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
    * ``kron_radius`` times ``semimajor_axis`` (``semimajor_sigma``): 1.6 times;
      the same for ``KRON_RADIUS`` times ``A_IMAGE``, which SExtractor gives
      2.5 times as large;
    * ``petroR50``, ``half_light_radius``, ``flux_radius``, ``r50``, ``r_eff``:
      2.7 times the half-light radius;
    * ``equivalent_radius``, ``segment_area``, ``area``: 1.1 times the radius
      of the circle with the segment's area;
    * ``bbox_xmin`` to ``bbox_ymax``: 0.8 times half the longer side.

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
        If the column's unit is neither an angle nor pixels.
    ValueError
        If the column has no unit and its name does not tell it.
    """
    widths: u.Quantity | None = None
    rules = []
    for rule, radius in _radii(table):
        if widths is None:
            widths = radius
        elif radius.unit.is_equivalent(widths.unit):
            lacking = ~(np.isfinite(widths) & (widths > 0))
            if not lacking.any():
                break
            widths = np.where(lacking, radius, widths)
        else:
            continue
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


def _radii(table: QTable) -> Iterator[tuple[str, u.Quantity]]:
    """Every estimate of the Petrosian-90 radius that the table allows, the best first."""
    names = {
        name.lower().replace("_", ""): name for name in table.colnames if table[name].ndim == 1
    }
    arcsec, pix = u.arcsec, u.pix

    def found(*wanted: str) -> Iterator[str]:
        return (names[name] for name in wanted if name in names)

    def sdss(*stems: str) -> Iterator[str]:
        return found(*(stem + band for stem in stems for band in ("", *_BANDS)))

    for name in sdss("petror90", "petroth90"):
        yield name, _quantity(table, name, arcsec)
    for name in found("r90"):
        yield name, _quantity(table, name, None)
    for name in sdss("petrorad", "petrotheta"):
        yield name, MEASURED["petrosian"] * _quantity(table, name, arcsec)
    for kron in found("kronradius"):
        multiple = u.Quantity(_filled(table[kron])).value
        for name in found(*_SEMIMAJOR):
            radius = multiple * _quantity(table, name, pix)
            yield f"{kron} * {name}", MEASURED["kron"] * radius
        for name in found("aimage"):
            radius = multiple / 2.5 * _quantity(table, name, pix)
            yield f"{kron} * {name}", MEASURED["kron"] * radius
    for name in sdss("petror50", "petroth50"):
        yield name, MEASURED["half_light"] * _quantity(table, name, arcsec)
    for name in found("fluxradius"):
        yield name, MEASURED["half_light"] * _quantity(table, name, pix)
    for name in found("halflightradius", "r50", "reff", "rhalf"):
        yield name, MEASURED["half_light"] * _quantity(table, name, None)
    for name in found("equivalentradius"):
        yield name, MEASURED["equivalent"] * _quantity(table, name, pix)
    for name in found("segmentarea", "area"):
        area = u.Quantity(_filled(table[name]), dtype=float)
        area = area.value * pix**2 if area.unit in (u.dimensionless_unscaled, pix) else area
        yield name, MEASURED["equivalent"] * np.sqrt(area / np.pi)
    sides = [list(found(f"bbox{axis}min", f"bbox{axis}max")) for axis in "xy"]
    if all(len(side) == 2 for side in sides):
        lengths = [
            _quantity(table, high, pix) - _quantity(table, low, pix) + 1 * pix
            for low, high in sides
        ]
        yield "bbox", MEASURED["bbox"] * np.maximum(*lengths) / 2


def _quantity(table: QTable, name: str, usual: u.UnitBase | None) -> u.Quantity:
    """A column as angles or pixels; masked entries become NaN."""
    values = u.Quantity(_filled(table[name]), dtype=float)
    if values.unit == u.dimensionless_unscaled:
        if usual is None:
            raise ValueError(
                f"column {name!r} has no unit: angle or pixels? "
                f"Say it with table[{name!r}].unit = 'arcsec' (or 'pix')"
            )
        values = values.value * usual
    _check_unit(values.unit, f"column {name!r}")
    return values


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
