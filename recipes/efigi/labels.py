"""The EFIGI galaxies: pictures, Hubble types and attributes."""

import io
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import h5py
import numpy as np
from PIL import Image

# The only attribute that a mirror changes: 0 and 1 are the two senses of winding, 0.5 is none.
HANDED = "arm_rotation"


@dataclass(frozen=True)
class EfigiGalaxies:
    """n pictures and their labels; NaN where an attribute is not defined."""

    pictures: np.ndarray  # (n, 88, 88, 3) uint8
    split: np.ndarray  # (n,) 0 training, 1 validation
    t_type: np.ndarray  # (n, 1) Hubble type, -6 to 11
    attributes: np.ndarray  # (n, 16) between 0 and 1

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, rows: np.ndarray) -> Self:
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """All the galaxies of ``efigi_88.h5``."""
        with h5py.File(folder / "efigi_88.h5") as file:
            n = len(file["split"])
            values, low, high = np.moveaxis(file["attributes"][()].reshape(n, -1, 3)[:, 1:], 2, 0)
            undefined = (values < 0) & (low < 0) & (high < 0)
            offsets, jpeg = file["offsets"][()], file["jpeg"][()]
            parts = [jpeg[offsets[i] : offsets[i + 1]].tobytes() for i in range(n)]
            return cls(
                np.stack([np.asarray(Image.open(io.BytesIO(p)).convert("RGB")) for p in parts]),
                file["split"][()],
                file["T"][()].astype(np.float32)[:, None],
                np.where(undefined, np.nan, values).astype(np.float32),
            )

    def with_mirror_images(self) -> Self:
        """Each galaxy twice: as it is, and mirrored, with the other sense of winding."""
        attributes = self.attributes.copy()
        handed = ATTRIBUTES.index(HANDED)
        attributes[:, handed] = 1 - attributes[:, handed]
        return type(self)(
            np.concatenate([self.pictures, self.pictures[:, :, ::-1]]),
            np.concatenate([self.split, self.split]),
            np.concatenate([self.t_type, self.t_type]),
            np.concatenate([self.attributes, attributes]),
        )


def attribute_names(folder: Path) -> tuple[str, ...]:
    """Names of the attributes as the file has them."""
    with h5py.File(folder / "efigi_88.h5") as file:
        return tuple(name.lower() for name in json.loads(file.attrs["attribute_columns"])[3::3])


ATTRIBUTES = (
    "bulge_to_total",
    "arm_strength",
    "arm_curvature",
    "arm_rotation",
    "bar_length",
    "inner_ring",
    "outer_ring",
    "pseudo_ring",
    "perturbation",
    "visible_dust",
    "dust_dispersion",
    "flocculence",
    "hot_spots",
    "inclination",
    "contamination",
    "multiplicity",
)
