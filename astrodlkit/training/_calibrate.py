"""How far a network can be trusted, measured on a validation set."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

from ..metrics import reliability_curve
from ..specs import Calibration, Head, OutputSpec
from ..specs._calibration import LEVELS

__all__ = ["calibrate"]

LEAST_ROWS = 20  # with fewer the 95 % interval would be a guess
_KNOTS = np.array([0, 0.05, 0.15, 0.3, 0.5, 0.75, 1])
_ROUNDS = 40


def calibrate(
    output: OutputSpec, outputs: Mapping[str, ArrayLike], labels: Mapping[str, ArrayLike]
) -> OutputSpec:
    """
    Fit temperatures and intervals to rows that the network was not trained on.

    Classes get the temperature that makes the labels likeliest [1]_.
    Fractions and numbers get intervals by split conformal prediction [2]_:
    half their width is the quantile, over the rows, of the absolute residual
    divided by a scale, for each label on its own. The scale is the network's
    standard deviation for numbers; for fractions it follows the predicted
    value, in the same way for all labels.

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
    known = np.isfinite(residual)
    hats = [np.interp(values[known], _KNOTS, row) for row in np.eye(len(_KNOTS))]
    widths = np.full((len(LEVELS), len(_KNOTS)), 0.1)
    factors = np.ones((len(LEVELS), values.shape[1]))
    for row, level in enumerate(LEVELS):
        # In turns, until the level is met along the knots and by each label.
        for _round in range(_ROUNDS):
            widths[row] *= np.exp(np.log(factors[row]).mean())
            factors[row] /= np.exp(np.log(factors[row]).mean())
            scores = residual / (np.interp(values, _KNOTS, widths[row]) * factors[row])
            widths[row] *= [_quantile(scores[known], hat, level) for hat in hats]
            widths[row] = widths[row].clip(1e-3, 1).round(4)
            factors[row] = _factors(residual / np.interp(values, _KNOTS, widths[row]), level)
    return Calibration(n=n, knots=_short(_KNOTS), widths=_rows(widths), factors=_rows(factors))


def _numbers(_: Head, values: NDArray, truth: NDArray) -> Calibration | None:
    scores = np.abs(truth - values[..., 0]) / values[..., 1]
    n = _n_rows(scores)
    if n < LEAST_ROWS:
        return None
    return Calibration(n=n, factors=_rows([_factors(scores, level) for level in LEVELS]))


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


def _quantile(values: NDArray, weights: NDArray, level: float) -> float:
    """Weighted quantile; 1 where there is no weight."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    if total[-1] == 0:
        return 1.0
    return values[order][np.searchsorted(total, level * total[-1])]


def _rows(values: Iterable[Iterable[float]]) -> tuple[tuple[float, ...], ...]:
    return tuple(map(_short, values))


def _short(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)
