"""Take out what a web or a trained network has wrong of spectrum and distribution."""

from itertools import product

import numpy as np
import torch
from astropy.cosmology import FlatLambdaCDM
from boxes import Box
from prior import DENSE, conditions, fit_terms, n_modes, spectrum, wave_numbers
from scipy.special import ndtri
from spectra import FIXED
from truth import OM0, SIGMA8

from astrodlkit.cosmicweb._growth import linear_growth
from astrodlkit.networks import DensityMapNetwork

# Pixels for each cosmology and redshift, and rounds: what is corrected of one changes the other.
N_PIXELS, ROUNDS = 24 * 256**2, 8
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
    rows = [row.expand(n_maps, 3) for row in known]
    generator = torch.Generator().manual_seed(seed)

    def made(row: torch.Tensor) -> torch.Tensor:
        noise = torch.randn(n_maps, network.n_channels, side, side, generator=generator)
        start = network.gaussian(noise[:, :2], row)
        return network.web(start, row) if web else network.shaped(start, noise[:, 2:], row)

    # What their values are is told by some, what comes of it by others, which scatter otherwise.
    fields, others = ([made(row) for row in rows] for _ in range(2))
    terms = network.terms(known).double().numpy()
    # Of variance 1, so that what is added to values is known far into the tails.
    scale = -np.log([float(field.std()) for field in fields])
    _fit(correction.filter, terms, np.repeat(scale[:, None], correction.filter.shape[1], 1))
    values, log_k = (np.linspace(*knots) for knots in (network.values, network.log_k))
    log_shells = np.log(wave_numbers(side, network.pixel))
    seen = (log_k > log_shells[0]) & (log_k < np.log(np.pi / network.pixel))
    modes, wanted = n_modes(side), terms[:, : len(power)] @ power.double().numpy()
    denser = torch.zeros(len(correction.shift), 1)
    for i in range(ROUNDS):
        correction.shift.zero_()
        shifts = [
            _shift(network.corrected(field, row, correction).numpy(), values)
            for field, row in zip(fields, rows, strict=True)
        ]
        _fit(correction.shift, terms, np.array(shifts))
        correction.shift += denser * torch.from_numpy((values - DENSE).clip(0)).float()
        off, spread = [], []
        for field, row, target in zip(others, rows, wanted, strict=True):
            maps = network.density(network.corrected(field, row, correction), row)
            found = spectrum(maps.numpy(), network.pixel)
            expected = np.exp(np.interp(log_shells, log_k, target))
            # Not the logarithm: a few dense pixels make powers scatter to one side. Waves longer
            # than the box go with its longest.
            off.append(np.interp(log_k, log_shells, 1 - found / expected))
            spread.append([1 - modes @ found / (modes @ expected)])
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


def _shift(field: np.ndarray, values: np.ndarray) -> np.ndarray:
    """What to add at ``values`` so that the field's become Gaussian."""
    ranks = np.sort(field, None)
    at = np.linspace(BEYOND, len(ranks) - 1 - BEYOND, 4 * len(values)).astype(int)
    tail = np.geomspace(BEYOND, len(ranks) / 10, len(values)).astype(int)
    at = np.unique(np.concatenate([at, tail, len(ranks) - 1 - tail]))
    gauss = ndtri((at + 0.5) / len(ranks))
    wanted = np.interp(values, ranks[at], gauss)
    # Beyond, as the last pixels that are known go.
    for end, inner in ((0, TAIL), (-1, -1 - TAIL)):
        beyond = values < ranks[at[0]] if end == 0 else values > ranks[at[-1]]
        slope = (gauss[end] - gauss[inner]) / (ranks[at[end]] - ranks[at[inner]])
        more = slope.clip(*SLOPES) * (values - ranks[at[end]])
        wanted = np.where(beyond, gauss[end] + more, wanted)
    return wanted - values


def _fit(coefficients: torch.Tensor, terms: np.ndarray, rows: np.ndarray) -> None:
    """Add a polynomial's coefficients."""
    found, _ = fit_terms(terms[:, : len(coefficients)], rows)
    coefficients += torch.from_numpy(found).float()
