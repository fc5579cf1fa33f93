"""What the numbers, edges and thresholds that users give mean."""

from typing import Any

import numpy as np
from astropy import units as u
from numpy.typing import ArrayLike, NDArray

__all__ = ["in_unit", "read_bins", "read_levels", "read_numbers", "stacked"]


def stacked(values: Any) -> Any:
    """A list of quantities as one, which numpy would take the units from."""
    several = isinstance(values, list | tuple) and len(values) > 0
    if several and all(type(each) is u.Quantity for each in values):
        return u.Quantity(values)
    return values


def in_unit(quantity: u.Quantity, unit: u.UnitBase, name: str) -> NDArray[np.float64]:
    """
    Convert an argument.

    Parameters
    ----------
    quantity : `~astropy.units.Quantity`
        The argument.
    unit : `~astropy.units.UnitBase`
        That it must have.
    name : str
        Its name.

    Returns
    -------
    values : `~numpy.ndarray`
        In this unit.
    """
    try:
        return np.asarray(quantity.to_value(unit), dtype=np.float64)
    except u.UnitConversionError as exc:
        raise u.UnitConversionError(
            f"{name} must be in {unit.to_string() or 'no unit'}, got the unit {quantity.unit}"
        ) from exc


def read_numbers(values: Any, unit: u.UnitBase | None = None) -> NDArray[np.float64]:
    """
    Read numbers of which some may be masked.

    Parameters
    ----------
    values : array_like or `~astropy.units.Quantity`
        The argument.
    unit : `~astropy.units.UnitBase`, optional
        The unit wanted; by default none.

    Returns
    -------
    numbers : `~numpy.ndarray`
        In this unit; NaN where masked.
    """
    numbers = np.array(getattr(values, "unmasked", values), dtype=np.float64)
    numbers[np.ma.getmask(values)] = np.nan
    own = getattr(values, "unit", None)
    if own != unit:
        none = u.dimensionless_unscaled
        numbers = u.Quantity(numbers, own or none).to_value(unit or none)
    return numbers


def read_bins(bins: Any, unit: u.UnitBase) -> int | NDArray[np.float64]:
    """
    Read the argument ``bins``.

    Parameters
    ----------
    bins : int, array_like or `~astropy.units.Quantity`
        The argument.
    unit : `~astropy.units.UnitBase`
        That edges must have.

    Returns
    -------
    bins : int or `~numpy.ndarray`
        Number of bins, or their edges.
    """
    if isinstance(bins, int | np.integer) and not isinstance(bins, bool):
        if bins < 1:
            raise ValueError(f"bins must be 1 or more, got {bins}")
        return int(bins)
    if bins is None or np.isscalar(bins):
        raise TypeError(f"bins must be a number of bins, or their edges, got {bins!r}")
    return read_levels(bins, unit, "bins")


def read_levels(
    levels: ArrayLike | u.Quantity, unit: u.UnitBase, name: str, *, at_least: int = 2
) -> NDArray[np.float64]:
    """
    Read edges or thresholds, which must increase.

    Parameters
    ----------
    levels : array_like or `~astropy.units.Quantity`
        The argument.
    unit : `~astropy.units.UnitBase`
        That it must have.
    name : str
        Its name.
    at_least : int
        How many there must be.

    Returns
    -------
    levels : `~numpy.ndarray`, shape (m,)
        In this unit.
    """
    levels = stacked(levels)
    if not isinstance(levels, u.Quantity) and unit != u.dimensionless_unscaled:
        raise TypeError(f"{name} has no unit; give a Quantity in {unit}")
    try:
        quantity = u.Quantity(levels)
    except (TypeError, ValueError) as exc:
        raise TypeError(f"{name} must be numbers, got {levels!r}") from exc
    values = in_unit(quantity, unit, name)
    if values.ndim != 1 or len(values) < at_least or not (np.diff(values) > 0).all():
        raise ValueError(f"{name} must be {at_least} or more numbers that increase, got {levels!r}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, got {levels!r}")
    return values
