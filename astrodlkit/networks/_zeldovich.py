"""Matter that has moved along straight lines, in two dimensions."""

import math
from itertools import product

import torch
from torch import Tensor

__all__ = ["displaced"]

# Particles along the side of a pixel: with fewer their lattice shows in voids.
_PER_SIDE = 2
# Particles shared out at once: what is made on the way stays in the processor's cache.
_AT_ONCE = 1 << 17
# Contrasts beyond this send particles to places that are no numbers.
_WILD = 1e4


def displaced(field: Tensor) -> Tensor:
    """
    Density of a grid of particles moved by the Zel'dovich approximation.

    Particles move by the gradient of the inverse Laplacian of the field, which
    is thus the contrast that linear theory gives (Zel'dovich 1970, A&A, 5, 84),
    and share their mass among the four pixels about them.

    Parameters
    ----------
    field : `~torch.Tensor`, shape (n, ny, nx)
        Linear density contrast; periodic.

    Returns
    -------
    density : `~torch.Tensor`, shape (n, ny, nx)
        In units of the mean; periodic; NaN for a field that is not finite or beyond
        all bounds. Gradients do not pass.

    Examples
    --------
    >>> import torch
    >>> from astrodlkit.networks._zeldovich import displaced
    >>> displaced(torch.randn(1, 4, 4)).mean()
    tensor(1.)
    """
    field = field.detach()
    wild = ~(field.abs() < _WILD).all(-1).all(-1)[:, None, None]
    field = field.masked_fill(wild, 0)
    n, ny, nx = field.shape
    ky = 2 * math.pi * torch.fft.fftfreq(ny, dtype=field.dtype, device=field.device)[:, None]
    kx = 2 * math.pi * torch.fft.rfftfreq(nx, dtype=field.dtype, device=field.device)
    # A gradient at the Nyquist frequency has no sign.
    signed_y, signed_x = (k * (k.abs() < 3.14) for k in (ky, kx))
    waves = torch.fft.rfft2(field) / (ky**2 + kx**2).clamp_min(1e-12)
    gradients = torch.stack([1j * signed_y * waves, 1j * signed_x * waves], 1)
    y = torch.arange(ny, dtype=field.dtype, device=field.device)[:, None]
    x = torch.arange(nx, dtype=field.dtype, device=field.device)
    rows = max(1, _AT_ONCE // (n * nx))
    density = field.new_zeros(n, ny * nx)
    offsets = ((torch.arange(_PER_SIDE) + 0.5) / _PER_SIDE - 0.5).tolist()
    shifted, moves = torch.empty_like(gradients), field.new_empty(n, 2, ny, nx)
    for from_y, from_x in product(offsets, offsets):
        # Between the pixels' centres as their Fourier series goes.
        torch.mul(gradients, torch.exp(1j * signed_y * from_y), out=shifted)
        shifted *= torch.exp(1j * signed_x * from_x)
        torch.fft.irfft2(shifted, s=(ny, nx), out=moves)
        for at_y, part in zip((y + from_y).split(rows), moves.split(rows, -2), strict=True):
            move_y, move_x = part.unbind(1)
            _share(density, at_y + move_y, x + from_x + move_x, (ny, nx))
    return density.view(n, ny, nx).masked_fill(wild, math.nan) / _PER_SIDE**2


def _share(density: Tensor, y: Tensor, x: Tensor, shape: tuple[int, int]) -> None:
    """Add particles at places (n, ny, nx), in pixels, to densities (n, ny * nx)."""
    rows, columns = (_neighbours(at, size) for at, size in ((y, shape[0]), (x, shape[1])))
    for (row, part_y), (column, part_x) in product(rows, columns):
        at = (row * shape[1] + column).long()
        density.scatter_add_(1, at.flatten(1), (part_y * part_x).flatten(1))


def _neighbours(at: Tensor, size: int) -> list[tuple[Tensor, Tensor]]:
    """The two pixels along an axis that a particle lies between, and its parts in them."""
    low = at.floor()
    part = at - low
    # Whole numbers, but divided as floats, which is faster; int32 holds the number of any pixel.
    return [
        ((i - size * (i / size).floor()).int(), w) for i, w in ((low, 1 - part), (low + 1, part))
    ]
