"""What is not known of a row, from a row of a table that is alike in what is known."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["HotDeck"]

# The kernel's reach in standard deviations of the columns, and how many rows are in it at least.
_WIDTH, _DONORS = 0.45, 16
# Rows that are compared with the table at once.
_ROWS = 1024
# The neighbour that distances from the table are measured to.
_NEIGHBOUR = 3


class HotDeck(nn.Module):
    """
    A table of rows that numbers can be taken from (a hot deck, with kernel weights).

    Parameters
    ----------
    names : sequence of str
        Columns. Those that start with ``class_`` are probabilities that sum to 1.
    n_rows : int
        Rows of the table.

    Examples
    --------
    >>> import torch
    >>> from astrodlkit.networks._hot_deck import HotDeck
    >>> x = torch.linspace(0, 1, 200)
    >>> deck = HotDeck(["x", "square"], n_rows=200)
    >>> deck.fit(torch.stack([x, x**2], 1))
    >>> row = deck.complete(torch.tensor([[0.5, torch.nan]]), torch.tensor([[0.5]]))
    >>> bool((row[0, 1] - 0.25).abs() < 0.1)
    True
    """

    table: Tensor
    centre: Tensor
    spread: Tensor
    distances: Tensor

    def __init__(self, names: Sequence[str], n_rows: int) -> None:
        super().__init__()
        self.classes = [i for i, name in enumerate(names) if name.startswith("class_")]
        # An unfitted table gives what every network can draw.
        self.register_buffer("table", torch.full((n_rows, len(names)), 0.5))
        self.register_buffer("centre", torch.zeros(len(names)))
        self.register_buffer("spread", torch.ones(len(names)))
        # Between rows of the table; increasing.
        self.register_buffer("distances", torch.linspace(0, 1, 101))
        if self.classes:
            self.table[:, self.classes] = 1 / len(self.classes)

    def fit(self, rows: Tensor) -> None:
        """
        Keep as many rows as the table has, evenly chosen.

        Parameters
        ----------
        rows : `~torch.Tensor`, shape (n, n_columns)
            Without NaN.
        """
        n = len(self.table)
        at = torch.linspace(0, len(rows) - 1, n, device=rows.device).round().long()
        # Probabilities near 0 have almost no spread, which is no reason to tell rows apart.
        self.spread.copy_(rows.std(0).clamp_min(0.02))
        self.centre.copy_(rows.mean(0))
        self.table.copy_(rows[at])
        near = torch.cat([self._near(part, skip=1) for part in self.table.split(_ROWS)])
        self.distances.copy_(near.quantile(torch.linspace(0, 1, 101, device=near.device)))

    def standard(self, rows: Tensor) -> Tensor:
        """Columns of mean 0 and variance 1."""
        return (rows - self.centre) / self.spread

    def complete(self, rows: Tensor, uniform: Tensor) -> Tensor:
        """
        Fill what is not known from a row of the table that is alike in what is.

        Parameters
        ----------
        rows : `~torch.Tensor`, shape (n, n_columns)
            NaN where not known.
        uniform : `~torch.Tensor`, shape (n, 1)
            Between 0 and 1: which of the rows that are alike.

        Returns
        -------
        rows : `~torch.Tensor`, shape (n, n_columns)
            Without NaN; what was known is as it was.
        """
        rows = rows.to(self.table.dtype)
        pairs = zip(rows.split(_ROWS), uniform.split(_ROWS), strict=True)
        filled = [self._filled(*pair) for pair in pairs]
        return torch.cat(filled) if filled else rows

    def support(self, rows: Tensor) -> Tensor:
        """
        How far rows are from the table.

        Parameters
        ----------
        rows : `~torch.Tensor`, shape (n, n_columns)
            Without NaN.

        Returns
        -------
        quantile : `~torch.Tensor`, shape (n,)
            Fraction of the table's rows that are nearer to their neighbours.
        """
        near = [self._near(part, skip=0) for part in rows.split(_ROWS)]
        distance, steps = torch.cat([rows.new_zeros(0), *near]), len(self.distances) - 1
        above = torch.searchsorted(self.distances, distance).clamp(1, steps)
        low, high = self.distances[above - 1], self.distances[above]
        part = (distance - low) / (high - low).clamp_min(1e-12)
        return ((above - 1 + part) / steps).clamp(0, 1)

    def _filled(self, rows: Tensor, uniform: Tensor) -> Tensor:
        known = rows.isfinite()
        square = self._squares(rows, known)
        # Where few rows are alike, the nearest ones are taken.
        few = min(_DONORS, square.shape[1])
        near = square.topk(few, largest=False).values
        reach = (near[:, -1:] - near[:, :1]).clamp_min(_WIDTH**2)
        # Epanechnikov's kernel: nothing beyond its reach, however many rows there are.
        sums = (1 - (square - near[:, :1]) / reach).clamp_min(0).cumsum(1)
        donor = torch.searchsorted(sums, uniform.to(sums) * sums[:, -1:])
        given = self.table[donor[:, 0].clamp_max(len(self.table) - 1)]
        if self.classes:
            given = self._shared(rows, known, given)
        return torch.where(known, rows, given)

    def _shared(self, rows: Tensor, known: Tensor, given: Tensor) -> Tensor:
        """The classes that are not known share what the others leave."""
        told, parts = known[:, self.classes], given[:, self.classes].clamp_min(1e-4)
        left = 1 - rows[:, self.classes].where(told, torch.zeros_like(parts)).sum(1, keepdim=True)
        parts = parts.where(~told, torch.zeros_like(parts))
        parts = parts / parts.sum(1, keepdim=True).clamp_min(1e-12) * left.clamp_min(0)
        given = given.clone()
        given[:, self.classes] = parts
        return given

    def _squares(self, rows: Tensor, known: Tensor) -> Tensor:
        """Squared distances from the table in what is known, shape (n, n_rows)."""
        with torch.autocast(rows.device.type, enabled=False):
            mask = known.float()
            here = torch.where(known, self.standard(rows.float()), torch.zeros_like(mask))
            there = self.standard(self.table)
            square = mask @ there.square().T - 2 * here @ there.T + here.square().sum(1)[:, None]
        return square.clamp_min(0)

    def _near(self, rows: Tensor, skip: int) -> Tensor:
        """Distance from a near row of the table, but for ``skip`` that are the row itself."""
        square = self._squares(rows, torch.ones_like(rows, dtype=torch.bool))
        few = min(_NEIGHBOUR + skip, square.shape[1])
        return square.topk(few, largest=False).values[:, -1].sqrt()
