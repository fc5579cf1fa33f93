"""Take out what a web or a trained network has wrong of spectrum and distribution."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from astropy.cosmology import FlatLambdaCDM
from boxes import Box
from prior import DENSE, conditions, fit_terms, n_modes, spectrum, wave_numbers
from scipy.special import ndtri
from spectra import FIXED
from torch import nn
from truth import OM0, SIGMA8

from astrodlkit.cosmicweb._growth import linear_growth
from astrodlkit.networks import DensityMapNetwork

# Pixels for each cosmology and redshift, and rounds: what is corrected of one changes the other.
N_PIXELS, ROUNDS = 16 * 256**2, 9
# Webs today, and in a batch, that tell how far they are off on the mean.
N_WEBS, BATCH = 320, 8
# Part of what the spectrum is off that is corrected in a round.
STEP = 1.2
# A quantile is taken where so many pixels lie beyond it.
BEYOND = 30
# Part of what the variance is off by which values beyond ``DENSE`` are made to rise more steeply.
STEEPER = 0.15
# How many of the quantiles tell how the tails go on, and how steep they may.
TAIL, SLOPES = 45, (0.2, 1.5)
# Matter densities, sigma8 today and redshifts that are corrected, to the ends of what boxes have.
# Fewer boxes than these say nothing of others than their own.
GRID = tuple(product(np.geomspace(*OM0, 5), np.geomspace(*SIGMA8, 6), (0.0, 0.2, 0.5, 1.1, 2.0)))
FEW = 20


@dataclass(frozen=True)
class Aim:
    """
    Maps of one cosmology and redshift, and what is wanted of them.

    What their values are is told by some, what comes of it by others, which scatter otherwise.
    """

    row: torch.Tensor  # conditions, (n, 3)
    field: torch.Tensor  # Gaussianised values, (n, side, side)
    quantiles: np.ndarray  # wanted of ``field``, (ranks,)
    other: torch.Tensor  # as ``field``
    power: np.ndarray  # wanted of the density of ``other``, Mpc^2, (shells,)


@torch.inference_mode()
def correct(
    network: DensityMapNetwork,
    power: torch.Tensor,
    boxes: list[Box],
    seed: int,
    *,
    web: bool,
    side: int | None = None,
) -> None:
    """
    Fit ``web_correction`` or ``last_correction`` of the network.

    Parameters
    ----------
    network : DensityMapNetwork
        Changed in place.
    power : `~torch.Tensor`
        Of the densities, from ``prior.make_network``.
    boxes : list of Box
        What the polynomials of the spectrum are of.
    seed : int
        Of the noise.
    web : bool
        Whether it is the web's, before there is a network, or the last.
    side : int, optional
        Pixels of the maps; by default those of the boxes.
    """
    correction = network.web_correction if web else network.last_correction
    correction.filter.zero_()
    correction.shift.zero_()
    side = side or boxes[0].settings["side"]
    n_maps = max(1, N_PIXELS // side**2)
    known = grid() if len(boxes) >= FEW else np.concatenate([conditions(box) for box in boxes])
    known = torch.from_numpy(known).float()
    generator = torch.Generator().manual_seed(seed)
    terms = network.terms(known).double().numpy()
    log_k, log_shells = np.linspace(*network.log_k), np.log(wave_numbers(side, network.pixel))
    expected = terms[:, : len(power)] @ power.double().numpy()
    expected = np.exp([np.interp(log_shells, log_k, target) for target in expected])
    at = _ranks(n_maps * side**2, len(correction.shift[0]))
    gaussian = ndtri((at + 0.5) / (n_maps * side**2))
    if not web:
        webs = _of_webs(network, known, side, generator)
        lacking = _lacking(terms, expected, webs, n_modes(side))
    aims = []
    for i in range(len(known)):
        row = known[i].expand(n_maps, 3)
        begun, field = _made(network, row, side, generator, web=web)
        quantiles = gaussian if web else np.sort(begun.numpy(), None)[at]
        begun, other = _made(network, row, side, generator, web=web)
        # Beside the webs that they were made from maps scatter a fourth as much.
        wanted = (
            expected[i]
            if web
            else lacking[i] * spectrum(network.density(begun, row).numpy(), network.pixel)
        )
        aims.append(Aim(row, field, quantiles, other, wanted))
    _take_out(network, correction, aims, terms, at)


def _take_out(
    network: DensityMapNetwork,
    correction: nn.Module,
    aims: list[Aim],
    terms: np.ndarray,
    at: np.ndarray,
) -> None:
    """Fit a correction by rounds: quantiles ``at`` ranks of sorted pixels, then power."""
    values, log_k = (np.linspace(*knots) for knots in (network.values, network.log_k))
    side = aims[0].field.shape[-1]
    log_shells, modes = np.log(wave_numbers(side, network.pixel)), n_modes(side)
    seen = (log_k > log_shells[0]) & (log_k < np.log(np.pi / network.pixel))
    # Of variance 1, so that what is added to values is known far into the tails.
    scale = -np.log([float(aim.field.std()) for aim in aims])
    _fit(correction.filter, terms, np.repeat(scale[:, None], correction.filter.shape[1], 1))
    denser = torch.zeros(len(correction.shift), 1)
    for i in range(ROUNDS):
        correction.shift.zero_()
        shifts = []
        for aim in aims:
            found = network.corrected(aim.field, aim.row, correction).numpy()
            shifts.append(_shift(np.sort(found, None)[at], aim.quantiles, values))
        _fit(correction.shift, terms, np.array(shifts))
        correction.shift += denser * torch.from_numpy((values - DENSE).clip(0)).float()
        off, spread = [], []
        for aim in aims:
            maps = network.density(network.corrected(aim.other, aim.row, correction), aim.row)
            found = spectrum(maps.numpy(), network.pixel)
            # Not the logarithm: a few dense pixels make powers scatter to one side. Waves longer
            # than the box go with its longest.
            off.append(np.interp(log_k, log_shells, 1 - found / aim.power))
            spread.append([1 - modes @ found / (modes @ aim.power)])
        # One of a few maps may be far off.
        off, spread = np.array(off).clip(-1), np.array(spread).clip(-1)
        print(f"round {i}: variance off by {-spread.mean():.3f}, P(k) by")
        print(-off.mean(0)[seen].round(3))
        if i < ROUNDS - 1:
            # A filter can but move power, and acts twice on it.
            _fit(correction.filter, terms, STEP / 2 * (off - off[:, seen].mean(1, keepdims=True)))
            _fit(denser, terms, STEEPER * spread)


def grid() -> np.ndarray:
    """`conditions` of `GRID`."""
    return np.array([[m, sigma8_at(m, sigma8, z), z] for m, sigma8, z in GRID])


def sigma8_at(matter: float, sigma8: float, redshift: float) -> float:
    """At a redshift, of what it is today."""
    cosmology = FlatLambdaCDM(H0=FIXED["H0"], Om0=matter, Tcmb0=FIXED["Tcmb0"])
    return sigma8 * linear_growth(cosmology, redshift)


def _made(
    network: DensityMapNetwork,
    row: torch.Tensor,
    side: int,
    generator: torch.Generator,
    *,
    web: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Webs, and what is corrected: these, or what the network makes of them."""
    noise = torch.randn(len(row), network.n_channels, side, side, generator=generator)
    start = network.gaussian(noise[:, :2], row)
    webs = network.web(start, row)
    return webs, webs if web else network.refined(webs, start, noise[:, 2:], row)


