"""How large galaxies are by their brightness, and where templates of them end."""

import torch
from torch import Tensor

__all__ = ["END", "FADE", "elliptic_radius", "petrosian_fade", "petrosian_radius"]

END, FADE = 1.3, 0.6
"""Petrosian radii at which templates begin to fade; how much further, as a share, they end."""

# Brightness at the Petrosian radius, over the mean within (Petrosian 1976, ApJ, 210, L53).
_ETA = 0.2
# Pixels: no galaxy's is smaller.
_SMALLEST = 4


def elliptic_radius(side: int, axis_ratio: Tensor) -> Tensor:
    """
    How far pixels are from the middle, measured along x.

    Parameters
    ----------
    side : int
        Of a picture, in pixels.
    axis_ratio : `~torch.Tensor`, shape (n,)
        Of ellipses whose major axis is along x.

    Returns
    -------
    radius : `~torch.Tensor`, shape (n, side, side)
        In pixels.
    """
    centres = torch.arange(side, dtype=axis_ratio.dtype, device=axis_ratio.device)
    centres -= (side - 1) / 2
    return torch.hypot(centres, centres[:, None] / axis_ratio.clamp_min(0.05)[:, None, None])


def petrosian_radius(light: Tensor, radius: Tensor) -> Tensor:
    """
    Beyond where galaxies are less than a fifth as bright as they are within, on the mean.

    Parameters
    ----------
    light : `~torch.Tensor`, shape (n, side, side)
        Of one band; noise should be little.
    radius : `~torch.Tensor`, shape (n, side, side)
        From `elliptic_radius`.

    Returns
    -------
    reach : `~torch.Tensor`, shape (n,)
        Along the major axis, in pixels; half the side at most.
    """
    side = light.shape[-1]
    ring = radius.long().clamp_max(side // 2 - 1).flatten(1)
    sums, pixels = (
        light.new_zeros(len(light), side // 2).scatter_add_(1, ring, values)
        for values in (light.flatten(1), torch.ones_like(ring, dtype=light.dtype))
    )
    # Of rings a pixel wide, and of all within the middle of each.
    here = sums / pixels.clamp_min(1)
    within = (sums.cumsum(1) - sums / 2) / (pixels.cumsum(1) - pixels / 2).clamp_min(1)
    over = here / within.clamp_min(1e-12) - _ETA
    over[:, :_SMALLEST], over[:, -1] = 1, -1
    # Beyond all rings: around a bright nucleus it may be darker than further out.
    last = side // 2 - (over > 0).flip(1).int().argmax(1, keepdim=True)
    above, below = over.gather(1, last - 1), over.gather(1, last)
    return (last.to(above) - 0.5 + above / (above - below))[:, 0]


def petrosian_fade(radius: Tensor, reach: Tensor) -> Tensor:
    """
    What is left of the light of templates, as real ones are made to end.

    Parameters
    ----------
    radius : `~torch.Tensor`, shape (n, side, side)
        From `elliptic_radius`.
    reach : `~torch.Tensor`, shape (n,)
        From `petrosian_radius`.

    Returns
    -------
    fade : `~torch.Tensor`, shape (n, side, side)
        From 1 to 0.
    """
    further = ((radius / reach[:, None, None] / END).clamp(1, 1 + FADE) - 1) / FADE
    return 0.5 + 0.5 * (torch.pi * further).cos()
