"""Read the boxes that truth.py wrote, and cut them into maps."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from astropy.cosmology import FlatLambdaCDM

# Pixels along the line of sight: the slabs of the emulators.
THICKNESS = {"500mpc": 4, "100mpc": 8}
# A box whose spectrum between 0.1 and 0.3 of the Nyquist frequency, a mean over its modes and
# snapshots, is further than this from halofit is refused.
TOLERANCE = {"500mpc": 0.2, "100mpc": 0.6}


@dataclass(frozen=True)
class Box:
    """
    One simulated box.

    Attributes
    ----------
    path : `~pathlib.Path`
        Its file, as written by ``truth.py``.
    settings : dict
        Everything that decided it: ``scale``, ``set``, ``number``, ``Om0``, ``sigma8``,
        ``seed``, ``box_size`` (comoving Mpc), ``side`` (cells), ``fixed`` cosmology, ``solver``.
    redshifts, k, modes : `~numpy.ndarray`
        Redshift of each snapshot; mean wave number (1/Mpc, comoving) and modes of each shell.
    power, halofit, linear : `~numpy.ndarray`, (snapshots, shells)
        The three-dimensional spectrum of the box, and of its cosmology by halofit and in linear
        theory, Mpc^3.
    """

    path: Path
    settings: dict[str, Any] = field(repr=False)
    redshifts: np.ndarray
    k: np.ndarray = field(repr=False)
    modes: np.ndarray = field(repr=False)
    power: np.ndarray = field(repr=False)
    halofit: np.ndarray = field(repr=False)
    linear: np.ndarray = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> "Box":
        """Open a file; the densities stay there until they are asked for."""
        with h5py.File(path) as file:
            names = ("redshift", "k", "modes", "power", "halofit", "linear")
            return cls(path, json.loads(file.attrs["settings"]), *(file[n][()] for n in names))

    @property
    def pixel(self) -> float:
        """Side of a cell in comoving Mpc."""
        return self.settings["box_size"] / self.settings["side"]

    @property
    def off(self) -> float:
        """By what share the spectrum is off halofit: see `TOLERANCE`."""
        share = self.k * self.pixel / np.pi
        modes = self.modes * ((share > 0.1) & (share < 0.3))
        return float(np.mean(self.power / self.halofit @ modes) / modes.sum() - 1)

    @property
    def cosmology(self) -> FlatLambdaCDM:
        """The cosmology, with sigma8 and n in ``meta`` as astropy's Planck18 has them."""
        fixed = self.settings["fixed"]
        return FlatLambdaCDM(
            Om0=self.settings["Om0"],
            meta={"sigma8": self.settings["sigma8"], "n": fixed["n_s"]},
            **{name: fixed[name] for name in ("H0", "Ob0", "Tcmb0", "Neff")},
        )

    def density(self, snapshot: int) -> np.ndarray:
        """1 + delta in cells, shape (side, side, side), float32."""
        with h5py.File(self.path) as file:
            return file["density"][snapshot].astype(np.float32)

    def stored(self) -> np.ndarray:
        """1 + delta of all snapshots as it lies in the file, float16."""
        with h5py.File(self.path) as file:
            return file["density"][()]

    def maps(self, snapshot: int, thickness: int | None = None, offset: int = 0) -> np.ndarray:
        """
        1 + delta, projected through slabs along the three axes in turn.

        Parameters
        ----------
        snapshot : int
            Index into ``redshifts``.
        thickness : int, optional
            Cells along the line of sight, a divisor of the side; by default `THICKNESS`.
        offset : int
            The first slab begins with this cell.

        Returns
        -------
        `~numpy.ndarray`, (3 * side / thickness, side, side)
            float32, mean of about 1.
        """
        cells = self.density(snapshot)
        side, thickness = len(cells), thickness or THICKNESS[self.settings["scale"]]
        turned = (np.roll(np.moveaxis(cells, axis, 0), -offset, 0) for axis in range(3))
        slabs = [t.reshape(-1, thickness, side, side).mean(1) for t in turned]
        return np.concatenate(slabs)


def read_boxes(folder: Path) -> Iterator[Box]:
    """The boxes of a folder (one scale and set) that are not refused, in order."""
    for path in sorted(folder.glob("box-*.h5")):
        box = Box.read(path)
        if abs(box.off) <= TOLERANCE[box.settings["scale"]]:
            yield box
