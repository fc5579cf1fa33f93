"""Asymmetry, concentration and so on of templates, with gradients: near to statmorph's."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from astrodlkit.networks._petrosian import elliptic_radius, petrosian_radius

NAMES = "asymmetry", "smoothness", "concentration", "gini", "m20"
SCATTER = 0.08, 0.03, 0.45, 0.05, 0.25  # from galaxy to galaxy, about
EXTENT = 1.5  # circular Petrosian radii within which light counts (Lotz et al. 2004)
BOX = 0.25  # of these radii: what is smaller is clumps, but for the nucleus (Conselice 2003)
BOXES = 3, 5, 7, 9  # pixels
STEP = 0.5  # of the curve of growth, pixels
BRIGHTEST = 0.2  # of the light, of which M20 is


def nonparametric(light: Tensor, axis_ratio: Tensor, reach: Tensor) -> Tensor:
    """
    `NAMES` of templates, in units of their `SCATTER`, (n, 5).

    Parameters
    ----------
    light : Tensor, (n, side, side)
        In r, with noise.
    axis_ratio, reach : Tensor, (n,)
        Of the galaxies, and their Petrosian radii along the major axis, in pixels.
    """
    side = light.shape[-1]
    pixels = elliptic_radius(side, torch.ones_like(axis_ratio))
    circle = petrosian_radius(light.detach(), pixels)
    radius = pixels / circle[:, None, None]
    near, apart = radius < EXTENT, (radius < EXTENT) & (radius > BOX)
    asymmetry = _share((light - light.flip((1, 2))).abs(), light, near)
    smoothness = _share((light - _boxed(light, BOX * circle)).relu(), light, apart)
    outer, inner = (_holding(share, light * near, pixels) for share in (0.8, 0.2))
    found = [asymmetry, smoothness, 5 * (outer / inner).log10()]
    found = torch.stack([*found, *_ranked(light, axis_ratio, reach)], 1)
    return found / found.new_tensor(SCATTER)


def _share(part: Tensor, light: Tensor, where: Tensor) -> Tensor:
    """Of the light somewhere, (n,)."""
    sums = [(values * where).sum((1, 2)) for values in (part, light.abs())]
    return sums[0] / sums[1].clamp_min(1e-6)


def _holding(share: float, light: Tensor, pixels: Tensor) -> Tensor:
    """Radius of the circle that holds a share of the light, in pixels, (n,)."""
    ring = (pixels / STEP).long().flatten(1)
    sums = light.new_zeros(len(light), int(ring.max()) + 1).scatter_add(1, ring, light.flatten(1))
    curve = sums.cumsum(1) / sums.sum(1, keepdim=True).clamp_min(1e-6)
    place = (curve.detach() > share).int().argmax(1, keepdim=True).clamp_min(1)
    below, above = curve.gather(1, place - 1), curve.gather(1, place)
    return STEP * (place + (share - below) / (above - below).clamp_min(1e-6))[:, 0]


def _boxed(light: Tensor, width: Tensor) -> Tensor:
    """Means of squares so many pixels wide, (n, side, side), between those of odd widths."""
    means = torch.stack([avg_pool2d(light, w, stride=1, padding=w // 2) for w in BOXES], 1)
    place = ((width - BOXES[0]) / 2).clamp(0, len(BOXES) - 1)[:, None]
    steps = torch.arange(len(BOXES), device=light.device)
    weights = (1 - (place - steps).abs()).clamp_min(0)
    return torch.einsum("nk,nkyx->nyx", weights, means)


def _ranked(light: Tensor, axis_ratio: Tensor, reach: Tensor) -> tuple[Tensor, Tensor]:
    """Gini and M20, of what is as bright as at the Petrosian radius, (n,) each."""
    radius = elliptic_radius(light.shape[-1], axis_ratio)
    with torch.no_grad():
        smooth = _boxed(light, 0.5 * reach)
        rim = (radius - reach[:, None, None]).abs() < 1
        level = (smooth * rim).sum((1, 2)) / rim.sum((1, 2)).clamp_min(1)
        inside = ((smooth > level[:, None, None]) & (radius < 2 * reach[:, None, None])).flatten(1)
    centres = torch.arange(light.shape[-1], device=light.device) - (light.shape[-1] - 1) / 2
    values = light.flatten(1) * inside
    total = values.sum(1).clamp_min(1e-6)
    x, y = (c.expand(light.shape[-2:]).flatten() for c in (centres, centres[:, None]))
    middle = [(values * c).sum(1, keepdim=True) / total[:, None] for c in (x, y)]
    moments = values * ((x - middle[0]) ** 2 + (y - middle[1]) ** 2)
    order = values.argsort(1, descending=True)
    ranked = values.gather(1, order)
    brightest = ranked.detach().cumsum(1) < BRIGHTEST * total.detach()[:, None]
    m20 = (moments.gather(1, order) * brightest).sum(1) / moments.sum(1).clamp_min(1e-6)
    n = inside.sum(1, keepdim=True)
    place = torch.arange(1, values.shape[1] + 1, device=light.device)
    weights = (n + 1 - 2 * place) * (place <= n)
    gini = (ranked.abs() * weights).sum(1) / (n[:, 0] - 1).clamp_min(1) / total
    return gini, m20.clamp_min(1e-4).log10()
