"""How far an image lies from the images that a network was trained on."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ._colour_moments import N_COLOURS, colour_moments
from ._shape_moments import N_SHAPES, shape_moments

__all__ = ["Novelty", "fit_distance", "fit_rank", "moments", "rank", "with_novelty"]

# How many times coarser than the image: the small maps are of what is told from noise and
# sharpness, which among the hundreds of channels of the others would count for little.
_FINE, _COARSE = {2, 4}, {4, 8, 16}
_KINDS = ("colour", "grey", "sources")
_RIDGE = 0.03
_MOST_DIRECTIONS = 256
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
    another order, as fitted to tell these apart. Each becomes a quantile of the
    validation images, and so does the largest of them.

    Parameters
    ----------
    backbone : `torch.nn.Module`
        A timm model, whose feature maps are measured: those 2, 4, 8 and 16 times
        coarser than the image.
    kind : {"colour", "grey", "sources"}
        Whether the channels are three different bands, or one band three times;
        or that in a picture in which the noise is black, as a radio source is
        shown (see `~astrodlkit.specs.PeakStretch`).

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
        if kind not in _KINDS:
            raise ValueError(f"novelty must be one of {_KINDS} or None, got {kind!r}")
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
        self.shapes = kind == "sources"
        if self.colours:
            self.distances["colour"] = Distance(N_COLOURS)
        if self.shapes:
            self.distances["shape"] = Distance(N_SHAPES)
        if self.colours or self.shapes:
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
            channels in every order, shape (n, 6, 60); ``"shape"``: of what is
            lit, shape (n, 7).
        """
        parts = [moments(one) for one in maps]
        values = {
            name: torch.cat([parts[i] for i in seen], dim=1) for name, seen in self.seen.items()
        }
        if self.colours:
            values["colour"] = colour_moments(images, self.picture_mean, self.picture_std)
        if self.shapes:
            pictures = images[:, 0].float() * self.picture_std[0] + self.picture_mean[0]
            values["shape"] = shape_moments(pictures)
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
    # Equal distances must not make steps of no width, nor one that is far off wide ones.
    least = 1e-4 * float(values.abs().median()) + 1e-6
    knots = knots + least * torch.arange(len(knots), dtype=values.dtype)
    # That of an exponential tail with the median excess over the 95 % quantile.
    beyond = values[values >= torch.quantile(values, 0.95)]
    scale = (torch.quantile(beyond - beyond.min(), 0.5) / math.log(2)).clamp(min=least * _STEPS)
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

    Any other quadratic form fits in them as well: weights may be negative.

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
