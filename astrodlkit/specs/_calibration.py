"""What a validation set says of how far a network's numbers can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
    knots : tuple of float, or of numbers a tuple of them for each label, optional
        Increasing values at which ``widths`` are known: of a fraction, of the
        probability of the likeliest class, or of the label's number. Numbers
        without knots have the same width, in standard deviations, everywhere.
    widths : tuple of tuple of float, or of numbers a tuple of them for each label, optional
        For fractions, at each knot half the width of the 68 % interval, and
        of the 95 % interval; for numbers, the same in units of the network's
        standard deviation. For classes, at each knot the standard error of
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
    knots: tuple[float, ...] | tuple[tuple[float, ...], ...] = ()
    widths: tuple[tuple[float, ...], ...] | tuple[tuple[tuple[float, ...], ...], ...] = ()
    factors: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        if not (isinstance(self.n, int) and self.n > 0):
            raise ValueError(f"n must be a positive integer, got {self.n!r}")
        if not 0 < self.temperature < np.inf:
            raise ValueError(f"temperature must be positive, got {self.temperature!r}")
        if any((np.diff(knots) <= 0).any() for knots in _rows(self.knots, self.knots)):
            raise ValueError(f"knots must increase, got {self.knots}")
        widths = [row for each in self.widths for row in _rows(self.knots, each)]
        for name, rows in (("widths", widths), ("factors", self.factors)):
            if any(not 0 <= value < np.inf for row in rows for value in row):
                raise ValueError(f"{name} must be 0 or more and finite, got {rows}")
        sizes = [len(knots) for knots in _rows(self.knots, self.knots)]
        if any([len(row) for row in _rows(self.knots, each)] != sizes for each in self.widths):
            raise ValueError(f"widths must be one for each of the {sum(sizes)} knots")
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
        form = (bool(self.knots), bool(self.factors), _per_label(self.knots))
        wanted = {
            "classes": [(True, False, False)],
            "fractions": [(True, True, False)],
            "numbers": [(False, True, False), (True, True, True)],
        }
        rows = [*self.factors, self.knots] if _per_label(self.knots) else self.factors
        if form not in wanted[kind] or any(len(row) != n_labels for row in rows):
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
        return _interpolated(probability, self.knots, self.widths[0])

    def half_widths(
        self, values: NDArray, level: float, label: int, deviations: NDArray | None = None
    ) -> NDArray:
        """
        Half the widths of intervals around one label's fractions or numbers.

        Parameters
        ----------
        values : `~numpy.ndarray`, shape (n,)
            The fractions or numbers.
        level : {0.68, 0.95}
            Part of the truths that the interval covers.
        label : int
            Place of the label.
        deviations : `~numpy.ndarray`, shape (n,), optional
            For numbers, the network's standard deviations.

        Returns
        -------
        widths : `~numpy.ndarray` of float32, shape (n,)
            The interval is from the value less this to the value plus this.
        """
        row = LEVELS.index(level)
        knots, widths = _curve(self, row, label)
        found = _interpolated(values, knots, self.factors[row][label] * np.array(widths))
        if deviations is not None:
            found *= deviations
        return found

    @classmethod
    def mean(cls, calibrations: Sequence[Self]) -> Self:
        """
        What holds for the mean of several networks' numbers, near enough.

        Parameters
        ----------
        calibrations : sequence of Calibration
            One or more, of the same head.

        Returns
        -------
        calibration : Calibration
            The mean of the widths, at the knots of the first that has some.
        """
        first = next((each for each in calibrations if each.knots), calibrations[0])

        def mean_widths(row: int, label: int) -> tuple[float, ...]:
            knots, _ = _curve(first, row, label)
            widths = [np.interp(knots, *_curve(each, row, label)) for each in calibrations]
            return tuple(np.mean(widths, axis=0).tolist())

        widths: list[Any] = [
            tuple(mean_widths(row, i) for i, _ in enumerate(_rows(first.knots, first.knots)))
            for row, _ in enumerate(first.widths)
        ]
        factors = np.mean([each.factors for each in calibrations], axis=0)
        return cls(
            n=min(each.n for each in calibrations),
            temperature=float(np.exp(np.mean([np.log(each.temperature) for each in calibrations]))),
            knots=first.knots,
            widths=tuple(rows if _per_label(first.knots) else rows[0] for rows in widths),
            factors=tuple(map(tuple, factors.tolist())),
        )


def _per_label(knots: tuple[Any, ...]) -> bool:
    """Whether each label has a curve of its own."""
    return any(np.ndim(each) for each in knots)


def _rows(knots: tuple[Any, ...], numbers: tuple[Any, ...]) -> tuple[Any, ...]:
    """Numbers along the knots, for each curve: one for each label, or one for all."""
    return numbers if _per_label(knots) else (numbers,)


def _curve(calibration: Calibration, row: int, label: int) -> tuple[Any, Any]:
    """Knots and widths of one label."""
    knots = calibration.knots
    if not knots:
        return (0.0,), (1.0,)
    i = label if _per_label(knots) else 0
    return _rows(knots, knots)[i], _rows(knots, calibration.widths[row])[i]


def _interpolated(values: NDArray, knots: ArrayLike, widths: ArrayLike) -> NDArray:
    """Linear interpolation between the knots; NaN stays NaN."""
    slopes = (np.diff(widths) / np.diff(knots)).astype(np.float32)
    values, knots, widths = (np.asarray(each, dtype=np.float32) for each in (values, knots, widths))
    if len(knots) == 1:
        return values * 0 + widths[0]
    # As a sum of hinges: a quarter of the time of numpy.interp.
    values = np.clip(values, knots[0], knots[-1])
    found = (values - knots[0]) * slopes[0] + widths[0]
    beyond = np.empty_like(values)
    for knot, bend in zip(knots[1:-1], np.diff(slopes), strict=True):
        np.maximum(np.subtract(values, knot, out=beyond), 0, out=beyond)
        beyond *= bend
        found += beyond
    return found
