"""One run of PySCo, from a linear spectrum to the particles at given redshifts."""

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import h5py
import numpy as np
from spectra import FIXED, K_RANGE, Spectra

VERSION = version("pysco-nbody")
# What every run has in common.
SOLVER = {
    "theory": "newton",
    "z_start": 49.0,
    "initial_conditions": "2LPT",
    "position_ICS": "center",
    "fixed_ICS": False,
    "paired_ICS": False,
    "dealiased_ICS": False,
    "integrator": "leapfrog",
    "mass_scheme": "TSC",
    "Courant_factor": 1.0,
    "max_aexp_stepping": 10,
    "linear_newton_solver": "fft",
    "gradient_stencil_order": 7,
    "w0": -1.0,
    "wa": 0.0,
    "T_cmb": FIXED["Tcmb0"],
    "N_eff": FIXED["Neff"],
}


def run(
    folder: Path,
    spectra: Spectra,
    *,
    Om0: float,
    redshifts: list[float],
    box_size: float,
    side: int,
    seed: int,
    fixed: bool,
    threads: int,
) -> Iterator[np.ndarray]:
    """
    Simulate a box and hand over the particles at each redshift.

    Parameters
    ----------
    folder : `~pathlib.Path`
        For PySCo's files: 24 bytes a particle, redshift and once more for the start.
    spectra : `Spectra`
        Whose linear spectrum today the box starts from.
    Om0 : float
        Matter density.
    redshifts : list of float
        In falling order.
    box_size : float
        Side in comoving Mpc (without h: PySCo's Mpc/h are made here).
    side : int
        Particles, and cells of the force mesh, along a side: a power of two.
    seed : int
        Of the starting field.
    fixed : bool
        Whether all its waves have the amplitude that is expected, and only their phases are drawn.
    threads : int
        For PySCo.

    Yields
    ------
    `~numpy.ndarray`, (side**3, 3)
        Positions in units of the box, float32, in the order of the starting lattice.
    """
    import pysco  # compiles for minutes when it is first imported

    h = FIXED["H0"] / 100
    k = np.geomspace(*K_RANGE, 4000)
    table = folder / "linear.txt"
    # PySCo's border: wave numbers in h/Mpc, spectra in (Mpc/h)^3, lengths in Mpc/h.
    np.savetxt(table, np.c_[k / h, spectra.linear(k) * h**3])
    pysco.run(
        SOLVER
        | {
            "H0": FIXED["H0"],
            "Om_m": Om0,
            "boxlen": box_size * h,
            "ncoarse": side.bit_length() - 1,
            "npart": side**3,
            "seed": seed,
            "fixed_ICS": fixed,
            "power_spectrum_file": str(table),
            "base": str(folder),
            "z_out": str(redshifts),
            "output_snapshot_format": "HDF5",
            "save_power_spectrum": "no",
            # Never: the particles stay in the order of the lattice.
            "n_reorder": 10**9,
            "nthreads": threads,
            "verbose": 0,
        }
    )
    for i in range(len(redshifts)):
        (snapshot,) = folder.glob(f"output_{i + 1:05d}/*.h5")
        with h5py.File(snapshot) as file:
            yield file["position"][()]
        snapshot.unlink()
