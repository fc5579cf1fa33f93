"""The linear heads alone, fitted to features of a backbone that stays as it is."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ..networks import HeadsNetwork
from ._losses import head_loss

__all__ = ["fit_heads"]

# Ridges that are tried, the strongest first: each fit starts from the one before.
_RIDGES = tuple(10.0**power for power in np.arange(1.0, -5.1, -0.75))


def fit_heads(
    network: HeadsNetwork,
    features: Tensor,
    labels: Sequence[Tensor],
    validation: tuple[Tensor, Sequence[Tensor]],
    *,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """
    Fit each head by a convex problem, with the ridge that serves the validation rows best.

    Parameters
    ----------
    network : `~astrodlkit.networks.HeadsNetwork`
        Its heads are changed in place; it has been told the units of its
        numbers.
    features : Tensor, shape (n, d)
        Features of the training rows.
    labels : sequence of Tensor, n along the first axis
        Those of each head, in the form that `LabelsTask` takes.
    validation : tuple
        Features and labels of other rows.
    advance : callable, optional
        Called with 1 after each head.
    """
    mean, std = features.mean(dim=0), features.std(dim=0).clamp(min=1e-6)
    seen = (features - mean) / std
    judged = (validation[0] - mean) / std
    for (name, kind), layer, known, wanted in zip(
        network.kinds.items(), network.layers, labels, validation[1], strict=True
    ):
        n_out = layer.out_features
        if kind == "numbers":
            offset, scale = network.units(name)
            known, wanted = (known - offset) / scale, (wanted - offset) / scale  # noqa: PLW2901
            n_out //= 2
        fitted = _fit_layer(kind, n_out, (seen, known), (judged, wanted))
        with torch.no_grad():
            layer.weight[:n_out] = fitted.weight / std
            layer.bias[:n_out] = fitted.bias - layer.weight[:n_out] @ mean
            if kind == "numbers":
                # One deviation for all rows: that of the validation rows, which were not fitted.
                network.set_deviation(
                    name, torch.nanmean((fitted(judged) - wanted).square(), dim=0).sqrt()
                )
        advance(1)


def _fit_layer(
    kind: str, n_out: int, training: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor]
) -> nn.Linear:
    """The best of the layers fitted with each ridge."""

    def loss(layer: nn.Linear, rows: tuple[Tensor, Tensor]) -> Tensor:
        scores, labels = layer(rows[0]), rows[1]
        if kind != "numbers":
            return head_loss(kind, scores, labels) * len(labels) / _n_known(labels)
        off = torch.where(torch.isfinite(labels), scores - labels.nan_to_num(), 0.0)
        return off.square().sum() / _n_known(labels)

    # Without random numbers, which are the caller's.
    layer = nn.utils.skip_init(nn.Linear, training[0].shape[1], n_out, dtype=torch.float32)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    best, least = {}, float("inf")
    for ridge in _RIDGES:
        optimizer = torch.optim.LBFGS(
            layer.parameters(), max_iter=60, history_size=20, line_search_fn="strong_wolfe"
        )

        def closure(ridge: float = ridge, optimizer: torch.optim.LBFGS = optimizer) -> Tensor:
            optimizer.zero_grad()
            value = loss(layer, training) + ridge * layer.weight.square().sum()
            value.backward()
            return value

        optimizer.step(closure)
        with torch.no_grad():
            value = float(loss(layer, validation))
        if value < least:
            least, best = value, {k: v.clone() for k, v in layer.state_dict().items()}
    layer.load_state_dict(best)
    return layer


def _n_known(labels: Tensor) -> int:
    known = labels >= 0 if labels.dtype == torch.int64 else torch.isfinite(labels)
    return max(1, int(known.sum()) if labels.ndim == 1 else int(known.all(dim=1).sum()))
