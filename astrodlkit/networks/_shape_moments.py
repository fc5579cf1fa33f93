"""How large, sharp and central sources on black are, and how abruptly they end."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

__all__ = ["N_SHAPES", "shape_moments"]

N_SHAPES = 7
# In 8 bits the least that is not black is 0.06, after a square root.
_LIT = 0.05
_POOL = 8
_LEAST = 1e-3


def shape_moments(pictures: Tensor) -> Tensor:
    """
    Moments of the shape of what is lit in pictures that are black elsewhere.

    Parameters
    ----------
    pictures : Tensor, shape (n, ny, nx)
        Between 0 and 1.

    Returns
    -------
    values : Tensor, shape (n, 7)
        Logarithms of the number of lit pixels; of how steep the picture is, per
        power; the steepest step; logarithms of the power that is left at a
        resolution of 8 pixels; of the distance of the light's centre from the
        middle, in widths; and of how much the light ends within a pixel, at
        the worst and at the fifth worst pixel.
    """
    pictures = pictures.clamp(min=0)
    power = pictures.square().sum((1, 2)) + _LEAST
    down, across = pictures.diff(dim=1), pictures.diff(dim=2)
    slope = down.square().sum((1, 2)) + across.square().sum((1, 2))
    steepest = torch.maximum(down.abs().amax((1, 2)), across.abs().amax((1, 2)))
    coarse = avg_pool2d(pictures, _POOL).square().sum((1, 2)) * _POOL**2
    ends = _cuts(pictures)
    values = (
        (pictures >= _LIT).sum((1, 2), dtype=pictures.dtype) + 1,
        slope / power + _LEAST,
        coarse / power + _LEAST,
        _off_centre(pictures) + 10 * _LEAST,
        *(ends + 10 * _LEAST).unbind(1),
    )
    return torch.stack([steepest, *(value.log() for value in values)], dim=1)


def _off_centre(pictures: Tensor) -> Tensor:
    """Distance of the light's centre from the middle, in widths of the picture."""
    total = pictures.sum((1, 2)) + _LEAST
    kind = {"dtype": pictures.dtype, "device": pictures.device}
    y, x = (torch.linspace(-0.5, 0.5, n, **kind) for n in pictures.shape[1:])
    return torch.hypot(pictures.sum(2) @ y / total, pictures.sum(1) @ x / total)


def _cuts(pictures: Tensor) -> Tensor:
    """
    How much flux ends within a pixel, where it does most and fifth most; shape (n, 2).

    Through a telescope's beam a source fades ever more slowly: a pixel beside a black one
    has at most half of what the next one inwards has. What it has more was cut off.
    """
    found = []
    for turn in range(4):
        turned = torch.rot90(pictures, turn, (1, 2))
        flux = turned.square()
        excess = (2 * flux[:, 1:-1] - flux[:, :-2]).clamp(min=0)
        found.append((excess * (turned[:, 2:] < _LIT)).flatten(1))
    return torch.cat(found, dim=1).topk(5, dim=1).values[:, [0, 4]]
