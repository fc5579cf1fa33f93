"""What a Gaussian field can hold of the maps: their spectra and one-point distributions."""

import json
from collections.abc import Callable

import numpy as np
import torch
from boxes import THICKNESS, Box
from scipy.optimize import brentq
from scipy.special import ndtr, roots_hermitenorm
from spectra import K_RANGE, Spectra
from truth import OM0, REDSHIFT_BINS, SIGMA8

from astrodlkit.networks import DensityMapNetwork

# Slabs that begin here, in cells, are measured too: more of the tails, less noise.
OFFSETS = 2
# A quantile is measured where so many pixels lie beyond it.
BEYOND = 30
# Shells that tell how far waves of their length and longer ones are off halofit.
LOW = slice(1, 6)
# Where no pixel is empty the logarithm of 1 + delta is that of this or more.
LEAST = 1e-4
# Terms in which spectra differ from halofit: up to the second degree where waves are short, to the
# first where there are few modes; in between, in units of the Nyquist frequency, a part of both.
N_SOME, N_FEW = 10, 4
SHORT = (0.3, 0.6)
# Below this, in the same units, boxes of the whole side differ from those of half by one factor.
LONG = 0.2
# Beyond this Gaussian value the spectrum's variance, not few pixels, says how dense maps are.
DENSE = 3.0
# Scales whose boxes tell so well how dense pixels are that, on the mean, P(k) follows from these.
TOLD_BY_PIXELS = ("500mpc",)
# So many boxes of the whole side tell how it changes with the conditions; fewer, its mean.
MANY = 5
# What corrections are polynomials of, and the domain's ends, where they end: see DensityMapNetwork.
CORRECTIONS = {
    "correction_degree": 4,
    "limits": (OM0, SIGMA8, (REDSHIFT_BINS[0][0], REDSHIFT_BINS[-1][1])),
}
# How the webs are made, and at what wave numbers spectra are known: the same.
WEBS = {
    "500mpc": {"strength": 0.8, "coherence": 8.0, "log_k": (-7.0, 1.5, 52), **CORRECTIONS},
    "100mpc": {"strength": 1.2, "coherence": 3.0, "log_k": (-6.0, 2.6, 52), **CORRECTIONS},
}


def conditions(box: Box) -> np.ndarray:
    """Matter density, sigma8 at the redshift and redshift of each snapshot, (snapshots, 3)."""
    matter, sigma8 = box.settings["Om0"], box.settings["sigma8"]
    # The linear spectra of the box know how it grew.
    growth = np.sqrt(box.linear[:, 0] / box.linear[-1, 0])
    n = len(growth)
    return np.stack([np.full(n, matter), sigma8 * growth, box.redshifts], 1)


