"""How clumpy, lopsided and dusty templates are."""

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import conv2d

# Pixels by which light is smoothed: structure is what lies between each and the next.
GRAINS = 1.0, 2.0, 4.0, 8.0
# Edges of the rings, in pixels of an ellipse's mean radius.
RINGS = 0.0, 6.0, 12.0, 24.0, 36.0
LEAST = 1e-3  # of the light: structure below it counts as none


def textures(light: Tensor, axis_ratio: Tensor) -> Tensor:
    """
    Logarithms of structure over light in each ring, (n, 52).

    Of r what is brighter, what is darker and what is lopsided at each of three scales; of the
    colours what differs at two.

    Parameters
    ----------
    light : Tensor, (n, 3, side, side)
        In g, r and i, with noise.
    axis_ratio : Tensor, (n,)
        Of the rings.
    """
    smooth = [smoothed(light, grain) for grain in GRAINS]
    total = light.sum((2, 3)).clamp_min(1e-6)[:, :, None, None]
    maps = []
    for fine, coarse in pairwise(maps[:, 1] for maps in smooth):
        band = fine - coarse
        maps += [band.relu(), (-band).relu(), (band - band.flip((1, 2))).abs()]
    balanced = [maps / total * total[:, 1:2] for maps in smooth[1:]]
    colours = [maps[:, ::2] - maps[:, 1:2] for maps in balanced]
    for fine, coarse in pairwise(colours):
        maps += (fine - coarse).abs().unbind(1)
    rings = _rings(light.shape[-1], axis_ratio)
    structure = torch.einsum("nmyx,nkyx->nmk", torch.stack(maps, 1), rings)
    around = torch.einsum("nyx,nkyx->nk", smooth[-1][:, 1], rings).clamp_min(1e-3)
    return (structure / around[:, None] + LEAST).log().flatten(1)


def smoothed(light: Tensor, sigma: float) -> Tensor:
    """With a Gaussian, (n, c, side, side); nothing is beyond the edge."""
    reach = int(3 * sigma) + 1
    along = torch.arange(-reach, reach + 1, device=light.device)
    weights = torch.exp(-((along / sigma) ** 2) / 2)
    kernel = (weights / weights.sum()).expand(light.shape[1], 1, 1, -1)
    light = conv2d(light, kernel, padding=(0, reach), groups=light.shape[1])
    return conv2d(light, kernel.mT, padding=(reach, 0), groups=light.shape[1])


def _rings(side: int, axis_ratio: Tensor) -> Tensor:
    """Which pixels lie in which ring, (n, 4, side, side)."""
    centres = torch.arange(side, device=axis_ratio.device) - (side - 1) / 2
    root = axis_ratio.clamp(0.15, 1).sqrt()[:, None, None]
    radius = torch.hypot(centres * root, centres[:, None] / root)
    inside = [(radius >= low) & (radius < high) for low, high in pairwise(RINGS)]
    return torch.stack(inside, 1).float()
