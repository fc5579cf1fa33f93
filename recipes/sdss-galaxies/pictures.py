"""The galaxies of four sets, each once, with all that is known of them."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
from astropy.table import Table, vstack
from PIL import Image
from scipy.ndimage import affine_transform, gaussian_filter, uniform_filter

VOTES, ATTRIBUTES = 37, 16
# Galaxy Zoo 2 cut its pictures by the galaxy: half the width is 2.12 Petrosian-90 radii (r band).
PETRO_R90 = 96 / 4.24
# Which set keeps a galaxy that several have: the first.
SETS = ("gz2_kaggle", "gz2_hart16", "efigi", "gz1")
# The fine structure of two pictures of one galaxy correlates by more than this. Of Galaxy Zoo 2's
# pairs 34 have more than 0.95 and none between that and 0.5; of the others' 60 have more than 0.6.
SAME = 0.5
SIDE = 32


@dataclass(frozen=True)
class Galaxies:
    """
    Pictures and what is known of them, one row each.

    Attributes
    ----------
    table : `~astropy.table.Table`
        ``set``, ``id``, ``dr7objid`` ("" where unknown), ``split`` (0 training, 1 validation),
        ``class5``, ``gz1`` (-1 where unknown), ``t_type``, ``votes``, ``debiased``, ``attributes``
        (NaN where unknown) and ``petro_r90``, in pixels.
    jpegs : list of bytes
        Their files.
    """

    table: Table
    jpegs: list[bytes] = field(repr=False)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, rows: np.ndarray) -> "Galaxies":
        return type(self)(self.table[rows], [self.jpegs[i] for i in np.arange(len(self))[rows]])

    def picture(self, row: int) -> np.ndarray:
        """Red, green and blue of one galaxy, (side, side, 3) uint8."""
        return np.asarray(Image.open(io.BytesIO(self.jpegs[row])).convert("RGB"))

    def pictures(self) -> Iterator[np.ndarray]:
        """All of them in turn."""
        return (self.picture(row) for row in range(len(self)))

    @classmethod
    def read(cls, folder: Path) -> "Galaxies":
        """All the rows of the four sets; a galaxy may be there more than once."""
        parts = [_kaggle(folder), _hart(folder), _efigi(folder), _galaxy_zoo_1(folder)]
        jpegs = [jpeg for _, files in parts for jpeg in files]
        return cls(vstack([table for table, _ in parts]), jpegs)

    def each_once(self) -> tuple["Galaxies", np.ndarray, np.ndarray]:
        """
        Leave out copies; what is known of a copy goes to the row that stays.

        A galaxy that any of the sets has for validation is one of validation.

        Returns
        -------
        galaxies : Galaxies
            One row for each galaxy.
        pairs : `~numpy.ndarray`, (n, 2)
            Rows of the same galaxy.
        rows : `~numpy.ndarray`
            The rows that stayed.
        """
        pairs = np.concatenate([self._same_name(), self._same_structure()])
        first = np.arange(len(self))
        for _ in range(3):  # a galaxy can be in all the sets
            for a, b in pairs:
                first[a] = first[b] = min(first[a], first[b])
        table = self.table.copy()
        for copy, kept in enumerate(first):
            if copy == kept:
                continue
            table["split"][kept] = max(table["split"][kept], table["split"][copy])
            for name in ("class5", "gz1"):
                if table[name][kept] < 0:
                    table[name][kept] = table[name][copy]
            for name in ("t_type", "votes", "debiased", "attributes"):
                if np.isnan(table[name][kept]).all():
                    table[name][kept] = table[name][copy]
            if not table["dr7objid"][kept]:
                table["dr7objid"][kept] = table["dr7objid"][copy]
        rows = np.flatnonzero(first == np.arange(len(self)))
        return Galaxies(table, self.jpegs)[rows], pairs, rows

    def _same_name(self) -> np.ndarray:
        """Pairs of rows with the same SDSS object."""
        rows, names = {}, self.table["dr7objid"]
        pairs = [
            (rows.setdefault(name, i), i) for i, name in enumerate(names.tolist()) if name
        ]  # fmt: skip
        return np.array([p for p in pairs if p[0] != p[1]], dtype=int).reshape(-1, 2)

    def _same_structure(self) -> np.ndarray:
        """
        Pairs of rows whose pictures show the same noise, arms and neighbours.

        Pictures of Galaxy Zoo 2 are compared as they are; otherwise they are brought to the
        same size of the galaxy first, give or take 20 per cent. All have north up.
        """
        greys = [picture.mean(2, dtype=np.float32) for picture in self.pictures()]
        sizes = np.array([_size(grey) for grey in greys])
        names = np.asarray(self.table["set"])
        zoo2 = np.flatnonzero(np.char.startswith(names, "gz2"))
        as_they_are = np.array([_structure(greys[i], len(greys[i]) / 2) for i in zoo2])
        found = [zoo2[_alike(as_they_are, as_they_are)]]
        known = [zoo2]
        for name in ("efigi", "gz1"):
            rows = np.flatnonzero(names == name)
            before = np.concatenate(known)
            fixed = np.array([_structure(greys[i], 2.6 * sizes[i]) for i in before])
            for zoom in np.exp(np.arange(-0.18, 0.19, 0.045)):
                moved = np.array([_structure(greys[i], 2.6 * zoom * sizes[i]) for i in rows])
                pairs = _alike(moved, fixed)
                found.append(np.column_stack([rows[pairs[:, 0]], before[pairs[:, 1]]]))
            known.append(rows)
        return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def _size(grey: np.ndarray) -> float:
    """Root mean square radius of what is brighter than the border, in pixels."""
    side = len(grey)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    border = np.median(np.concatenate([grey[:6], grey[-6:]]))
    weight = np.where(np.hypot(x, y) < 0.42 * side, np.maximum(grey - border - 8, 0), 0)
    return float(np.sqrt((weight * (x**2 + y**2)).sum() / max(weight.sum(), 1)))


def _structure(grey: np.ndarray, half: float) -> np.ndarray:
    """
    What is finer than 5 of 32 pixels, within ``half`` of the centre; of unit length.

    Of it only what is not the same upside down: noise, arms and neighbours, but not that a
    galaxy is bright in the middle and long.
    """
    half = float(np.clip(half, 8, len(grey) / 2))
    step = 2 * half / SIDE
    corner = (len(grey) - 1) / 2 - step * (SIDE - 1) / 2
    smooth = gaussian_filter(grey, max(0.6, 0.45 * step), truncate=3)
    small = affine_transform(smooth, [step, step], corner, (SIDE, SIDE), order=1)
    small = np.log(small + 8)
    fine = small - uniform_filter(small, 5)
    limit = 3 * np.abs(fine).mean()
    fine = np.clip(fine, -limit, limit)
    fine = (fine - fine[::-1, ::-1]).ravel()
    return (fine / (np.linalg.norm(fine) + 1e-6)).astype(np.float32)


def _alike(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pairs of rows that correlate, (n, 2); a row is not paired with itself."""
    pairs = []
    for start in range(0, len(first), 1000):
        rows, others = np.nonzero(first[start : start + 1000] @ second.T > SAME)
        pairs.append(np.column_stack([rows + start, others]))
    found = np.concatenate(pairs)
    return found[found[:, 0] < found[:, 1]] if first is second else found