def shells(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Shell of each mode of an rfft2, one fundamental mode wide, and how often it counts."""
    along = np.fft.fftfreq(side, 1 / side)[:, None], np.arange(side // 2 + 1)
    shell = np.rint(np.hypot(*along)).astype(int)
    twice = np.full(shell.shape, 2.0)
    twice[:, [0, -1]] = 1
    return shell, twice


def spectrum(maps: np.ndarray, pixel: float) -> np.ndarray:
    """Mean power of maps (n, side, side) in `shells` up to the corner, from the first on, Mpc^2."""
    side = maps.shape[-1]
    shell, twice = shells(side)
    power = np.mean(np.abs(np.fft.rfft2(maps)) ** 2, 0) * (pixel / side) ** 2
    total = np.bincount(shell.ravel(), (power * twice).ravel())
    return (total / np.bincount(shell.ravel(), twice.ravel()))[1:]


def wave_numbers(side: int, pixel: float) -> np.ndarray:
    """Mean wave number of `shells`, 1/Mpc."""
    shell, twice = shells(side)
    modes = np.hypot(np.fft.fftfreq(side, pixel)[:, None], np.fft.rfftfreq(side, pixel))
    total = np.bincount(shell.ravel(), (modes * twice).ravel())
    return 2 * np.pi * (total / np.bincount(shell.ravel(), twice.ravel()))[1:]


def projected(
    spectrum: Callable[[np.ndarray, float], np.ndarray],
    k: np.ndarray,
    redshift: float,
    thickness: float,
) -> np.ndarray:
    """Spectrum in slabs of a thickness in Mpc, Mpc^2, of one in three dimensions."""
    along = np.geomspace(1e-4, 60 / thickness, 1500)
    window = np.sinc(along * thickness / (2 * np.pi)) ** 2
    # Beyond the table's end there is next to nothing.
    total = np.hypot(k[:, None], along).clip(*K_RANGE)
    return np.trapezoid(spectrum(total, redshift) * window, along) / np.pi


def summarise(box: Box, values: np.ndarray, log_k: np.ndarray) -> dict[str, np.ndarray]:
    """Spectra and quantiles of a box's snapshots; kept beside it, for they take seconds."""
    path = box.path.with_suffix(".npz")
    thickness = THICKNESS[box.settings["scale"]]
    key = json.dumps(["halofit", thickness, OFFSETS, BEYOND, list(values), list(log_k)])
    if path.exists():
        stored = np.load(path)
        if str(stored["key"]) == key:
            return dict(stored)
    spectra = Spectra(box.settings["Om0"], box.settings["sigma8"], list(box.redshifts))
    halofit, powers, quantiles = [], [], []
    for i, redshift in enumerate(box.redshifts):
        maps = np.concatenate(
            [box.maps(i, offset=j * thickness // OFFSETS) for j in range(OFFSETS)]
        )
        powers.append(spectrum(maps, box.pixel))
        halofit.append(projected(spectra.halofit, np.exp(log_k), redshift, thickness * box.pixel))
        pixels = np.sort(maps, None)
        found = np.interp(ndtr(values) * len(pixels) - 0.5, np.arange(len(pixels)), pixels)
        # Slabs that overlap tell less than their number.
        beyond = ndtr(-np.abs(values)) * len(pixels) / OFFSETS
        quantiles.append(np.where(beyond < BEYOND, np.nan, found))
    found = {"power": powers, "halofit": halofit, "quantiles": quantiles}
    np.savez(path, key=key, **found)
    return found


def beyond_halofit(
    log_k: np.ndarray, k: np.ndarray, power: np.ndarray, halofit: np.ndarray
) -> np.ndarray:
    """
    Logarithm of the ratio of measured spectra to halofit, at ``log_k``.

    The first shells of a box hold few modes: waves longer than those go with them all.
    """
    rows = []
    for measured, theory in zip(np.log(power), np.log(halofit), strict=True):
        ratio = measured - np.interp(np.log(k), log_k, theory)
        ratio[: LOW.stop] = ratio[LOW].mean()
        rows.append(np.interp(log_k, np.log(k), ratio))
    return np.array(rows)


def fit_terms(terms: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, float]:
    """Least squares, (terms, m), and the RMS of what is left."""
    coefficients, *_ = np.linalg.lstsq(terms, rows, rcond=None)
    return coefficients, float(np.sqrt(np.mean((rows - terms @ coefficients) ** 2)))


def fit_distribution(quantiles: np.ndarray, terms: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Coefficients of log(1 + delta) at the Gaussian values; straight on where it is not known."""
    rows = np.log(np.maximum(quantiles, LEAST))
    known = np.isfinite(rows).all(0)
    coefficients = np.full((terms.shape[1], len(values)), np.nan)
    coefficients[:, known], left = fit_terms(terms, rows[:, known])
    print(f"log(1 + delta) at {known.sum()} Gaussian values: RMS {left:.4f} off the polynomials")
    first, last = np.flatnonzero(known)[[0, -1]]
    for end, inner, beyond in (
        (first, first + 3, range(first - 1, -1, -1)),
        (last, last - 3, range(last + 1, len(values))),
    ):
        slope = (coefficients[:, end] - coefficients[:, inner]) / (values[end] - values[inner])
        for i in beyond:
            coefficients[:, i] = coefficients[:, end] + slope * (values[i] - values[end])
    return coefficients


def n_modes(side: int) -> np.ndarray:
    """How many modes `shells` have, from the first on."""
    shell, twice = shells(side)
    return np.bincount(shell.ravel(), twice.ravel())[1:]


def excess(
    log_density: np.ndarray,
    values: np.ndarray,
    log_power: np.ndarray,
    log_k: np.ndarray,
    *,
    pixel: float,
    side: int = 256,
) -> float:
    """Logarithm of the variance of a distribution over that of a spectrum."""
    power = np.exp(np.interp(np.log(wave_numbers(side, pixel)), log_k, log_power))
    wanted = n_modes(side) @ power / (side * pixel) ** 2
    nodes, weights = roots_hermitenorm(200)
    weights = weights / weights.sum()
    density = np.exp(np.interp(nodes, values, log_density))
    return float(np.log(weights @ density**2 / (weights @ density) ** 2 - 1) - np.log(wanted))


def steepness(
    log_density: np.ndarray, values: np.ndarray, *spectrum: np.ndarray, pixel: float
) -> float:
    """What to add to the slope of log(1 + delta) beyond `DENSE` for the spectrum's variance."""
    beyond = (values - DENSE).clip(0)

    def off(more: float) -> float:
        return excess(log_density + more * beyond, values, *spectrum, pixel=pixel)

    # It must rise, and no more than twice as steeply.
    slope = float(np.interp(DENSE, values[1:], np.diff(log_density)) / (values[1] - values[0]))
    low, high = -0.95 * slope, slope
    if off(low) >= 0:
        return low
    return high if off(high) <= 0 else float(brentq(off, low, high))


def gaussian_power(
    log_density: np.ndarray,
    values: np.ndarray,
    log_power: np.ndarray,
    log_k: np.ndarray,
    *,
    pixel: float,
    side: int = 512,
) -> np.ndarray:
    """
    The spectrum of the Gaussian field that, mapped to densities, has the given spectrum.

    The map of the values turns the correlation r of the Gaussian field into the sum of
    c_n^2 r^n, with c_n its coefficients in normalised Hermite polynomials (Simpson et al. 2013,
    Phys. Rev. D, 88, 107301); this is inverted at each separation on a periodic grid.
    """
    nodes, weights = roots_hermitenorm(200)
    weights = weights / weights.sum()
    density = np.exp(np.interp(nodes, values, log_density))
    hermite = [np.ones_like(nodes), nodes]
    for n in range(2, 60):
        hermite.append((nodes * hermite[-1] - np.sqrt(n - 1) * hermite[-2]) / np.sqrt(n))
    c = np.array([(weights * density * h).sum() for h in hermite]) / (weights * density).sum()
    k = 2 * np.pi * np.hypot(np.fft.fftfreq(side, pixel)[:, None], np.fft.rfftfreq(side, pixel))
    inside = np.clip(np.log(np.maximum(k, 1e-9)), log_k[0], log_k[-1])
    power = np.exp(np.interp(inside, log_k, log_power))
    power[0, 0] = 0
    wanted = np.fft.irfft2(power) / pixel**2
    r = np.linspace(-0.6, 1, 4001)
    reached = np.polynomial.polynomial.polyval(r, np.r_[0, c[1:] ** 2])
    rising = reached.argmin()
    # The variance of the grid is the spectrum's, not quite that of the values: their ratio is 1.
    wanted *= reached[-1] / wanted[0, 0]
    correlation = np.interp(wanted, reached[rising:], r[rising:])
    shell, twice = shells(side)
    found = np.bincount(shell.ravel(), (np.fft.rfft2(correlation).real * twice).ravel())
    found = pixel**2 * found[1:] / np.bincount(shell.ravel(), twice.ravel())[1:]
    # What no Gaussian field can have comes out below zero.
    found = np.maximum(found, 1e-4 * found.max())
    found /= (found[shell - 1] * twice)[shell > 0].sum() / (side * pixel) ** 2
    return np.interp(log_k, np.log(wave_numbers(side, pixel)), np.log(found))


def make_network(
    boxes: list[Box], whole: list[Box], **options: object
) -> tuple[DensityMapNetwork, torch.Tensor]:
    """
    A network whose Gaussian field and distribution are those of the boxes.

    Boxes of half the side, of which there are many, lack the longest waves; what that changes at
    each wave number is taken from those of the whole side, where there are any. The spectrum of the
    maps comes with the network, in the form of its ``spectrum``.
    """
    webs = WEBS[boxes[0].settings["scale"]]
    network = DensityMapNetwork(pixel=boxes[0].pixel, **webs, **options)
    logs = np.log(np.concatenate([conditions(box) for box in boxes]) + np.array([0, 0, 1]))
    network.centre[:], network.spread[:] = map(torch.from_numpy, (logs.mean(0), logs.std(0)))
    values, log_k = (np.linspace(*knots) for knots in (network.values, network.log_k))
    terms, halofit, beyond, quantiles = measured(boxes, network, values, log_k)
    distribution = fit_distribution(quantiles, terms, values)
    ratio, left = fit_terms(terms[:, :N_SOME], beyond)
    print(f"log P(k) / halofit: RMS {left:.4f} off the polynomials")
    few = np.zeros_like(ratio)
    few[:N_FEW] = fit_terms(terms[:, :N_FEW], beyond)[0]
    longest, shortest = np.log(np.array(SHORT) * np.pi / network.pixel)
    short = ((log_k - longest) / (shortest - longest)).clip(0, 1)
    ratio = (1 - short) * few + short * ratio
    if whole:
        some, _, beyond, quantiles = measured(whole, network, values, log_k)
        n = N_FEW if len(whole) >= MANY else 1
        more, left = fit_terms(some[:, :n], beyond - some[:, :N_SOME] @ ratio)
        # Long waves, of which there are few, together: each counts as often as there are such.
        long = log_k < np.log(LONG * np.pi / network.pixel)
        weights = np.exp(2 * log_k[long])
        more[:, long] = np.average(more[:, long], weights=weights, axis=1)[:, None]
        print(f"P(k) of whole boxes: {np.exp(more[0]).round(3).tolist()} of that; RMS {left:.4f}")
        ratio[:n] += more
        rows = np.log(np.maximum(quantiles, LEAST)) - some @ distribution
        first, last = np.flatnonzero(np.isfinite(rows).all(0))[[0, -1]]
        more, _ = fit_terms(some[:, :n], rows[:, first : last + 1])
        distribution[:n] += more[:, (np.arange(len(values)) - first).clip(0, last - first)]
    smooth, left = fit_terms(terms, halofit + terms[:, :N_SOME] @ ratio)
    print(f"log P(k): RMS {left:.4f} off the polynomials")
    known = {"pixel": network.pixel}
    if boxes[0].settings["scale"] in TOLD_BY_PIXELS:
        # Means of logarithms, of boxes that scatter, are low.
        more = [excess(row @ distribution, values, row @ smooth, log_k, **known) for row in terms]
        print(f"P(k): {np.exp(np.mean(more)):.3f} of that by the variance")
        smooth[0] += np.mean(more)
    steeper = [
        [steepness(row @ distribution, values, row @ smooth, log_k, **known)] for row in terms
    ]
    more, left = fit_terms(terms, np.array(steeper))
    print(f"densest pixels: {np.mean(steeper):.3f} steeper; RMS {left:.4f} off the polynomials")
    distribution += more * (values - DENSE).clip(0)
    rows = [
        gaussian_power(row @ distribution, values, row @ smooth, log_k, **known) for row in terms
    ]
    spectrum, left = fit_terms(terms, np.array(rows))
    print(f"log P(k) of the Gaussian field: RMS {left:.4f} off the polynomials")
    network.distribution[:] = torch.from_numpy(distribution)
    network.spectrum[:] = torch.from_numpy(spectrum)
    return network, torch.from_numpy(smooth).float()


def measured(
    boxes: list[Box], network: DensityMapNetwork, values: np.ndarray, log_k: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """
    Of all snapshots of boxes of one size.

    Terms, logarithm of halofit, how far the logarithms of spectra are beyond it, and quantiles.
    """
    found = [summarise(box, values, log_k) for box in boxes]
    known = np.concatenate([conditions(box) for box in boxes])
    power, halofit, quantiles = (
        np.concatenate([one[name] for one in found]) for name in ("power", "halofit", "quantiles")
    )
    side = boxes[0].settings["side"]
    print(f"{len(known)} snapshots of {len(boxes)} boxes of {side} pixels")
    terms = network.terms(torch.from_numpy(known).float()).double().numpy()
    terms = terms[:, : len(network.distribution)]
    beyond = beyond_halofit(log_k, wave_numbers(side, network.pixel), power, halofit)
    return terms, np.log(halofit), beyond, quantiles
