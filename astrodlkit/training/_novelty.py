"""Fit the novelty of a network: a pass over training images, one over validation images."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..networks._novelty import Novelty, fit_distance, fit_rank, rank
from ..specs import InputSpec

__all__ = ["fit_novelty"]

_FEWEST = 20
_PIECE = 64


def fit_novelty(
    network: nn.Module,
    training: Iterable[Tensor],
    validation: Iterable[Tensor],
    *,
    spec: InputSpec,
) -> None:
    """
    Tell a network how far from its training images an image is.

    The network itself is not changed. What is taken for usual is what is in
    ``training``: give the images as they are, and views of them that shall not
    stand out, such as with the noise of another survey.

    Parameters
    ----------
    network : `torch.nn.Module`
        Trained, with a ``novelty`` (see `~astrodlkit.networks.GalaxyZooNetwork`).
    training, validation : iterable of Tensor, shape (n, 3, ny, nx)
        Batches of images as the network takes them: standardised, in the
        size of use. The quantiles are those of ``validation``.
    spec : `~astrodlkit.specs.InputSpec`
        The network's input contract.

    Raises
    ------
    ValueError
        If the network has no novelty, or there are fewer than 20 images of
        either kind, or one is not finite.

    Examples
    --------
    >>> import torch
    >>> from astrodlkit.networks import GalaxyZooNetwork
    >>> from astrodlkit.specs import InputSpec, Picture
    >>> from astrodlkit.training import fit_novelty
    >>> network = GalaxyZooNetwork(novelty="colour")
    >>> spec = InputSpec(bands=("i", "r", "g"), shape=(64, 64), mean=(0.5,) * 3, std=(0.2,) * 3,
    ...                  stretch=Picture())
    >>> images = torch.randn(60, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    >>> fit_novelty(network, [images[:40]], [images[40:]], spec=spec)
    >>> novelty = network.eval()(torch.zeros(1, 3, 64, 64))["novelty"]
    >>> bool(novelty > 0.99)
    True
    """
    novelty = getattr(network, "novelty", None)
    if not isinstance(novelty, Novelty):
        raise ValueError("network must have been made with a novelty, such as novelty='colour'")
    was_training = network.training
    network.eval()
    if novelty.colours or novelty.shapes:
        novelty.picture_mean.copy_(torch.tensor(spec.mean))
        novelty.picture_std.copy_(torch.tensor(spec.std))
    try:
        with torch.inference_mode():
            _fit_distances(novelty, _measured(network, training, "training"))
            _fit_quantiles(novelty, _measured(network, validation, "validation"))
    finally:
        network.train(was_training)


def _measured(network: Any, batches: Iterable[Tensor], name: str) -> Iterator[dict[str, Tensor]]:
    """What the distances are taken of, a few images at a time."""
    novelty = network.novelty
    n = 0
    for batch in batches:
        for images in batch.to(novelty.quantiles.device).split(_PIECE):
            _, maps = network.backbone.forward_intermediates(
                images.contiguous(memory_format=torch.channels_last), indices=novelty.indices
            )
            values = novelty.measure(images, maps)
            if not all(bool(v.isfinite().all()) for v in values.values()):
                raise ValueError(f"{name} must be finite images, row {n} or one after it is not")
            n += len(images)
            yield values
    if n < _FEWEST:
        raise ValueError(f"{name} must have {_FEWEST} images or more, got {n}")


def _fit_distances(novelty: Novelty, measured: Iterable[dict[str, Tensor]]) -> None:
    """Means and covariances."""
    sums: dict[str, _Sums] = {}
    for values in measured:
        for name, part in values.items():
            # Of the colours those in the order as it is.
            rows = part if part.ndim == 2 else part[:, 0]
            sums.setdefault(name, _Sums(rows)).add(rows)
    for name, total in sums.items():
        for key, fitted in fit_distance(*total.mean_and_covariance()).items():
            novelty.distances[name].get_buffer(key).copy_(fitted)


def _fit_quantiles(novelty: Novelty, measured: Iterable[dict[str, Tensor]]) -> None:
    """Tables of each distance, then of the rarest."""
    parts = [novelty.lengths(values) for values in measured]
    whole = {name: torch.cat([p[name] for p in parts]).double() for name in novelty.distances}
    tables = {name: fit_rank(values) for name, values in whole.items()}
    for name, table in tables.items():
        novelty.distances[name].quantiles.copy_(table)
    rarity = torch.stack([rank(whole[name], tables[name]) for name in tables]).amax(dim=0)
    novelty.quantiles.copy_(fit_rank(rarity))


class _Sums:
    """Mean and covariance of rows that come in pieces."""

    def __init__(self, first: Tensor) -> None:
        # Near the mean, so that little is lost in the difference of the squares.
        self.origin = first.double().mean(dim=0)
        self.n = 0
        self.sum = torch.zeros_like(self.origin)
        self.squares = torch.outer(self.sum, self.sum)

    def add(self, rows: Tensor) -> None:
        rows = rows.double() - self.origin
        self.n += len(rows)
        self.sum += rows.sum(dim=0)
        self.squares += rows.mT @ rows

    def mean_and_covariance(self) -> tuple[Tensor, Tensor]:
        mean = self.sum / self.n
        return self.origin + mean, self.squares / self.n - torch.outer(mean, mean)
