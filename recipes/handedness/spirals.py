"""Spirals of Galaxy Zoo 1 whose sense of winding is known."""

import io
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from astrodlkit import Cutouts

CLOCKWISE, ANTICLOCKWISE = 1, 2
NAMES = np.array(["", "clockwise", "anticlockwise"])


@dataclass(frozen=True)
class Spirals:
    """
    Pictures and how they wind.

    Parameters
    ----------
    pictures : ndarray of uint8, shape (n, 3, 96, 96)
        Red, green, blue.
    winding : ndarray of str, shape (n,)
        ``"clockwise"`` or ``"anticlockwise"``.
    """

    pictures: np.ndarray
    winding: np.ndarray

    def __len__(self) -> int:
        return len(self.winding)

    def __getitem__(self, rows: np.ndarray) -> "Spirals":
        return Spirals(self.pictures[rows], self.winding[rows])

    @property
    def cutouts(self) -> Cutouts:
        """The pictures as a user has them."""
        return Cutouts(self.pictures.astype(np.float32), bands=("red", "green", "blue"))

    def with_mirrored(self) -> "Spirals":
        """Each spiral, then each spiral as a mirror shows it: it winds the other way."""
        other = np.where(self.winding == NAMES[CLOCKWISE], *NAMES[[ANTICLOCKWISE, CLOCKWISE]])
        return Spirals(
            np.concatenate([self.pictures, self.pictures[..., ::-1]]),
            np.concatenate([self.winding, other]),
        )


def read_spirals(folder: Path, split: int) -> Spirals:
    """Those of one split: 0 training, 1 validation."""
    with h5py.File(folder / "gz1_small_96.h5") as file:
        label = file["label"][()]
        known = (label == CLOCKWISE) | (label == ANTICLOCKWISE)
        rows = np.flatnonzero(known & (file["split"][()] == split))
        offsets, jpeg = file["offsets"][()], file["jpeg"][()]
        pictures = [
            np.asarray(Image.open(io.BytesIO(jpeg[offsets[i] : offsets[i + 1]].tobytes())))
            for i in rows
        ]
    return Spirals(np.moveaxis(np.array(pictures), 3, 1), NAMES[label[rows]])
