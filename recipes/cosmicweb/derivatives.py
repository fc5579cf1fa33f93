"""
How much less noise do derivatives have when both maps come from one seed?

.. code-block:: console

    $ python recipes/cosmicweb/derivatives.py cosmicweb-500mpc

For each parameter in turn the spectrum of pairs of maps a small step apart is measured; the ratio
is the scatter of the difference with independent seeds over that with the same seed, by which
squared the number of maps can be smaller.
"""

import argparse

import astropy.units as u
import numpy as np
from astropy.cosmology import FlatLambdaCDM

from astrodlkit import load_model
from astrodlkit.cosmicweb import DensityMapEmulator
from astrodlkit.metrics import power_spectrum

# The middle of the domain, and a step for each.
MIDDLE = {"Om0": 0.31, "sigma8": 0.8, "redshift": 0.5}
STEPS = {"Om0": 0.01, "sigma8": 0.02, "redshift": 0.05}
# In units of the Nyquist frequency.
EDGES = np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.8])


def spectra(emulator: DensityMapEmulator, n: int, seed: int, **changed: float) -> np.ndarray:
    """Powers of n maps in the bins, (n, bins)."""
    asked = MIDDLE | changed
    fixed = emulator.spec.fixed
    cosmology = FlatLambdaCDM(
        H0=fixed["H0"], Om0=asked["Om0"], Ob0=fixed["Ob0"], Tcmb0=fixed["Tcmb0"]
    )
    options = {"redshift": asked["redshift"], "sigma8": asked["sigma8"]}
    maps = emulator.sample(n, cosmology=cosmology, rng=seed, **options)
    bins = EDGES * np.pi / emulator.spec.pixel / u.Mpc
    return power_spectrum(maps, bins=bins).power.value


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="what load_model takes")
    parser.add_argument("-n", type=int, default=64, help="pairs of maps")
    args = parser.parse_args()
    emulator = load_model(args.model, device="cpu")
    nyquist = np.pi / emulator.spec.pixel
    print(f"{args.n} pairs; scatter of differences of P(k), other seeds over the same seed")
    print(f"{'k, 1/Mpc':10}" + "".join(f"{k:9.3f}" for k in nyquist * EDGES[1:]))
    for name, step in STEPS.items():
        low, high = MIDDLE[name] - step / 2, MIDDLE[name] + step / 2
        start = spectra(emulator, args.n, 1, **{name: low})
        same, other = (spectra(emulator, args.n, seed, **{name: high}) for seed in (1, 2))
        ratio = (other - start).std(0) / (same - start).std(0)
        print(f"{name:10}" + "".join(f"{x:9.1f}" for x in ratio))


if __name__ == "__main__":
    main()
