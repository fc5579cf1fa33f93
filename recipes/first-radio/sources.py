"""The radio sources: pictures and classes."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import h5py
import numpy as np

CLASSES = ("FRI", "FRII", "compact", "bent")
# The outer pixels hold other sources more often than the lobes of this one.
FIELD = slice(16, -16)


@dataclass(frozen=True)
class RadioSources:
    """n pictures and their classes."""

    pictures: np.ndarray  # (n, 96, 96) uint8, the peak is 255 and the noise 0
    split: np.ndarray  # (n,) 0 training, 1 validation
    label: np.ndarray  # (n,) index into CLASSES

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, rows: np.ndarray) -> Self:
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """All the sources of ``first_radio_128.h5``."""
        with h5py.File(folder / "first_radio_128.h5") as file:
            return cls(
                file["images"][:, FIELD, FIELD, 0],
                file["split"][()],
                file["label"][()].astype(np.int64),
            )
