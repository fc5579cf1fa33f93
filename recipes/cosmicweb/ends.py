"""
Are emulated maps what is expected of them up to the ends of the domain?

.. code-block:: console

    $ python recipes/cosmicweb/ends.py FOLDER MODEL --scale 100mpc -n 48

At cosmologies and redshifts that are not those of ``correct.py``: the mean of the density, which is
1, and its variance and power over those that ``prior.py`` expects.
"""

import argparse
from itertools import product
from pathlib import Path

import numpy as np
import torch
from boxes import THICKNESS
from correct import sigma8_at
from prior import make_network, n_modes, spectrum, wave_numbers
from train import training_boxes
from validate import EMULATOR, emulated, read_network

SEED = 61
MATTER, SIGMA8, REDSHIFTS = (0.17, 0.29, 0.46), (0.63, 0.78, 0.97), (0.0, 0.35, 1.5)
# Wave numbers in units of the Nyquist frequency.
EDGES = (0.0, 0.05, 0.2, 0.5)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("truth", type=Path, help="folder that truth.py was given")
    parser.add_argument("model", help="as for validate.py")
    parser.add_argument("--scale", choices=THICKNESS, default="500mpc")
    parser.add_argument("-n", type=int, default=48, help="maps of each cosmology and redshift")
    args = parser.parse_args()

    boxes, whole = training_boxes(args.truth / args.scale)
    prior, power = make_network(boxes, whole)
    network, side = read_network(args.model, boxes[0]), (whole or boxes)[0].settings["side"]
    k, log_k, modes = wave_numbers(side, prior.pixel), np.linspace(*prior.log_k), n_modes(side)
    place = np.digitize(k * prior.pixel / np.pi, EDGES) - 1
    print("matter  sigma8  redshift    mean  variance  P(k) to", *EDGES[1:], "of Nyquist")
    found = []
    for matter, sigma8, redshift in product(MATTER, SIGMA8, REDSHIFTS):
        known = torch.tensor([matter, sigma8_at(matter, sigma8, redshift), redshift])
        terms = prior.terms(known[None].double())[:, : len(power)]
        expected = np.exp(np.interp(np.log(k), log_k, (terms @ power.double())[0]))
        maps = emulated(network, args.n, known, side, SEED)[EMULATOR]
        made = spectrum(maps, prior.pixel)
        ratios = [
            modes[here] @ made[here] / (modes[here] @ expected[here])
            for here in (np.full(len(k), True), *(place == j for j in range(len(EDGES) - 1)))
        ]
        found.append([maps.mean(), *ratios])
        print(f"{matter:6.2f} {sigma8:7.2f} {redshift:9.2f}   ", *(f"{x:7.2f}" for x in found[-1]))
    for name, row in (("least", np.min(found, 0)), ("mean", np.mean(found, 0)),
                      ("most", np.max(found, 0))):  # fmt: skip
        print(f"{name:27}", *(f"{x:7.2f}" for x in row))


if __name__ == "__main__":
    main()