def _table(name: str, ids: list[str], split: np.ndarray, **known: np.ndarray) -> Table:
    n = len(ids)
    unknown = {
        "dr7objid": np.full(n, "", "U18"),
        "class5": np.full(n, -1),
        "gz1": np.full(n, -1),
        "t_type": np.full(n, np.nan),
        "votes": np.full((n, VOTES), np.nan, np.float32),
        "debiased": np.full((n, VOTES), np.nan, np.float32),
        "attributes": np.full((n, ATTRIBUTES), np.nan, np.float32),
        "petro_r90": np.full(n, np.nan),
    }
    return Table({"set": [name] * n, "id": ids, "split": split, **unknown, **known})


def _jpegs(file: h5py.File) -> list[bytes]:
    offsets, jpeg = file["offsets"][()], file["jpeg"][()]
    return [jpeg[a:b].tobytes() for a, b in pairwise(offsets)]


def _kaggle(folder: Path) -> tuple[Table, list[bytes]]:
    """Images of the challenge; gz_votes37 has the same pictures and votes."""
    with h5py.File(folder / "gz2_kaggle_96.h5") as file:
        votes = np.where(file["has_votes"][()][:, None], file["votes37"][()], np.nan)
        known = {"class5": file["class5"][()], "votes": votes}
        ids, split, jpegs = file["ids"][()], file["split"][()], _jpegs(file)
    with h5py.File(folder / "gz_votes37_96.h5") as file:
        rows = file["label_system"][()] == 0
        held = file["ids"][()][rows][file["split"][()][rows] == 1]
    split = split | np.isin([f"kaggle_{i}".encode() for i in ids], held)
    known["petro_r90"] = np.full(len(ids), PETRO_R90)
    return _table("gz2_kaggle", [str(i) for i in ids], split, **known), jpegs


def _hart(folder: Path) -> tuple[Table, list[bytes]]:
    """Images with the votes of Hart et al. 2016; those of gz_votes37 are the same."""
    with h5py.File(folder / "gz2_hart16_96.h5") as file:
        known = {
            "class5": file["class5"][()],
            "dr7objid": file["dr7objid"][()].astype(str),
            "votes": file["votes37_weighted"][()],
            "debiased": file["votes37_debiased"][()],
            "petro_r90": np.full(len(file["ids"]), PETRO_R90),
        }
        ids, split, jpegs = file["ids"][()], file["split"][()], _jpegs(file)
    with h5py.File(folder / "gz_votes37_96.h5") as file:
        held = file["ids"][()][file["split"][()] == 1]
    split = split | np.isin([f"gz2_{i}".encode() for i in ids], held)
    return _table("gz2_hart16", [str(i) for i in ids], split, **known), jpegs


def _galaxy_zoo_1(folder: Path) -> tuple[Table, list[bytes]]:
    with h5py.File(folder / "gz1_small_96.h5") as file:
        ids = file["ids"][()].astype(str)
        known = {"gz1": file["label"][()].astype(int), "dr7objid": ids}
        return _table("gz1", ids.tolist(), file["split"][()], **known), _jpegs(file)


def _efigi(folder: Path) -> tuple[Table, list[bytes]]:
    with h5py.File(folder / "efigi_88.h5") as file:
        n = len(file["split"])
        values, low, high = np.moveaxis(file["attributes"][()].reshape(n, -1, 3)[:, 1:], 2, 0)
        undefined = (values < 0) & (low < 0) & (high < 0)
        known = {
            "t_type": file["T"][()].astype(float),
            "attributes": np.where(undefined, np.nan, values),
        }
        ids = file["ids"][()].astype(str).tolist()
        return _table("efigi", ids, file["split"][()], **known), _jpegs(file)
