"""Fit the novelty of a network: a pass over training images, one over validation images."""

from collections.abc import Iterable, Iterator
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from torch import Tensor, nn

from ..networks._novelty import Distance, Novelty, fit_distance, fit_rank, rank
from ..specs import InputSpec

__all__ = ["fit_novelty"]

_FEWEST = 20
_PIECE = 64
# Images that tell orders apart, at most, and what a form other than Mahalanobis' costs: the best
# of 10 to 1e5 by cross-validation within EFIGI's training galaxies.
_MOST_IMAGES = 10_000
_STIFFNESS = 300.0


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
    """Means and covariances; and of colours what tells the channels' own order from others."""
    sums: dict[str, _Sums] = {}
    orders = []
    for values in measured:
        for name, part in values.items():
            if part.ndim == 3:
                orders.append(part)
            # Of the colours those in the order as it is.
            rows = part if part.ndim == 2 else part[:, 0]
            sums.setdefault(name, _Sums(rows)).add(rows)
    for name, total in sums.items():
        for key, fitted in fit_distance(*total.mean_and_covariance()).items():
            novelty.distances[name].get_buffer(key).copy_(fitted)
    if orders:
        _tell_orders(cast("Distance", novelty.distances["colour"]), torch.cat(orders))


def _tell_orders(distance: Distance, colours: Tensor) -> None:
    """
    Bend a distance for the channels' own order to be the nearest of all.

    The covariance alone does not know what the other orders look like. With minus the distance as
    the logarithm of an order's likelihood, the form is that of the likeliest orders, held to
    Mahalanobis' by a penalty.

    Parameters
    ----------
    distance : Distance
        Filled by `fit_distance`, in as many directions as there are dimensions.
    colours : Tensor, shape (n, 6, d)
        Of training images; the order as it is comes first.
    """
    colours = colours[:: -(-len(colours) // _MOST_IMAGES)].double()
    # In these coordinates the distance is Euclid's.
    scale = distance.weights[:-1].double().sqrt()
    axes = distance.axes.double() * scale
    rows = (((colours - distance.mean) / distance.std) @ axes).cpu().numpy()
    form = torch.from_numpy(_ordering_form(rows)).to(axes)
    weights, vectors = torch.linalg.eigh(axes @ form @ axes.mT)
    distance.axes.copy_(vectors)
    distance.weights.copy_(torch.cat([weights, weights[:1]]))


def _ordering_form(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The quadratic form that is least for the first of six; rows have the shape (n, 6, d)."""
    n, _, d = rows.shape
    unit = np.eye(d)

    def cost(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        form = flat.reshape(d, d)
        lengths = ((rows @ form) * rows).sum(axis=2)
        pull = -softmax(-lengths, axis=1)
        pull[:, 0] += 1
        bent = form - form.trace() / d * unit
        slope = np.einsum("noi,no,noj->ij", rows, pull, rows, optimize=True)
        loss = (lengths[:, 0] + logsumexp(-lengths, axis=1)).sum() + _STIFFNESS * (bent**2).sum()
        return loss / n, ((slope + 2 * _STIFFNESS * bent) / n).ravel()

    return 2 * minimize(cost, unit.ravel() / 2, jac=True, method="L-BFGS-B").x.reshape(d, d)


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
