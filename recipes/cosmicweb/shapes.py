"""Numbers that say what maps look like, with gradients, and what batches tell of them."""

import torch
from torch import Tensor, nn

from astrodlkit.training import this_process

# Gaussianised values at which excursion sets are taken, and which peaks are sorted into.
LEVELS = torch.linspace(-2.2, 3.0, 14)
PEAKS = torch.linspace(-2.3, 4.2, 14)
# Width, in such values, of what a step is: where they are counted, and where gradients come from.
# Counted softly, small peaks are worth less than they are.
SHARP, SOFT = 0.001, 0.05
# Rarer peaks than this share of the most frequent do not count for more.
RARE = 0.003
# Rings of modes, in units of the Nyquist frequency, and what counts there as a step of isotropy.
RINGS = torch.linspace(1 / 16, 1, 16)
ISOTROPY = 0.5
# Every so many maps of a batch are looked at.
EVERY = 2
# What is off adds up to itself in so many times what is remembered.
PATIENCE = 4.5


def shapes(field: Tensor, step: float = SHARP) -> Tensor:
    """
    Area, boundary and Euler characteristic of excursion sets, counts of peaks, and isotropy.

    Pixels are vertices of the sets, joined with the four next to them: the Euler characteristic is
    vertices less edges and more squares. A peak is greater than the 8 pixels around it. Isotropy is
    the mean of the cosine of four times the angle over a ring of modes, weighted by their power: a
    network that halves maps likes to set clumps in rows and columns.

    Parameters
    ----------
    field : `~torch.Tensor`, shape (n, ny, nx)
        Gaussianised values; periodic.
    step : float
        Width of what a step is here, in such values.

    Returns
    -------
    numbers : `~torch.Tensor`, shape (n, 3 * levels + peaks + rings)
        By pixel, but for the last.
    """
    levels, peaks_at = LEVELS.to(field.device), PEAKS.to(field.device)
    inside = torch.sigmoid((field[:, None] - levels[:, None, None]) / step)
    right, below = (inside.roll(-1, axis) for axis in (3, 2))
    edges = [torch.minimum(inside, right), torch.minimum(inside, below)]
    squares = torch.minimum(edges[0], edges[0].roll(-1, 2)).mean((2, 3))
    joined = sum(edge.mean((2, 3)) for edge in edges)
    area = inside.mean((2, 3))
    lines = torch.stack([field.roll(shift, 1) for shift in (-1, 0, 1)], 1)
    sides = torch.cat([lines.roll(1, 3), lines.roll(-1, 3), lines[:, ::2]], 1)
    peak = torch.sigmoid((field - sides.amax(1)) / step)
    width = peaks_at[1] - peaks_at[0]
    sorted_in = torch.exp(-(((field[:, None] - peaks_at[:, None, None]) / width) ** 2))
    peaks = (peak[:, None] * sorted_in).mean((2, 3))
    sets = [area, 4 * area - 2 * joined, area - joined + squares]
    return torch.cat([*sets, peaks, isotropy(field)], 1)


def isotropy(field: Tensor) -> Tensor:
    """See `shapes`; shape (n, rings)."""
    ny, nx = field.shape[-2:]
    ky = 2 * torch.fft.fftfreq(ny, device=field.device)[:, None]
    kx = 2 * torch.fft.rfftfreq(nx, device=field.device)
    twice = torch.full_like(kx, 2.0)
    twice[[0, -1]] = 1
    power = torch.fft.rfft2(field).abs().square() * twice
    ring = torch.bucketize(torch.hypot(ky, kx), RINGS.to(field.device)).flatten()
    zero = power.new_zeros(len(field), len(RINGS) + 1)
    both = [
        zero.index_add(1, ring, values.flatten(1))[:, 1:-1]
        for values in (power * torch.cos(4 * torch.atan2(ky, kx)), power)
    ]
    return both[0] / both[1]


