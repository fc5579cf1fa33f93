"""How far a network can be trusted, measured on a validation set."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..metrics import reliability_curve
from ..specs import Calibration, Head, OutputSpec
from ..specs._calibration import LEVELS

__all__ = ["calibrate"]

LEAST_ROWS = 20  # with fewer the 95 % interval would be a guess
_KNOTS = np.array([0, 0.05, 0.15, 0.3, 0.5, 0.75, 1])
_ROWS_PER_KNOT, _MOST_KNOTS = 40, 8  # of a number's own curve


def calibrate(
    output: OutputSpec, outputs: Mapping[str, ArrayLike], labels: Mapping[str, ArrayLike]
) -> OutputSpec:
    """
    Fit temperatures and intervals to rows that the network was not trained on.

    Classes get the temperature that makes the labels likeliest [1]_.
    Fractions and numbers get intervals by split conformal prediction [2]_:
    half their width is the quantile, over the rows, of the absolute residual
    divided by a scale, for each label on its own. The scale follows the
    predicted value: of fractions in the same way for all labels; of numbers
    it is the network's standard deviation times a curve of each label, with a
    knot for every 40 rows, up to eight.

    Parameters
    ----------
    output : `~astrodlkit.specs.OutputSpec`
        What the network gives.
    outputs : dict of array_like
        For each head the network's numbers for the rows, shape (n, k) or, of
        numbers, (n, k, 2).
    labels : dict of array_like
        For each head what is true:

        * classes: int, shape (n,); -1: not known;
        * fractions: float, shape (n, k), fractions or numbers of votes (then
          some are above 1); NaN: not known;
        * numbers: float, shape (n, k); NaN: not known.

        A head that is left out keeps the calibration that it has.

    Returns
    -------
    output : `~astrodlkit.specs.OutputSpec`
        With a calibration in each head that has 20 known rows or more, and
        none in those with fewer.

    Raises
    ------
    ValueError
        If labels are for heads that are not there, or have another shape.

    References
    ----------
    .. [1] Guo et al. 2017, ICML, PMLR 70, 1321.
    .. [2] Lei et al. 2018, Journal of the American Statistical Association,
       113, 1094.

    Examples
    --------
    >>> import numpy as np
    >>> from astrodlkit.specs import Head, OutputSpec
    >>> from astrodlkit.training import calibrate
    >>> output = OutputSpec(heads=(Head(name="kind", kind="classes", labels=("a", "b")),))
    >>> sure = np.tile([[0.99, 0.01]], (100, 1))
    >>> truth = np.repeat([0, 1], [80, 20])
    >>> calibrated = calibrate(output, {"kind": sure}, {"kind": truth})
    >>> table = calibrated.tabulate({"kind": sure[:1]})
    >>> print(f"{table['class_probability'][0]:.2f} +- {table['class_probability_error'][0]:.2f}")
    0.80 +- 0.04
    """
    names = [head.name for head in output.heads]
    if not set(labels) <= set(names):
        raise ValueError(f"labels must be for heads of {names}, got {sorted(labels)}")
    fits = {"classes": _classes, "fractions": _fractions, "numbers": _numbers}
    heads = []
    for head in output.heads:
        if head.name in labels:
            values = np.asarray(outputs[head.name], dtype=np.float64)
            truth = np.asarray(labels[head.name])
            shape = values.shape[: 1 if head.kind == "classes" else 2]
            if truth.shape != shape:
                raise ValueError(
                    f"labels of head {head.name!r} must have the shape {shape}, got {truth.shape}"
                )
            head = replace(head, calibration=fits[head.kind](head, values, truth))  # noqa: PLW2901
        heads.append(head)
    return replace(output, heads=tuple(heads))


def _classes(_: Head, values: NDArray, truth: NDArray) -> Calibration | None:
    from scipy.optimize import minimize_scalar

    known = (truth >= 0) & np.isfinite(values).all(axis=1)
    values, truth = values[known], truth[known]
    n = len(values)
    if n < LEAST_ROWS:
        return None

    def loss(log_temperature: float) -> float:
        softened = Calibration(n=n, temperature=np.exp(log_temperature)).soften(values)
        return -np.log(softened[np.arange(n), truth] + 1e-12).mean()

    found = minimize_scalar(loss, bounds=(-2, 3), method="bounded")
    calibration = Calibration(n=n, temperature=round(float(np.exp(found.x)), 3))
    softened = calibration.soften(values)
    probability, right = softened.max(axis=1), softened.argmax(axis=1) == truth
    parts = np.linspace(0, 1, max(1, min(10, n // 50)) + 1)[1:-1]
    edges = np.unique([0, *np.quantile(probability, parts), 1])
    curve = reliability_curve(probability.clip(0, 1), right, bins=edges)
    # Each bin is an experiment: m rows, r right. The accuracy then follows Beta(r + 1, m - r + 1).
    m, r = curve.n, curve.n * curve.accuracy
    error = np.sqrt((r + 1) * (m - r + 1) / (m + 3)) / (m + 2)
    knots, first = np.unique(curve.probability.round(4), return_index=True)
    return replace(calibration, knots=_short(knots), widths=(_short(error[first]),))


def _fractions(_: Head, values: NDArray, truth: NDArray) -> Calibration | None:
    if np.nanmax(truth, initial=0) > 1:
        truth = truth / truth.sum(axis=1, keepdims=True)
    residual = np.abs(truth - values)
    n = _n_rows(residual)
    if n < LEAST_ROWS:
        return None
    fits = [_along(values, residual, _KNOTS, level, rounds=40) for level in LEVELS]
    widths, factors = zip(*fits, strict=True)
    return Calibration(n=n, knots=_short(_KNOTS), widths=_rows(widths), factors=_rows(factors))


def _numbers(_: Head, values: NDArray, truth: NDArray) -> Calibration | None:
    residual = np.abs(truth - values[..., 0]) / values[..., 1]
    n = _n_rows(residual)
    if n < LEAST_ROWS:
        return None
    pooled = residual.reshape(-1, 1)
    knots, fits = [], []
    for centres, scores in zip(values[..., 0].T[..., None], residual.T[..., None], strict=True):
        own = centres[np.isfinite(scores)]
        if len(own) < LEAST_ROWS:
            centres, scores, own = np.zeros_like(pooled), pooled, np.zeros(1)  # noqa: PLW2901
        knots.append(_knots(own))
        # More rounds would follow single rows, and the steps that labels come in.
        fits.append([_along(centres, scores, knots[-1], level, rounds=2) for level in LEVELS])
    by_level = list(zip(*fits, strict=True))
    return Calibration(
        n=n,
        knots=tuple(tuple(row.tolist()) for row in knots),
        widths=tuple(_rows(widths for widths, _ in fits) for fits in by_level),
        factors=_rows([factor for _, (factor,) in fits] for fits in by_level),
    )


def _knots(values: NDArray) -> NDArray:
    """Knots of a curve with as many of the values around each."""
    n = int(np.clip(len(values) // _ROWS_PER_KNOT, 1, _MOST_KNOTS))
    knots = np.quantile(values, (np.arange(n) + 0.5) / n)
    # Nearer ones than a ten-thousandth of the range would be too steep for float32.
    return np.unique(knots.round(4 - int(np.floor(np.log10(np.ptp(knots) or 1)))))


def _along(
    values: NDArray, residual: NDArray, knots: NDArray, level: float, *, rounds: int
) -> tuple[NDArray, NDArray]:
    """Widths along the knots, the same for all labels, and the factor of each."""
    known = np.isfinite(residual)
    hats = np.array([np.interp(values[known], knots, row) for row in np.eye(len(knots))])
    widths, factors = np.full(len(knots), 0.1), np.ones(values.shape[1])
    # In turns, until the level is met along the knots and by each label.
    for _round in range(rounds):
        widths *= np.exp(np.log(factors).mean())
        factors /= np.exp(np.log(factors).mean())
        scores = residual / (np.interp(values, knots, widths) * factors)
        widths *= _quantiles(scores[known], hats, level)
        widths = widths.clip(1e-3).round(4)
        factors = np.array(_factors(residual / np.interp(values, knots, widths), level))
    return widths, factors


def _n_rows(values: NDArray) -> int:
    return int(np.isfinite(values).any(axis=1).sum())


def _factors(scores: NDArray, level: float) -> list[float]:
    """Conformal factor of each label, and that of all where a label has few rows."""
    enough = np.isfinite(scores).sum(axis=0) >= LEAST_ROWS
    pooled = _conformal(scores.ravel(), level)
    return [
        _conformal(column, level) if own else pooled
        for column, own in zip(scores.T, enough, strict=True)
    ]


def _conformal(scores: NDArray, level: float) -> float:
    """The score that a further one does not exceed with this probability."""
    scores = np.sort(scores[np.isfinite(scores)])
    return scores[min(int(np.ceil(level * (len(scores) + 1))), len(scores)) - 1]


def _quantiles(values: NDArray, weights: NDArray, level: float) -> NDArray:
    """Quantile for each row of weights; 1 where there is no weight."""
    order = np.argsort(values)
    totals = np.cumsum(weights[:, order], axis=1)
    places = [np.searchsorted(total, level * total[-1]) for total in totals]
    return np.where(totals[:, -1] > 0, values[order][places], 1)


def _rows(values: Iterable[Iterable[float]]) -> tuple[tuple[float, ...], ...]:
    return tuple(map(_short, values))


def _short(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)
