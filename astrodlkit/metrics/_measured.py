"""A figure and its error, and the numbers that it is of."""

from typing import Any, NamedTuple

import numpy as np
from astropy import units as u
from numpy.typing import NDArray

__all__ = ["Measured", "read_numbers", "share"]


class Measured(NamedTuple):
    """
    A figure of merit and its one-sigma error.

    Parameters
    ----------
    value, error : float
        The figure; the error is that of the finite number of rows.
    n : int
        Number of rows.
    """

    value: float
    error: float
    n: int


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


def share(right: NDArray[np.bool_]) -> Measured:
    """
    Share of rows for which something holds.

    Parameters
    ----------
    right : `~numpy.ndarray` of bool, shape (n,)
        Whether it does.

    Returns
    -------
    share : Measured
        With the binomial error, which is not 0 where all are right: a share
        of 1 in 50 rows is not known better than to half a row.
    """
    n = len(right)
    if n == 0:
        raise ValueError("a share of no rows is not a number: give one row or more")
    value = float(right.mean())
    return Measured(value, float(np.sqrt(max(value * (1 - value), 1 / (4 * n)) / n)), n)
