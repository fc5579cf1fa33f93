"""Fractions and numbers: how large the errors are, and how many truths the intervals cover."""

import numpy as np
from numpy.typing import ArrayLike

from ._measured import Measured, share
from ._values import read_numbers

__all__ = ["interval_coverage", "root_mean_square"]


def interval_coverage(truth: ArrayLike, low: ArrayLike, high: ArrayLike) -> Measured:
    """
    Share of the truths that lie in their interval.

    Parameters
    ----------
    truth : array_like, shape (n,) or (n, k)
        What is true; NaN and what is masked are left out.
    low, high : array_like of the same shape
        Ends of the intervals, which belong to them. Where ``truth`` has a unit, these
        have one that converts to it.

    Returns
    -------
    coverage : Measured
        The error counts rows: the k numbers of a row are taken to go together.

    Raises
    ------
    ValueError
        If the shapes differ, or no truth is known.
    astropy.units.UnitConversionError
        If the units do not go together.

    Examples
    --------
    >>> from astrodlkit.metrics import interval_coverage
    >>> interval_coverage([0.1, 0.5], [0.0, 0.6], [0.2, 0.8]).value
    0.5
    """
    unit = getattr(truth, "unit", None)
    truth, low, high = (read_numbers(each, unit) for each in (truth, low, high))
    if not truth.shape == low.shape == high.shape:
        raise ValueError(
            f"truth, low and high must have one shape, got {truth.shape}, {low.shape} and "
            f"{high.shape}"
        )
    known = np.isfinite(truth)
    inside = (truth >= low) & (truth <= high)
    value = share(inside[known]).value
    n = int(known.any(axis=tuple(range(1, known.ndim))).sum())
    return Measured(value, float(np.sqrt(max(value * (1 - value), 1 / (4 * n)) / n)), n)


def root_mean_square(residuals: ArrayLike, *, n_bootstraps: int = 1000, rng: int = 0) -> Measured:
    """
    Root of the mean square, with an error from bootstraps over the rows.

    Parameters
    ----------
    residuals : array_like, shape (n,) or (n, k)
        Predictions less truths; rows with a NaN, or something masked, are left out.
    n_bootstraps : int
        Number of times that rows are drawn.
    rng : int or `numpy.random.Generator`
        Draws them.

    Returns
    -------
    root_mean_square : Measured
        In the unit of the residuals.

    Raises
    ------
    ValueError
        If no row is left.

    Examples
    --------
    >>> from astrodlkit.metrics import root_mean_square
    >>> print(root_mean_square([0.1, -0.1, 0.1]).value)
    0.1
    """
    residuals = read_numbers(residuals, getattr(residuals, "unit", None))
    squares = (residuals**2).mean(axis=tuple(range(1, residuals.ndim)))
    squares = squares[np.isfinite(squares)]
    n = len(squares)
    if n == 0:
        raise ValueError("residuals must have one row or more without NaN")
    random = np.random.default_rng(rng)
    drawn = [squares[random.integers(n, size=n)].mean() for _ in range(n_bootstraps)]
    return Measured(float(np.sqrt(squares.mean())), float(np.sqrt(drawn).std()), n)
