"""The network that tells real templates from generated ones."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from textures import smoothed
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, leaky_relu, pixel_unshuffle

SOFT = 4e-5  # brightness below which the stretch is linear
# Times the noise: where a template is fainter, more than half of what is seen is smoothed, dimmed.
SMOOTHED, DIMMED = 3.0, 0.5
GRAIN = 2.0, 1.0  # pixels by which the faint, and colours, are smoothed


def seen(light: Tensor, profile: Tensor, noise: Tensor) -> Tensor:
    """
    What a critic sees of templates: r, colours, and r beside a Sersic profile, (n, 4, side, side).

    The faint rim is smoothed and the faintest dimmed: there, it tells how pictures were made.

    Parameters
    ----------
    light : Tensor, (n, 3, side, side)
        With noise.
    profile : Tensor, (n, 1, side, side)
        That the conditions say.
    noise : Tensor, (n, 3)
        Its standard deviation.
    """
    level = profile / noise[:, 1, None, None, None]
    faint = 1 / (1 + (level / SMOOTHED) ** 2)
    coloured = smoothed(light, GRAIN[1])
    coloured = coloured + faint * (smoothed(light, GRAIN[0]) - coloured)
    light = light[:, 1:2] + faint * (smoothed(light[:, 1:2], GRAIN[0]) - light[:, 1:2])
    r, bands = (light / SOFT).asinh(), (coloured / SOFT).asinh()
    maps = torch.cat([r / 3, bands[:, ::2] - bands[:, 1:2], r - (profile / SOFT).asinh()], 1)
    return maps / (1 + (DIMMED / level) ** 2)


class Critic(nn.Module):
    """
    A score for each template, given its conditions; with self-attention (Zhang et al. 2019).

    Parameters
    ----------
    n_conditions : int
        Numbers that go with each template.
    widths : sequence of int
        Channels at 40, 20, 10 and 5 pixels.
    """

    def __init__(self, n_conditions: int, widths: Sequence[int] = (48, 96, 192, 256)) -> None:
        super().__init__()
        self.reader = nn.Sequential(
            nn.Linear(n_conditions, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU()
        )
        self.enter = nn.Conv2d(16, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList(_Block(width) for width in widths)
        self.widen = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in pairwise(widths))
        self.attention = _Attention(widths[1])
        self.leave = nn.Linear(25 * widths[-1], 64)

    def forward(self, maps: Tensor, conditions: Tensor) -> Tensor:
        """
        Scores, (n,).

        Parameters
        ----------
        maps : Tensor, (n, 4, 80, 80)
            From `seen`.
        conditions : Tensor, (n, n_conditions)
            Of order 1.
        """
        read = self.reader(conditions)
        x = self.enter(pixel_unshuffle(maps, 2))
        for k, block in enumerate(self.blocks):
            if k:
                x = avg_pool2d(self.widen[k - 1](x), 2)
            x = block(x)
            if k == 1:
                x = self.attention(x)
        # As a projection on the conditions (Miyato & Koyama 2018, ICLR), and without them.
        found = self.leave(leaky_relu(x, 0.2).flatten(1)).float()
        return (found * (1 + read.float())).mean(1)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        nn.init.zeros_(self.second.bias)
        self.second.weight.data *= 0.3

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(leaky_relu(self.first(leaky_relu(x, 0.2)), 0.2))


class _Attention(nn.Module):
    """Written out, as its gradients are differentiated again; a new one adds nothing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(width, width // 4 + width, 1)
        self.few, self.share = width // 8, nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        few = self.few
        query, key, value = self.look(x).flatten(2).split([few, few, x.shape[1]], 1)
        weights = (query.mT @ key / few**0.5).softmax(2)
        return x + self.share * (value @ weights.mT).view_as(x)
