"""
What tells generated templates from real ones, and what of the network is short.

.. code-block:: console

    $ python recipes/sdss-galaxies/shortcomings.py WORK MODEL --n 1175

It prints how often the small network of ``twosample.py`` is right on rings of the pictures; how
much power generated ones have along x, at periods around four pixels, over that of real ones; by
how much structure of inclined spirals differs more along y than along x, at each scale, as it does
in stripes; how often the class that was asked for is seen, of latent numbers that the encoder
finds, that its posterior gives, and that the flow makes; and how the numbers of
``nonparametric.py`` correlate with statmorph's, and scatter from galaxy to galaxy.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from measures import MEASURES, measure_all
from nonparametric import NAMES, SCATTER, nonparametric
from rows import Rows, add_noise
from stripes import stripes
from torch import Tensor
from train import read_network
from twosample import pixels
from validate import GENERATOR, REAL, REFERENCE, SEED, Judged, agrees, judge

from astrodlkit import load_model
from astrodlkit.networks import GalaxyTemplateNetwork
from astrodlkit.networks._petrosian import elliptic_radius, petrosian_radius

RINGS = 0.0, 0.5, 1.0, 1.3, 1.6, np.inf  # Petrosian radii
INCLINED = 0.35, 0.8  # axis ratios
WAVES = [16, 18, 20, 22, 24]  # across a template of 80 pixels: periods around four


def in_petrosian_radii(axis_ratio: np.ndarray, light: np.ndarray) -> np.ndarray:
    """How far pixels are from the middle of galaxies without noise, (n, side, side), in r."""
    radius = elliptic_radius(light.shape[-1], torch.from_numpy(axis_ratio))
    reach = petrosian_radius(torch.from_numpy(light).float(), radius)
    return (radius / reach[:, None, None]).numpy()


def by_rings(judged: Judged, axis_ratio: int) -> None:
    """Accuracies of the small network."""
    light = [judged.light[name] for name in (GENERATOR, REFERENCE)]
    # Real ones are bright where the Petrosian radius is.
    radius = [
        in_petrosian_radii(judged.rows[name].conditions[:, axis_ratio], clean[:, 1])[:, None]
        for name, clean in ((GENERATOR, judged.clean[GENERATOR]), (REFERENCE, light[1]))
    ]
    for inner, outer in ((0.0, np.inf), *pairwise(RINGS)):
        parts = [
            maps * ((far >= inner) & (far < outer)) for maps, far in zip(light, radius, strict=True)
        ]
        accuracy, error, n = pixels(*parts)
        print(
            f"{inner} to {outer} Petrosian radii: {accuracy:.2f} +- {error:.2f} ({n})", flush=True
        )


def by_periods(judged: Judged) -> None:
    """Power of r and colours along x, generated over real: geometric means over galaxies."""
    made, real = (_log_power(judged.light[name]) for name in (GENERATOR, REAL))
    for name, ratios in zip(("r", "g - r", "i - r"), np.exp(made - real), strict=True):
        shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"power of {name} along x, {WAVES} waves: {shown}", flush=True)


def _log_power(light: np.ndarray) -> np.ndarray:
    """Mean logarithm at `WAVES` in r, g - r and i - r, of bands of unit flux, (3, waves)."""
    g, r, i = np.moveaxis(light / light.sum((2, 3), keepdims=True), 1, 0)
    waves = np.fft.rfft(np.stack([r, g - r, i - r]) * np.hanning(light.shape[-1]))[..., WAVES]
    return np.log((np.abs(waves) ** 2).mean(2)).mean(1)


def by_stripes(judged: Judged, network: GalaxyTemplateNetwork) -> None:
    """What differs along y over what differs along x, of r: medians over inclined spirals."""
    conditions = torch.from_numpy(judged.rows[REAL].conditions)
    axis_ratio, spiral = (network.column(conditions, n) for n in ("axis_ratio", "class_spiral"))
    rows = (spiral > 0.5) & (axis_ratio > INCLINED[0]) & (axis_ratio < INCLINED[1])
    axis_ratio = axis_ratio[rows]
    for name, bright in ((REAL, judged.light[REAL]), (GENERATOR, judged.clean[GENERATOR])):
        noisy, clean = (torch.from_numpy(each[:, 1])[rows] for each in (judged.light[name], bright))
        reach = petrosian_radius(clean, elliptic_radius(clean.shape[-1], axis_ratio))
        ratios = np.exp(np.nanmedian(stripes(noisy, axis_ratio, reach), axis=0))
        shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"{name}, {len(noisy)} spirals, y over x: {shown}", flush=True)


def decoded(network: GalaxyTemplateNetwork, rows: Rows, own: Tensor) -> np.ndarray:
    """Templates with noise of what the encoder would find."""
    random, batch = torch.Generator().manual_seed(SEED), rows.tensors()
    conditions = batch["conditions"]
    places = torch.randn(len(own), network.n_latent - own.shape[1], generator=random)
    parts = zip(torch.cat([own, places], 1).split(100), conditions.split(100), strict=True)
    light = torch.cat([network.decode(*part) for part in parts])
    axis_ratio = network.column(conditions, "axis_ratio")
    return add_noise(light, batch, axis_ratio, random).numpy()


@torch.inference_mode()
def by_latents(network: GalaxyTemplateNetwork, rows: Rows) -> None:
    """How often the class that volunteers have said is seen."""
    classifier, random = load_model("galaxyzoo2", device="cpu"), torch.Generator().manual_seed(SEED)
    batch = rows.tensors()
    light, conditions = batch["templates"].float(), batch["conditions"]
    parts = zip(light.split(100), conditions.split(100), strict=True)
    posteriors = [network.posterior(*part) for part in parts]
    mean, log_variance = (torch.cat(numbers) for numbers in zip(*posteriors, strict=True))
    drawn = torch.randn(mean.shape, generator=random)
    for title, own in (
        ("encoded", mean),
        ("drawn from the posterior", mean + (log_variance / 2).exp() * drawn),
        ("drawn by the flow", network.flow(drawn, network.deck.standard(conditions))),
    ):
        right = agrees(classifier, decoded(network, rows, own), rows)
        error = right.std() / len(right) ** 0.5
        print(
            f"class agrees, {title}: {right.mean():.3f} +- {error:.3f} ({len(right)})", flush=True
        )


def by_formula(judged: Judged, axis_ratio: int) -> None:
    """How numbers with gradients correlate with those that are judged, and how all scatter."""
    rows, clean = judged.rows[REAL], torch.from_numpy(judged.clean[GENERATOR][:, 1])
    q = torch.from_numpy(rows.conditions[:, axis_ratio])
    reach = {
        REAL: torch.from_numpy(rows.reach),
        GENERATOR: petrosian_radius(clean, elliptic_radius(clean.shape[-1], q)),
    }
    near = {
        name: nonparametric(torch.from_numpy(judged.light[name][:, 1]), q, radii).numpy() * SCATTER
        for name, radii in reach.items()
    }
    measured = measure_all(judged.light[REAL], rows.noise, rows.grain, judged.processes)
    for k, title in enumerate(NAMES):
        beside = measured[:, MEASURES.index(title)]
        known = np.isfinite(beside)
        r = np.corrcoef(near[REAL][known, k], beside[known])[0, 1]
        print(f"{title}: r = {r:.2f} with statmorph's ({known.sum()})")
        for name, values in near.items():
            low, middle, high = np.percentile(values[:, k], (5, 50, 95))
            print(f"  {name}: 5, 50 and 95 %: {low:.3f}, {middle:.3f}, {high:.3f}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder of templates.py and conditions.py")
    parser.add_argument("model", type=Path, help="as for validate.py")
    parser.add_argument("--n", type=int, default=1000, help="galaxies in each half, at most")
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    rows, network = Rows.read(args.work), read_network(args.model)
    judged = judge(rows, network, args.n, 0, args.processes)
    axis_ratio = network.condition_names.index("axis_ratio")
    by_rings(judged, axis_ratio)
    by_periods(judged)
    by_stripes(judged, network)
    by_latents(network, judged.told[REAL][0])
    by_formula(judged, axis_ratio)


if __name__ == "__main__":
    main()
