"""Simulate boxes over a Latin hypercube of cosmologies; goes on where it was interrupted."""

import argparse
import hashlib
import json
import resource
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import h5py
import nbody
import numpy as np
from scipy.stats import qmc
from sheet import density, power_spectrum
from spectra import FIXED, HALOFIT, Spectra

# Mpc, comoving, across PIXELS pixels; a box of half the side has half the pixels.
SIDES = {"500mpc": 500.0, "100mpc": 100.0}
PIXELS = 256
OM0, SIGMA8 = (0.15, 0.5), (0.6, 1.0)
# Snapshots: z = 0 and one redshift from each of these bins.
REDSHIFT_BINS = ((0.0, 0.5), (0.5, 1.0), (1.0, 1.5), (1.5, 2.0))
# Points that a particle is spread into, along a line and for each cell (see sheet.py).
PER_CELL = 1


@dataclass(frozen=True)
class Set:
    """
    Which boxes.

    Parts of a side, the hypercube's seed and size, first seed of the fields, and whether these
    start with fixed amplitudes (Angulo & Pontzen 2016, MNRAS, 462, L1).
    """

    parts: int
    hypercube: int
    n: int
    seed: int
    fixed: bool = False


SETS = {
    "train": Set(parts=2, hypercube=101, n=150, seed=100_000),
    # Training boxes with the long waves that half a side cannot hold.
    "whole": Set(parts=1, hypercube=303, n=60, seed=400_000),
    # The same where a side holds so few of them that they would scatter too much.
    "fixed": Set(parts=1, hypercube=404, n=40, seed=500_000, fixed=True),
    "test": Set(parts=1, hypercube=202, n=20, seed=200_000),
    # Half the side at the cosmologies and redshifts of the test, eight for each.
    "matched": Set(parts=2, hypercube=202, n=20, seed=300_000),
}


@dataclass(frozen=True)
class Plan:
    """What decides a box."""

    scale: str
    set: str
    number: int
    Om0: float
    sigma8: float
    redshifts: list[float]
    seed: int
    box_size: float
    side: int

    def settings(self) -> str:
        """All of it, and what all boxes share, as JSON."""
        shared = {
            "fixed": FIXED,
            "solver": nbody.SOLVER | {"fixed_ICS": SETS[self.set].fixed},
            "points_per_cell": PER_CELL,
            "halofit": HALOFIT,
            "pysco": nbody.VERSION,
        }
        return json.dumps(asdict(self) | shared, sort_keys=True)

    def sha256(self) -> str:
        """Of the settings."""
        return hashlib.sha256(self.settings().encode()).hexdigest()


def plan(scale: str, name: str, number: int, n: int | None = None, pixels: int = PIXELS) -> Plan:
    """The plan of box ``number``, counted from 0, of a set whose hypercube has ``n`` points."""
    chosen = SETS[name]
    bins = np.array([OM0, SIGMA8, *REDSHIFT_BINS])
    points = qmc.LatinHypercube(len(bins), rng=chosen.hypercube).random(n or chosen.n)
    # Beyond the hypercube's points the cosmologies come again, with other seeds.
    drawn = bins[:, 0] + points[number % len(points)] * np.diff(bins)[:, 0]
    Om0, sigma8, *redshifts = (round(float(x), 4) for x in drawn)
    return Plan(
        scale=scale,
        set=name,
        number=number,
        Om0=Om0,
        sigma8=sigma8,
        redshifts=[*redshifts[::-1], 0.0],
        seed=chosen.seed + 10_000 * list(SIDES).index(scale) + number,
        box_size=SIDES[scale] / chosen.parts,
        side=pixels // chosen.parts,
    )


def simulate(box: Plan, path: Path, threads: int) -> None:
    """Run a box and write its file, whole or not at all."""
    start = time.perf_counter()
    spectra = Spectra(box.Om0, box.sigma8, box.redshifts)
    shape = (len(box.redshifts), *3 * [box.side])
    part = path.with_suffix(".part")
    measured = []
    # PySCo's files; those of an interrupted run go first.
    scratch = path.with_suffix(".scratch")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    with h5py.File(part, "w") as file:
        stored = file.create_dataset("density", shape, np.float16)
        particles = nbody.run(
            scratch,
            spectra,
            Om0=box.Om0,
            redshifts=box.redshifts,
            box_size=box.box_size,
            side=box.side,
            seed=box.seed,
            fixed=SETS[box.set].fixed,
            threads=threads,
        )
        for i, position in enumerate(particles):
            field = density(position, box.side, PER_CELL)
            stored[i] = field
            k, power, modes = power_spectrum(field, box.box_size)
            measured.append(power)
        file["k"], file["modes"], file["power"] = k, modes, measured
        file["halofit"] = [spectra.halofit(k, z) for z in box.redshifts]
        file["linear"] = [spectra.linear(k, z) for z in box.redshifts]
        file["redshift"] = box.redshifts
        file.attrs["settings"] = box.settings()
        file.attrs["sha256"] = box.sha256()
        file.attrs["seconds"] = time.perf_counter() - start
        file.attrs["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    part.replace(path)
    shutil.rmtree(scratch)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the boxes go, outside the repository")
    parser.add_argument("--scale", choices=SIDES, default="500mpc")
    parser.add_argument("--set", choices=SETS, default="train")
    parser.add_argument("--n", type=int, help="boxes in all, and points of the hypercube")
    parser.add_argument("--only", help="i:j, boxes i to j - 1; beyond the hypercube it comes again")
    parser.add_argument("--pixels", type=int, default=PIXELS, help="across the whole side")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    folder = args.folder / args.scale / args.set
    folder.mkdir(parents=True, exist_ok=True)
    n = args.n or SETS[args.set].n
    first, last = map(int, args.only.split(":")) if args.only else (0, n)
    for number in range(first, last):
        box = plan(args.scale, args.set, number, n, args.pixels)
        path = folder / f"box-{number:04d}.h5"
        if path.exists():
            with h5py.File(path) as file:
                if file.attrs["sha256"] != box.sha256():
                    raise SystemExit(f"{path} was made with other settings: take another folder")
            continue
        print(f"{path.name}: Om0 {box.Om0}, sigma8 {box.sigma8}, seed {box.seed}", flush=True)
        simulate(box, path, args.threads)


if __name__ == "__main__":
    main()
