"""
Real against real: how far two noisy copies of the same galaxy are from each other.

.. code-block:: console

    $ python recipes/sdss-galaxies/repeat.py DATA --n 100

Each picture gets noise of the same size and coarseness as it has, twice over, and goes through the
whole pipeline. The difference of the two, by the square root of two, is what noise does to a
measurement; the difference from the picture as it is tells what noise does to the mean.
"""

import argparse
from pathlib import Path

import numpy as np
from linear import linear
from pictures import Galaxies
from scipy.ndimage import gaussian_filter
from seeing import correlation, empty_rim
from templates import not_galaxies, process

COMPARED = (
    "axis_ratio", "angle", "half_light_radius", "flux", "concentration", "gini", "m20",
    "asymmetry", "smoothness", "sersic_index", "r20", "r80", "g_r", "r_i",
)  # fmt: skip
LOGARITHMS = ("half_light_radius", "flux", "sersic_index", "r20", "r80")


def noisy(picture: np.ndarray, rng: np.random.Generator, *, efigi: bool) -> np.ndarray:
    """A picture with as much noise again as its sky has, and correlated like it."""
    r = linear(picture, efigi=efigi)[0][1]
    empty = empty_rim(r)
    levels = picture[empty].astype(float)
    size = 1.48 * np.median(np.abs(levels - np.median(levels, axis=0)), axis=0)
    # A Gaussian of width s leaves neighbours with a correlation of exp(-1 / 4 s^2).
    width = np.sqrt(-0.25 / np.log(np.clip(correlation(r, empty), 0.05, 0.9)))
    noise = gaussian_filter(rng.normal(size=picture.shape), (width, width, 0))
    noise *= np.maximum(size, 1) / noise.std(axis=(0, 1))
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("--n", type=int, default=100, help="galaxies, spread over the sets")
    args = parser.parse_args()
    galaxies, rng = Galaxies.read(args.data), np.random.default_rng(0)
    galaxies = galaxies[np.linspace(0, len(galaxies) - 1, args.n).astype(int)]
    galaxies = galaxies[~not_galaxies(galaxies)]
    found = []
    for row, picture in enumerate(galaxies.pictures()):
        efigi = galaxies.table["set"][row] == "efigi"
        copies = [picture, *(noisy(picture, rng, efigi=efigi) for _ in range(2))]
        results = [process(copy, efigi=efigi) for copy in copies]
        if not any(result.reason for result in results):
            found.append([[r.values[name] for name in COMPARED] for r in results])
    values = np.array(found)
    print(f"{len(values)} of {len(galaxies)} kept three times")
    for k, name in enumerate(COMPARED):
        column = np.log(values[..., k]) if name in LOGARITHMS else values[..., k]
        apart, shift = column[:, 1] - column[:, 2], column[:, 1:].mean(1) - column[:, 0]
        if name == "angle":
            apart, shift = ((d + 90) % 180 - 90 for d in (apart, shift))
        error = 1.48 * np.median(np.abs(apart)) / np.sqrt(2)
        spread = 1.48 * np.median(np.abs(column[:, 0] - np.median(column[:, 0])))
        label = f"ln {name}" if name in LOGARITHMS else name
        print(f"{label:22s} error {error:.4f}, shift {np.median(shift):+.4f}, spread of the "
              f"galaxies {spread:.3f}")  # fmt: skip


if __name__ == "__main__":
    main()
