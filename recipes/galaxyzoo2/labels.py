"""The labelled galaxies: four sets of pictures, each with what is known of it."""

import io
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import h5py
import numpy as np
from PIL import Image
from scipy.ndimage import uniform_filter

SIDE = 96
EFIGI_ATTRIBUTES = 16


@dataclass(frozen=True)
class LabelledGalaxies:
    """n pictures and their labels; NaN or -1 where a label is not known."""

    pictures: np.ndarray  # (n, 96, 96, 3) uint8
    split: np.ndarray  # (n,) 0 training, 1 validation
    votes: np.ndarray  # (n, 37) vote fractions of the Kaggle challenge
    debiased: np.ndarray  # (n, 37) debiased fractions of Hart et al. 2016, cumulative
    weighted: np.ndarray  # (n, 37) the same before debiasing: as the volunteers saw them
    class5: np.ndarray  # (n,) class by the rule of Zhu et al. 2019
    group: np.ndarray  # (n,) which of five answers has most votes
    odd_spiral: np.ndarray  # (n,) 1: featured, spiral and odd
    galaxy_zoo_1: np.ndarray  # (n,) class, the two senses of winding joined
    hubble: np.ndarray  # (n, 17) EFIGI type divided by ten, and attributes

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, rows: np.ndarray) -> Self:
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """All the sets in a folder, one below the other."""
        sets = [
            _read_kaggle(folder / "gz2_kaggle_96.h5"),
            _read_hart(folder / "gz_votes37_96.h5", folder / "gz2_hart16_96.h5"),
            _read_galaxy_zoo_1(folder / "gz1_small_96.h5"),
            _read_efigi(folder / "efigi_88.h5"),
        ]
        return cls(
            *(np.concatenate([getattr(s, field.name) for s in sets]) for field in fields(cls))
        )

    def has_votes(self) -> np.ndarray:
        """Which rows have a label that follows from Galaxy Zoo 2 votes, shape (n,)."""
        votes = np.isfinite(np.hstack([self.votes, self.debiased])).any(axis=1)
        return votes | (self.group >= 0)

    def without_copies_of_validation(self) -> Self:
        """
        Without training rows that show a galaxy of the validation rows.

        The sets overlap on the sky and were split apart on their own. A copy
        has the same noise and the same neighbours: its fine structure
        correlates, which that of two different galaxies never does by 0.7.
        """
        grey = self.pictures.mean(3, dtype=np.float32).reshape(-1, 48, 2, 48, 2).mean((2, 4))
        fine = grey - uniform_filter(grey, (0, 5, 5))
        limit = 3 * np.abs(fine).mean((1, 2), keepdims=True)
        flat = np.clip(fine, -limit, limit).reshape(len(self), -1)
        flat /= np.linalg.norm(flat, axis=1, keepdims=True) + 1e-6
        nearest = (flat @ flat[self.split == 1].T).max(axis=1, initial=0)
        return self[(self.split == 1) | (nearest < 0.7)]


def _with_labels(pictures: np.ndarray, split: np.ndarray, **known: np.ndarray) -> LabelledGalaxies:
    n = len(split)
    unknown = {
        "votes": np.full((n, 37), np.nan, np.float32),
        "debiased": np.full((n, 37), np.nan, np.float32),
        "weighted": np.full((n, 37), np.nan, np.float32),
        "class5": np.full(n, -1),
        "group": np.full(n, -1),
        "odd_spiral": np.full(n, -1),
        "galaxy_zoo_1": np.full(n, -1),
        "hubble": np.full((n, 1 + EFIGI_ATTRIBUTES), np.nan, np.float32),
    }
    return LabelledGalaxies(pictures, split, **{**unknown, **known})


def _read_kaggle(path: Path) -> LabelledGalaxies:
    """Kaggle images: few with votes, half with a class, all with weak labels."""
    with h5py.File(path) as file:
        return _with_labels(
            _pictures(file),
            file["split"][()],
            votes=np.where(file["has_votes"][()][:, None], file["votes37"][()], np.nan),
            class5=file["class5"][()],
            group=file["argmax_group"][()],
            odd_spiral=file["odd_spiral"][()],
        )


def _read_hart(path: Path, weighted: Path) -> LabelledGalaxies:
    """Images with debiased votes; the Kaggle ones are left to the Kaggle set, which has them."""
    with h5py.File(weighted) as file:
        names = [f"gz2_{name}".encode() for name in file["ids"][()]]
        seen = dict(zip(names, file["votes37_weighted"][()], strict=True))
    with h5py.File(path) as file:
        rows = np.flatnonzero(file["label_system"][()] == 1)
        return _with_labels(
            _pictures(file, rows),
            file["split"][()][rows],
            debiased=file["votes37"][()][rows],
            weighted=np.stack([seen[name] for name in file["ids"][()][rows]]),
        )


def _read_galaxy_zoo_1(path: Path) -> LabelledGalaxies:
    # Reflections are among the augmentations: the sense of winding is not a label here.
    join = np.array([0, 1, 1, 2, 3, 4])
    with h5py.File(path) as file:
        return _with_labels(
            _pictures(file), file["split"][()], galaxy_zoo_1=join[file["label"][()]]
        )


def _read_efigi(path: Path) -> LabelledGalaxies:
    with h5py.File(path) as file:
        attributes = file["attributes"][()].reshape(len(file["split"]), -1, 3)
        values, low, high = np.moveaxis(attributes[:, 1:], 2, 0)
        undefined = (values < 0) & (low < 0) & (high < 0)
        hubble = np.hstack([file["T"][()][:, None] / 10, np.where(undefined, np.nan, values)])
        return _with_labels(_pictures(file), file["split"][()], hubble=hubble.astype(np.float32))


def _pictures(file: h5py.File, rows: np.ndarray | None = None) -> np.ndarray:
    """Decoded pictures, (n, 96, 96, 3) uint8."""
    if "images" in file:
        images = file["images"][()]
        return images if rows is None else images[rows]
    offsets, jpeg = file["offsets"][()], file["jpeg"][()]
    pictures = []
    for i in range(len(offsets) - 1) if rows is None else rows:
        picture = Image.open(io.BytesIO(jpeg[offsets[i] : offsets[i + 1]].tobytes()))
        picture = picture.convert("RGB")
        if picture.size != (SIDE, SIDE):
            picture = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        pictures.append(np.asarray(picture))
    return np.stack(pictures)


def vote_columns(folder: Path) -> list[str]:
    """Names of the 37 columns in the order of the files."""
    with h5py.File(folder / "gz2_kaggle_96.h5") as file:
        return json.loads(file.attrs["vote_columns"])
