"""
Statistics of density maps, and by how much those of two sets of maps differ.

All errors are means over bins of ``abs(ratio - 1)``, where the ratio is that of means over all
snapshots, unless it is said otherwise:

P(k)
    Bins one fundamental mode wide, from the first on. A snapshot is weighted by one over the
    variance of its true maps, so that one with little power counts as much as the others.
pixel histogram, peak counts
    Logarithmic bins of 1 + delta, 20 for a factor of ten, that have 100 counts or more in what is
    compared with, all snapshots together. A peak is greater than the 8 pixels around it.
bispectrum
    To half the Nyquist frequency in bins of a sixteenth; the long side of a squeezed triangle is in
    the first. Weighted by one over the squared variance.
Minkowski functionals
    Area, boundary and Euler characteristic at 16 thresholds, which are those quantiles of the true
    pixels that a Gaussian has from -2 to 3 sigma: the difference, in units of the maximum over
    thresholds, as a mean over thresholds and functionals and as the largest. Of every fourth map.
correlation matrix
    Pearson's of P(k) over the maps of a snapshot, in 12 bins to 0.8 of the Nyquist frequency; the
    mean over snapshots, and the mean absolute difference off its diagonal.
worst box
    The largest error of P(k), to half the Nyquist frequency, that one cosmology has with its
    snapshots.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from astropy import units as u
from scipy.special import ndtr

from astrodlkit.metrics import (
    bispectrum,
    minkowski_functionals,
    peak_counts,
    pixel_histogram,
    power_spectrum,
    power_spectrum_correlation,
)

EDGES = np.geomspace(0.01, 1000, 101)
ENOUGH = 100
SIGMAS = np.linspace(-2, 3, 16)
MINKOWSKI_EVERY = 4
EQUILATERAL = [(i, i, i) for i in range(8)]
SQUEEZED = [(0, i, i) for i in range(1, 8)]
# Mpc^-1, between which Rodriguez et al. state their agreement at 500 Mpc.
STATED = (0.06, 0.4)
N_BOOTSTRAPS = 300

Statistics = dict[str, np.ndarray]


def thresholds(maps: np.ndarray) -> np.ndarray:
    """Of the Minkowski functionals, from the true maps of a snapshot."""
    return np.quantile(maps[::MINKOWSKI_EVERY], ndtr(SIGMAS))


def measure(maps: np.ndarray, pixel: float, levels: np.ndarray) -> Statistics:
    """Statistics of maps (n, side, side) of one snapshot: means, but for ``n`` and the counts."""
    size = {"pixel_size": pixel * u.Mpc}
    nyquist = np.pi / pixel
    triangles = bispectrum(
        maps,
        triangles=EQUILATERAL + SQUEEZED,
        bins=np.linspace(0, nyquist, 17) / u.Mpc,
        **size,
    )
    shapes = minkowski_functionals(maps[::MINKOWSKI_EVERY], levels, **size)
    spectrum = power_spectrum(maps, **size)
    parts = shapes.area, shapes.boundary_length.value, shapes.euler_characteristic.value
    return {
        "n": np.array(len(maps)),
        "variance": maps.var(dtype=float),
        "k": spectrum.k.value,
        "nyquist": np.array(nyquist),
        "power": spectrum.power.value.mean(0),
        "pixels": pixel_histogram(maps, bins=EDGES).counts.sum(0),
        "peaks": peak_counts(maps, bins=EDGES).counts.sum(0),
        "bispectrum": triangles.bispectrum.value.mean(0),
        "minkowski": np.mean(parts, 1),
        "correlation": power_spectrum_correlation(
            maps, bins=np.linspace(0, 0.8 * nyquist, 13) / u.Mpc, **size
        ).correlation,
    }


def joined(halves: Sequence[Statistics]) -> Statistics:
    """Statistics of two halves as one; the correlation is the mean of the two."""
    first, second = halves
    counts = {name: first[name] + second[name] for name in ("n", "pixels", "peaks")}
    share = first["n"] / counts["n"]
    means = {name: share * first[name] + (1 - share) * second[name] for name in first}
    return means | counts


def stacked(snapshots: Sequence[Statistics]) -> Statistics:
    """Of all snapshots, along the first axis."""
    return {name: np.array([each[name] for each in snapshots]) for name in snapshots[0]}


def ratio(
    name: str, made: Statistics, true: Statistics, weights: np.ndarray, order: int
) -> np.ndarray:
    """Of weighted means over the snapshots; the variance of the true maps to ``order`` is one."""
    weights = weights / true["variance"] ** order
    return (weights @ made[name]) / (weights @ true[name])


def count_ratio(name: str, made: Statistics, true: Statistics, weights: np.ndarray) -> np.ndarray:
    """Of counts a map; NaN where there are too few."""
    counts = weights @ true[name]
    made_counts = (weights @ made[name]) * ((weights @ true["n"]) / (weights @ made["n"]))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(counts < ENOUGH, np.nan, made_counts / counts)


def off_power(
    made: Statistics, true: Statistics, weights: np.ndarray, share: float | None = None
) -> float:
    """Of P(k), to a share of the Nyquist frequency or in the paper's range."""
    k = true["k"][0]
    low, high = STATED if share is None else (0, share * true["nyquist"][0])
    off = np.abs(ratio("power", made, true, weights, 1) - 1)
    return float(off[(k > low) & (k < high)].mean())


