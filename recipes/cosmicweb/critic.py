"""The network that tells simulated maps from emulated ones."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pixel_unshuffle


class Critic(nn.Module):
    """
    Scores for the patches of maps, given their conditions.

    Parameters
    ----------
    widths : sequence of int
        Channels at 2, 4, 8, ... pixels.
    n_inputs : int
        Channels of the maps.
    n_conditions : int
        Numbers that go with each map.
    """

    def __init__(
        self, widths: Sequence[int] = (32, 64, 128, 192), n_inputs: int = 2, n_conditions: int = 3
    ) -> None:
        super().__init__()
        self.reader = nn.Sequential(
            nn.Linear(n_conditions, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU()
        )
        self.enter = nn.Conv2d(4 * n_inputs, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList(_Block(width) for width in widths)
        pairs = pairwise(widths)
        self.widen = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in pairs)
        self.leave = nn.Conv2d(widths[-1], 64, 1)

    def forward(self, maps: Tensor, conditions: Tensor) -> Tensor:
        """
        Scores of patches, shape (n, patches).

        Parameters
        ----------
        maps : `~torch.Tensor`, shape (n, n_inputs, ny, nx)
            Not periodic.
        conditions : `~torch.Tensor`, shape (n, n_conditions)
            Of order 1.
        """
        read = self.reader(conditions)
        x = self.enter(pixel_unshuffle(maps, 2))
        for i, block in enumerate(self.blocks):
            x = block(x, read)
            if i < len(self.widen):
                x = nn.functional.avg_pool2d(self.widen[i](x), 2)
        # As a projection on the conditions (Miyato & Koyama 2018, ICLR).
        return (self.leave(x).float() * read.float()[:, :, None, None]).sum(1).flatten(1)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.modulation = nn.Linear(64, 2 * width)
        for layer in (self.second, self.modulation):
            nn.init.zeros_(layer.bias)
            layer.weight.data *= 0.3

    def forward(self, x: Tensor, read: Tensor) -> Tensor:
        scale, shift = self.modulation(read)[:, :, None, None].chunk(2, dim=1)
        y = self.first(leaky_relu(x, 0.2)) * (1 + scale) + shift
        return x + self.second(leaky_relu(y, 0.2))
