"""A figure and its error."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Measured", "share"]


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
