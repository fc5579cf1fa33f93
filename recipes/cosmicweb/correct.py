"""Take out what a web or a trained network has wrong of spectrum and distribution."""

import numpy as np
import torch
from boxes import Box
from prior import conditions, fit_terms, spectrum, wave_numbers
from scipy.special import ndtri

from astrodlkit.networks import DensityMapNetwork

# Pixels for each snapshot, and rounds: what is corrected of the one changes the other.
N_PIXELS, ROUNDS = 12 * 128**2, 8
# Of the polynomials' terms: those of the second degree and below.
N_TERMS = 10
# Part of what the spectrum is off that is corrected in a round.
STEP = 1.2
# A quantile is taken where so many pixels lie beyond it.
BEYOND = 30
# How many of the quantiles tell how the tails go on, and how steep they may.
TAIL, SLOPES = 45, (0.2, 1.5)


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
        Whose cosmologies and redshifts are taken.
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
    known = torch.from_numpy(np.concatenate([conditions(box) for box in boxes])).float()
    rows = [row.expand(n_maps, 3) for row in known]
    generator = torch.Generator().manual_seed(seed)
    fields = []
    for row in rows:
        noise = torch.randn(n_maps, network.n_channels, side, side, generator=generator)
        start = network.gaussian(noise[:, :2], row)
        fields.append(network.web(start, row) if web else network.shaped(start, noise[:, 2:], row))

    terms = network.terms(known).double().numpy()
    # Of variance 1, so that what is added to values is known far into the tails.
    scale = -np.log([float(field.std()) for field in fields])
    _fit(correction.filter, terms, np.repeat(scale[:, None], correction.filter.shape[1], 1))
    values, log_k = (np.linspace(*knots) for knots in (network.values, network.log_k))
    log_shells = np.log(wave_numbers(side, network.pixel))
    seen = (log_k > log_shells[0]) & (log_k < np.log(np.pi / network.pixel))
    wanted = terms @ power.double().numpy()
    for i in range(ROUNDS):
        correction.shift.zero_()
        shifts = [
            _shift(network.corrected(field, row, correction).numpy(), values)
            for field, row in zip(fields, rows, strict=True)
        ]
        _fit(correction.shift, terms, np.array(shifts))
        off = []
        for field, row, target in zip(fields, rows, wanted, strict=True):
            maps = network.density(network.corrected(field, row, correction), row)
            found = np.log(spectrum(maps.numpy(), network.pixel))
            part = np.interp(log_shells, log_k, target) - found
            # Waves longer than the box go with its longest.
            part = np.interp(log_k, log_shells, part)
            # The distribution fixes the variance: a filter can but move power.
            off.append(part - part[seen].mean())
        print(f"round {i}: log P(k) off by {np.mean(off, 0)[seen].round(3).tolist()}")
        if i < ROUNDS - 1:
            # Half: a filter of fields acts twice on powers.
            _fit(correction.filter, terms, STEP / 2 * np.array(off))


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
    found, _ = fit_terms(terms[:, :N_TERMS], rows)
    coefficients[:N_TERMS] += torch.from_numpy(found).float()
