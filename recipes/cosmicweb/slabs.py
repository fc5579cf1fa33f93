"""Training maps: slabs of simulated boxes, drawn at random."""

from collections.abc import Iterator
from itertools import count

import numpy as np
import torch
from boxes import THICKNESS, Box
from prior import conditions
from torch.utils.data import IterableDataset

from astrodlkit.training import this_process


class Slabs(IterableDataset):
    """
    Batches of slabs at random places and orientations, without end.

    Parameters
    ----------
    boxes : list of Box
        Of one size; their densities are held in memory.
    batch_size : int
        Maps in a batch.
    seed : int
        Batch i depends on the seed and i; of several processes each takes every so many-th.
    first : int
        The batch of each process to begin with.
    """

    def __init__(self, boxes: list[Box], batch_size: int, seed: int, first: int = 0) -> None:
        self.cells = [box.stored() for box in boxes]
        self.conditions = [conditions(box) for box in boxes]
        self.thickness = THICKNESS[boxes[0].settings["scale"]]
        self.batch_size, self.seed = batch_size, seed
        self.first = first

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Maps of 1 + delta (n, side, side) and conditions (n, 3)."""
        rank, n = this_process()
        for i in count(self.first * n + rank, n):
            rng = np.random.default_rng([self.seed, i])
            maps, known = zip(*(self._draw(rng) for _ in range(self.batch_size)), strict=True)
            yield torch.from_numpy(np.stack(maps)), torch.from_numpy(np.stack(known)).float()

    def _draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        box = rng.integers(len(self.cells))
        snapshot = rng.integers(len(self.cells[box]))
        cells = np.moveaxis(self.cells[box][snapshot], rng.integers(3), 0)
        layers = (rng.integers(len(cells)) + np.arange(self.thickness)) % len(cells)
        slab = cells[layers].mean(0, dtype=np.float32)
        slab = np.rot90(slab, rng.integers(4))
        slab = slab.T if rng.integers(2) else slab
        return np.ascontiguousarray(slab), self.conditions[box][snapshot]
