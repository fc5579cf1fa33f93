"""The layers between latent numbers and pictures of galaxies, scaled and shifted by conditions."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, pixel_shuffle, pixel_unshuffle, silu

__all__ = ["PLACES", "SIDES", "Decoder", "Encoder"]

SIDES = (5, 10, 20, 40)
"""Pixels of the decoder's maps, from the first to the last."""
PLACES = 20
"""Places along each side that have latent numbers of their own."""

# Numbers that are made of all conditions for the layers to read.
_READ = 96


class Decoder(nn.Module):
    """Three fields of 80 by 80 pixels, from latent numbers and conditions."""

    def __init__(self, n: int, widths: Sequence[int], n_global: int, n_local: int) -> None:
        super().__init__()
        self.start = nn.Linear(n_global + n, widths[0] * SIDES[0] ** 2)
        self.reader = _reader(n_global + n)
        self.places = nn.Conv2d(n_local, widths[SIDES.index(PLACES)], 3, padding=1)
        self.geometry = nn.ModuleList(nn.Conv2d(3, width, 1) for width in widths)
        self.widen = nn.ModuleList(nn.Conv2d(a, 4 * b, 1) for a, b in pairwise(widths))
        self.blocks = nn.ModuleList(_Block(width) for width in widths)
        self.attention = _Attention(widths[1])
        self.leave = nn.Conv2d(widths[-1], 12, 3, padding=1)
        # A new network adds nothing.
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def forward(self, own: Tensor, places: Tensor, numbers: Tensor, maps: list[Tensor]) -> Tensor:
        known = torch.cat([own, numbers], 1)
        read = self.reader(known)
        x = self.start(known).unflatten(1, (-1, SIDES[0], SIDES[0]))
        for k, block in enumerate(self.blocks):
            if k:
                x = pixel_shuffle(self.widen[k - 1](x), 2)
                # Of four pixels of the fields, which is what shows; coarser maps do better without.
                if k == len(SIDES) - 1:
                    x = _without_grid(x)
            x = x + self.geometry[k](maps[k])
            if SIDES[k] == PLACES:
                x = x + self.places(places)
            x = block(x, read)
            if k == 1:
                x = self.attention(x)
        return _smooth(pixel_shuffle(self.leave(silu(x)), 2))


class Encoder(nn.Module):
    """Mean and variance of latent numbers, from four fields of 80 by 80 pixels."""

    def __init__(self, n: int, widths: Sequence[int], n_global: int) -> None:
        super().__init__()
        widths = tuple(reversed(widths))
        self.reader = _reader(n)
        self.enter = nn.Conv2d(16, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList(_Block(width) for width in widths)
        self.narrow = nn.ModuleList(nn.Conv2d(4 * a, b, 1) for a, b in pairwise(widths))
        self.leave = nn.Linear(widths[-1] * SIDES[0] ** 2, 2 * n_global)
        self.leave.weight.data *= 0.3

    def forward(self, maps: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        read = self.reader(numbers)
        x = self.enter(pixel_unshuffle(maps, 2))
        for k, block in enumerate(self.blocks):
            if k:
                x = self.narrow[k - 1](pixel_unshuffle(x, 2))
            x = block(x, read)
        mean, log_variance = self.leave(silu(x).flatten(1)).float().chunk(2, 1)
        return mean, log_variance.clamp(-10, 4)


class _Block(nn.Module):
    """Two convolutions, added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.modulation = nn.Linear(_READ, 2 * width)
        for layer in (self.second, self.modulation):
            weight, bias = layer.parameters()
            weight.data *= 0.3
            nn.init.zeros_(bias)

    def forward(self, x: Tensor, read: Tensor) -> Tensor:
        scale, shift = self.modulation(read)[:, :, None, None].chunk(2, dim=1)
        y = self.first(silu(x)) * (1 + scale) + shift
        return x + self.second(silu(y))


class _Attention(nn.Module):
    """Every place sees every other; a new one adds nothing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(width, 3 * width, 1)
        self.add = nn.Conv2d(width, width, 1)
        for parameter in self.add.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        looked = self.look(x).flatten(2).mT[:, None]
        seen = nn.functional.scaled_dot_product_attention(*looked.chunk(3, -1))
        return x + self.add(seen[:, 0].mT.reshape(x.shape))


def _smooth(maps: Tensor) -> Tensor:
    """Without stripes of single pixels, which no telescope sees and a critic would be shown."""
    weights = maps.new_tensor([1.0, 2.0, 1.0]) / 4
    kernel = torch.outer(weights, weights).expand(maps.shape[1], 1, 3, 3)
    return conv2d(pad(maps, (1, 1, 1, 1), mode="replicate"), kernel, groups=maps.shape[1])


def _without_grid(maps: Tensor) -> Tensor:
    """
    Without what alternates from pixel to pixel, as maps that are put together from four do.

    The response along each axis is 1 - sin(omega / 2)^4: what is coarser than four pixels stays.
    """
    weights = maps.new_tensor([-1.0, 4.0, 10.0, 4.0, -1.0]) / 16
    kernel = torch.outer(weights, weights).expand(maps.shape[1], 1, 5, 5)
    return conv2d(pad(maps, (2, 2, 2, 2), mode="reflect"), kernel, groups=maps.shape[1])


def _reader(n: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n, _READ), nn.SiLU(), nn.Linear(_READ, _READ), nn.SiLU())
