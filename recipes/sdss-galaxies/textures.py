"""How clumpy, lopsided and dusty templates are."""

from itertools import pairwise, product

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from astrodlkit.networks._petrosian import elliptic_radius

# Pixels by which light is smoothed: structure is what lies between each and the next.
GRAINS = 1.0, 2.0, 4.0, 8.0
# Edges of the rings, in Petrosian radii; beyond the last a template has faded.
RINGS = 0.0, 0.25, 0.5, 1.0, 1.5, 2.1
BRIGHT = 3  # rings: in others the sky's colour is left
LEAST = 1e-3  # of the light: structure below it counts as none


def textures(light: Tensor, axis_ratio: Tensor, reach: Tensor) -> Tensor:
    """
    Logarithms of structure over light in each ring, of the light there, and its colours, (n, 131).

    Of r what is brighter, what is darker and what is lopsided at each of three scales, lopsided at
    what is coarser, and what differs along x and along y: galaxies have no stripes. Of the colours
    what differs at two scales, and along x and along y; what they are is known where light is
    bright.

    Parameters
    ----------
    light : Tensor, (n, 3, side, side)
        In g, r and i, with noise.
    axis_ratio, reach : Tensor, (n,)
        Of the galaxies, and their Petrosian radii along the major axis, in pixels.
    """
    smooth = [smoothed(light, grain) for grain in GRAINS]
    total = light.sum((2, 3)).clamp_min(1e-6)[:, :, None, None]
    r, maps = [maps[:, 1] for maps in smooth], []
    for fine, coarse in pairwise(r):
        band = fine - coarse
        maps += [band.relu(), (-band).relu(), _lopsided(band)]
    maps += [_lopsided(r[-1]), *((r[0] - r[0].roll(2, axis)).abs() for axis in (1, 2))]
    balanced = [maps / total * total[:, 1:2] for maps in smooth]
    colours = [maps[:, ::2] - maps[:, 1:2] for maps in balanced]
    for fine, coarse in pairwise(colours[1:]):
        maps += (fine - coarse).abs().unbind(1)
    for colour, axis in product(colours[:2], (2, 3)):
        maps += (colour - colour.roll(2, axis)).abs().unbind(1)
    radius = elliptic_radius(light.shape[-1], axis_ratio) / reach[:, None, None]
    rings = torch.stack([(radius >= a) & (radius < b) for a, b in pairwise(RINGS)], 1).float()
    around = torch.einsum("nyx,nkyx->nk", r[-1], rings).clamp_min(1e-3)[:, None]
    structure, colour = (
        torch.einsum("nmyx,nkyx->nmk", each, rings) / around
        for each in (torch.stack(maps, 1), colours[1])
    )
    logarithms = (torch.cat([structure, around], 1) + LEAST).log()
    return torch.cat([logarithms.flatten(1), colour[..., :BRIGHT].flatten(1)], 1)


def _lopsided(maps: Tensor) -> Tensor:
    """How far each pixel is from the one across the middle."""
    return (maps - maps.flip((1, 2))).abs()


def smoothed(light: Tensor, sigma: float) -> Tensor:
    """With a Gaussian, (n, c, side, side); nothing is beyond the edge."""
    reach = int(3 * sigma) + 1
    along = torch.arange(-reach, reach + 1, device=light.device)
    weights = torch.exp(-((along / sigma) ** 2) / 2)
    kernel = (weights / weights.sum()).expand(light.shape[1], 1, 1, -1)
    light = conv2d(light, kernel, padding=(0, reach), groups=light.shape[1])
    return conv2d(light, kernel.mT, padding=(reach, 0), groups=light.shape[1])
