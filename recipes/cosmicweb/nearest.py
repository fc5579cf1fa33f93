"""What maps have in common with each other and with those of the training."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from astropy import units as u
from boxes import Box
from torch import Tensor

from astrodlkit.metrics import cross_power_spectrum

# Pixels of the maps in which the nearest one is looked for.
COARSE = 32


def correlations(maps: np.ndarray, others: np.ndarray, pixel: float) -> np.ndarray:
    """
    Correlation coefficients of waves to half the Nyquist frequency, (..., bins).

    In units of what chance gives maps that have nothing in common, ``1 / sqrt(n_modes)``.
    """
    bins = np.linspace(0, np.pi / pixel / 2, 9) / u.Mpc
    found = cross_power_spectrum(maps, others, pixel_size=pixel * u.Mpc, bins=bins)
    return found.correlation * np.sqrt(found.n_modes)


def turned(map_: Tensor) -> Tensor:
    """The eight ways to lay a map, (8, side, side)."""
    return torch.stack([m.rot90(i) for m in (map_, map_.T) for i in range(4)])


def _coarse(maps: Tensor) -> Tensor:
    """Waves of the logarithms of coarse maps, each of norm 1."""
    size = maps.shape[-1] // COARSE
    maps = torch.nn.functional.avg_pool2d(maps[:, None], size)[:, 0].clamp_min(1e-4).log()
    maps = maps - maps.mean((1, 2), keepdim=True)
    return torch.fft.rfft2(maps / maps.norm(dim=(1, 2), keepdim=True))


@dataclass
class _Best:
    """The nearest map found so far."""

    correlation: float = -1.0
    map: np.ndarray | None = None
    way: int = 0


def nearest(maps: np.ndarray, boxes: Iterable[Box], pixel: float) -> np.ndarray:
    """
    What maps have in common with the nearest of the slabs of boxes.

    The nearest has the largest correlation coefficient of log(1 + delta) on coarse maps, laid in
    eight ways and shifted around the edges; it is then laid exactly.

    Parameters
    ----------
    maps : `~numpy.ndarray`, (n, side, side)
        1 + delta.
    boxes : iterable of Box
        Of the same side.
    pixel : float
        Mpc.

    Returns
    -------
    `~numpy.ndarray`, (n, bins)
        As from `correlations`.
    """
    ways = torch.stack([turned(each) for each in torch.from_numpy(maps)])
    waves = _coarse(ways.flatten(0, 1)).conj()[:, None]
    best = [_Best() for _ in maps]
    for box in boxes:
        for snapshot in range(len(box.redshifts)):
            slabs = box.maps(snapshot)
            products = waves * _coarse(torch.from_numpy(slabs))
            found = torch.fft.irfft2(products).amax((2, 3)).view(len(maps), 8, -1)
            for each, table in zip(best, found, strict=True):
                way, slab = divmod(int(table.argmax()), table.shape[1])
                if table[way, slab] > each.correlation:
                    each.correlation, each.way = float(table[way, slab]), way
                    each.map = slabs[slab].copy()
    pairs = [_laid(way[each.way], each.map) for way, each in zip(ways, best, strict=True)]
    return correlations(*(np.stack(part) for part in zip(*pairs, strict=True)), pixel)


def _laid(map_: Tensor, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two maps, the second shifted to where it is most like the first."""
    logs = (each.clamp_min(1e-4).log() for each in (map_, torch.from_numpy(other)))
    first, second = (torch.fft.rfft2(each - each.mean()) for each in logs)
    place = int(torch.fft.irfft2(first * second.conj()).argmax())
    return map_.numpy(), np.roll(other, divmod(place, map_.shape[-1]), (0, 1))
