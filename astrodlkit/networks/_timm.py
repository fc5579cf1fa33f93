"""A timm model as it is: its classifier's probabilities, and its features."""

from collections.abc import Sequence
from typing import Any

import timm
from torch import Tensor, nn

__all__ = ["TimmNetwork", "timm_model"]


class TimmNetwork(nn.Module):
    """
    A timm model, with or without its classifier.

    Parameters
    ----------
    backbone : str
        Name of a timm model.
    n_classes : int
        Number of classes; 0: features only.
    global_pool : str, optional
        How its feature maps become features, where not in the model's own way.
    img_size : int or sequence of int, optional
        Pixels of its images, for a model that is made for one size.

    Raises
    ------
    ValueError
        If timm has no such model.

    Examples
    --------
    >>> import torch
    >>> from astrodlkit.networks import TimmNetwork
    >>> network = TimmNetwork("mobilenetv3_small_050", n_classes=3).eval()
    >>> tuple(network(torch.zeros(2, 3, 64, 64))["class"].shape)
    (2, 3)
    """

    def __init__(
        self,
        backbone: str,
        n_classes: int = 0,
        *,
        global_pool: str | None = None,
        img_size: int | Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        # timm drops the arguments that are None: not all models take these.
        self.backbone = timm_model(
            backbone, num_classes=n_classes, global_pool=global_pool, img_size=img_size
        )

    def features(self, images: Tensor) -> Tensor:
        """
        What the model sees in each image, before its classifier.

        Parameters
        ----------
        images : Tensor, shape (n, 3, ny, nx)
            Standardised channels.

        Returns
        -------
        features : Tensor of float32, shape (n, d)
            Features.
        """
        maps = self.backbone.forward_features(images)
        return self.backbone.forward_head(maps, pre_logits=True).float()

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """
        Probabilities of the classes.

        Parameters
        ----------
        images : Tensor, shape (n, 3, ny, nx)
            Standardised channels.

        Returns
        -------
        outputs : dict of Tensor
            ``"class"``, shape (n, n_classes); nothing without classes.
        """
        if not self.backbone.num_classes:
            return {}
        return {"class": self.backbone(images).float().softmax(dim=1)}


def timm_model(name: str, **options: Any) -> nn.Module:
    """A timm model with random weights; nothing is ever fetched."""
    # timm would fetch the configuration of a name such as "hf-hub:..." over the network.
    if not timm.is_model(name):
        raise ValueError(f"backbone must be the name of a timm model, got {name!r}")
    return timm.create_model(name, pretrained=False, **options)
