"""What a validation set says of how far a network's numbers can be trusted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._record import Record

__all__ = ["LEVELS", "Calibration"]

LEVELS = (0.68, 0.95)
"""Parts of the truths that the two intervals cover."""


@dataclass(frozen=True, kw_only=True)
class Calibration(Record):
    """
    Temperature of a head of classes, or intervals of a head of fractions or numbers.

    `astrodlkit.training.calibrate` makes one. It holds for rows like those it
    was fitted on; on other skies probabilities are too sure and intervals too
    narrow.

    Parameters
    ----------
    n : int
        Number of rows it was fitted on.
    temperature : float, optional
        Of classes: probabilities are raised to the power 1 / temperature and
        made to sum to 1.
    knots : tuple of float, optional
        Increasing values at which ``widths`` are known: of a fraction, or of
        the probability of the likeliest class. For numbers: none, as the
        network gives a standard deviation of its own.
    widths : tuple of tuple of float, optional
        For fractions, at each knot half the width of the 68 % interval, and
        of the 95 % interval. For classes, at each knot the standard error of
        the probability.
    factors : tuple of tuple of float, optional
        For fractions and numbers, what half the width (or the standard
        deviation) of each label is multiplied by, for 68 % and for 95 %.

    Raises
    ------
    ValueError
        If the numbers do not go together.

    Examples
    --------
    >>> import numpy as np
    >>> from astrodlkit.specs import Calibration
    >>> calibration = Calibration(n=500, temperature=2.0)
    >>> calibration.soften(np.array([[0.9, 0.1]]))
    array([[0.75, 0.25]])
    >>> votes = Calibration(n=100, knots=(0, 1), widths=((0.1, 0.2), (0.2, 0.4)),
    ...                     factors=((1.0,), (1.5,)))
    >>> print(votes.half_widths(np.array([0.5]), 0.95, label=0))
    [0.45]
    """

    n: int
    temperature: float = 1.0
    knots: tuple[float, ...] = ()
    widths: tuple[tuple[float, ...], ...] = ()
    factors: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        if not (isinstance(self.n, int) and self.n > 0):
            raise ValueError(f"n must be a positive integer, got {self.n!r}")
        if not 0 < self.temperature < np.inf:
            raise ValueError(f"temperature must be positive, got {self.temperature!r}")
        if (np.diff(self.knots) <= 0).any():
            raise ValueError(f"knots must increase, got {self.knots}")
        for name in ("widths", "factors"):
            rows = getattr(self, name)
            if any(not 0 <= value < np.inf for row in rows for value in row):
                raise ValueError(f"{name} must be 0 or more and finite, got {rows}")
        if any(len(row) != len(self.knots) for row in self.widths):
            raise ValueError(f"widths must be one for each of the {len(self.knots)} knots")
        if self.factors and len(self.factors) != len(LEVELS):
            raise ValueError(f"factors must be rows for {LEVELS}, got {len(self.factors)} rows")
        if len(self.widths) != bool(self.knots) * (len(self.factors) or 1):
            raise ValueError(
                "widths must have a row for the error of classes, or two for intervals, "
                f"got {len(self.widths)}"
            )

    def check(self, kind: str, n_labels: int) -> None:
        """
        Refuse to serve a head of another kind or size.

        Parameters
        ----------
        kind : str
            Kind of the head.
        n_labels : int
            Number of its labels.

        Raises
        ------
        ValueError
            If this is not the calibration of such a head.
        """
        shape = (bool(self.knots), bool(self.factors))
        wanted = {"classes": (True, False), "fractions": (True, True), "numbers": (False, True)}
        if shape != wanted[kind] or any(len(row) != n_labels for row in self.factors):
            raise ValueError(f"calibration must be one of {n_labels} {kind}, got {self}")

    def soften(self, probabilities: NDArray) -> NDArray:
        """
        Probabilities of classes at the temperature.

        Parameters
        ----------
        probabilities : `~numpy.ndarray`, shape (n, k)
            The network's.

        Returns
        -------
        probabilities : `~numpy.ndarray`, shape (n, k)
            The same order of classes, neither too sure nor too cautious.
        """
        powers = probabilities ** (1 / self.temperature)
        return powers / powers.sum(axis=1, keepdims=True)

    def probability_errors(self, probability: NDArray) -> NDArray:
        """
        Standard error of calibrated probabilities.

        Parameters
        ----------
        probability : `~numpy.ndarray`, shape (n,)
            Of the likeliest class, from `soften`.

        Returns
        -------
        error : `~numpy.ndarray` of float32, shape (n,)
            How well the validation set tells the part of such rows that is
            right.
        """
        return self._interpolated(probability, np.array(self.widths[0]))

    def half_widths(self, values: NDArray, level: float, label: int) -> NDArray:
        """
        Half the widths of intervals around one label's fractions or numbers.

        Parameters
        ----------
        values : `~numpy.ndarray`, shape (n,)
            The fractions, or the standard deviations of the numbers.
        level : {0.68, 0.95}
            Part of the truths that the interval covers.
        label : int
            Place of the label.

        Returns
        -------
        widths : `~numpy.ndarray` of float32, shape (n,)
            The interval is from the value less this to the value plus this.
        """
        row = LEVELS.index(level)
        factor = self.factors[row][label]
        if not self.knots:
            return np.asarray(values, dtype=np.float32) * np.float32(factor)
        return self._interpolated(values, factor * np.array(self.widths[row]))

    def _interpolated(self, values: NDArray, widths: NDArray) -> NDArray:
        """Linear interpolation between the knots; NaN stays NaN."""
        values = np.asarray(values, dtype=np.float32)
        if len(self.knots) == 1:
            return values * 0 + np.float32(widths[0])
        # As a sum of hinges: a quarter of the time of numpy.interp.
        slopes = (np.diff(widths) / np.diff(self.knots)).astype(np.float32)
        values = np.clip(values, np.float32(self.knots[0]), np.float32(self.knots[-1]))
        found = (values - np.float32(self.knots[0])) * slopes[0] + np.float32(widths[0])
        beyond = np.empty_like(values)
        for knot, bend in zip(self.knots[1:-1], np.diff(slopes), strict=True):
            np.maximum(np.subtract(values, np.float32(knot), out=beyond), 0, out=beyond)
            beyond *= bend
            found += beyond
        return found
