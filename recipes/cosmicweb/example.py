"""
A few simulated maps and the spectra of many, for the pictures of the documentation.

.. code-block:: console

    $ python recipes/cosmicweb/example.py TRUTH docs/gallery_src/density_maps.npz
"""

import argparse
from pathlib import Path

import astropy.units as u
import numpy as np
from boxes import THICKNESS, read_boxes

from astrodlkit.metrics import power_spectrum

N_BINS = 24


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("truth", type=Path, help="folder that truth.py was given")
    parser.add_argument("file", type=Path, help=".npz to write")
    parser.add_argument("--box", type=int, default=0, help="number in the test set")
    parser.add_argument("--maps", type=int, default=2, help="of each scale")
    args = parser.parse_args()
    kept = {}
    for scale in THICKNESS:
        boxes = read_boxes(args.truth / scale / "test")
        box = next((b for b in boxes if b.settings["number"] == args.box), None)
        if box is None:
            continue
        # The last snapshot is of today.
        maps = box.maps(-1)
        nyquist = np.pi / box.pixel
        bins = np.geomspace(4 * np.pi / (len(maps[0]) * box.pixel), nyquist, N_BINS + 1) / u.Mpc
        spectrum = power_spectrum(maps, pixel_size=box.pixel * u.Mpc, bins=bins)
        kept |= {
            f"{scale}_maps": maps[:: len(maps) // args.maps][: args.maps].astype(np.float16),
            f"{scale}_cosmology": [box.settings[name] for name in ("Om0", "sigma8")],
            f"{scale}_bins": bins.value,
            f"{scale}_k": spectrum.k.value,
            f"{scale}_power": spectrum.power.value.mean(0),
            f"{scale}_scatter": spectrum.power.value.std(0),
        }
        print(f"{scale}: {args.maps} of {len(maps)} maps of box {args.box}, {box.settings}")
    np.savez_compressed(args.file, **kept)


if __name__ == "__main__":
    main()
