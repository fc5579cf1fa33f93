"""Intervals from the validation rows, and by cross-validation if they hold."""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from labels import EfigiGalaxies
from train import OUTPUT
from validate import as_cutouts

from astrodlkit import load_model
from astrodlkit.classify import CutoutClassifier
from astrodlkit.engine import run_batches
from astrodlkit.pretrained import Figure
from astrodlkit.specs import OutputSpec
from astrodlkit.specs._calibration import LEVELS
from astrodlkit.training import calibrate

FOLDS, REPEATS = 5, 4
NAMES = [label for head in OUTPUT.heads for label in head.labels]
Arrays = Mapping[str, np.ndarray]


def validation_outputs(classifier: CutoutClassifier, galaxies: EfigiGalaxies) -> Arrays:
    """The network's numbers for the validation rows, one view."""
    images, _ = classifier.card.input.prepare(as_cutouts(galaxies))
    outputs = run_batches(classifier.module, images, batch_size=256, device=classifier.device)
    return {head.name: outputs[head.name] for head in OUTPUT.heads}


def calibrated(output: OutputSpec, outputs: Arrays, galaxies: EfigiGalaxies) -> OutputSpec:
    """The output with its calibration."""
    return calibrate(output, outputs, {name: getattr(galaxies, name) for name in outputs})


def cross_validated(outputs: Arrays, galaxies: EfigiGalaxies) -> list[Figure]:
    """Print how well the calibration holds on rows that it was not fitted to; the main figures."""
    note = f"{FOLDS}-fold cross-validation within validation, {REPEATS} times"
    truth = np.concatenate([galaxies.t_type, galaxies.attributes], axis=1)
    values = np.concatenate([outputs[head.name][..., 0] for head in OUTPUT.heads], axis=1)
    sizes = apparent_sizes(galaxies.pictures)
    figures = []
    everything = np.arange(len(truth))
    folds = [fold for seed in range(REPEATS) for fold in _folds(len(truth), seed)]
    for level in LEVELS:
        fitted, _ = covered(outputs, galaxies, level, [(everything, everything)])
        inside, widths = covered(outputs, galaxies, level, folds)
        print(f"{level:.0%} intervals, N = {len(truth)} galaxies (where fitted: in brackets)")
        quarters, off = [], []
        bins = {"quarters of the value": [], "thirds of the half-light radius": []}
        for i, name in enumerate(NAMES):
            known = np.flatnonzero(np.isfinite(truth[:, i]))
            parts = np.array_split(known[np.argsort(values[known, i])], 4)
            thirds = np.array_split(known[np.argsort(sizes[known])], 3)
            print(f"  {name:16s} N = {len(known)}: {inside[known, i].mean():.3f} "
                  f"({fitted[known, i].mean():.3f}); in quarters of the value",
                  *(f"{inside[p, i].mean():.3f} ({fitted[p, i].mean():.3f})" for p in parts),
                  "; in thirds of the half-light radius",
                  *(f"{inside[p, i].mean():.3f}" for p in thirds),
                  f"; half the width {widths[known, i].mean():.3f}")  # fmt: skip
            quarters.append([inside[p, i].mean() - level for p in parts])
            off.append(inside[known, i].mean() - level)
            for where, own in zip(bins, (parts, thirds), strict=True):
                bins[where] += [(len(p), inside[p, i].mean()) for p in own] if i else []
        print(f"  attributes: mean deviation {np.abs(off[1:]).mean():.3f}, largest "
              f"{np.abs(off[1:]).max():.3f}; in quarters {np.abs(quarters[1:]).mean():.3f} "
              f"and {np.abs(quarters[1:]).max():.3f}")  # fmt: skip
        for where, found in bins.items():
            print(f"  attributes in {where}: {against_chance(level, *np.transpose(found))}")
        error = np.sqrt(level * (1 - level) / len(truth))
        for name, columns in (("T", slice(1)), ("attributes", slice(1, None))):
            share = np.nanmean(np.where(np.isfinite(truth), inside, np.nan)[:, columns])
            numbers = (round(float(x), 4) for x in (share, error))
            title = f"coverage of the {level:.0%} intervals of {name}"
            figures.append(Figure(title, *numbers, len(truth), "validation", note))
    return figures


