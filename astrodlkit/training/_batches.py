"""Labelled pictures in memory, shuffled in an order that can be had again."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler, TensorDataset

__all__ = ["make_batches"]


class _Shuffled(Sampler[int]):
    """An order that depends on the seed and the epoch alone."""

    def __init__(self, n: int, seed: int) -> None:
        self.n, self.seed, self.epoch = n, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + self.epoch)
        yield from torch.randperm(self.n, generator=generator).tolist()


def make_batches(
    pictures: np.ndarray, labels: Sequence[np.ndarray], *, batch_size: int, seed: int | None = None
) -> DataLoader:
    """
    Batches of pictures and labels.

    Parameters
    ----------
    pictures : `~numpy.ndarray`, shape (n, c, ny, nx)
        uint8, or between 0 and 1.
    labels : sequence of `~numpy.ndarray`, n along the first axis
        Those of each head, in the form that `LabelsTask` takes.
    batch_size : int
        Rows of a batch; an incomplete last one is left out in training,
        unless it is the only one.
    seed : int, optional
        Of the order, which is another in each pass; without it, the order of
        the rows and no batch is left out.

    Returns
    -------
    batches : `torch.utils.data.DataLoader`
        Tuples of the pictures and the labels of each head.

    Examples
    --------
    >>> import numpy as np
    >>> from astrodlkit.training import make_batches
    >>> batches = make_batches(np.zeros((5, 3, 8, 8), np.uint8), [np.arange(5)],
    ...                        batch_size=2, seed=1)
    >>> [tuple(pictures.shape) for pictures, labels in batches]
    [(2, 3, 8, 8), (2, 3, 8, 8)]
    """
    tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in (pictures, *labels)]
    return DataLoader(
        TensorDataset(*tensors),
        batch_size=batch_size,
        sampler=None if seed is None else _Shuffled(len(pictures), seed),
        drop_last=seed is not None and len(pictures) >= batch_size,
    )
