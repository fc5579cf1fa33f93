"""The loss of each kind of head, with labels that may be missing."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

__all__ = ["head_loss"]


def head_loss(
    kind: str,
    scores: Tensor,
    labels: Tensor,
    *,
    smoothing: float = 0.0,
    class_weights: Sequence[float] | None = None,
) -> Tensor:
    """
    Loss of one head: the sum over the known rows, by the number of all rows.

    Parameters
    ----------
    kind : {"classes", "fractions", "numbers"}
        Kind of the head.
    scores : Tensor, shape (n, k) or (n, k, 2)
        As from `~astrodlkit.networks.HeadsNetwork.scores`; numbers and their
        labels in the same units.
    labels : Tensor, shape (n,) or (n, k)
        As of `LabelsTask`.
    smoothing : float, optional
        Label smoothing of classes.
    class_weights : sequence of float, optional
        A weight for each class.

    Returns
    -------
    loss : Tensor, shape ()
        Cross-entropy of classes and of fractions (per vote, where there are
        numbers of votes); of numbers the Gaussian negative log-likelihood,
        each gradient scaled by the predicted deviation (beta-NLL with beta =
        0.5: Seitzer et al. 2022, ICLR), so that rows that are badly fitted do
        not drop out.
    """
    n = max(1, len(labels))
    if kind == "classes":
        weight = None if class_weights is None else scores.new_tensor(class_weights)
        total = cross_entropy(
            scores,
            labels,
            weight=weight,
            ignore_index=-1,
            reduction="sum",
            label_smoothing=smoothing,
        )
        return total / n
    known = torch.isfinite(labels)
    if kind == "fractions":
        rows = known.all(dim=1)
        votes = torch.where(rows[:, None], labels.nan_to_num(), 0.0).to(scores.dtype)
        # The mean number of votes of a known row: one vote weighs the same in every row.
        scale = votes.sum() / rows.sum().clamp(min=1)
        return -(votes * scores.log_softmax(dim=1)).sum() / scale.clamp(min=1e-6) / n
    value, deviation = scores.unbind(2)
    off = torch.where(known, value - labels.nan_to_num(), 0.0)
    loss = deviation.log() + 0.5 * (off / deviation).square()
    return torch.where(known, loss * deviation.detach(), 0.0).sum() / labels.shape[1] / n
