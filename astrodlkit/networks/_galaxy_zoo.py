"""Galaxy Zoo votes, and the five usual classes from them."""

import torch
from torch import Tensor, nn

from ._novelty import Novelty, with_novelty
from ._timm import timm_model
from ._vote_tree import GALAXY_ZOO_2, VoteTree

__all__ = ["GalaxyZooNetwork"]


class GalaxyZooNetwork(nn.Module):
    """
    A convolutional backbone with the Galaxy Zoo 2 tree on top.

    The classes are a linear function of the votes, so they can only say what
    the votes say; the thresholds that define them (Zhu et al. 2019, Ap&SS,
    364, 55) are learned.

    Parameters
    ----------
    backbone : str
        Name of a timm model.
    n_classes : int
        Number of classes that follow from the votes.
    novelty : {"colour", "grey", "sources"}, optional
        Also say how far each image is from the training images (`Novelty`).

    Examples
    --------
    >>> import torch
    >>> from astrodlkit.networks import GalaxyZooNetwork
    >>> outputs = GalaxyZooNetwork().eval()(torch.zeros(2, 3, 64, 64))
    >>> {name: tuple(values.shape) for name, values in outputs.items()}
    {'votes': (2, 37), 'class': (2, 5)}
    """

    def __init__(
        self,
        backbone: str = "tf_efficientnet_lite0",
        n_classes: int = 5,
        novelty: str | None = None,
    ) -> None:
        super().__init__()
        self.backbone = timm_model(backbone, num_classes=0)
        self.tree = VoteTree(GALAXY_ZOO_2)
        n_answers = len(self.tree.columns)
        self.votes = nn.Linear(self.backbone.num_features, n_answers)
        self.classes = nn.Linear(n_answers, n_classes)
        self.novelty = Novelty(self.backbone, novelty) if novelty else None

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

    def heads(self, features: Tensor) -> dict[str, Tensor]:
        """
        Votes and classes from features.

        Parameters
        ----------
        features : Tensor, shape (n, d)
            From `features`.

        Returns
        -------
        outputs : dict of Tensor
            ``"votes"``, shape (n, 37), and ``"class"``, shape (n, n_classes).
        """
        # A softmax in bf16 would not let the children sum to their parent.
        with torch.autocast(features.device.type, enabled=False):
            votes = self.tree(self.votes(features))
            return {"votes": votes, "class": self.classes(votes).softmax(dim=1)}

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """
        Votes and classes of each image.

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
