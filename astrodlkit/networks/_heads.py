"""A backbone with linear heads: classes, fractions and numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ._novelty import Novelty, with_novelty
from ._timm import timm_model

__all__ = ["HeadsNetwork"]

_KINDS = ("classes", "fractions", "numbers")

# A new head says a deviation of 1, the spread of the labels; none says less than the second.
_ONE, _LEAST = 0.5413, 1e-3


class HeadsNetwork(nn.Module):
    """
    A timm backbone with one linear layer for each head.

    Parameters
    ----------
    backbone : str
        Name of a timm model.
    heads : sequence of dict
        One for each head: ``{"name": str, "kind": str, "n": int}``. Kinds:

        * ``"classes"``: probabilities of n classes;
        * ``"fractions"``: shares of n answers, which sum to 1;
        * ``"numbers"``: n values and their standard deviations, in the units
          of the labels (see `set_units`).
    novelty : {"colour", "grey", "sources"}, optional
        Adds how far an image is from those of the training, as in
        `GalaxyZooNetwork`.

    Raises
    ------
    ValueError
        If timm has no such model, or a head is not of this form.

    Examples
    --------
    >>> import torch
    >>> from astrodlkit.networks import HeadsNetwork
    >>> network = HeadsNetwork("mobilenetv3_small_050", [
    ...     {"name": "class", "kind": "classes", "n": 3},
    ...     {"name": "size", "kind": "numbers", "n": 1}]).eval()
    >>> outputs = network(torch.zeros(2, 3, 64, 64))
    >>> {name: tuple(values.shape) for name, values in outputs.items()}
    {'class': (2, 3), 'size': (2, 1, 2)}
    """

    offset: Tensor
    scale: Tensor

    def __init__(
        self,
        backbone: str,
        heads: Sequence[Mapping[str, Any]],
        novelty: str | None = None,
    ) -> None:
        super().__init__()
        self.backbone = timm_model(backbone, num_classes=0)
        self.novelty = Novelty(self.backbone, novelty) if novelty else None
        self.kinds = _checked(heads)
        # Some models of timm have a layer after the pooled feature maps.
        n_features = getattr(self.backbone, "head_hidden_size", self.backbone.num_features)
        self.n_features = int(n_features)
        self.layers = nn.ModuleList(
            nn.Linear(self.n_features, head["n"] * (2 if head["kind"] == "numbers" else 1))
            for head in heads
        )
        numbers = [head["n"] if head["kind"] == "numbers" else 0 for head in heads]
        self.sizes = numbers
        self.register_buffer("offset", torch.zeros(sum(numbers)))
        self.register_buffer("scale", torch.ones(sum(numbers)))

    def set_units(self, name: str, offset: Tensor, scale: Tensor) -> None:
        """
        Say in which units the labels of a head of numbers are.

        Parameters
        ----------
        name : str
            Name of the head.
        offset, scale : Tensor, shape (n,)
            Mean and standard deviation of the labels.

        Raises
        ------
        ValueError
            If the head does not give numbers, or a scale is not positive.
        """
        if self.kinds.get(name) != "numbers":
            raise ValueError(f"name must be that of a head of numbers, got {name!r}")
        if not (scale > 0).all():
            raise ValueError(f"scale must be positive, got {scale}")
        part = self._part(name)
        self.offset[part], self.scale[part] = offset, scale

    def units(self, name: str) -> tuple[Tensor, Tensor]:
        """
        The units that `set_units` gave to a head.

        Parameters
        ----------
        name : str
            Name of the head.

        Returns
        -------
        offset, scale : Tensor, shape (n,)
            Mean and standard deviation of the labels.
        """
        part = self._part(name)
        return self.offset[part], self.scale[part]

    def set_deviation(self, name: str, deviation: Tensor) -> None:
        """
        Let a head of numbers say one standard deviation whatever it sees.

        Parameters
        ----------
        name : str
            Name of the head.
        deviation : Tensor, shape (n,)
            In the units of `set_units`.
        """
        layer = self.layers[list(self.kinds).index(name)]
        n = layer.out_features // 2
        with torch.no_grad():
            layer.weight[n:] = 0
            layer.bias[n:] = (deviation - _LEAST).clamp(min=_LEAST).expm1().log() - _ONE

    def features(self, images: Tensor) -> Tensor:
        """
        What the backbone sees in each image.

        Parameters
        ----------
        images : Tensor, shape (n, 3, ny, nx)
            Standardised channels.

        Returns
        -------
        features : Tensor of float32, shape (n, d)
            Features.
        """
        return self.backbone(images).float()

    def scores(self, features: Tensor) -> dict[str, Tensor]:
        """
        What losses take.

        Parameters
        ----------
        features : Tensor, shape (n, d)
            From `features`.

        Returns
        -------
        scores : dict of Tensor
            Logits, shape (n, k), of classes and fractions; of numbers, shape
            (n, k, 2), the value and the standard deviation in the units of
            `set_units`.
        """
        # The softmax and the differences of numbers would suffer in bf16.
        with torch.autocast(features.device.type, enabled=False):
            scores = {}
            for (name, kind), layer in zip(self.kinds.items(), self.layers, strict=True):
                values = layer(features)
                if kind == "numbers":
                    value, deviation = values.chunk(2, dim=1)
                    deviation = softplus(deviation + _ONE) + _LEAST
                    values = torch.stack([value, deviation], dim=2)
                scores[name] = values
            return scores

    def heads(self, features: Tensor) -> dict[str, Tensor]:
        """
        The answers from features.

        Parameters
        ----------
        features : Tensor, shape (n, d)
            From `features`.

        Returns
        -------
        outputs : dict of Tensor
            For each head, shape (n, k): probabilities or fractions; for
            numbers, shape (n, k, 2): value and standard deviation.
        """
        outputs = {}
        for name, values in self.scores(features).items():
            if self.kinds[name] == "numbers":
                offset, scale = self.units(name)
                value, deviation = values.unbind(2)
                outputs[name] = torch.stack([offset + scale * value, scale * deviation], dim=2)
            else:
                outputs[name] = values.softmax(dim=1)
        return outputs

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """
        The answers for each image.

        Parameters
        ----------
        images : Tensor, shape (n, 3, ny, nx)
            Standardised channels.

        Returns
        -------
        outputs : dict of Tensor
            As from `heads`, and ``"novelty"``, shape (n, 1), if it was asked for.
        """
        return with_novelty(self, images)

    def _part(self, name: str) -> slice:
        """Which of the numbers of all heads are those of one."""
        place = list(self.kinds).index(name)
        start = sum(self.sizes[:place])
        return slice(start, start + self.sizes[place])


def _checked(heads: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Kind of each head by its name."""
    for head in heads:
        if not isinstance(head, Mapping) or set(head) != {"name", "kind", "n"}:
            raise ValueError(f"each of heads must have name, kind and n, got {head!r}")
        if head["kind"] not in _KINDS:
            raise ValueError(f"kind of a head must be one of {_KINDS}, got {head['kind']!r}")
        least = 1 if head["kind"] == "numbers" else 2
        if not isinstance(head["n"], int) or head["n"] < least:
            raise ValueError(f"n of head {head['name']!r} must be {least} or more: {head['n']!r}")
    kinds = {str(head["name"]): str(head["kind"]) for head in heads}
    if not kinds or len(kinds) < len(heads):
        raise ValueError(f"heads must be one or more of different names, got {list(heads)}")
    return kinds
