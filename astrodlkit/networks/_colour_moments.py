"""Colours and noise of images, with their channels in every order."""

from itertools import permutations

import torch
from torch import Tensor
from torch.nn.functional import conv2d

__all__ = ["N_COLOURS", "colour_moments"]

N_COLOURS = 60
# Grey, red minus blue, and green against both; and what a square of four pixels has of each.
_COLOURS = torch.tensor([[1, 1, 1], [1, 0, -1], [1, -2, 1]]).float()
_COLOURS = _COLOURS / _COLOURS.norm(dim=1, keepdim=True)
_SQUARE = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]).float() / 2
_ORDERS = torch.tensor(list(permutations(range(3))))
_DARK = 0.06


def colour_moments(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """
    Colours and noise of images, with their channels in every order.

    Parameters
    ----------
    images : Tensor, shape (n, 3, ny, nx)
        Standardised channels.
    mean, std : Tensor, shape (3,)
        By which they were standardised.

    Returns
    -------
    values : Tensor, shape (n, 6, 60)
        The order as it is comes first.
    """
    means, covariances = _patches(images.float(), mean, std)
    orders = _ORDERS.to(images.device)
    means = means[..., orders]
    covariances = covariances[..., orders[:, :, None], orders[:, None, :]]
    return _colours(means.movedim(-2, 1), covariances.movedim(-3, 1))


def _square_kernel(cell: int) -> Tensor:
    """Convolution to the 4 components of squares of 2x2 cells, for each of 3 channels alone."""
    pattern = _SQUARE.reshape(4, 2, 2).repeat_interleave(cell, 1).repeat_interleave(cell, 2)
    channels = torch.eye(3, dtype=pattern.dtype)
    return torch.einsum("ab,hyx->ahbyx", channels, pattern / cell**2).flatten(0, 1)


def _patches(images: Tensor, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    """
    Mean colour and covariances of the channels' details, at two scales, in dark and bright parts.

    Returns means, shape (n, 4, 3), and covariances, shape (n, 4, 2, 3, 3), of the slopes and of
    the twist of squares of two by two cells.
    """
    offset = (mean[:, None] * _SQUARE.to(mean.device).sum(dim=1)).flatten()
    means, covariances = [], []
    for kernel in _KERNELS:
        kernel = kernel.to(images.device)  # noqa: PLW2901
        parts = conv2d(
            images, kernel * std[:, None, None], offset, stride=kernel.shape[-1]
        ).flatten(2)
        # The first component is twice the mean of a square.
        bright = (parts[:, ::4].mean(dim=1, keepdim=True) >= 2 * _DARK).float()
        lit = parts * bright
        sums, products = lit.sum(dim=2), lit @ parts.mT
        every = parts.sum(dim=2), parts @ parts.mT
        n_bright = bright.sum(dim=2) + 3
        n_dark = parts.shape[2] + 6 - n_bright
        for total, square, n in (
            (every[0] - sums, every[1] - products, n_dark),
            (sums, products, n_bright),
        ):
            of_squares = (square / n[..., None]).unflatten(2, (3, 4)).unflatten(1, (3, 4))
            detail = of_squares.diagonal(dim1=2, dim2=4).movedim(3, 1)[:, 1:]
            covariances.append(torch.stack([detail[:, 0] + detail[:, 1], detail[:, 2]], dim=1))
            means.append((total / n)[:, ::4] / 2)
    return torch.stack(means, dim=1), torch.stack(covariances, dim=1)


def _colours(means: Tensor, covariances: Tensor) -> Tensor:
    """Of the means and covariances: strengths, correlations and ratios, shape (..., 60)."""
    basis = _COLOURS.to(means.device)
    means = means @ basis.mT
    covariances = basis @ covariances @ basis.mT
    strength = (covariances.diagonal(dim1=-2, dim2=-1).clamp(min=0) + 1e-6).sqrt()
    related = covariances / strength[..., :, None] / strength[..., None, :]
    parts = [strength.log(), *(related[..., i, j] for i, j in ((0, 1), (0, 2), (1, 2)))]
    ratios = means[..., 1:] / (means[..., :1].abs() + 0.02)
    return torch.cat([part.flatten(2) for part in (*parts, ratios, means[..., 0])], dim=2)


_KERNELS = (_square_kernel(2), _square_kernel(4))
