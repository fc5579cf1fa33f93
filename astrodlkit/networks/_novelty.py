"""How far an image lies from the images that a network was trained on."""

import math
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

__all__ = ["Novelty", "fit_distance", "fit_rank", "moments", "rank", "with_novelty"]

# Grey, red minus blue, and green against both; and what a square of four pixels has of each.
_COLOURS = torch.tensor([[1.0, 1, 1], [1, 0, -1], [1, -2, 1]])
_COLOURS = _COLOURS / _COLOURS.norm(dim=1, keepdim=True)
_SQUARE = torch.tensor([[1.0, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
_ORDERS = torch.tensor(list(permutations(range(3))))
_DARK = 0.06
# How many times coarser than the image: the small maps are of what is told from noise and
# sharpness, which among the hundreds of channels of the others would count for little.
_FINE, _COARSE = {2, 4}, {4, 8, 16}
_RIDGE = 0.03
_MOST_DIRECTIONS = 256
_N_COLOURS = 60
# Quantiles are kept at even steps of -log(1 - quantile), up to 0.99; a tail goes on from there.
_LAST = -math.log(0.01)
_STEPS = 48


class Novelty(nn.Module):
    """
    Distances from the training images, as a quantile of the validation images.

    Each distance has a mean and a covariance of the training images behind it:
    two are those of the means and the deviations of the network's feature maps,
    the fine ones, of which noise and sharpness are read off, and the coarser
    ones, for scale and shape; the third, for images in colour, is how much less
    likely the colours are than those of the same image with its channels in
    another order. Each becomes a quantile of the validation images, and so does
    the largest of them.

    Parameters
    ----------
    backbone : `torch.nn.Module`
        A timm model, whose feature maps are measured: those 2, 4, 8 and 16 times
        coarser than the image.
    kind : {"colour", "grey"}
        Whether the channels are three different bands, or one band three times.

    Raises
    ------
    ValueError
        If the model does not give its feature maps, or there is no such kind.

    Notes
    -----
    All that is learned is in buffers, which `astrodlkit.training.fit_novelty`
    fills. Until then they, and the result, are NaN.

    The distances are those of Mahalanobis with a ridge (Lee et al. 2018,
    NeurIPS, 31, 7167), here of the maps' moments over the image.

    Examples
    --------
    >>> import timm
    >>> import torch
    >>> from astrodlkit.networks import Novelty
    >>> backbone = timm.create_model("mobilenetv3_small_050", num_classes=0).eval()
    >>> novelty = Novelty(backbone, "colour")
    >>> images = torch.zeros(2, 3, 64, 64)
    >>> _, maps = backbone.forward_intermediates(images, indices=novelty.indices)
    >>> tuple(novelty(images, maps).shape)
    (2, 1)
    """

    picture_mean: Tensor
    picture_std: Tensor
    quantiles: Tensor

    def __init__(self, backbone: nn.Module, kind: str) -> None:
        super().__init__()
        if kind not in ("colour", "grey"):
            raise ValueError(f"novelty must be 'colour', 'grey' or None, got {kind!r}")
        known = getattr(backbone, "feature_info", None)
        # Of several maps of one size the last one.
        last = {
            info["reduction"]: (i, info["num_chs"])
            for i, info in enumerate(getattr(known, "info", known) or [])
            if info["reduction"] in _FINE | _COARSE
        }
        if not last or not hasattr(backbone, "forward_intermediates"):
            raise ValueError(
                "novelty needs a backbone that gives feature maps 2, 4, 8 or 16 times coarser than "
                f"the image, which {type(backbone).__name__} does not: pass novelty=None"
            )
        self.indices = [i for i, _ in last.values()]
        self.distances = nn.ModuleDict()
        # Which of the maps each distance sees.
        self.seen: dict[str, list[int]] = {}
        for name, reductions in (("fine", _FINE), ("coarse", _COARSE)):
            seen = [i for i, reduction in enumerate(last) if reduction in reductions]
            if seen:
                self.seen[name] = seen
                size = 2 * sum(n for i, (_, n) in enumerate(last.values()) if i in seen)
                self.distances[name] = Distance(size)
        self.colours = kind == "colour"
        if self.colours:
            self.distances["colour"] = Distance(_N_COLOURS)
            self.register_buffer("picture_mean", torch.full((3,), torch.nan))
            self.register_buffer("picture_std", torch.full((3,), torch.nan))
        self.register_buffer("quantiles", torch.full((_STEPS + 2,), torch.nan))

    def forward(self, images: Tensor, maps: Sequence[Tensor]) -> Tensor:
        """
        Novelty of each image.

        Parameters
        ----------
        images : Tensor, shape (n, c, ny, nx)
            Standardised channels.
        maps : sequence of Tensor, shape (n, n_channels, ny, nx) each
            The network's feature maps of them.

        Returns
        -------
        novelty : Tensor of float32, shape (n, 1)
            Which part of the validation images is nearer, 0 to 1.
        """
        with torch.autocast(images.device.type, enabled=False):
            rarity = self.rarity(self.measure(images, maps))
            return -torch.expm1(-rank(rarity, self.quantiles))[:, None]

    def measure(self, images: Tensor, maps: Sequence[Tensor]) -> dict[str, Tensor]:
        """
        What each distance is taken of.

        Parameters
        ----------
        images, maps
            As of the call.

        Returns
        -------
        values : dict of Tensor, shape (n, d)
            Moments of the feature maps; ``"colour"``: of the colours, with the
            channels in every order, shape (n, 6, 60).
        """
        parts = [moments(one) for one in maps]
        values = {
            name: torch.cat([parts[i] for i in seen], dim=1) for name, seen in self.seen.items()
        }
        if self.colours:
            values["colour"] = self.colour_moments(images)
        return values

    def lengths(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """
        The distances from the training images.

        Parameters
        ----------
        values : dict of Tensor
            From `measure`.

        Returns
        -------
        distances : dict of Tensor, shape (n,)
            Squared, over the number of dimensions: 1 is usual; of the colours,
            minus the least of the five other orders.
        """
        found = {name: distance(values[name]) for name, distance in self.distances.items()}
        if self.colours:
            every = found["colour"]
            found["colour"] = every[:, 0] - every[:, 1:].amin(dim=1)
        return found

    def rarity(self, values: dict[str, Tensor]) -> Tensor:
        """
        The largest rank of the distances.

        Parameters
        ----------
        values : dict of Tensor
            From `measure`.

        Returns
        -------
        rarity : Tensor, shape (n,)
            As -log(1 - quantile) of the validation images.
        """
        ranks = [
            rank(lengths, self.distances[name].quantiles)
            for name, lengths in self.lengths(values).items()
        ]
        return torch.stack(ranks).amax(dim=0)

    def colour_moments(self, images: Tensor) -> Tensor:
        """
        Colours and noise of images, with their channels in every order.

        Parameters
        ----------
        images : Tensor, shape (n, 3, ny, nx)
            Standardised channels.

        Returns
        -------
        values : Tensor, shape (n, 6, 60)
            The order as it is comes first.
        """
        means, covariances = _patches(images.float(), self.picture_mean, self.picture_std)
        orders = _ORDERS.to(images.device)
        means = means[..., orders]
        covariances = covariances[..., orders[:, :, None], orders[:, None, :]]
        return _colours(means.movedim(-2, 1), covariances.movedim(-3, 1))


def with_novelty(network: Any, images: Tensor) -> dict[str, Tensor]:
    """
    What a network says of images, with their novelty where it has one.

    Parameters
    ----------
    network : `torch.nn.Module`
        With ``backbone``, ``features``, ``heads`` and ``novelty``, a `Novelty` or None.
    images : Tensor, shape (n, c, ny, nx)
        Standardised channels.

    Returns
    -------
    outputs : dict of Tensor
        As from ``heads``, and ``"novelty"``, shape (n, 1).
    """
    if network.novelty is None:
        return network.heads(network.features(images))
    last, maps = network.backbone.forward_intermediates(images, indices=network.novelty.indices)
    features = network.backbone.forward_head(last, pre_logits=True).float()
    return {**network.heads(features), "novelty": network.novelty(images, maps)}


def moments(maps: Tensor) -> Tensor:
    """
    Means and standard deviations of feature maps over the image.

    Parameters
    ----------
    maps : Tensor, shape (n, n_channels, ny, nx)
        Feature maps.

    Returns
    -------
    values : Tensor of float32, shape (n, 2 * n_channels)
        Means, then deviations.
    """
    rows = maps.float().flatten(2)
    mean = rows.mean(dim=2)
    # torch.std_mean takes three times as long.
    square = (rows * rows).mean(dim=2)
    return torch.cat([mean, (square - mean * mean).clamp(min=0).sqrt()], dim=1)


def fit_distance(mean: Tensor, covariance: Tensor) -> dict[str, Tensor]:
    """
    What a distance needs, from the training images' mean and covariance.

    Parameters
    ----------
    mean : Tensor, shape (d,)
        Mean.
    covariance : Tensor, shape (d, d)
        Covariance.

    Returns
    -------
    tensors : dict of Tensor
        ``mean``, ``std``, ``axes`` and ``weights``.
    """
    # What hardly varies in training must not become the measure of everything.
    std = covariance.diagonal().clamp(min=0).sqrt()
    std = std.clamp(min=1e-3 * float(std.median()) + 1e-6)
    values, vectors = torch.linalg.eigh(covariance / std[:, None] / std)
    n = min(len(mean), _MOST_DIRECTIONS)
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    # The directions beyond the largest share one weight, which comes last.
    rest = values[n:].mean() if n < len(mean) else values[-1]
    weights = 1 / (torch.cat([values[:n], rest[None]]) + _RIDGE)
    return {"mean": mean, "std": std, "axes": vectors[:, :n], "weights": weights}


def fit_rank(values: Tensor) -> Tensor:
    """
    The table for `rank`, from the validation images' distances.

    Parameters
    ----------
    values : Tensor, shape (n,)
        Distances.

    Returns
    -------
    table : Tensor, shape (50,)
        Distances at even steps of -log(1 - quantile), and the scale of the tail.
    """
    levels = -torch.expm1(-torch.linspace(0, _LAST, _STEPS + 1, dtype=values.dtype))
    knots = torch.quantile(values, levels)
    # Equal distances must not make steps of no width.
    least = 1e-4 * float(values.abs().mean()) + 1e-6
    knots = knots + least * torch.arange(len(knots), dtype=values.dtype)
    # The mean excess over the 95 % quantile, as of an exponential tail.
    beyond = values[values >= torch.quantile(values, 0.95)]
    scale = (beyond - beyond.min()).mean().clamp(min=least * _STEPS)
    return torch.cat([knots, scale[None]])


def rank(values: Tensor, table: Tensor) -> Tensor:
    """
    How rare distances are, as -log(1 - quantile) of the validation images.

    Parameters
    ----------
    values : Tensor, shape (n,)
        Distances.
    table : Tensor, shape (50,)
        From `fit_rank`.

    Returns
    -------
    rarity : Tensor, shape (n,)
        From 0; it grows with the logarithm of the distance beyond 99 %.
    """
    knots, scale = table[:-1].contiguous(), table[-1]
    place = torch.bucketize(values.detach(), knots).clamp(1, _STEPS)
    low, high = knots[place - 1], knots[place]
    inside = (place - 1 + ((values - low) / (high - low)).clamp(0, 1)) * (_LAST / _STEPS)
    return inside + torch.log1p((values - knots[-1]).clamp(min=0) / scale)


class Distance(nn.Module):
    """
    Mahalanobis distance with a ridge; NaN until `fit_distance` and `fit_rank` fill its buffers.

    Parameters
    ----------
    size : int
        Number of dimensions.
    """

    mean: Tensor
    std: Tensor
    axes: Tensor
    weights: Tensor
    quantiles: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        n = min(size, _MOST_DIRECTIONS)
        for name, shape in {
            "mean": (size,),
            "std": (size,),
            "axes": (size, n),
            "weights": (n + 1,),
            "quantiles": (_STEPS + 2,),
        }.items():
            self.register_buffer(name, torch.full(shape, torch.nan))

    def forward(self, values: Tensor) -> Tensor:
        """Squared distance over the number of dimensions, for values along the last axis."""
        whole = (values - self.mean) / self.std
        along = whole @ self.axes
        rest = self.weights[-1]
        square = rest * whole.square().sum(-1) + along.square() @ (self.weights[:-1] - rest)
        return square / len(self.mean)


def _square_kernel(cell: int) -> Tensor:
    """Convolution to the 4 components of squares of 2x2 cells, for each of 3 channels alone."""
    pattern = _SQUARE.reshape(4, 2, 2).repeat_interleave(cell, 1).repeat_interleave(cell, 2)
    return torch.einsum("ab,hyx->ahbyx", torch.eye(3), pattern / cell**2).flatten(0, 1)


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