def _lacking(
    terms: np.ndarray, expected: np.ndarray, webs: np.ndarray, modes: np.ndarray
) -> np.ndarray:
    """What variance is expected over what webs have, as polynomials say it, (conditions, 1)."""
    more, left = fit_terms(terms, np.log(expected @ modes / (webs @ modes))[:, None])
    print(f"variance of webs: RMS {left:.4f} off the polynomials")
    return np.exp(terms @ more)


def _of_webs(
    network: DensityMapNetwork, known: torch.Tensor, side: int, generator: torch.Generator
) -> np.ndarray:
    """Mean power of many webs, (conditions, shells)."""
    found = []
    for row in known.repeat_interleave(BATCH, 0).split(BATCH):
        # Each tells as much: the scatter falls with (1 + z)^1.5.
        n = max(1, round(N_WEBS / BATCH / (1 + float(row[0, 2])) ** 3))
        power = 0
        for _ in range(n):
            noise = torch.randn(BATCH, 2, side, side, generator=generator)
            maps = network.density(network.web(network.gaussian(noise, row), row), row)
            power = power + spectrum(maps.numpy(), network.pixel) / n
        found.append(power)
    return np.array(found)


def _ranks(n: int, n_values: int) -> np.ndarray:
    """Which of n sorted pixels are looked at: more of the first and the last."""
    at = np.linspace(BEYOND, n - 1 - BEYOND, 4 * n_values).astype(int)
    tail = np.geomspace(BEYOND, n / 10, n_values).astype(int)
    return np.unique(np.concatenate([at, tail, n - 1 - tail]))


def _shift(found: np.ndarray, wanted: np.ndarray, values: np.ndarray) -> np.ndarray:
    """What to add at ``values`` so that quantiles become those that are wanted."""
    aim = np.interp(values, found, wanted)
    # Beyond, as the last pixels that are known go.
    for end, inner in ((0, TAIL), (-1, -1 - TAIL)):
        beyond = values < found[0] if end == 0 else values > found[-1]
        slope = (wanted[end] - wanted[inner]) / (found[end] - found[inner])
        more = slope.clip(*SLOPES) * (values - found[end])
        aim = np.where(beyond, wanted[end] + more, aim)
    return aim - values


def _fit(coefficients: torch.Tensor, terms: np.ndarray, rows: np.ndarray) -> None:
    """Add a polynomial's coefficients."""
    found, _ = fit_terms(terms[:, : len(coefficients)], rows)
    coefficients += torch.from_numpy(found).float()