def off_counts(name: str, made: Statistics, true: Statistics, weights: np.ndarray) -> float:
    """Of the counts of pixels or peaks."""
    return float(np.nanmean(np.abs(count_ratio(name, made, true, weights) - 1)))


def off_bispectrum(which: slice, made: Statistics, true: Statistics, weights: np.ndarray) -> float:
    """Of the bispectrum."""
    return float(np.abs(ratio("bispectrum", made, true, weights, 2) - 1)[which].mean())


def off_minkowski(
    reduce: Callable[[np.ndarray], float],
    made: Statistics,
    true: Statistics,
    weights: np.ndarray,
) -> float:
    """Of the Minkowski functionals."""
    parts = (np.tensordot(weights, each["minkowski"], 1) for each in (made, true))
    found, wanted = parts
    return float(reduce(np.abs(found - wanted) / np.abs(wanted).max(1, keepdims=True)))


def off_correlation(made: Statistics, true: Statistics, weights: np.ndarray) -> float:
    """Of the correlation matrix; absolute."""
    off = np.tensordot(weights / weights.sum(), made["correlation"] - true["correlation"], 1)
    return float(np.abs(off)[~np.eye(len(off), dtype=bool)].mean())


def worst_box(
    cosmologies: np.ndarray, made: Statistics, true: Statistics, weights: np.ndarray
) -> float:
    """Of P(k) to half the Nyquist frequency, the largest of any cosmology."""
    chosen = (cosmologies == one for one in np.unique(cosmologies[weights > 0]))
    return max(off_power(made, true, each.astype(float), 0.5) for each in chosen)


@dataclass(frozen=True)
class Row:
    """A line of the table: what is measured, the bar, and how."""

    name: str
    bar: float
    off: Callable[[Statistics, Statistics, np.ndarray], float]


def rows(cosmologies: np.ndarray, scale: str) -> list[Row]:
    """The table, for snapshots of the given cosmologies."""
    n = len(EQUILATERAL)
    stated = Row(f"P(k), {STATED[0]} < k < {STATED[1]} per Mpc", 0.02, off_power)
    return [
        *([stated] if scale == "500mpc" else []),
        Row("P(k) to half Nyquist", 0.05, partial(off_power, share=0.5)),
        Row("P(k) to 0.8 Nyquist", 0.10, partial(off_power, share=0.8)),
        Row("pixel histogram", 0.05, partial(off_counts, "pixels")),
        Row("peak counts", 0.05, partial(off_counts, "peaks")),
        Row("bispectrum, equilateral", 0.10, partial(off_bispectrum, slice(n))),
        Row("bispectrum, squeezed", 0.10, partial(off_bispectrum, slice(n, None))),
        Row("Minkowski functionals, mean", 0.03, partial(off_minkowski, np.mean)),
        Row("Minkowski functionals, largest", 0.03, partial(off_minkowski, np.max)),
        Row("correlation matrix of P(k)", 0.05, off_correlation),
        Row(
            "worst box, P(k) to half Nyquist",
            0.08 if scale == "500mpc" else 0.10,
            partial(worst_box, cosmologies),
        ),
    ]


def with_error(
    off: Callable[[np.ndarray], float], cosmologies: np.ndarray, seed: int = 1
) -> tuple[float, float]:
    """A figure of weights of snapshots, and its scatter when cosmologies are drawn anew."""
    names, place = np.unique(cosmologies, return_inverse=True)
    value = off(np.ones(len(cosmologies)))
    if len(names) < 2:
        return value, float("nan")
    random = np.random.default_rng(seed)
    draws = random.multinomial(len(names), np.full(len(names), 1 / len(names)), N_BOOTSTRAPS)
    return value, float(np.std([off(draw[place].astype(float)) for draw in draws]))
