"""
How fine the noise of templates is, in r and in colours: what ``add_noise`` in ``rows.py`` follows.

.. code-block:: console

    $ python recipes/sdss-galaxies/grains.py WORK sdss-galaxies

In rings of Petrosian radii, of what is of so many pixels (differences of Gaussians), in real and in
generated templates: r in units of its noise; g - r and i - r, of bands of unit flux, in units of r;
and how the two correlate with each other, and g - r with r. Medians over galaxies. And how much
r, g - r and i - r scatter in a generated one over the real one: 5, 50 and 95 % of galaxies.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from rows import Rows
from scipy.ndimage import gaussian_filter
from shortcomings import in_petrosian_radii
from train import read_network
from validate import SEED, generate

SCALES = 0.0, 0.7, 1.5, 3.0, 6.0  # pixels
RINGS = (0.5, 1.0), (1.0, 1.3), (1.3, 1.6), (1.6, 1.9)  # Petrosian radii
FEW = 60  # pixels


def looks(template: np.ndarray, radius: np.ndarray, noise: float) -> np.ndarray:
    """Of each scale and ring, r, both colours, and their correlations, (scales, rings, 5)."""
    total = template.sum((1, 2))
    bands = template / total[:, None, None]
    smooth = [gaussian_filter(bands, (0, scale, scale)) for scale in SCALES]
    found = np.full((len(SCALES) - 1, len(RINGS), 5), np.nan)
    for i, (finer, coarser) in enumerate(pairwise(smooth)):
        for j, (inner, outer) in enumerate(RINGS):
            here = (radius >= inner) & (radius < outer)
            if here.sum() < FEW:
                continue
            g, r, i_band = (finer - coarser)[:, here]
            one, other = g - r, i_band - r
            pairs = np.corrcoef([one, other, r])
            scatter = r.std()
            found[i, j] = (scatter * total[1] / noise, one.std() / scatter, other.std() / scatter,
                           pairs[0, 1], pairs[0, 2])  # fmt: skip
    return found


def strength(found: np.ndarray) -> np.ndarray:
    """r, g - r and i - r in units of the noise, of what `looks` finds."""
    r = found[..., :1]
    return np.concatenate([r, r * found[..., 1:3]], axis=-1)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder of templates.py and conditions.py")
    parser.add_argument("model", type=Path, help="folder of train.py, network.pt or a model")
    parser.add_argument("--n", type=int, default=600, help="galaxies, at most")
    args = parser.parse_args()
    rows, network = Rows.read(args.work), read_network(args.model)
    rows = rows[np.random.default_rng(SEED).permutation(np.flatnonzero(rows.split == 1))[: args.n]]
    axis_ratio = rows.conditions[:, network.condition_names.index("axis_ratio")]
    clean, made = generate(network, rows, SEED)
    real = rows.templates.astype(np.float32)
    found = {}
    for name, light, bright in (("real", real, real), ("generated", made, clean)):
        radius = in_petrosian_radii(axis_ratio, bright[:, 1])
        found[name] = np.array(list(map(looks, light, radius, rows.noise[:, 1])))
    shown = {name: np.nanmedian(values, axis=0) for name, values in found.items()}
    ratios = strength(found["generated"]) / strength(found["real"])
    over = np.nanpercentile(ratios, (5, 50, 95), axis=0)
    print(f"{len(rows)} galaxies; r, g - r, i - r; correlations of both, and of g - r with r")
    for j, (inner, outer) in enumerate(RINGS):
        print(f"{inner} to {outer} Petrosian radii")
        for i, (finer, coarser) in enumerate(pairwise(SCALES)):
            for name, values in shown.items():
                numbers = (f"{value:6.2f}" for value in values[i, j])
                print(f"  {finer:g} to {coarser:g} pixels {name:9}", *numbers)
            numbers = ("/".join(f"{value:.2f}" for value in band) for band in over[:, i, j].T)
            print(f"  {finer:g} to {coarser:g} pixels over real", *numbers)


if __name__ == "__main__":
    main()
