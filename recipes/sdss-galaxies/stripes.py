"""Whether templates are striped along their major axis."""

from itertools import pairwise

import torch
from textures import GRAINS, LEAST, smoothed
from torch import Tensor

from astrodlkit.networks._petrosian import elliptic_radius

DISC = 0.25, 1.0  # Petrosian radii
SCALES = len(GRAINS) - 1


def stripes(light: Tensor, axis_ratio: Tensor, reach: Tensor) -> Tensor:
    """
    By how much structure of each scale differs more along y than along x, (n, `SCALES`).

    Natural logarithms. Inclined discs have some of it, stripes have more.

    Parameters
    ----------
    light : Tensor, (n, side, side)
        In r, with noise.
    axis_ratio, reach : Tensor, (n,)
        Of the galaxies, and their Petrosian radii along the major axis, in pixels.
    """
    radius = elliptic_radius(light.shape[-1], axis_ratio) / reach[:, None, None]
    disc = (radius >= DISC[0]) & (radius < DISC[1])
    around = (light.abs() * disc).sum((1, 2)).clamp_min(LEAST)
    smooth = [smoothed(light[:, None], grain)[:, 0] for grain in GRAINS]
    found = []
    for grain, (fine, coarse) in zip(GRAINS[:-1], pairwise(smooth), strict=True):
        band, step = fine - coarse, round(2 * grain)
        along_y, along_x = (
            (((band - band.roll(step, axis)).abs() * disc).sum((1, 2)) / around + LEAST).log()
            for axis in (1, 2)
        )
        found.append(along_y - along_x)
    return torch.stack(found, 1)
