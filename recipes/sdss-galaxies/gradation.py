"""
How rough templates are, by how bright they are: what ``add_noise`` in ``rows.py`` is made by.

.. code-block:: console

    $ python recipes/sdss-galaxies/gradation.py WORK sdss-galaxies

In r, where light is so many times the noise, of smooth galaxies: what is finer than 1.2 pixels, as
a standard deviation (from the median) of the light itself, beside what a generator makes of the
same conditions without noise, and what neither that nor the sky's noise explains; and how lopsided
it is (skewness), beside what a generator makes with ``add_noise``. And of any galaxies, where they
are faint, beside the same: how rough in units of the noise, how lopsided, and how alike pixels
beside each other are.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from rows import Rows, add_noise, unit_noise
from scipy.ndimage import gaussian_filter
from scipy.stats import skew
from train import read_network

from astrodlkit.networks import GalaxyTemplateNetwork
from astrodlkit.networks._petrosian import END

SEED, SMOOTH = 73, "t01_smooth_or_features_a01_smooth"
FINE, AROUND = 1.2, 2.0  # pixels
BRIGHT = (6, 9, 14, 22, 35, 60, 100, 200, 400)
FAINT = (-3, 0.7, 1.5, 2.5, 4, 7, 12)


def finer(light: np.ndarray) -> np.ndarray:
    """What of pictures (n, side, side) is finer than `FINE`."""
    return np.array([image - gaussian_filter(image, FINE) for image in light])


def spread(values: np.ndarray) -> float:
    """Standard deviation, from the median of absolute values."""
    return 1.48 * float(np.median(np.abs(values)))


class Roughness:
    """What is fine in templates, in their noise and in what a network makes instead."""

    def __init__(self, rows: Rows, network: GalaxyTemplateNetwork) -> None:
        batch, random = rows.tensors(), torch.Generator().manual_seed(SEED)
        latent = torch.randn(len(rows), network.n_latent, generator=random)
        with torch.inference_mode():
            parts = zip(latent.split(100), batch["conditions"].split(100), strict=True)
            made = torch.cat([network(*part) for part in parts])
            axis_ratio = network.column(batch["conditions"], "axis_ratio")
            noisy = add_noise(made, batch, axis_ratio, random)[:, 1].numpy()
            grey = batch | {"colour": torch.zeros(len(rows), 3)}
            noise = unit_noise(made.shape, grey, random)[:, 1].numpy()
        real = rows.templates[:, 1].astype(np.float32)
        self.around, self.around_noisy = (
            np.array([gaussian_filter(image, AROUND) for image in light]) for light in (real, noisy)
        )
        self.sky = np.broadcast_to(rows.noise[:, 1, None, None], real.shape)
        y, x = np.mgrid[: real.shape[1], : real.shape[2]] - (real.shape[1] - 1) / 2
        q = axis_ratio.numpy().clip(0.05)[:, None, None]
        radius = np.hypot(x, y / q) / rows.reach[:, None, None]
        self.inside = (radius > 0.15) & (radius < END)
        both = real, made[:, 1].numpy(), noisy, noise
        self.real, self.made, self.noisy, noise = (finer(light) for light in both)
        self.unit = spread(noise[self.inside])

    def between(self, low: float, high: float, around: np.ndarray) -> np.ndarray:
        """Where light is so many times the noise."""
        level = around / self.sky
        return self.inside & (level > low) & (level < high)

    def of(self, values: np.ndarray, unit: np.ndarray, here: np.ndarray) -> float:
        """Of so rough a white noise these are, in units of ``unit``."""
        return spread(values[here] / unit[here]) / self.unit

    def looks(self, values: np.ndarray, here: np.ndarray) -> tuple[float, float, float]:
        """How rough, how lopsided, and how alike neighbours along x are; without outliers."""
        values = values / self.sky
        here = here & (np.abs(values) < 5 * spread(values[here]))
        found, pair = values[here], here[..., 1:] & here[..., :-1]
        alike = (values[..., 1:] * values[..., :-1])[pair].mean() / found.var()
        return spread(found) / self.unit, float(skew(found)), float(alike)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder of templates.py and conditions.py")
    parser.add_argument("model", type=Path, help="folder of train.py, network.pt or a model")
    parser.add_argument("--n", type=int, default=600, help="galaxies of each kind, at most")
    parser.add_argument("--smooth", type=float, default=0.75, help="vote of a smooth galaxy")
    args = parser.parse_args()
    rows, network = Rows.read(args.work), read_network(args.model)
    votes = rows.conditions[:, network.condition_names.index(SMOOTH)]
    mixed = np.random.default_rng(SEED).permutation(len(rows))
    smooth = mixed[votes[mixed] > args.smooth][: args.n]
    rough = Roughness(rows[smooth], network)
    print(f"{len(smooth)} smooth galaxies, of the light:")
    print("light / noise  pixels    real generated     sky    left    skewness")
    both = (rough.real, rough.around), (rough.noisy, rough.around_noisy)
    for low, high in pairwise(BRIGHT):
        here = rough.between(low, high, rough.around)
        a, b = (rough.of(values, rough.around, here) for values in (rough.real, rough.made))
        c = float(np.median(rough.sky[here] / rough.around[here]))
        left = max(a**2 - b**2 - c**2, 0) ** 0.5
        print(
            f"{low:5} to {high:3} {here.sum():7} {a:7.3f} {b:9.3f} {c:7.3f} {left:7.3f}",
            *(f"{rough.looks(fine, rough.between(low, high, x))[1]:7.2f}" for fine, x in both),
        )
    few = mixed[: args.n]
    rough = Roughness(rows[few], network)
    print(f"{len(few)} galaxies, of the noise, real and generated:")
    print("light / noise       rough           skewness        alike")
    both = (rough.real, rough.around), (rough.noisy, rough.around_noisy)
    for low, high in pairwise(FAINT):
        looks = (rough.looks(fine, rough.between(low, high, around)) for fine, around in both)
        pairs = zip(*looks, strict=True)
        print(f"{low:5} to {high:3} ", *(f"{a:7.2f} {b:7.2f}" for a, b in pairs))


if __name__ == "__main__":
    main()
