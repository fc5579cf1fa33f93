"""A residual U-Net on maps whose edges meet."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, pixel_shuffle, pixel_unshuffle, silu

__all__ = ["PeriodicUNet"]

# Numbers that a layer is given at once: what it makes on the way is then memory that was used
# before, where larger pieces are asked of the system and given back each time.
_AT_ONCE = 1 << 22


class PeriodicUNet(nn.Module):
    """
    Maps to a map, given conditions.

    Nothing is averaged over the whole map (there are no normalisations), so
    that a pixel depends on those within `reach` alone and maps can be computed
    in pieces. Conditions scale and shift the channels (Perez et al. 2018, AAAI,
    32, 3942).

    Parameters
    ----------
    n_inputs : int
        Channels of the maps.
    widths : sequence of int
        Channels at 2, 4, 8, ... pixels.
    n_conditions : int
        Numbers that go with each map.
    n_hidden : int
        Of the layers that read the conditions.
    tile : int
        Larger maps are computed in pieces of as many pixels a side, a multiple
        of ``step``.

    Examples
    --------
    >>> import torch
    >>> from astrodlkit.networks._periodic_unet import PeriodicUNet
    >>> network = PeriodicUNet(3, (16, 32), n_conditions=2)
    >>> network(torch.randn(1, 3, 32, 32), torch.zeros(1, 2)).shape
    torch.Size([1, 32, 32])
    """

    def __init__(
        self,
        n_inputs: int,
        widths: Sequence[int],
        n_conditions: int,
        n_hidden: int = 64,
        tile: int = 4096,
    ) -> None:
        super().__init__()
        self.step, self.tile = 2 ** len(widths), tile
        self.reader = nn.Sequential(
            nn.Linear(n_conditions, n_hidden), nn.SiLU(), nn.Linear(n_hidden, n_hidden), nn.SiLU()
        )
        self.enter = _Convolution(4 * n_inputs, widths[0])
        self.down = nn.ModuleList(_Block(width, n_hidden) for width in widths)
        self.up = nn.ModuleList(_Block(width, n_hidden) for width in widths[:-1])
        pairs = list(pairwise(widths))
        self.narrow = nn.ModuleList(nn.Conv2d(4 * a, b, 1) for a, b in pairs)
        self.widen = nn.ModuleList(nn.Conv2d(b, 4 * a, 1) for a, b in pairs)
        self.last = _Block(widths[-1], n_hidden)
        self.leave = _Convolution(widths[0], 4)
        # A new network adds nothing.
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    @property
    def reach(self) -> int:
        """How far from a pixel what it depends on can be, in pixels."""
        # Two convolutions in a block, which is passed on the way down and up; the deepest twice.
        sizes = [2 ** (i + 1) for i in range(len(self.down))]
        return 2 * sizes[0] + sum(4 * size for size in sizes) + sum(sizes)

    def forward(self, maps: Tensor, conditions: Tensor) -> Tensor:
        """
        One map for each.

        Parameters
        ----------
        maps : `~torch.Tensor`, shape (n, n_inputs, ny, nx)
            Periodic.
        conditions : `~torch.Tensor`, shape (n, n_conditions)
            Of order 1.

        Returns
        -------
        maps : `~torch.Tensor`, shape (n, ny, nx)
            Periodic, float32.
        """
        read = self.reader(conditions)
        ny, nx = maps.shape[-2:]
        if ny % self.step == 0 and nx % self.step == 0 and max(ny, nx) <= self.tile:
            return self._whole(maps, read)
        # Pieces with all around them that they depend on, rounded up to whole steps.
        halo = -(-self.reach // self.step) * self.step
        made = maps.new_empty(len(maps), ny, nx, dtype=torch.float32)
        for y, height in self._pieces(ny):
            for x, width in self._pieces(nx):
                at_y, at_x = (
                    torch.arange(start - halo, start + size + halo, device=maps.device) % n
                    for start, size, n in ((y, height, ny), (x, width, nx))
                )
                piece = self._whole(maps[:, :, at_y[:, None], at_x], read)
                inside = piece[:, halo : halo + height, halo : halo + width]
                made[:, y : y + height, x : x + width] = inside[:, : ny - y, : nx - x]
        return made

    def _pieces(self, n: int) -> list[tuple[int, int]]:
        """First pixels and sizes, the last one up to a whole step too large."""
        size = min(self.tile, -(-n // self.step) * self.step)
        return [(at, min(size, -(-(n - at) // self.step) * self.step)) for at in range(0, n, size)]

    def _whole(self, maps: Tensor, read: Tensor) -> Tensor:
        """A map of whole steps, round its own edges."""
        x = _by_rows(self.enter, pixel_unshuffle(maps, 2), 1)
        kept = []
        for block, narrow in zip(self.down, self.narrow, strict=False):
            x = _by_rows(block, x, 2, read)
            kept.append(x)
            x = narrow(pixel_unshuffle(x, 2))
        x = _by_rows(self.down[-1], x, 2, read)
        x = _by_rows(self.last, x, 2, read)
        for block, widen in zip(reversed(self.up), reversed(self.widen), strict=True):
            x = pixel_shuffle(widen(x), 2) + kept.pop()
            x = _by_rows(block, x, 2, read)
        return pixel_shuffle(_by_rows(self.leave, silu(x), 1), 2)[:, 0].float()


def _by_rows(layer: Callable[..., Tensor], x: Tensor, reach: int, *more: Tensor) -> Tensor:
    """A layer of which a pixel depends on so many rows about it, on a few rows at a time."""
    n = x.shape[-2]
    rows = max(_AT_ONCE * n // x.numel(), 8 * reach)
    # What is learned from is remembered anyway.
    if rows >= n or torch.is_grad_enabled():
        return layer(x, *more)
    made = None
    for start in range(0, n, rows):
        stop = min(start + rows, n)
        about = torch.arange(start - reach, stop + reach, device=x.device) % n
        part = layer(x[:, :, about], *more)[:, :, reach:-reach]
        if made is None:
            made = part.new_empty(*part.shape[:2], n, part.shape[3])
        made[:, :, start:stop] = part
    return made


class _Convolution(nn.Conv2d):
    """3 by 3 pixels, round the edge."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(n_in, n_out, 3)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(pad(x, (1, 1, 1, 1), mode="circular"))


class _Block(nn.Module):
    """Two convolutions, added to what came in."""

    def __init__(self, width: int, n_hidden: int) -> None:
        super().__init__()
        self.first, self.second = _Convolution(width, width), _Convolution(width, width)
        self.modulation = nn.Linear(n_hidden, 2 * width)
        for layer in (self.second, self.modulation):
            nn.init.zeros_(layer.bias)
            layer.weight.data *= 0.3

    def forward(self, x: Tensor, read: Tensor) -> Tensor:
        scale, shift = self.modulation(read)[:, :, None, None].chunk(2, dim=1)
        y = self.first(silu(x)) * (1 + scale) + shift
        return x + self.second(silu(y))
