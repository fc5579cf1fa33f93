"""Networks to compare with, trained by the same recipe on the same rows; none is shipped."""

from torch import Tensor, nn

from astrodlkit.networks import GalaxyZooNetwork

YARDSTICKS = ("third-place", "resnet18")
THIRD_PLACE_PARAMETERS = 19_465_541


class ThirdPlaceNetwork(nn.Module):
    """
    The network that came third in the Galaxy Zoo challenge, from its report.

    Its answers are 37 rectified numbers without a tree. On top, as in
    `GalaxyZooNetwork`, the classes are a linear function of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.backbone = ThirdPlaceBackbone()
        self.votes = nn.Linear(self.backbone.num_features, 37)
        self.tree = nn.ReLU()
        n_parameters = sum(p.numel() for p in self.parameters())
        if n_parameters != THIRD_PLACE_PARAMETERS:
            raise ValueError(f"expected {THIRD_PLACE_PARAMETERS} parameters, got {n_parameters}")
        self.classes = nn.Linear(37, 5)

    def features(self, images: Tensor) -> Tensor:
        """What the last hidden layer sees, shape (n, 2048)."""
        return self.backbone(images).float()

    def heads(self, features: Tensor) -> dict[str, Tensor]:
        """Votes and classes from features."""
        votes = self.tree(self.votes(features))
        return {"votes": votes, "class": self.classes(votes).softmax(dim=1)}

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Votes and classes of images of 120x120 pixels."""
        return self.heads(self.features(images))


class ThirdPlaceBackbone(nn.Sequential):
    """Its layers up to the last hidden one."""

    num_features = 2048

    def __init__(self) -> None:
        def convolution(n_in: int, n_out: int, width: int) -> list[nn.Module]:
            return [nn.Conv2d(n_in, n_out, width), nn.ReLU()]

        super().__init__(
            *convolution(3, 48, 5),
            nn.MaxPool2d(3, 3, ceil_mode=True),
            *convolution(48, 96, 5),
            nn.MaxPool2d(2, 2, ceil_mode=True),
            *convolution(96, 192, 3),
            *convolution(192, 192, 3),
            *convolution(192, 384, 3),
            *convolution(384, 384, 3),
            nn.MaxPool2d(3, 3, ceil_mode=True),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(384 * 4 * 4, 2048),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(2048, 2048),
            nn.ReLU(),
        )
        for layer in self:
            # Without normalisation between the layers torch's own start is too small for so many.
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)


def make_network(name: str, backbone: str) -> nn.Module:
    """The network of the model, or one to compare it with."""
    if name == "third-place":
        return ThirdPlaceNetwork()
    return GalaxyZooNetwork("resnet18" if name == "resnet18" else backbone)


def rate_zoom_and_side(name: str) -> tuple[float, tuple[float, float], int]:
    """Learning rate, range of zooms of a training view, and its pixels."""
    if name == "third-place":
        # Without normalisation it bears a tenth of the rate; its report shows it 120 pixels of
        # 128, which are 200 of the 212 that our pictures have.
        return 1.5e-4, (0.96, 1.41), 120
    return 1.5e-3, (0.85, 1.25), 80