class RunningSquare(nn.Module):
    """
    Half the square of maps' numbers on the mean over the last batches, and along their conditions.

    That of each batch's own would hold down how much they scatter as well, and so what is rare.
    A critic that pulls steadily leaves some of it, however strong the hold: so the gradient is that
    of the mean and of what has added up of it (as methods of multipliers do: Hestenes 1969, JOTA).

    Parameters
    ----------
    n : int
        Numbers of each map.
    n_conditions : int
        Numbers, of order 1, that go with each map.
    memory : float
        Share of the old that stays in a step.
    """

    def __init__(self, n: int, n_conditions: int = 3, memory: float = 0.97) -> None:
        super().__init__()
        self.memory = memory
        self.register_buffer("recent", torch.zeros(1 + n_conditions, n))
        self.register_buffer("owed", torch.zeros(1 + n_conditions, n))
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, numbers: Tensor, conditions: Tensor) -> Tensor:
        """Of a batch's numbers, (maps, n), a mean over them; its value is without what is owed."""
        along = _along(conditions)
        mean = self._mean(numbers.detach(), along)
        loss = (along @ (mean + self.owed) * numbers).sum(0).mean()
        return loss - loss.detach() + mean.square().sum(0).mean() / 2

    def _mean(self, numbers: Tensor, along: Tensor) -> Tensor:
        """That of the last batches and this one, (1 + conditions, n)."""
        self.steps.add_(1)
        self.recent.lerp_(_of_all(along.T @ numbers), 1 - self.memory)
        mean = self.recent / self._seen()
        # When there are enough of them.
        if self.steps * (1 - self.memory) > 1:
            self.owed.add_(mean * (1 - self.memory) / PATIENCE)
        return mean

    def _seen(self) -> Tensor:
        return 1 - self.memory**self.steps


class RunningDifference(RunningSquare):
    """
    Half the squared difference between emulated and simulated maps: `RunningSquare` of `shapes`.

    Parameters
    ----------
    n_conditions : int
        Numbers, of order 1, that go with each map.
    memory : float
        Share of the old that stays in a step.
    """

    def __init__(self, n_conditions: int = 3, memory: float = 0.97) -> None:
        n = 3 * len(LEVELS) + len(PEAKS) + len(RINGS) - 1
        super().__init__(n, n_conditions, memory)
        self.register_buffer("size", torch.zeros(n))

    def forward(self, made: Tensor, true: Tensor, conditions: Tensor) -> Tensor:
        """
        A mean over numbers.

        Those of peaks are in their own units, those of sets in units of each kind's largest.
        """
        made, true, along = made[::EVERY], true[::EVERY], _along(conditions[::EVERY])
        soft = shapes(made, SOFT)
        with torch.no_grad():
            found, wanted = shapes(made), shapes(true)
            mean = self._mean(found - wanted, along)
            self.size.lerp_(_of_all(wanted.abs().mean(0)), 1 - self.memory)
            lengths = [len(LEVELS)] * 3 + [len(PEAKS), len(RINGS) - 1]
            *sets, peaks, rings = (self.size / self._seen()).split(lengths)
            largest = [part.max().expand(len(part)) for part in sets]
            counts = [*largest, peaks.clamp_min(RARE * peaks.max())]
            unit = torch.cat([*counts, torch.full_like(rings, ISOTROPY)])
            pull = along @ (mean + self.owed) / unit**2
        loss = (pull * soft).sum(0).mean()
        return loss - loss.detach() + (mean[0] / unit).square().mean() / 2


def _along(conditions: Tensor) -> Tensor:
    """What makes sums over maps a mean and moments along conditions, (maps, 1 + conditions)."""
    return torch.cat([torch.ones_like(conditions[:, :1]), conditions], 1) / len(conditions)


def _of_all(numbers: Tensor) -> Tensor:
    """Their mean over the processes."""
    n = this_process().n
    if n > 1:
        torch.distributed.all_reduce(numbers)
        numbers /= n
    return numbers