def against_chance(
    level: float, n: np.ndarray, shares: np.ndarray, *, draws: int = 20_000, seed: int = 0
) -> str:
    """The scatter of coverages in bins of n rows, and what chance gives where all are right."""
    drawn = np.random.default_rng(seed).binomial(n.astype(int), level, (draws, len(n))) / n
    words = [f"{len(n)} bins of {n.min():.0f} to {n.max():.0f} rows"]
    for name, worst, beyond in (("lowest", np.min, np.less_equal),
                                ("highest", np.max, np.greater_equal)):  # fmt: skip
        wanted = worst(drawn, axis=1)
        low, middle, high = np.quantile(wanted, [0.025, 0.5, 0.975])
        words.append(
            f"{name} {worst(shares):.3f}, by chance {middle:.3f} ({low:.3f} to {high:.3f}; "
            f"as far out in {beyond(wanted, worst(shares)).mean():.1%} of the draws)"
        )
    scatter = np.quantile(np.sqrt(((drawn - level) ** 2).mean(axis=1)), [0.025, 0.5, 0.975])
    found = np.sqrt(((shares - level) ** 2).mean())
    words.append("scatter {:.3f}, by chance {:.3f} ({:.3f} to {:.3f})".format(
        found, *scatter[[1, 0, 2]]))  # fmt: skip
    return "; ".join(words)


def covered(
    outputs: Arrays, galaxies: EfigiGalaxies, level: float, folds: list
) -> tuple[np.ndarray, np.ndarray]:
    """How often each truth lay in its interval, and half the width, shape (n, 17)."""
    truth = np.concatenate([galaxies.t_type, galaxies.attributes], axis=1)
    inside, widths, times = (np.zeros(truth.shape) for _ in range(3))
    for train, test in folds:
        fitted = calibrated(OUTPUT, {k: v[train] for k, v in outputs.items()}, galaxies[train])
        table = fitted.tabulate({k: v[test] for k, v in outputs.items()}, interval=level)
        low, high = (np.stack([table[f"{n}_{end}"] for n in NAMES], axis=1)
                     for end in ("low", "high"))  # fmt: skip
        inside[test] += (truth[test] >= low) & (truth[test] <= high)
        widths[test] += (high - low) / 2
        times[test] += 1
    return inside / times, widths / times


def apparent_sizes(pictures: np.ndarray) -> np.ndarray:
    """Half-light radius of the galaxy in each picture, in pixels, shape (n,)."""
    light = pictures.mean(axis=3)
    edge = np.concatenate([light[:, [0, -1]], light[:, :, [0, -1]].swapaxes(1, 2)], axis=1)
    light = light - np.median(edge, axis=(1, 2))[:, None, None]
    side = light.shape[1]
    radii = np.hypot(*(np.mgrid[:side, :side] - (side - 1) / 2)).ravel()
    order = np.argsort(radii)[: np.count_nonzero(radii < side / 2)]
    growth = np.maximum.accumulate(np.cumsum(light.reshape(len(light), -1)[:, order], axis=1), 1)
    return radii[order][(growth < growth[:, -1:] / 2).sum(axis=1)]


def _folds(n: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    order = np.random.default_rng(seed).permutation(n)
    parts = [order[i::FOLDS] for i in range(FOLDS)]
    return [(np.setdiff1d(order, part), part) for part in parts]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("--model", default="efigi", help="name, or path of a card")
    parser.add_argument("--card", type=Path, help="JSON file to write, with the calibration")
    args = parser.parse_args()
    classifier = load_model(args.model, device="cpu")
    galaxies = EfigiGalaxies.read(args.data)
    galaxies = galaxies[galaxies.split == 1]
    outputs = validation_outputs(classifier, galaxies)
    card = replace(classifier.card, output=calibrated(classifier.card.output, outputs, galaxies))
    found = cross_validated(outputs, galaxies)
    kept = [each for each in card.figures if not each.name.startswith("coverage")]
    if args.card is not None:
        args.card.write_text(replace(card, figures=(*kept, *found)).to_json())


if __name__ == "__main__":
    main()
