"""Classes: how often right, and how well the probabilities say so."""

from typing import NamedTuple

import numpy as np
from astropy import units as u
from numpy.typing import ArrayLike, NDArray

from ._measured import Measured, share
from ._values import read_bins, read_numbers

__all__ = [
    "ReliabilityCurve",
    "accuracy",
    "area_under_roc",
    "expected_calibration_error",
    "reliability_curve",
]


def accuracy(predicted: ArrayLike, truth: ArrayLike) -> Measured:
    """
    Share of rows whose class is right.

    Parameters
    ----------
    predicted, truth : array_like, shape (n,)
        Classes, as names or numbers. Rows whose truth is masked are left out; a
        prediction that is masked is not right.

    Returns
    -------
    accuracy : Measured
        With its binomial error.

    Raises
    ------
    ValueError
        If the shapes differ, or no truth is known.

    Examples
    --------
    >>> from astrodlkit.metrics import accuracy
    >>> value, error, n = accuracy(["a", "b", "a", "a"], ["a", "b", "b", "a"])
    >>> print(f"{value:.2f} +- {error:.2f}, {n} rows")
    0.75 +- 0.22, 4 rows
    """
    given, true = np.asarray(predicted), np.asarray(truth)
    if given.shape != true.shape or true.ndim != 1:
        raise ValueError(
            f"predicted and truth must have one shape (n,), got {given.shape} and {true.shape}"
        )
    right = (given == true) & ~np.ma.getmask(predicted)
    return share(right[np.broadcast_to(~np.ma.getmask(truth), right.shape)])


class ReliabilityCurve(NamedTuple):
    """
    What was right, beside what was promised.

    Parameters
    ----------
    probability : `~numpy.ndarray`, shape (m,)
        Mean probability in each bin that has rows.
    accuracy, error : `~numpy.ndarray`, shape (m,)
        Share of these rows that is right, and its binomial error.
    n : `~numpy.ndarray` of int, shape (m,)
        Number of rows.
    """

    probability: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    error: NDArray[np.float64]
    n: NDArray[np.intp]


def reliability_curve(
    probability: ArrayLike, right: ArrayLike, *, bins: int | ArrayLike = 15
) -> ReliabilityCurve:
    """
    Bin rows by the probability of their class, and see how many are right.

    Parameters
    ----------
    probability : array_like, shape (n,)
        Of the class that was given.
    right : array_like of bool, shape (n,)
        Whether it is the true one.
    bins : int or array_like
        Number of equal bins between 0 and 1, or their edges.

    Returns
    -------
    curve : ReliabilityCurve
        Without the bins that are empty.

    Raises
    ------
    ValueError
        If the shapes differ, there is no row, a probability is outside the bins
        or something is NaN or masked, or edges do not increase.

    Examples
    --------
    >>> from astrodlkit.metrics import reliability_curve
    >>> curve = reliability_curve([0.9, 0.92, 0.4], [True, True, False], bins=2)
    >>> print(curve.probability, curve.accuracy, curve.n)
    [0.4  0.91] [0. 1.] [1 2]
    """
    probability, correct = read_numbers(probability), read_numbers(right)
    edges = read_bins(bins, u.dimensionless_unscaled)
    if isinstance(edges, int):
        edges = np.linspace(0, 1, edges + 1)
    if probability.shape != correct.shape or probability.ndim != 1 or not len(probability):
        raise ValueError(
            "probability and right must have one shape (n,) with n > 0, "
            f"got {probability.shape} and {correct.shape}"
        )
    if not ((probability >= edges[0]) & (probability <= edges[-1])).all():
        raise ValueError(f"probability must be from {edges[0]} to {edges[-1]} and not NaN")
    if not np.isin(correct, (0, 1)).all():
        raise ValueError("right must be true or false in each row, and not NaN or masked")
    place = np.clip(np.searchsorted(edges, probability, side="left") - 1, 0, None)
    parts = [place == bin_ for bin_ in np.unique(place)]
    shares = [share(correct[part] == 1) for part in parts]
    return ReliabilityCurve(
        np.array([probability[part].mean() for part in parts]),
        np.array([each.value for each in shares]),
        np.array([each.error for each in shares]),
        np.array([each.n for each in shares]),
    )


def expected_calibration_error(
    probability: ArrayLike, right: ArrayLike, *, bins: int | ArrayLike = 15
) -> float:
    """
    How far probabilities are from how often they are right [1]_.

    Parameters
    ----------
    probability, right, bins
        As of `reliability_curve`.

    Returns
    -------
    error : float
        Mean over the rows of the difference, in their bin, between the mean
        probability and the share that is right. Chance alone makes it greater
        than 0.

    Raises
    ------
    ValueError
        As from `reliability_curve`.

    References
    ----------
    .. [1] Guo et al. 2017, ICML, PMLR 70, 1321, equation 3.

    Examples
    --------
    >>> from astrodlkit.metrics import expected_calibration_error
    >>> print(expected_calibration_error([0.75] * 4, [True, True, True, False]))
    0.0
    """
    curve = reliability_curve(probability, right, bins=bins)
    return float(np.average(np.abs(curve.accuracy - curve.probability), weights=curve.n))


def area_under_roc(positive: ArrayLike, negative: ArrayLike) -> float:
    """
    Probability that a positive has a higher score than a negative.

    Parameters
    ----------
    positive, negative : array_like, shape (n,), (m,)
        Scores, one or more of each.

    Returns
    -------
    area : float
        Area under the curve of true against false positives: 1 where the
        score parts them, 0.5 where it says nothing.

    Raises
    ------
    ValueError
        If there is no score, or one is NaN or masked.
    astropy.units.UnitConversionError
        If the units do not go together.

    Examples
    --------
    >>> from astrodlkit.metrics import area_under_roc
    >>> area_under_roc([0.9, 0.8], [0.1, 0.85])
    0.75
    """
    from scipy.stats import mannwhitneyu

    unit = getattr(positive, "unit", None)
    positive, negative = (read_numbers(each, unit) for each in (positive, negative))
    for name, scores in (("positive", positive), ("negative", negative)):
        if scores.ndim != 1 or not len(scores) or np.isnan(scores).any():
            raise ValueError(f"{name} must be one score or more, shape (n,), and not NaN or masked")
    pairs = len(positive) * len(negative)
    return float(mannwhitneyu(positive, negative, method="asymptotic").statistic / pairs)
