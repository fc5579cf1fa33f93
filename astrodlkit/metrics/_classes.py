"""Classes: how often right, and how well the probabilities say so."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._measured import Measured, share

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
        Classes, as names or numbers.

    Returns
    -------
    accuracy : Measured
        With its binomial error.

    Raises
    ------
    ValueError
        If the shapes differ, or there is no row.

    Examples
    --------
    >>> from astrodlkit.metrics import accuracy
    >>> value, error, n = accuracy(["a", "b", "a", "a"], ["a", "b", "b", "a"])
    >>> print(f"{value:.2f} +- {error:.2f}, {n} rows")
    0.75 +- 0.22, 4 rows
    """
    predicted, truth = np.asarray(predicted), np.asarray(truth)
    if predicted.shape != truth.shape or truth.ndim != 1:
        raise ValueError(
            f"predicted and truth must have one shape (n,), got {predicted.shape} and {truth.shape}"
        )
    return share(predicted == truth)


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
        If the shapes differ, there is no row, or a probability is outside
        the bins.

    Examples
    --------
    >>> from astrodlkit.metrics import reliability_curve
    >>> curve = reliability_curve([0.9, 0.92, 0.4], [True, True, False], bins=2)
    >>> print(curve.probability, curve.accuracy, curve.n)
    [0.4  0.91] [0. 1.] [1 2]
    """
    probability = np.asarray(probability, dtype=np.float64)
    right = np.asarray(right, dtype=bool)
    edges = np.linspace(0, 1, bins + 1) if isinstance(bins, int) else np.asarray(bins)
    if probability.shape != right.shape or probability.ndim != 1 or not len(probability):
        raise ValueError(
            "probability and right must have one shape (n,) with n > 0, "
            f"got {probability.shape} and {right.shape}"
        )
    if not ((probability >= edges[0]) & (probability <= edges[-1])).all():
        raise ValueError(f"probability must be from {edges[0]} to {edges[-1]} and not NaN")
    place = np.clip(np.searchsorted(edges, probability, side="left") - 1, 0, None)
    parts = [place == bin_ for bin_ in np.unique(place)]
    shares = [share(right[part]) for part in parts]
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
        Scores.

    Returns
    -------
    area : float
        Area under the curve of true against false positives: 1 where the
        score parts them, 0.5 where it says nothing.

    Examples
    --------
    >>> from astrodlkit.metrics import area_under_roc
    >>> area_under_roc([0.9, 0.8], [0.1, 0.85])
    0.75
    """
    from scipy.stats import mannwhitneyu

    positive, negative = np.asarray(positive), np.asarray(negative)
    pairs = len(positive) * len(negative)
    return float(mannwhitneyu(positive, negative, method="asymptotic").statistic / pairs)
